"""Commands by hand: folders of 200 mixed files, and sets of 20,000. `python -m bench.hands URL PID WORK`.

A server with `mnist-gan`, `mnist-ssl`, `fashion32` and `photo-x2` runs there as process PID. Rows of docs/evidence/hands.md.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.mixed_folder import write_mixed
from bench.processes import resident_mib
from ganymede_client import Client
from service.cli.sample_set import PART

PHOTOS = Path(__file__).parent.parent / "tests" / "data" / "photos"
FOLDERS = {
    "info": (),
    "redo": ("--source", "pics", "-o", "OUT"),
    "classify": ("-m", "mnist-ssl", "-o", "OUT.ndjson"),
    "features": ("-m", "mnist-gan", "-o", "OUT.ndjson"),
    "upsample": ("-m", "photo-x2", "--seed", "1", "-o", "OUT"),
    "project": ("-m", "mnist-gan", "--steps", "10", "--restarts", "1", "--seed", "1", "-o", "OUT"),
}
SETS = ("set", "set.zip", "set.npz")


@dataclass(frozen=True)
class Run:
    """How one command went: exit code, seconds, stderr, memory of client and server, MiB, twice a second."""

    code: int
    seconds: float
    said: str
    client: list[float]
    server: list[float]

    @property
    def named(self) -> int:
        """Files that are named at the end."""
        return len(set(re.findall(r"^(pics/[^ :]+): ", self.said, re.MULTILINE)))


class Hands:
    """Runs commands in a folder against a server."""

    def __init__(self, url: str, server: int, work: Path) -> None:
        self._server, self._work = server, work
        self._environment = os.environ | {"GANYMEDE_URL": url, "GANYMEDE_CLIENT_CONFIG": str(work / "none.toml")}

    def run(self, *words: str, stop: Callable[[], bool] = lambda: False) -> Run:
        """One command; Ctrl-C as soon as `stop` says so."""
        line = [sys.executable, "-m", "service.cli", *words]
        begun, client, server, stopped = time.monotonic(), [], [], False
        with (self._work / "said").open("w") as said, subprocess.Popen(
            line, cwd=self._work, env=self._environment, stdout=subprocess.DEVNULL, stderr=said
        ) as process:  # fmt: skip
            while process.poll() is None:
                client.append(resident_mib(process.pid))
                server.append(resident_mib(self._server))
                if not stopped and stop():
                    process.send_signal(signal.SIGINT)
                    stopped = True
                time.sleep(0.02 if len(client) < 1000 else 0.5)
        return Run(process.returncode, time.monotonic() - begun, (self._work / "said").read_text(), client, server)

    def folder(self, name: str, options: tuple[str, ...]) -> str:
        """A row: once through, once more, interrupted and gone on with."""

        def words(out: str) -> list[str]:
            return [name, "pics", "-r", *(word.replace("OUT", out) for word in options)]

        whole, more = self.run(*words(f"{name}-1")), self.run(*words(f"{name}-1"))
        done = self._made(f"{name}-1")
        row = f"| `{name}` | {len(done) or ''} | {whole.named} | {whole.code} | {whole.seconds:.1f} | {more.seconds:.1f} |"
        if not done:
            return f"{row} | |"
        stopped = self.run(*words(f"{name}-2"), stop=lambda: len(self._made(f"{name}-2")) > len(done) // 3)
        kept = len(self._made(f"{name}-2"))
        after = self.run(*words(f"{name}-2"))
        same = "same files and bytes" if self._made(f"{name}-2") == done else "**other files**"
        return f"{row} {kept} kept, exit {stopped.code} | {same}, exit {after.code} |"

    def _made(self, out: str) -> dict[str, str]:
        """What a command made: files or rows, and what is in them."""
        rows = self._work / f"{out}.ndjson"
        if rows.exists():
            whole = [line for line in rows.read_text().splitlines() if line.endswith("}")]
            return {json.loads(line)["file"]: "" for line in whole}
        files = [path for path in (self._work / out).rglob("*") if path.is_file() and not path.name.startswith(".")]
        return {str(p.relative_to(self._work / out)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}

    def set(self, out: str, count: int) -> str:
        """A row: a set once through; and one that was interrupted in the middle and gone on with."""
        words = ("sample", "-m", "mnist-gan", "-n", str(count), "--seed", "1", "-o")
        whole = self.run(*words, out)
        second = out.replace("set", "again")
        growing = self._work / (second if second == Path(second).stem else f"{second}.parts")
        enough = count // 2 if growing.suffix == "" else count // PART // 2
        stopped = self.run(*words, second, stop=lambda: growing.exists() and len(os.listdir(growing)) > enough)
        after = self.run(*words, second)
        same = "same bytes" if self._digest(out) == self._digest(second) else "**other bytes**"
        kept = re.search(r"(\d+) pictures were there before", after.said)
        memory = " | ".join(
            f"{_middle(m, 1)} → {_middle(m, 3)}, at most {max(m):.0f}" for m in (whole.client, whole.server)
        )
        return (
            f"| `-o {out}` | {whole.seconds:.1f} | {count / whole.seconds:.0f} | {memory} "
            f"| exit {stopped.code}; {kept[1] if kept else '0'} kept; {same}, exit {after.code} |"
        )

    def _digest(self, out: str) -> str:
        path = self._work / out
        digest = hashlib.sha256()
        for file in sorted(path.iterdir()) if path.is_dir() else [path]:
            digest.update((file.name if path.is_dir() else "").encode() + file.read_bytes())
        return digest.hexdigest()


def _middle(memory: list[float], quarter: int) -> str:
    """MiB when a quarter, or three, of the time had gone."""
    return f"{memory[len(memory) * quarter // 4]:.0f}"


def main() -> None:
    """Fills the folder, runs everything, prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("server", type=int)
    parser.add_argument("work", type=Path)
    parser.add_argument("--set", type=int, default=20_000, help="Pictures of a set; 0: none.")
    parser.add_argument("--only", nargs="*", default=list(FOLDERS))
    options = parser.parse_args()
    shutil.rmtree(options.work, ignore_errors=True)
    options.work.mkdir(parents=True)
    hands = Hands(options.url, options.server, options.work)
    print(write_mixed(options.work / "pics", sorted(PHOTOS.glob("*.webp")), Client(options.url)))
    for name in options.only:
        print(hands.folder(name, FOLDERS[name]), flush=True)
    for out in SETS if options.set else ():
        print(hands.set(out, options.set), flush=True)


if __name__ == "__main__":
    main()
