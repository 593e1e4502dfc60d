"""Where large results and inputs lie: a folder, or an object store through fsspec. Names are `<job id>/<part>`."""

import contextlib
import errno
import importlib
import os
import re
import shutil
from pathlib import Path
from typing import Any, Protocol

from models.sources.remote import is_url, opened, shown
from service.errors import GoneError, StorageFullError, UnavailableError

OURS = re.compile(r"[0-9a-f]{32}\Z")
"""A job's id. Whatever else lies there is not ours and is left alone."""
FULL = {errno.ENOSPC, errno.EDQUOT}


class Results(Protocol):
    """What a store must do; every call blocks. Bytes that were put are there after a crash, whole or not at all."""

    def put(self, name: str, data: bytes) -> None:
        """Keep bytes, replacing what was there. Raises StorageFullError or UnavailableError."""

    def read(self, name: str) -> bytes:
        """The bytes. Raises GoneError when they are not there, UnavailableError when the store is away."""

    def discard(self, name: str) -> None:
        """Forget one thing of a job; what is not there is no fault. Raises UnavailableError when the store is away."""

    def jobs(self) -> list[str]:
        """Ids of the jobs that have something here."""

    def remove(self, job_id: str) -> None:
        """Forget everything of a job; one that has nothing is no fault."""


class FolderResults:
    """Results in a folder, which all processes that share it must see."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, name: str, data: bytes) -> None:
        """Written beside, synced and renamed."""
        target = self._root / name
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            fresh = target.with_name(f".{target.name}-{os.getpid()}")
            with fresh.open("wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            fresh.replace(target)
        except OSError as error:
            if error.errno in FULL:
                raise StorageFullError("the results store is full") from None
            raise UnavailableError("the results store cannot be written", headers={"Retry-After": "5"}) from None

    def read(self, name: str) -> bytes:
        """See `Results`."""
        try:
            return (self._root / name).read_bytes()
        except FileNotFoundError:
            raise GoneError("a part of the result is no longer in the results store") from None
        except OSError:
            raise UnavailableError("the results store cannot be read", headers={"Retry-After": "5"}) from None

    def discard(self, name: str) -> None:
        """See `Results`."""
        target = self._root / name
        with contextlib.suppress(OSError):  # not there, or its job has something else
            target.unlink(missing_ok=True)
            target.parent.rmdir()

    def jobs(self) -> list[str]:
        """See `Results`."""
        if not self._root.is_dir():
            return []
        return [entry.name for entry in os.scandir(self._root) if OURS.match(entry.name) and entry.is_dir()]

    def remove(self, job_id: str) -> None:
        """See `Results`."""
        shutil.rmtree(self._root / job_id, ignore_errors=True)


class RemoteResults:
    """Results in whatever fsspec opens: an object store shared by a fleet."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        with opened(url):  # raises where the backend is missing
            self._files, self._root = importlib.import_module("fsspec.core").url_to_fs(self._url)

    def put(self, name: str, data: bytes) -> None:
        """One object, written at once."""
        self._call(lambda: self._files.pipe_file(f"{self._root}/{name}", data))

    def read(self, name: str) -> bytes:
        """See `Results`."""
        return bytes(self._call(lambda: self._files.cat_file(f"{self._root}/{name}")))

    def discard(self, name: str) -> None:
        """See `Results`."""
        with contextlib.suppress(GoneError):
            self._call(lambda: self._files.rm_file(f"{self._root}/{name}"))

    def jobs(self) -> list[str]:
        """See `Results`."""
        try:
            rows = self._call(lambda: self._files.ls(self._root, detail=False, refresh=True))
        except GoneError:  # nothing was ever kept
            return []
        names = (str(row).rstrip("/").rsplit("/", 1)[-1] for row in rows)
        return [name for name in names if OURS.match(name)]

    def remove(self, job_id: str) -> None:
        """See `Results`."""
        with contextlib.suppress(GoneError):
            self._call(lambda: self._files.rm(f"{self._root}/{job_id}", recursive=True))

    def _call(self, work: Any) -> Any:
        try:
            return work()
        except FileNotFoundError:
            raise GoneError("a part of the result is no longer in the results store") from None
        except Exception as error:  # backends raise what they like
            sentence = f"the results store {shown(self._url)} is away: {type(error).__name__}"
            raise UnavailableError(sentence, headers={"Retry-After": "5"}) from error


def open_results(place: str | None) -> Results | None:
    """The store of a folder or URL; None for none. Raises ModelsError when the URL's backend is not installed."""
    if place is None:
        return None
    return RemoteResults(place) if is_url(place) else FolderResults(Path(place))
