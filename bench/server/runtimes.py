"""What `GANYMEDE_RUNTIME=auto` chooses for the shipped bundles, and what it gives: `python -m bench.server.runtimes`.

First the candidates of every bundle (CPU time, one thread), then pictures sharpened over HTTP by a server of each kind,
one after the other by one caller, in turns.
"""

import argparse
import io
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import httpx
import numpy as np
from PIL import Image

from bench.server.bundles import SHIPPED
from bench.server.processes import Running
from bench.server.targets import AUTO, GANYMEDE
from models.bundle import read_bundle
from models.runtimes.auto import choose
from models.runtimes.choice import Choice
from models.runtimes.memory import Memory

BATCH = 16
SIDES = ((64, 2), (256, 2), (64, 8))
"""Side of the uploaded picture and factor."""


def main() -> None:
    """Two Markdown tables."""
    parser = argparse.ArgumentParser(prog="python -m bench.server.runtimes", description=main.__doc__)
    parser.add_argument("--bundles", nargs="*", help="names (all that ship)")
    parser.add_argument("--rounds", type=int, default=20, help="requests of each kind to each server (20)")
    options = parser.parse_args()
    names = options.bundles or sorted(path.parent.name for path in SHIPPED.glob("*/manifest.json"))
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        print(
            "| bundle, level | candidate | difference/255 | lone picture, ms | pictures/s at 16 | verdict |\n"
            "|---|---|---|---|---|---|"
        )
        for name in names:
            started = time.perf_counter()
            choice = choose(read_bundle(SHIPPED / name), 1, BATCH, Memory(work / "runtimes.json"), again=True)
            print_rows(name, choice)
            print(f"| {name}: measured in {time.perf_counter() - started:.1f} s | {', '.join(choice.levels)} | | | | |")
        if options.rounds:
            print_upsampling(work, options.rounds)


def print_rows(name: str, choice: Choice) -> None:
    """A line a trial."""
    for row in sorted(choice.rows, key=lambda row: row.level):
        cells = [row.difference, row.alone_ms, BATCH / row.full_ms * 1e3 if row.full_ms else None]
        shown = " | ".join("" if cell is None else f"{cell:.3f}" if cell < 100 else f"{cell:.0f}" for cell in cells)
        print(f"| {name}, {row.level} | {row.candidate} | {shown} | {row.verdict} |")


def print_upsampling(work: Path, rounds: int) -> None:
    """`POST /upsample` of the doubler: median ms of a request, and CPU ms of the server's processes."""
    print("\n| picture, factor | target | p50 ms | CPU ms a request | provider |\n|---|---|---|---|---|")
    with ExitStack() as stack:
        servers = {
            target.name: stack.enter_context(target.start(SHIPPED / "photo-x2", "photo-x2", work, 2))
            for target in (GANYMEDE, AUTO)
        }
        for side, factor in SIDES:
            times: dict[str, list[tuple[float, float]]] = {name: [] for name in servers}
            for turn in range(rounds + 2):
                for name, server in servers.items():
                    times[name].append(ask(server, side, factor, turn))
            for name, found in times.items():
                waits, cpus = zip(*found[2:], strict=True)  # the first two compile
                p50, cpu = statistics.median(waits), statistics.mean(cpus)
                print(f"| {side}², x{factor} | {name} | {p50:.1f} | {cpu:.1f} | {provider(servers[name])} |")


def ask(server: Running, side: int, factor: int, turn: int) -> tuple[float, float]:
    """Milliseconds until the answer, and of CPU."""
    body, before = picture(side, turn), server.cpu_s()
    started = time.perf_counter()
    url = f"http://127.0.0.1:{server.port}/upsample"
    answer = httpx.post(
        url, params={"factor": factor, "seed": turn}, content=body, headers={"content-type": "image/png"}, timeout=60
    )
    answer.raise_for_status()
    return (time.perf_counter() - started) * 1e3, (server.cpu_s() - before) * 1e3


def picture(side: int, seed: int) -> bytes:
    """A smooth coloured picture as PNG."""
    small = np.random.RandomState(seed).randint(0, 256, (8, 8, 3)).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC).save(file, "PNG")
    return file.getvalue()


def provider(server: Running) -> str:
    found: str = httpx.get(f"http://127.0.0.1:{server.port}/models").json()["data"][0]["provider"]
    return found


if __name__ == "__main__":
    main()
