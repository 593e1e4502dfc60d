"""The bundles being served: folders are watched, good bundles come and go without a restart, bad ones are refused.

Versions of one name, told apart by digest, are served side by side. The name alone means the version that was chosen
(`versions.py`), else the first in the order of the folders.
"""

import asyncio
import contextlib
import contextvars
import difflib
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from models.bundle import MANIFEST_NAME, Bundle, name_of, read_bundle
from models.errors import ModelsError
from service.engine.model import Model
from service.engine.versions import Choices, VersionStore
from service.errors import NotFoundError, UnavailableError

log = logging.getLogger("ganymede.catalogue")
PREFERRED_DEFAULT = "fashion32"
KEEP_S = 60.0
"""Seconds an unloaded version stays open for requests that were accepted before; jobs open it again if need be."""
Opening = Callable[[int, int], None]
"""Told how many bundles of how many are open."""
_accepted = contextvars.ContextVar("ganymede_accepted", default=False)


class Catalogue:
    """Models by name and version. `open_bundle` turns a verified bundle into a Model (without runtime in the api role).

    `look` gives the folders to take bundles from and the sources that were refused, each time anew;
    `side_by_side`: how many bundles may be opened at once.
    """

    def __init__(
        self,
        look: Callable[[], tuple[list[Path], dict[str, str]]],
        open_bundle: Callable[[Bundle], Model],
        default: str | None,
        side_by_side: int = 1,
    ) -> None:
        self._look, self._open, self._default = look, open_bundle, default
        self._side_by_side = side_by_side
        self._choices = Choices()
        self._models: dict[Path, Model] = {}
        self._unloaded: dict[Path, Bundle] = {}
        self._retired: dict[str, tuple[Model, float]] = {}
        self._names: dict[str, Model] = {}
        self._references: dict[str, Model] = {}
        self._seen: dict[Path, tuple[int, ...]] = {}
        self._refreshing = threading.Lock()
        self._refused: dict[str, str] = {}
        self._refused_sources: dict[str, str] = {}
        self.ready = False

    def all(self) -> list[Model]:
        """Every served version, by name, the default one of each name first."""
        return sorted(self._references.values(), key=lambda m: (m.bundle.name, not self.is_default(m)))

    def defaults(self) -> list[Model]:
        """What each name alone means."""
        return sorted(self._names.values(), key=lambda model: model.bundle.name)

    def unloaded(self) -> list[Bundle]:
        """Versions that lie in the folders and are not served because somebody unloaded them."""
        return sorted(self._unloaded.values(), key=lambda bundle: bundle.reference)

    @property
    def refused(self) -> dict[str, str]:
        """Why folders and sources are not served, by name."""
        return self._refused | self._refused_sources

    def is_default(self, model: Model) -> bool:
        """Whether the name alone means this version."""
        return self._names.get(model.bundle.name) is model

    def get(self, reference: str | None) -> Model:
        """The model of `name` or `name@digest`; None gives the default. Raises NotFoundError naming the nearest."""
        if reference is None:
            return self.default()
        model = self._references.get(reference) if "@" in reference else self._names.get(reference)
        if model is None and _accepted.get() and reference in self._retired:
            model = self._retired[reference][0]
        if model is None:
            raise NotFoundError(self._absence(*reference.partition("@")[::2]))
        return model

    def default(self) -> Model:
        """The bundle used when a request names none. Raises UnavailableError when nothing is loaded."""
        models = self._names
        if not models:
            raise UnavailableError("no bundle is loaded", headers={"Retry-After": "2"})
        for name in (self._default, PREFERRED_DEFAULT):
            if name and (name in models or name in self._references):
                return models.get(name) or self._references[name]
        return next((m for m in self.defaults() if m.manifest.samples), self.defaults()[0])

    def choose(self, choices: Choices) -> bool:
        """Take over what was decided, at once: only lookups change. True when it says something new.

        `refresh` opens and closes what follows from it.
        """
        changed, self._choices = choices != self._choices, choices
        if changed:
            self._index()
        return changed

    def refresh(self, on_opened: Opening | None = None, *, only_default: bool = False) -> bool:
        """Look at the folders once; opens what is new, replaces what changed, drops what is gone. True if any did.

        `only_default`: of what is new only the bundle that a request means which names none, where a setting names it.
        """
        with self._refreshing:
            roots, self._refused_sources = self._look()
            found = {folder: _signature(folder) for folder in candidates(roots)}
            if only_default and (folder := self._default_of(found)) is not None:
                found = {folder: found[folder]}
            changed = [folder for folder, signature in found.items() if self._seen.get(folder) != signature]
            for folder in [folder for folder in self._seen if folder not in found]:
                self._forget(folder)
                changed.append(folder)
            loaded = self._apply_unloading()
            fresh = [folder for folder in found if folder in changed or folder in loaded]
            self._seen = found
            self._open_all(fresh, on_opened or (lambda done, total: None))
            self._index()
            self.ready = True
            return bool(changed or loaded)

    def _default_of(self, folders: Iterable[Path]) -> Path | None:
        """The folder of the bundle that will be the default, by what its manifest says of itself; None for none known."""
        names = {folder: name_of(folder) for folder in folders}
        for wanted in (self._default, PREFERRED_DEFAULT):
            for folder, name in names.items():
                if wanted and name == wanted:
                    return folder
        return None

    @contextlib.contextmanager
    def accepted(self) -> Iterator[None]:
        """Within: references of unloaded versions that are still open are known, too, for work that was accepted before."""
        token = _accepted.set(True)
        try:
            yield
        finally:
            _accepted.reset(token)

    def reopen(self, reference: str) -> None:
        """Open an unloaded version once more for work that was accepted before. Nothing happens to one that is unknown."""
        with self._refreshing:
            bundle = next((b for b in self._unloaded.values() if b.reference == reference), None)
            if bundle is not None and reference not in self._retired:
                self._retired[reference] = (self._open(bundle), time.monotonic())

    def _apply_unloading(self) -> set[Path]:
        """Take unloaded versions out of service; the folders of those that are wanted again."""
        now, unloaded = time.monotonic(), self._choices.unloaded
        self._retired = {k: kept for k, kept in self._retired.items() if now - kept[1] < KEEP_S}
        for folder, model in [(f, m) for f, m in self._models.items() if m.reference in unloaded]:
            self._retired[model.reference] = (self._models.pop(folder), now)
            self._unloaded[folder] = model.bundle
            log.info("unloaded %s", model.reference)
        return {folder for folder, bundle in self._unloaded.items() if bundle.reference not in unloaded}

    def _open_all(self, folders: list[Path], on_opened: Opening) -> None:
        with ThreadPoolExecutor(max(1, min(self._side_by_side, len(folders))), "ganymede-open") as openers:
            on_opened(0, len(folders))
            for done, (folder, opened) in enumerate(zip(folders, openers.map(self._opened, folders), strict=True), 1):
                self._keep(folder, opened)
                on_opened(done, len(folders))

    def _opened(self, folder: Path) -> Model | Bundle | Exception:
        """Verified and opened, in a thread of its own: hashing, loading and probing leave the interpreter free.

        A version that is unloaded is verified only.
        """
        try:
            bundle = read_bundle(folder)
            return bundle if bundle.reference in self._choices.unloaded else self._open(bundle)
        except Exception as error:  # a bundle is untrusted input: whatever it raises, the others keep serving
            return error

    def _keep(self, folder: Path, opened: Model | Bundle | Exception) -> None:
        self._models.pop(folder, None)
        self._unloaded.pop(folder, None)
        try:
            if isinstance(opened, Exception):
                raise opened
            self._check_unique(opened.reference)
        except Exception as error:
            self._refuse(folder, error)
            return
        self._refused.pop(folder.name, None)
        if isinstance(opened, Bundle):
            self._unloaded[folder] = opened
            return
        self._models[folder] = opened
        log.info("serving %s on %s", opened.reference, opened.provider)

    def _check_unique(self, reference: str) -> None:
        if reference in {m.reference for m in self._models.values()} | {b.reference for b in self._unloaded.values()}:
            raise ModelsError(f"another folder already serves {reference}")

    def _refuse(self, folder: Path, error: Exception) -> None:
        sentence = str(error) if isinstance(error, ModelsError) else f"the graph does not run: {type(error).__name__}"
        self._refused[folder.name] = sentence
        log.warning("bundle %s is refused: %s", folder.name, error)

    def _forget(self, folder: Path) -> None:
        self._refused.pop(folder.name, None)
        self._unloaded.pop(folder, None)
        gone = self._models.pop(folder, None)
        if gone:
            log.info("no longer serving %s", gone.reference)

    def _index(self) -> None:
        """Rebuild the lookups; each is replaced whole, as requests read them meanwhile."""
        in_order = [self._models[folder] for folder in self._seen if folder in self._models]
        served = [model for model in in_order if model.reference not in self._choices.unloaded]
        names: dict[str, Model] = {}
        for model in served:
            names.setdefault(model.bundle.name, model)
        names |= {m.bundle.name: m for m in served if self._choices.defaults.get(m.bundle.name) == m.bundle.digest}
        self._references, self._names = {model.reference: model for model in served}, names

    def _absence(self, name: str, digest: str) -> str:
        """Why there is no such model."""
        if any(name == bundle.name and digest in ("", bundle.digest) for bundle in self._unloaded.values()):
            return f"{name}{'@' if digest else ''}{digest} is unloaded"
        if name in self._names:
            served = ", ".join(m.bundle.digest for m in self._references.values() if m.bundle.name == name)
            return f"{name} is served at digest {served}, not {digest}"
        return f"there is no model {name!r}{_nearest(name, self._names)}"


async def watch(
    catalogue: Catalogue, versions: VersionStore, every_s: float, decided: asyncio.Event, after: Callable[[], None]
) -> None:
    """Follow folders and choices for ever: every `every_s` seconds, and at once when `decided` is set."""
    while True:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(every_s):
                await decided.wait()
        decided.clear()
        if await follow(catalogue, versions):
            after()


async def follow(catalogue: Catalogue, versions: VersionStore) -> bool:
    """Take over what was decided, then look at the folders, off the event loop. True if anything changed.

    While Redis is away everything stays as it was decided last.
    """
    changed = False
    with contextlib.suppress(UnavailableError):
        changed = catalogue.choose(await versions.read())
    return await asyncio.to_thread(catalogue.refresh) or changed


def candidates(roots: Iterable[Path]) -> Iterator[Path]:
    """Folders of bundles: the roots themselves, or what lies directly in them."""
    for root in roots:
        if (root / MANIFEST_NAME).is_file():
            yield root
        elif root.is_dir():
            inside = (p for p in sorted(root.iterdir()) if p.is_dir() and not p.name.startswith("."))
            yield from (p for p in inside if (p / MANIFEST_NAME).exists())


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
