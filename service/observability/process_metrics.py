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
    """The files of one group of processes, in a folder they share."""

    def __init__(self, folder: Path, index: int, metrics: Metrics) -> None:
        self._folder, self._index, self._metrics = folder, index, metrics

    async def publish(self) -> None:
        """Write our figures for ever."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        while True:
            self._write()
            await asyncio.sleep(EVERY_S)

    def text(self) -> bytes:
        """The exposition format over all processes, ours as they are now."""
        self._write()
        texts = {}
        for file in sorted(self._folder.glob(f"*{SUFFIX}")):
            with contextlib.suppress(OSError):  # one that just went away
                texts[file.stem] = file.read_text()
        return merge(texts).encode()

    def remove(self) -> None:
        """A process that ends takes its figures with it."""
        self._file.unlink(missing_ok=True)

    @property
    def _file(self) -> Path:
        return self._folder / f"{self._index}{SUFFIX}"

    def _write(self) -> None:
        fresh = self._file.with_suffix(f".{os.getpid()}")
        fresh.write_bytes(self._metrics.text())
        fresh.replace(self._file)


def merge(texts: dict[str, str]) -> str:
    """Expositions of several processes as one: a family's samples stand together, each with its `process` label."""
    heads: dict[str, list[str]] = {}
    samples: dict[str, list[str]] = {}
    for process, text in texts.items():
        family = ""
        for line in text.splitlines():
            if line.startswith("# HELP "):
                family = line.split(" ", 3)[2]
                if family not in heads:
                    heads[family] = []
                    samples[family] = []
                    heads[family].append(line)
            elif line.startswith("# TYPE "):
                heads[family] += [line] if len(heads[family]) == 1 else []
            elif line:
                samples[family].append(labelled(line, process))
    return "".join("\n".join([*heads[family], *samples[family]]) + "\n" for family in heads)


def labelled(sample: str, process: str) -> str:
    """`name{a="b"} 1` with `process` as its first label; label values may hold any character."""
    name, brace, rest = sample.partition("{")
    if brace and " " not in name:
        return f'{name}{{process="{process}",{rest}'
    name, _, value = sample.partition(" ")
    return f'{name}{{process="{process}"}} {value}'
