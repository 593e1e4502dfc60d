"""`/metrics` of several processes behind one port: each leaves its figures in a file, whichever is asked adds them up.

A sample gets the label `process`, so that nothing is summed that must not be and Prometheus sees every process.
The figures of the others are at most EVERY_S old.
"""

import asyncio
import contextlib
import os
from pathlib import Path

from service.observability.metrics import Metrics

EVERY_S = 5.0
SUFFIX = ".prom"


class ProcessMetrics:
    """The files of a group of `count` processes, in a folder they share. A larger one may have left files there."""

    def __init__(self, folder: Path, index: int, count: int, metrics: Metrics) -> None:
        self._files = [folder / f"{number}{SUFFIX}" for number in range(count)]
        self._file, self._metrics = self._files[index], metrics

    async def publish(self) -> None:
        """Write our figures for ever."""
        self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        while True:
            self._write()
            await asyncio.sleep(EVERY_S)

    def text(self) -> bytes:
        """The exposition format over all processes, ours as they are now."""
        self._write()
        texts = {}
        for file in self._files:
            with contextlib.suppress(OSError):  # one that is not there, or just went away
                texts[file.stem] = file.read_text()
        return merge(texts).encode()

    def remove(self) -> None:
        """A process that ends takes its figures with it."""
        self._file.unlink(missing_ok=True)

    def _write(self) -> None:
        fresh = self._file.with_suffix(f".{os.getpid()}")
        fresh.write_bytes(self._metrics.text())
        fresh.replace(self._file)


def merge(texts: dict[str, str]) -> str:
    """Expositions of several processes as one: a family's samples stand together, each with its `process` label."""
    families: dict[str, list[str]] = {}
    for process, text in texts.items():
        for family in f"\n{text}".split("\n# HELP ")[1:]:
            about, kind, *samples = family.splitlines()
            known = families.setdefault(f"# HELP {about}\n{kind}", [])
            known += [labelled(sample, process) for sample in samples]
    return "".join("\n".join([head, *samples]) + "\n" for head, samples in families.items())


def labelled(sample: str, process: str) -> str:
    """`name{a="b"} 1` with `process` as its first label; label values may hold any character."""
    name, brace, rest = sample.partition("{")
    if brace and " " not in name:
        return f'{name}{{process="{process}",{rest}'
    name, _, value = sample.partition(" ")
    return f'{name}{{process="{process}"}} {value}'
