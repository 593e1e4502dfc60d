"""Commands that make a picture of a picture, for one file or a folder of them: `upsample`, `project`, `redo`.

One file and no folder: the result is named by -o. Else -o is a folder, names and sub-folders stay, what is there is skipped.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.cli.many import Item, conclude, find, run_many, targets
from service.cli.output import STANDARD, counted, fail, report, write
from service.cli.pictures import make_folder


@dataclass(frozen=True)
class Plan:
    """What goes where: items and the path of each result."""

    items: list[Item]
    targets: list[Path]
    folder: Path | None

    @property
    def to_stdout(self) -> bool:
        """Whether stdout carries the picture."""
        return self.targets[0] == STANDARD


def plan(
    files: Sequence[Path], out: Path | None, kinds: set[str], suffix: str | None, default: str, *, recursive: bool
) -> Plan:
    """Items and their targets. `suffix` of results, None for each item's own; `default`: added to a single file's stem."""
    items = find(files, kinds, recursive=recursive)
    single = len(items) == 1 and not files[0].is_dir()
    if single and not (out is not None and out != STANDARD and (out.is_dir() or not out.suffix)):
        source = items[0].source
        chosen = STANDARD if source == STANDARD else Path(f"{source.stem}-{default}{suffix or source.suffix}")
        return Plan(items, [out or chosen], None)
    if out is None or out == STANDARD:
        fail("say where the results go: -o FOLDER", code=2)
    if out.exists() and not out.is_dir():
        fail(f"{out} is a file; several results need a folder", code=2)
    return Plan(items, targets(items, out, suffix), out)


Make = Callable[[Item, Path], tuple[bytes, dict[str, Any]]]


def run(chosen: Plan, make: Make, *, what: str, jobs: int, again: bool) -> None:
    """Make every result that is not there. `make` gives a result's bytes and what there is to say of it."""
    pairs = list(zip(chosen.items, chosen.targets, strict=True))

    def one(pair: tuple[Item, Path]) -> dict[str, Any]:
        item, target = pair
        data, facts = make(item, target)
        if chosen.folder is not None:
            make_folder(target.parent)
        write(target, data)
        return {"source": str(item.source), "file": str(target), **facts}

    def done(pair: tuple[Item, Path]) -> bool:
        return chosen.folder is not None and not again and pair[1].exists()

    outcome = run_many(pairs, one, what=what, jobs=jobs, done=done)
    made = [outcome.results[k] for k in sorted(outcome.results)]
    failed = [{"source": str(chosen.items[k].source), "error": outcome.failures[k]} for k in sorted(outcome.failures)]
    facts = {"made": made, "failed": failed, "skipped": outcome.skipped}
    where = f"{counted(len(made), 'file')} in {chosen.folder}" if chosen.folder else str(chosen.targets[0])
    report(facts, where if made and not chosen.to_stdout else "", to_stdout=not chosen.to_stdout)
    conclude(chosen.items, outcome)
