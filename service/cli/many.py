"""Many files at once: which are meant, which are done, several under way, one failure never stops the rest."""

import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import typer

from ganymede_client import GanymedeError, TransportError
from service.cli.bars import bar
from service.cli.output import STANDARD, fail, note
from service.cli.remote import sentence_of

PICTURES = {".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff"}
SAVE_FILES = {".png", ".jpg", ".jpeg", ".webp", ".gif", ".npz", ".zip"}
INTERRUPTED = 130
T = TypeVar("T")


class UnreadableError(Exception):
    """This one file cannot be used; the sentence says why."""


@dataclass(frozen=True)
class Item:
    """A file that is meant, and its name below the output folder."""

    source: Path
    name: Path

    def data(self) -> bytes:
        """Its bytes. Raises UnreadableError."""
        if self.source == STANDARD:
            return sys.stdin.buffer.read()
        try:
            data = self.source.read_bytes()
        except OSError as error:
            raise UnreadableError(f"cannot be read: {error.strerror}") from None
        if not data:
            raise UnreadableError("is empty")
        return data


@dataclass
class Outcome(Generic[T]):
    """What came of all items: results and failures by their place, in the order of the items."""

    results: dict[int, T] = field(default_factory=dict)
    failures: dict[int, str] = field(default_factory=dict)
    skipped: int = 0
    interrupted: bool = False


def find(paths: Sequence[Path], kinds: set[str], *, recursive: bool) -> list[Item]:
    """Files as they are named, folders as the files of `kinds` inside them, sorted; each file once.

    Ends the command with a sentence when nothing is there.
    """
    items: dict[Path, Item] = {}
    for path in paths:
        for source in _inside(path, kinds, recursive) if path.is_dir() else [path]:
            name = source.relative_to(path) if path.is_dir() else Path(source.name)
            items.setdefault(source.absolute(), Item(source, name))
    if not items:
        hint = "" if recursive else "; -r looks into sub-folders"
        fail(f"no files ({', '.join(sorted(kinds))}) in {', '.join(map(str, paths))}{hint}")
    return list(items.values())


def _inside(folder: Path, kinds: set[str], recursive: bool) -> list[Path]:
    found = folder.rglob("*") if recursive else folder.glob("*")
    return sorted(p for p in found if p.suffix.lower() in kinds and p.is_file() and not p.name.startswith("."))


def targets(items: Sequence[Item], folder: Path, suffix: str | None) -> list[Path]:
    """Where each item's result goes: its name with `suffix`; with its own ending before that where two would meet.

    Ends the command when two files still meet, or one would be written over its own source.
    """
    plain = [item.name if suffix is None else item.name.with_suffix(suffix) for item in items]
    names = [
        name if plain.count(name) == 1 else item.name.with_name(f"{item.name.name}{suffix or ''}")
        for name, item in zip(plain, items, strict=True)
    ]
    for k, (name, item) in enumerate(zip(names, items, strict=True)):
        if name in names[:k]:
            fail(f"{item.source} and another file would both be written to {folder / name}")
        if (folder / name).absolute() == item.source.absolute():
            fail(f"{item.source} would be written over itself; choose another folder with -o")
    return [folder / name for name in names]


def run_many(
    items: Sequence[T],
    work: Callable[[T], Any],
    *,
    what: str,
    jobs: int,
    done: Callable[[T], bool] = lambda item: False,
    unit: str = "files",
    weight: Callable[[T], int] = lambda item: 1,
) -> Outcome[Any]:
    """Work on all items that are not done, `jobs` at once. A missing server ends the command; Ctrl-C keeps what is done."""
    outcome: Outcome[Any] = Outcome()
    left = [(k, item) for k, item in enumerate(items) if not done(item)]
    outcome.skipped = len(items) - len(left)
    total, stop = sum(weight(item) for item in items), threading.Event()
    before = total - sum(weight(item) for _, item in left)
    with bar(what, total, unit, before) as progress, _Interruptible(stop), ThreadPoolExecutor(jobs) as pool:
        for k, item, future in _finished(pool, left, work, jobs, stop):
            _take(outcome, k, future, stop)
            progress.advance(weight(item))
    outcome.interrupted = stop.is_set()
    return outcome


def _finished(
    pool: ThreadPoolExecutor, left: Iterable[tuple[int, T]], work: Callable[[T], Any], jobs: int, stop: threading.Event
) -> Iterator[tuple[int, T, "Future[Any]"]]:
    """Items as they end; no more than twice `jobs` are known to the pool, so that memory stays the same for any number."""
    waiting: dict[Future[Any], tuple[int, T]] = {}
    source = iter(left)
    while True:
        while len(waiting) < 2 * jobs and not stop.is_set() and (pair := next(source, None)) is not None:
            waiting[pool.submit(work, pair[1])] = pair
        if not waiting:
            return
        ended, _ = wait(waiting, timeout=0.2, return_when=FIRST_COMPLETED)
        if stop.is_set():
            for future in list(waiting):
                if future.cancel():
                    waiting.pop(future)
        for future in ended & waiting.keys():
            k, item = waiting.pop(future)
            yield k, item, future


def _take(outcome: Outcome[Any], k: int, future: "Future[Any]", stop: threading.Event) -> None:
    try:
        outcome.results[k] = future.result()
    except UnreadableError as error:
        outcome.failures[k] = str(error)
    except TransportError as error:
        stop.set()
        fail(f"{error}. Is it running? What is done is kept; the same command goes on", code=3)
    except GanymedeError as error:
        outcome.failures[k] = sentence_of(error)


class _Interruptible:
    """Ctrl-C lets the requests under way end and starts no more; a second one ends at once."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop, self._before = stop, signal.getsignal(signal.SIGINT)

    def __enter__(self) -> None:
        def on_signal(number: int, frame: Any) -> None:
            if self._stop.is_set():
                raise KeyboardInterrupt
            self._stop.set()

        signal.signal(signal.SIGINT, on_signal)

    def __exit__(self, *exception: object) -> None:
        signal.signal(signal.SIGINT, self._before)


def conclude(items: Sequence[Item], outcome: Outcome[Any]) -> None:
    """Name every file that failed, and exit: 130 when interrupted, 1 when any failed; returns when all went well."""
    for k, sentence in sorted(outcome.failures.items()):
        typer.secho(f"{items[k].source}: {sentence}", err=True, fg="red")
    if outcome.interrupted:
        done = len(outcome.results) + outcome.skipped
        fail(f"interrupted; {done} of {len(items)} are done, the same command goes on", code=INTERRUPTED)
    if outcome.failures:
        fail(f"{len(outcome.failures)} of {len(items)} files failed; they are named above")
    if outcome.skipped:
        note(f"{outcome.skipped} of {len(items)} were done before (--again makes them anew)")
