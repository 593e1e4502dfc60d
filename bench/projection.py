"""Are the generator's own pictures found again? `python -m bench.projection models/exports/faces64 --count 64`.

Pictures of held-out seeds are given to the search as pixels only. Prints one line each, then the share at 30 dB or more.
"""

import argparse
import time
from pathlib import Path

import numpy as np

from models.bundle import Bundle, read_bundle
from models.mathematics.latents import draw
from models.runtimes import open_runtime
from models.runtimes.base import from_pixels, to_pixels
from models.runtimes.chain import pictures_of
from models.runtimes.projection import Search, project

FIRST_SEED = 2_000_000_000  # searches start from seed 0 on: none of these is ever drawn
ENOUGH_DB = 30.0


def targets(bundle: Bundle, first: int, count: int) -> tuple[np.ndarray, list[int | None]]:
    """Pictures of held-out seeds, rounded to 8 bits as a file would hold them, and their classes."""
    manifest = bundle.manifest
    seeds = range(FIRST_SEED + first, FIRST_SEED + first + count)
    labels: list[int | None] = [s % len(manifest.labels) if manifest.labels else None for s in seeds]
    images = pictures_of(open_runtime(bundle, "onnx"), manifest, draw(manifest.latent, seeds), labels)
    return from_pixels(to_pixels(images)), labels


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.projection", description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--count", type=int, default=64)
    parser.add_argument("--first", type=int, default=0, help="leave out the first targets, to share the work")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    bundle = read_bundle(options.bundle)
    found = []
    for k, (picture, label) in enumerate(zip(*targets(bundle, options.first, options.count), strict=True)):
        started = time.perf_counter()
        result = project(bundle, picture, Search(), label=label, threads=options.threads)
        found.append(result.psnr_db)
        took = time.perf_counter() - started
        print(f"{k:3d}  {result.psnr_db:5.1f} dB  {result.steps} steps  {took:5.1f} s", flush=True)
    good = np.array(found) >= ENOUGH_DB
    print(
        f"{bundle.reference}: {good.mean():.1%} of {len(found)} at {ENOUGH_DB:.0f} dB or more; "
        f"median {np.median(found):.1f} dB, worst {min(found):.1f} dB"
    )


if __name__ == "__main__":
    main()
