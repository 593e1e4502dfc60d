"""Writes ganymede_client/client.py, which is aio.py without its waiting: `python -m scripts.sync_client`.

Methods are added to aio.py alone; a test, and `--check` in `make check`, fail when the two differ.
"""

import subprocess
import sys
from pathlib import Path

CLIENT = Path(__file__).parent.parent / "ganymede_client"
SWAPS = (
    ("The asynchronous client: the same methods, awaited.", "The client, written from aio.py by scripts/sync_client.py."),
    ("AsyncIterator", "Iterator"), ("AsyncClient", "Client"), ("AsyncJob", "Job"), ("AsyncBaseTransport", "BaseTransport"),
    ("__aenter__", "__enter__"), ("__aexit__", "__exit__"), ("aclose", "close"), ("aiter_lines", "iter_lines"),
    ("await asyncio.sleep", "time.sleep"), ("import asyncio\n", ""), ("async ", ""), ("await ", ""),
)  # fmt: skip


def written() -> str:
    """The text of client.py."""
    text = (CLIENT / "aio.py").read_text()
    for old, new in SWAPS:
        text = text.replace(old, new)
    command = [sys.executable, "-m", "ruff", "format", "--stdin-filename", str(CLIENT / "client.py"), "-"]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit(
            0 if written() == (CLIENT / "client.py").read_text() else "client.py differs: python -m scripts.sync_client"
        )
    (CLIENT / "client.py").write_text(written())
