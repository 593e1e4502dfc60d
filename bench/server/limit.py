"""The limit: one process a core running latents, ONNX Runtime at its best batch and the encoder, with no server.

`python -m bench.server.limit FOLDER KIND SECONDS` is one such process; it prints pictures, seconds and CPU seconds as JSON.
KIND: bare (runtime alone) | png | sheet | npy.
"""

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.bundle import Bundle, read_bundle
from models.mathematics.latents import cut, draw
from models.runtimes import open_runtime
from models.runtimes.base import Array, one_hot, to_pixels
from service.images.encode import encode, encode_npy
from service.images.sheet import contact_sheet

BATCH = 16


@dataclass
class Loop:
    """Pictures and CPU seconds of all processes together over `seconds` of wall time."""

    pictures: int
    seconds: float
    cpu_s: float

    @property
    def pictures_per_s(self) -> float:
        return self.pictures / self.seconds

    @property
    def cpu_ms(self) -> float:
        """CPU milliseconds a picture."""
        return self.cpu_s / self.pictures * 1e3


def measure(bundle: Path, kind: str, seconds: float, processes: int) -> Loop:
    """Run `processes` loops side by side and add them up."""
    command = [sys.executable, "-m", "bench.server.limit", str(bundle), kind, str(seconds)]
    children = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(processes)]
    rows = [json.loads(child.communicate()[0]) for child in children]
    return Loop(
        sum(row["pictures"] for row in rows), max(row["seconds"] for row in rows), sum(row["cpu_s"] for row in rows)
    )


def loop(bundle: Bundle, kind: str, seconds: float) -> dict[str, float]:
    """Batches until the time is over, after a warm-up."""
    runtime = open_runtime(bundle, "onnx", "cpu", 1)
    recipe = {"version": 1, "op": "sample", "model": bundle.reference, "seed": 0}
    labels = bundle.manifest.labels

    def batch(first: int) -> None:
        noises = cut(bundle.manifest.latent, draw(bundle.manifest.latent, range(first, first + BATCH)))
        label = one_hot([k % len(labels) for k in range(BATCH)], len(labels)) if labels else None
        picture: Array | None = None
        for level, info in enumerate(bundle.manifest.levels):
            picture = runtime.run_level(level, picture, noises[level], label if info.label else None)
        assert picture is not None
        if kind != "bare":
            finish(to_pixels(picture), kind, recipe)

    for k in range(3):
        batch(k)
    started, cpu, pictures = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() - started < seconds:
        batch(pictures)
        pictures += BATCH
    wall = time.perf_counter() - started
    return {"pictures": pictures, "seconds": wall, "cpu_s": time.process_time() - cpu}


def finish(pixels: "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]", kind: str, recipe: dict[str, object]) -> None:
    """Encode a batch as the workload wants it."""
    if kind == "png":
        for picture in pixels:
            encode(picture, "png", recipe)
    elif kind == "sheet":
        encode(contact_sheet(list(pixels)), "png", recipe)
    else:
        encode_npy(pixels)


if __name__ == "__main__":
    print(json.dumps(loop(read_bundle(Path(sys.argv[1])), sys.argv[2], float(sys.argv[3]))))
