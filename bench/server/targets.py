"""The servers under test: how each is started and where it takes requests."""

import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.server.processes import Running, free_port, running

ROOT = Path(__file__).parents[2]
QUIET = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}


@dataclass(frozen=True)
class Target(ABC):
    """One kind of server. `python` runs it; `module` is started with the port in GANYMEDE_BENCH_PORT."""

    name: str
    path: str = "/sample"
    ready: str = "/readyz"

    @abstractmethod
    def start(self, bundles: Path, bundle: str, work: Path, cores: int) -> AbstractContextManager[Running]:
        """Running until the context ends; one process a core."""


@dataclass(frozen=True)
class Ganymede(Target):
    """Ours, as `ganymede serve` starts it. `options` are further command-line words."""

    options: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    command: tuple[str, ...] = ("-m", "service.cli", "serve")

    @contextmanager
    def start(self, bundles: Path, bundle: str, work: Path, cores: int) -> Iterator[Running]:
        port = free_port()
        words = ["--port", str(port), "--bundles", str(bundles), "--data-dir", str(work / f"data-{port}")]
        command = [sys.executable, *self.command, *words, *self.options]
        with running(command, port, {**QUIET, **dict(self.environment)}, self.ready) as server:
            yield server


@dataclass(frozen=True)
class Rival(Target):
    """A rival from bench/rivals, in its own virtual environment (see bench/rivals/README.md)."""

    script: str = ""
    ready: str = "/"
    encoder: str = "ours"

    @property
    def python(self) -> Path:
        """Of its environment; variants of a rival share one."""
        return rival_home(self.name.split(",")[0]) / "bin" / "python"

    @contextmanager
    def start(self, bundles: Path, bundle: str, work: Path, cores: int) -> Iterator[Running]:
        port = free_port()
        environment = {
            **QUIET,
            "GANYMEDE_BENCH_PORT": str(port),
            "GANYMEDE_BENCH_BUNDLE": str(bundles / bundle),
            "GANYMEDE_BENCH_CORES": str(cores),
            "GANYMEDE_BENCH_ENCODER": self.encoder,
            "PATH": f"{self.python.parent}:{os.environ['PATH']}",
        }
        command = [str(self.python), str(ROOT / "bench" / "rivals" / self.script)]
        with running(command, port, environment, self.ready) as server:
            yield server


def rival_home(name: str) -> Path:
    """The virtual environment of a rival."""
    return Path(os.environ.get("GANYMEDE_BENCH_VENVS", "/tmp/ganymede-bench-venvs")) / name


GANYMEDE = Ganymede("ganymede", options=("--processes", "0"))
ONE_PROCESS = Ganymede("ganymede, one process", options=("--processes", "1"))
AUTO = Ganymede("ganymede, auto", options=("--processes", "0"), environment=(("GANYMEDE_RUNTIME", "auto"),))
NULL = Ganymede(
    "ganymede, null generator",
    options=("--processes", "1"),
    environment=(("GANYMEDE_RUNTIME", "fake"),),
    command=("-m", "bench.server.null_server"),
)
RIVALS = (
    Rival("mosec", "/inference", script="serve_mosec.py"),
    Rival("fastapi", script="serve_fastapi.py"),
    Rival("litserve", "/predict", script="serve_litserve.py"),
    Rival("bentoml", "/v1/sample", script="serve_bentoml.py", ready="/readyz"),
    Rival("ray", script="serve_ray.py"),
)
PILLOW = (Rival("mosec, Pillow", "/inference", script="serve_mosec.py", encoder="pillow"),)
"""The quickest rival as people write it, with the encoder that everybody has."""
