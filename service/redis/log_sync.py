"""Brings the log of our own Redis to the disk once a second, in place of the server.

A server with `appendfsync everysec` that finds its last sync still at work keeps what it answers in memory, for up to two
seconds (`flushAppendOnlyFile` in aof.c): a kill -9 of it loses accepted work. With `no` it writes before it answers, so that a
kill loses nothing. What is left is a power cut, and against that the file is synced here.
"""

import contextlib
import os
from pathlib import Path


def sync_log(folder: Path) -> None:
    """Syncs the append-only files in a Redis's folder. Raises OSError where the disk refuses."""
    for file in (*folder.glob("appendonlydir/*.incr.aof"), *folder.glob("appendonly.aof")):
        with contextlib.suppress(FileNotFoundError), file.open("rb") as log:  # a rewrite may take it away meanwhile
            os.fsync(log.fileno())
