"""A Redis or Valkey server that tests start, kill, stop and start again."""

import socket
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any


class Server:
    """One server with its log on disk in `folder`, on a unix socket."""

    def __init__(self, binary: Path, folder: Path, *options: str) -> None:
        self.binary, self.folder, self.options = binary, folder, options
        self.socket = folder / "redis.sock"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def start(self) -> None:
        words = ["--port", "0", "--unixsocket", str(self.socket), "--dir", str(self.folder), "--appendonly", "yes"]
        words += [
            "--appendfsync",
            "always",
            "--save",
            "",
            "--loglevel",
            "warning",
            "--maxmemory-policy",
            "noeviction",
            *self.options,
        ]
        self.process = subprocess.Popen([str(self.binary), *words], stdout=subprocess.DEVNULL)
        end = time.monotonic() + 10
        while not self.answers():
            assert time.monotonic() < end, "the server does not answer"
            time.sleep(0.005)

    def answers(self) -> bool:
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(str(self.socket))
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def terminate(self) -> None:
        assert self.process is not None
        self.process.terminate()
        self.process.wait()

    def __enter__(self) -> "Server":
        self.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.kill()


def texts(replies: Iterable[Any]) -> list[str]:
    """What a server answered, which is bytes, whatever redis-py's types allow for."""
    return [reply.decode() for reply in replies]
