"""Start a server, wait until it answers, read what its whole process tree uses, end it."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
LOG = Path(os.environ.get("GANYMEDE_BENCH_LOG", "/dev/null"))


@dataclass
class Running:
    """A server under test."""

    process: "subprocess.Popen[bytes]"
    port: int
    ready_s: float

    def cpu_s(self) -> float:
        """User and system seconds of the tree so far."""
        return sum(_cpu_s(pid) for pid in tree(self.process.pid))

    def memory_mb(self) -> float:
        """Proportional resident memory of the tree in MiB: shared pages are counted once."""
        return sum(_pss_kb(pid) for pid in tree(self.process.pid)) / 1024


def resident_mib(pid: int) -> float:
    """Resident memory of one process; 0 when it has gone."""
    with contextlib.suppress(OSError):
        found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
        return int(found[1]) / 1024 if found else 0.0
    return 0.0


def free_port() -> int:
    """A loopback port nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(command: list[str], port: int, environment: dict[str, str], ready: str = "/readyz") -> Iterator[Running]:
    """The server as its own process group; ended with SIGTERM, then SIGKILL, whatever happens inside."""
    with LOG.open("ab") as log:
        process = subprocess.Popen(
            command, env={**os.environ, **environment}, start_new_session=True, stdout=log, stderr=log
        )
    started = time.perf_counter()
    try:
        while not answers(port, ready):
            if process.poll() is not None or time.perf_counter() - started > 120:
                raise RuntimeError(f"{command[:4]} did not come up (status {process.poll()})")
            time.sleep(0.01)
        yield Running(process, port, time.perf_counter() - started)
    finally:
        end(process)


def end(process: "subprocess.Popen[bytes]") -> None:
    """SIGTERM to the process, ten seconds, then SIGKILL to what is left of its group."""
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(10)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def answers(port: int, path: str) -> bool:
    """Whether GET `path` gives 200."""
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
            return b" 200 " in connection.recv(64)
    except OSError:
        return False


def tree(pid: int) -> list[int]:
    """A process and all its descendants."""
    found = [pid]
    for parent in found:
        for tasks in Path(f"/proc/{parent}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                found += [int(child) for child in tasks.read_text().split()]
    return found


def _cpu_s(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) * TICK_S


def _pss_kb(pid: int) -> float:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return float(line.split()[1])
    return 0.0
