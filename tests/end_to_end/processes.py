"""Starting the real command in a process of its own."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def command(*arguments: str) -> list[str]:
    """The command line of a server on a free port."""
    return [sys.executable, "-m", "service.cli", "serve", "--port", "0", *arguments]


def environment(tmp_path: Path, **settings: str) -> dict[str, str]:
    """This process's environment without its own settings, with a data folder for the test."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("GANYMEDE_")}
    return {**clean, "PYTHONPATH": str(ROOT), "GANYMEDE_DATA_DIR": str(tmp_path / "data"), **settings}


@contextmanager
def running(
    tmp_path: Path, bundles: Path, *arguments: str, **settings: str
) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """A server over a folder of bundles, and its address."""
    process = subprocess.Popen(
        command("--bundles", str(bundles), *arguments),
        env=environment(tmp_path, **settings),
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    try:
        assert process.stdout is not None
        line = next((line for line in process.stdout if "ready on" in line), "")
        found = re.search(r"http://\S+", line)
        assert found, "the server did not start"
        yield process, found[0]
    finally:
        process.kill()
        process.wait()
