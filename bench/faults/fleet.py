"""A fleet of real processes on this machine: one Redis, API replicas without an engine, workers; all may be killed."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

from bench.server.processes import resident_mib
from service.redis.embedded import find_server, ping


class Fleet:
    """`with Fleet(workers=2) as fleet:`; everything that is not named has its default."""

    def __init__(self, workers: int = 2, replicas: int = 1, folder: Path | None = None, **settings: str) -> None:
        self.folder = folder or Path(tempfile.mkdtemp(prefix="ganymede-faults-"))
        self.socket = self.folder / "redis.sock"
        fixed = {"REDIS_URL": f"unix://{self.socket}", "DATA_DIR": str(self.folder), "THREADS": "1", "DRAIN_S": "20"}
        names = {f"GANYMEDE_{name.upper()}": value for name, value in {**fixed, **settings}.items()}
        self.environment = {**os.environ, **names, "OMP_NUM_THREADS": "1"}
        self.redis: subprocess.Popen[bytes] | None = None
        self.apis: list[subprocess.Popen[bytes]] = []
        self.workers: list[subprocess.Popen[bytes]] = []
        self.wanted, self.replicas = workers, replicas
        self.ports: list[int] = []
        self.redis_address = ["--port", "0"]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports[0]}"

    @property
    def processes(self) -> "list[subprocess.Popen[bytes] | None]":
        return [*self.apis, *self.workers, self.redis]

    def __enter__(self) -> "Fleet":
        try:
            self.start_redis()
            for place in range(self.replicas):
                self.start_api(place)
            for place in range(self.wanted):
                self.start_worker(place)
            self.wait_for_workers()
        except BaseException:  # what did start must not stay behind
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for process in self.processes:
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start_redis(self) -> None:
        options = [
            *self.redis_address,
            "--unixsocket",
            str(self.socket),
            "--dir",
            str(self.folder),
            "--appendonly",
            "yes",
            "--appendfsync",
            "always",
        ]
        options += ["--save", "", "--maxmemory-policy", "noeviction", "--loglevel", "warning"]
        process = subprocess.Popen([str(find_server()), *options], stdout=subprocess.DEVNULL)
        while not ping(self.socket).startswith(b"+PONG"):
            if process.poll() is not None:
                raise RuntimeError(f"Redis ended with {process.returncode}")
            time.sleep(0.01)
        self.redis = process  # whoever kills at random must find it ready, or this would wait for ever

    def start_api(self, place: int = 0) -> None:
        """A replica; on the port of the one before in its place, as a supervisor would."""
        before = self.ports[place] if place < len(self.ports) else 0
        process, line = self._command("serve", "--role", "api", "--port", str(before))
        self.apis[place : place + 1] = [process]
        self.ports[place : place + 1] = [int(line.rsplit(":", 1)[1])]

    def start_worker(self, place: int, *prefix: str, **settings: str) -> None:
        """`prefix` puts it elsewhere (`ip netns exec NAME`); `settings` are environment variables of its own."""
        process = self._command("worker", "--port", "0", prefix=prefix, own=settings)[0]
        self.workers[place : place + 1] = [process]

    def wait_for_workers(self) -> None:
        with httpx.Client(base_url=self.url, timeout=60) as client:
            assert client.post("/sample", json={"seed": 1}).status_code == 200

    def revive(self) -> None:
        """What a supervisor does: start again whatever is gone."""
        if self.redis is None or self.redis.poll() is not None:
            self.start_redis()
        for place in [place for place, one in enumerate(self.apis) if one.poll() is not None]:
            self.start_api(place)
        for place in [place for place, one in enumerate(self.workers) if one.poll() is not None]:
            self.start_worker(place)

    def _command(
        self, *words: str, prefix: tuple[str, ...] = (), own: dict[str, str] | None = None
    ) -> tuple["subprocess.Popen[bytes]", str]:
        command = [*prefix, sys.executable, "-m", "service.cli", *words]
        log = (self.folder / "processes.log").open("ab")
        process = subprocess.Popen(command, env={**self.environment, **(own or {})}, stdout=subprocess.PIPE, stderr=log)
        assert process.stdout is not None
        for raw in process.stdout:
            if found := re.search(rb"ready on (\S+)", raw):
                return process, found[1].decode()
        raise RuntimeError((self.folder / "processes.log").read_text()[-2000:])


def kill(process: "subprocess.Popen[bytes] | None", how: int = signal.SIGKILL) -> None:
    """Send a signal and, for SIGKILL, wait until it is gone."""
    assert process is not None
    process.send_signal(how)
    if how == signal.SIGKILL:
        process.wait()


def rss_mib(process: "subprocess.Popen[Any] | None") -> float:
    """Resident memory of a process."""
    assert process is not None
    return resident_mib(process.pid)


def cpu_s(processes: "list[subprocess.Popen[bytes] | None]") -> float:
    """Seconds of processor time that these have used so far."""
    ticks = 0
    for process in processes:
        assert process is not None
        fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")
