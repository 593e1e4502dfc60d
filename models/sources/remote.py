"""Object stores and the web through fsspec: the one place that imports it."""

import importlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import IO, Any

from models.bundle import MANIFEST_NAME, MAX_MANIFEST_BYTES
from models.errors import BundleError, RuntimeUnavailableError

URL = re.compile(r"^[a-z][a-z0-9+.-]*://(?!.*::)")
EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs", "hf": "hf"}
"""Which extra of this package brings the backend of a scheme; the rest needs `remote`."""
CONNECT_S, READ_S = 5, 30
MARKS = ("etag", "ETag", "mtime", "LastModified", "last_modified", "oid", "size")


def is_url(source: str) -> bool:
    """Whether a source is a URL that fsspec may know. Chained ones (`zip::…`) are none."""
    return URL.match(source) is not None


def shown(url: str) -> str:
    """The URL for people and logs: without user, password and query."""
    return re.sub(r"//[^/@]*@", "//", url.partition("?")[0])


@contextmanager
def opened(url: str) -> Iterator["Place"]:
    """The place a URL names. Raises RuntimeUnavailableError without the backend, BundleError for what it answers."""
    try:
        place = Place(url)
        yield place
    except (BundleError, RuntimeUnavailableError):
        raise
    except ImportError:
        extra = EXTRAS.get(url.partition("://")[0], "remote")
        raise RuntimeUnavailableError(f"{shown(url)} needs pip install 'ganymede[{extra}]'") from None
    except FileNotFoundError:
        raise BundleError(f"{shown(url)} does not exist") from None
    except PermissionError:
        raise BundleError(f"{shown(url)}: not allowed") from None
    except Exception as error:  # backends raise what they like; none of it may end the server
        raise BundleError(f"{shown(url)} cannot be read: {type(error).__name__}") from None


class Place:
    """A path in a store: what lies there, and its bytes."""

    def __init__(self, url: str) -> None:
        core = importlib.import_module("fsspec.core")
        self._files, self._root = core.url_to_fs(url, **_options(url))
        self._is_web = url.startswith(("http://", "https://"))
        self._files.invalidate_cache()

    def signature(self, inside: str = "") -> str:
        """Changes when the file does: what the store says of tag, time and size."""
        info: dict[str, Any] = self._files.info(self._join(inside))
        return "|".join(f"{key}={info[key]}" for key in MARKS if info.get(key) is not None)

    def manifests(self) -> list[str]:
        """Folders below this one, "" for itself, that hold a manifest. Raises FileNotFoundError when there is none."""
        if self._files.exists(self._join(MANIFEST_NAME)):
            return [""]
        names = sorted(PurePosixPath(row["name"].rstrip("/")).name for row in self._listing())
        found = [name for name in names if self._files.exists(self._join(f"{name}/{MANIFEST_NAME}"))]
        if not found:
            raise FileNotFoundError(self._root)
        return found

    def manifest(self, inside: str) -> bytes:
        """The manifest of a folder. Raises BundleError for one that is too large."""
        with self.open(f"{inside}/{MANIFEST_NAME}".lstrip("/")) as stream:
            text = stream.read(MAX_MANIFEST_BYTES + 1)
        if len(text) > MAX_MANIFEST_BYTES:
            raise BundleError(f"{MANIFEST_NAME} is larger than {MAX_MANIFEST_BYTES} bytes")
        return text

    def open(self, inside: str = "") -> IO[bytes]:
        """A file's bytes, as a stream."""
        plain = {"block_size": 0} if self._is_web else {}  # one plain GET: not every server knows ranges
        stream: IO[bytes] = self._files.open(self._join(inside), "rb", **plain)
        return stream

    def _listing(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self._files.ls(self._root, detail=True)
        return [row for row in rows if row.get("type") == "directory" or str(row["name"]).endswith("/")]

    def _join(self, inside: str) -> str:
        return f"{self._root.rstrip('/')}/{inside}" if inside else str(self._root)


def _options(url: str) -> dict[str, Any]:
    """Every look is a fresh one, and a store that does not answer is given up after a while."""
    if url.startswith(("http://", "https://")):
        limits = importlib.import_module("aiohttp").ClientTimeout(sock_connect=CONNECT_S, sock_read=READ_S)
        return {"use_listings_cache": False, "client_kwargs": {"timeout": limits}}
    if url.startswith(("s3://", "s3a://")):
        limits = {"connect_timeout": CONNECT_S, "read_timeout": READ_S, "retries": {"max_attempts": 2}}
        return {"use_listings_cache": False, "config_kwargs": limits}
    return {}
