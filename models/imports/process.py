"""The process of an import: given its orders, heard until it answers, ended when that takes too long."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from models.counting import tell

# -P: no module is taken from the folder the user is in
WORDS = (sys.executable, "-P", "-m", "models.imports")


class TooLongError(Exception):
    """It was ended after its time."""


def ask(orders: dict[str, Any], timeout_s: float) -> tuple[dict[str, Any] | None, str]:
    """Its answer, or None when it ended without; and the last line that it said on standard error.

    What it counts is told to whoever watches here. Raises TooLongError.
    """
    with tempfile.TemporaryFile() as said:
        with _started(said) as process, _in_time(process, timeout_s):
            answer = _heard(process, json.dumps(orders).encode())
            code = process.wait()
        said.seek(0)
        lines = said.read().decode(errors="replace").strip().splitlines()
    return answer, (lines or [f"exit {code}"])[-1][:200]


@contextmanager
def _started(said: IO[bytes]) -> Iterator["subprocess.Popen[bytes]"]:
    """The process, which is gone afterwards, whatever happens here."""
    paths = {"PYTHONPATH": os.pathsep.join(part for part in sys.path if part)}
    with subprocess.Popen(
        WORDS, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, env=os.environ | paths
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def _in_time(process: "subprocess.Popen[bytes]", timeout_s: float) -> Iterator[None]:
    late = threading.Event()

    def end() -> None:
        late.set()
        process.kill()

    clock = threading.Timer(timeout_s, end)
    clock.start()
    try:
        yield
    finally:
        clock.cancel()
    if late.is_set():
        raise TooLongError


def _heard(process: "subprocess.Popen[bytes]", orders: bytes) -> dict[str, Any] | None:
    assert process.stdin is not None
    assert process.stdout is not None
    with contextlib.suppress(BrokenPipeError), process.stdin:  # it may end before it has read them
        process.stdin.write(orders)
    for line in process.stdout:
        with contextlib.suppress(ValueError):  # cut by the end of the process
            found = json.loads(line)
            if isinstance(found, dict):
                return found
            tell(*found)
    return None
