"""Which candidate computes each level of a bundle on this machine."""

from dataclasses import asdict, dataclass

from models.runtimes.memory import Entry
from models.runtimes.trial import Row


@dataclass(frozen=True)
class Choice:
    """A candidate's name a level, and what was measured on the way."""

    levels: tuple[str, ...]
    rows: tuple[Row, ...] = ()

    def entry(self) -> Entry:
        """As it is remembered."""
        return asdict(self)


def choice_of(entry: Entry | None) -> Choice | None:
    """The choice that was remembered; None for nothing, or for what is none."""
    try:
        return Choice(tuple(entry["levels"]), tuple(Row(**row) for row in entry["rows"])) if entry else None
    except (KeyError, TypeError):
        return None
