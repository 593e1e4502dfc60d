"""The folders that sources stand for: local ones as they are, zips and URLs by way of a cache of verified bundles.

The cache holds `<digest>/<name>/` for every bundle ever fetched and `seen/<source>.json` for what a source held last,
so that a server starts while a store is away. Everything in it may be deleted; it is fetched again.
"""

import fcntl
import hashlib
import json
import logging
import os
import re
import shutil
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

from models.bundle import publish, read_bundle, safe_path, staging_folder
from models.errors import BundleError, ChecksumError, ModelsError
from models.manifest import digest_of, parse_manifest
from models.sources.archive import MAX_TOTAL_BYTES, bundles_in, check_growth, unpack, write_at_most
from models.sources.remote import Place, is_url, opened, shown

log = logging.getLogger("ganymede.sources")
DIGEST = re.compile(r"(.+)#([0-9a-f]{16})")


@dataclass
class _Kept:
    """What a source held when it was looked at last."""

    signature: str
    folders: list[Path]
    looked: float = float("-inf")


class Sources:
    """The sources of the settings. `look` may be called from any thread, by one at a time, in many processes."""

    def __init__(self, sources: Sequence[str | Path], cache: Path, every_s: float = 60.0) -> None:
        self._sources, self._cache, self._every_s = [str(source) for source in sources], cache, every_s
        self._kept: dict[str, _Kept] = {}
        self._verified: set[Path] = set()

    def look(self) -> tuple[list[Path], dict[str, str]]:
        """Folders to take bundles from, in order, and why sources were refused, by name.

        A zip is read again when its file changed; a URL is asked every `every_s` seconds. A source that cannot be
        read goes on to stand for what it held before.
        """
        folders: list[Path] = []
        refused: dict[str, str] = {}
        for source in self._sources:
            if not is_url(source) and not _split_digest(source)[0].endswith(".zip"):
                folders.append(Path(source))
                continue
            try:
                self._update(source)
            except ModelsError as error:
                refused[_label(source)] = str(error)
                log.warning("source %s: %s", _label(source), error)
            folders += self._known(source).folders
        return folders, refused

    def _known(self, source: str) -> _Kept:
        if source not in self._kept:
            self._kept[source] = self._remembered(source)
        return self._kept[source]

    def _update(self, source: str) -> None:
        kept, now = self._known(source), time.monotonic()
        url, wanted = _split_digest(source)
        if is_url(url):
            if now - kept.looked < self._every_s:
                return
            kept.looked = now  # before looking: a store that is away is not asked at every turn
            with opened(url) as place, self._locked():
                self._take(source, self._from_url(url, place, kept))
        else:
            signature = _stat_signature(Path(url))
            if signature != kept.signature:
                with self._locked():
                    self._take(source, (signature, self._from_zip_file(Path(url))))
        self._check_digest(source, wanted)

    def _from_url(self, url: str, place: Place, kept: _Kept) -> tuple[str, list[Path]]:
        if url.partition("?")[0].endswith(".zip"):
            signature = place.signature()
            if signature and signature == kept.signature:
                return signature, kept.folders
            return signature, self._from_zip_stream(place.open())
        texts = {inside: place.manifest(inside) for inside in place.manifests()}
        return "", [self._from_place(place, inside, text) for inside, text in texts.items()]

    def _from_place(self, place: Place, inside: str, text: bytes) -> Path:
        def fill(stage: Path) -> None:
            (stage / "manifest.json").write_bytes(text)
            for file, record in parse_manifest(text).files.items():
                path = safe_path(stage, file)
                with place.open(f"{inside}/{file}".lstrip("/")) as stream:
                    write_at_most(stream, path, record.bytes, file)

        return self._cached(text, fill)

    def _from_zip_stream(self, stream: IO[bytes]) -> list[Path]:
        """A zip needs random access: it is written down first, and removed afterwards."""
        self._cache.mkdir(parents=True, exist_ok=True)
        path = self._cache / f".download-{os.getpid()}.zip"
        try:
            with stream, path.open("wb") as copy:
                _copy(stream, copy)
            return self._from_zip_file(path)
        finally:
            path.unlink(missing_ok=True)

    def _from_zip_file(self, path: Path) -> list[Path]:
        try:
            with zipfile.ZipFile(path) as archive:
                check_growth(archive, path.stat().st_size)
                found = list(bundles_in(archive))
                return [self._cached(text, partial(unpack, archive, inside, text)) for inside, text in found]
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError):
            raise BundleError("this is not a readable zip") from None

    def _cached(self, text: bytes, fill: Callable[[Path], object]) -> Path:
        """The verified folder of the bundle with that manifest: as it lies in the cache, or filled and checked now."""
        manifest, digest = parse_manifest(text), digest_of(text)
        target = self._cache / digest / manifest.name
        if target in self._verified or self._is_whole(target):
            return target
        stage = staging_folder(target)
        try:
            fill(stage)
            read_bundle(stage)
            publish(stage, target)
        finally:
            shutil.rmtree(stage, ignore_errors=True)
            with suppress(OSError):
                target.parent.rmdir()  # nothing is left of what failed
        self._verified.add(target)
        log.info("fetched %s@%s", manifest.name, digest)
        return target

    def _is_whole(self, target: Path) -> bool:
        """Whether the cache has it undamaged; hashed once a process."""
        try:
            read_bundle(target)
        except (ModelsError, OSError):
            return False
        self._verified.add(target)
        return True

    def _take(self, source: str, found: tuple[str, list[Path]]) -> None:
        kept = self._known(source)
        changed = (kept.signature, kept.folders) != found
        kept.signature, kept.folders = found
        if changed:
            self._remember(source, kept)

    def _check_digest(self, source: str, wanted: str) -> None:
        """A source that names a digest stands for that bundle alone. Raises ChecksumError when it holds others."""
        if not wanted:
            return
        kept = self._known(source)
        found = [folder.parent.name for folder in kept.folders]
        kept.folders = [folder for folder in kept.folders if folder.parent.name == wanted]
        if not kept.folders:
            raise ChecksumError(f"it holds {', '.join(found) or 'nothing'}, not the digest {wanted} that was asked for")

    def _memo(self, source: str) -> Path:
        return self._cache / "seen" / f"{hashlib.sha256(source.encode()).hexdigest()[:32]}.json"

    def _remember(self, source: str, kept: _Kept) -> None:
        memo = self._memo(source)
        memo.parent.mkdir(parents=True, exist_ok=True)
        names = [folder.relative_to(self._cache).as_posix() for folder in kept.folders]
        fresh = memo.with_suffix(f".{os.getpid()}")
        fresh.write_text(json.dumps({"source": _label(source), "signature": kept.signature, "folders": names}))
        fresh.replace(memo)

    def _remembered(self, source: str) -> _Kept:
        try:
            memo = json.loads(self._memo(source).read_text())
            folders = [self._cache / name for name in memo["folders"]]
            if all((folder / "manifest.json").is_file() for folder in folders):
                return _Kept(str(memo["signature"]), folders)
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return _Kept("", [])

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One process fetches; the others find what it fetched."""
        self._cache.mkdir(parents=True, exist_ok=True)
        with (self._cache / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _label(source: str) -> str:
    """What people are shown of a source: neither secrets nor folders of this machine."""
    return shown(source) if is_url(source) else Path(source).name


def _split_digest(source: str) -> tuple[str, str]:
    """(source, digest) of `source#digest`; an empty digest where none is named."""
    found = DIGEST.fullmatch(source)
    return (found[1], found[2]) if found else (source, "")


def _stat_signature(path: Path) -> str:
    try:
        found = path.stat()
    except OSError:
        raise BundleError("there is no such file") from None
    return f"{found.st_mtime_ns}|{found.st_size}|{found.st_ino}"


def _copy(source: IO[bytes], target: IO[bytes]) -> None:
    copied = 0
    while piece := source.read(1 << 20):
        copied += len(piece)
        if copied > MAX_TOTAL_BYTES:
            raise BundleError(f"the zip has more than {MAX_TOTAL_BYTES} bytes")
        target.write(piece)
