"""The bundles being served: folders are watched, good bundles come and go without a restart, bad ones are refused."""

import asyncio
import difflib
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from models.bundle import MANIFEST_NAME, Bundle, read_bundle
from models.errors import ModelsError
from service.engine.model import Model
from service.errors import NotFoundError, UnavailableError

log = logging.getLogger("ganymede.catalogue")
PREFERRED_DEFAULT = "fashion32"


class Catalogue:
    """Models by name. `open_bundle` turns a verified bundle into a Model (with a runtime, or without in the api role).

    `side_by_side`: how many may be opened at once.
    """

    def __init__(
        self,
        folders: tuple[Path, ...],
        open_bundle: Callable[[Bundle], Model],
        default: str | None,
        side_by_side: int = 1,
    ) -> None:
        self._folders = folders
        self._side_by_side = side_by_side
        self._open = open_bundle
        self._default = default
        self._models: dict[Path, Model] = {}
        self._names: dict[str, Model] = {}
        self._seen: dict[Path, tuple[int, ...]] = {}
        self.refused: dict[str, str] = {}
        self.ready = False

    def all(self) -> list[Model]:
        """Every served model, by name."""
        return sorted(self._models.values(), key=lambda model: model.bundle.name)

    def get(self, reference: str | None) -> Model:
        """The model of `name` or `name@digest`; None gives the default. Raises NotFoundError naming the nearest."""
        if reference is None:
            return self.default()
        name, _, digest = reference.partition("@")
        model = self._names.get(name)
        if model is None:
            raise NotFoundError(f"there is no model {name!r}{_nearest(name, self._names)}")
        if digest and digest != model.bundle.digest:
            raise NotFoundError(f"{name} is served at digest {model.bundle.digest}, not {digest}")
        return model

    def default(self) -> Model:
        """The bundle used when a request names none. Raises UnavailableError when nothing is loaded."""
        models = self._names
        if not models:
            raise UnavailableError("no bundle is loaded", headers={"Retry-After": "2"})
        for name in (self._default, PREFERRED_DEFAULT):
            if name in models:
                return models[name]
        return next((m for m in self.all() if m.manifest.samples), self.all()[0])

    def refresh(self) -> bool:
        """Look at the folders once; opens what is new, replaces what changed, drops what is gone. True if any did."""
        found = {folder: _signature(folder) for folder in self._candidates()}
        changed = [folder for folder, signature in found.items() if self._seen.get(folder) != signature]
        for folder in [folder for folder in self._seen if folder not in found]:
            self._forget(folder)
            changed.append(folder)
        fresh = [folder for folder in changed if folder in found]
        self._seen.update({folder: found[folder] for folder in fresh})
        with ThreadPoolExecutor(max(1, min(self._side_by_side, len(fresh))), "ganymede-open") as openers:
            opened = openers.map(self._opened, fresh)
            for folder, model in zip(fresh, opened, strict=True):
                self._keep(folder, model)
        self._names = {model.bundle.name: model for model in self._models.values()}
        self.ready = True
        return bool(changed)

    async def watch(self, every_s: float, after: Callable[[], None]) -> None:
        """Refresh for ever, off the event loop."""
        while True:
            await asyncio.sleep(every_s)
            if await asyncio.to_thread(self.refresh):
                after()

    def _candidates(self) -> Iterator[Path]:
        for root in self._folders:
            if (root / MANIFEST_NAME).is_file():
                yield root
            elif root.is_dir():
                inside = (p for p in sorted(root.iterdir()) if p.is_dir() and not p.name.startswith("."))
                yield from (p for p in inside if (p / MANIFEST_NAME).exists())

    def _opened(self, folder: Path) -> Model | Exception:
        """Verified and opened, in a thread of its own: hashing, loading and probing leave the interpreter free."""
        try:
            return self._open(read_bundle(folder))
        except Exception as error:  # a bundle is untrusted input: whatever it raises, the others keep serving
            return error

    def _keep(self, folder: Path, model: Model | Exception) -> None:
        try:
            if isinstance(model, Exception):
                raise model
            self._check_name(folder, model.bundle)
        except Exception as error:
            self._refuse(folder, error)
            return
        self.refused.pop(folder.name, None)
        self._models[folder] = model
        log.info("serving %s on %s", model.reference, model.provider)

    def _check_name(self, folder: Path, bundle: Bundle) -> None:
        other = next((f for f, m in self._models.items() if m.bundle.name == bundle.name and f != folder), None)
        if other is not None:
            raise ModelsError(f"another folder already serves a bundle named {bundle.name!r}")

    def _refuse(self, folder: Path, error: Exception) -> None:
        sentence = str(error) if isinstance(error, ModelsError) else f"the graph does not run: {type(error).__name__}"
        self.refused[folder.name] = sentence
        self._models.pop(folder, None)
        log.warning("bundle %s is refused: %s", folder.name, error)

    def _forget(self, folder: Path) -> None:
        del self._seen[folder]
        self.refused.pop(folder.name, None)
        gone = self._models.pop(folder, None)
        if gone:
            log.info("no longer serving %s", gone.reference)


def _signature(folder: Path) -> tuple[int, ...]:
    """Changes whenever the manifest is replaced; a bundle is published by one rename, so that is enough."""
    try:
        stat = (folder / MANIFEST_NAME).stat()
    except OSError:
        return ()
    return (stat.st_mtime_ns, stat.st_size, stat.st_ino)


def _nearest(name: str, models: dict[str, Model]) -> str:
    close = difflib.get_close_matches(name, models, 1, 0.4)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; there are {', '.join(sorted(models))}" if models else ""
