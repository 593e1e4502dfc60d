"""Commands by hand: folders of 200 mixed files, and sets of 20,000. `python -m bench.hands URL PID WORK`.

A server with `mnist-gan`, `mnist-ssl`, `fashion32` and `photo-x2` runs there as process PID. Writes docs/evidence/hands.md.
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
from typing import Any

from bench.hands.mixed_folder import write_mixed
from bench.hands.page import write_page
from bench.server.processes import resident_mib
from ganymede_client import Client
from service.cli.sample_set import PART

PHOTOS = Path(__file__).parents[2] / "tests" / "data" / "photos"
FOLDERS = {
    "info": (),
    "redo": ("--source", "pics", "-o", "OUT"),
    "classify": ("-m", "mnist-ssl", "-o", "OUT.ndjson"),
    "features": ("-m", "mnist-gan", "-o", "OUT.ndjson"),
    "upsample": ("-m", "photo-x2", "--seed", "1", "-o", "OUT"),
    "project": ("-m", "mnist-gan", "--steps", "10", "--restarts", "1", "--seed", "1", "-o", "OUT"),
}
SETS = ("set", "set.zip", "set.npz")
LARGE = 60_000


@dataclass(frozen=True)
class Run:
    """How one command went: exit code, seconds, stdout and stderr, memory of client and server, MiB, twice a second."""

    code: int
    seconds: float
    answer: str
    said: str
    client: list[float]
    server: list[float]

    @property
    def named(self) -> int:
        """Files that are named at the end."""
        return len(set(re.findall(r"^(pics/[^ :]+): ", self.said, re.MULTILINE)))

    @property
    def counts(self) -> str:
        """Table cells of a command over a folder that was asked for JSON: done, skipped, named, exit code, seconds."""
        found: Any = json.loads(self.answer) if self.answer.strip() else {}
        made = found if isinstance(found, list) else found.get("made", found.get("rows", 0))
        skipped = 0 if isinstance(found, list) else found.get("skipped", 0)
        done = made if isinstance(made, int) else len(made)
        return f"{done} | {skipped} | {self.named} | {self.code} | {self.seconds:.1f}"


class Hands:
    """Runs commands in a folder against a server."""

    def __init__(self, url: str, server: int, work: Path) -> None:
        self._server, self._work = server, work
        self._environment = os.environ | {"GANYMEDE_URL": url, "GANYMEDE_CLIENT_CONFIG": str(work / "none.toml")}

    def run(self, *words: str, stop: Callable[[], bool] = lambda: False) -> Run:
        """One command; Ctrl-C as soon as `stop` says so."""
        line = [sys.executable, "-m", "service.cli", *words]
        begun, client, server, stopped = time.monotonic(), [], [], False
        answer, said = self._work / "answer", self._work / "said"
        with answer.open("w") as out, said.open("w") as err, subprocess.Popen(
            line, cwd=self._work, env=self._environment, stdout=out, stderr=err
        ) as process:  # fmt: skip
            while process.poll() is None:
                client.append(resident_mib(process.pid))
                server.append(resident_mib(self._server))
                if not stopped and stop():
                    process.send_signal(signal.SIGINT)
                    stopped = True
                time.sleep(0.02 if len(client) < 1000 else 0.5)
        seconds = time.monotonic() - begun
        return Run(process.returncode, seconds, answer.read_text(), said.read_text(), client, server)

    def folder(self, name: str, options: tuple[str, ...]) -> str:
        """A row: once through, once more, interrupted and gone on with."""

        def words(out: str) -> list[str]:
            return [name, "pics", "-r", "--json", *(word.replace("OUT", out) for word in options)]

        whole, more = self.run(*words(f"{name}-1")), self.run(*words(f"{name}-1"))
        done = self._made(f"{name}-1")
        row = f"| `{name}` | {whole.counts} | {more.counts} |"
        if not done:
            return f"{row} | |"
        stopped = self.run(*words(f"{name}-2"), stop=lambda: len(self._made(f"{name}-2")) > len(done) // 3)
        kept = len(self._made(f"{name}-2"))
        after = self.run(*words(f"{name}-2"))
        same = "same files and bytes" if self._made(f"{name}-2") == done else "**other files**"
        return f"{row} exit {stopped.code}, {kept} kept | {after.counts.split(' | ')[1]} skipped; {same}, exit {after.code} |"

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

    def large(self, count: int) -> str:
        """A sentence: memory while a large archive is made."""
        run = self.run("sample", "-m", "mnist-gan", "-n", str(count), "--seed", "1", "-o", "big.zip")
        client = ", ".join(f"{run.client[len(run.client) * k // 8]:.0f}" for k in range(1, 8))
        return (
            f"With `-n {count} -o big.zip` ({run.seconds:.0f} s) the client was at {client} MiB after each eighth of the time, "
            f"at most {max(run.client):.0f}; the server at most {max(run.server):.0f}."
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
    """Fills the folder, runs everything, writes the page."""
    parser = argparse.ArgumentParser(prog="python -m bench.hands", description=__doc__)
    parser.add_argument("url")
    parser.add_argument("server", type=int)
    parser.add_argument("work", type=Path)
    parser.add_argument("--set", type=int, default=20_000, help="Pictures of a set; 0: none.")
    parser.add_argument("--only", nargs="*", default=list(FOLDERS))
    options = parser.parse_args()
    shutil.rmtree(options.work, ignore_errors=True)
    options.work.mkdir(parents=True)
    hands = Hands(options.url, options.server, options.work)
    load = os.getloadavg()[0]
    print(write_mixed(options.work / "pics", sorted(PHOTOS.glob("*.webp")), Client(options.url)))
    folders = [hands.folder(name, FOLDERS[name]) for name in options.only]
    sets = [hands.set(out, options.set) for out in SETS] if options.set else []
    large = hands.large(LARGE) if options.set else ""
    write_page(folders, sets, large, load)


if __name__ == "__main__":
    main()
