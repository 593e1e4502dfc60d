"""What was understood of a foreign file, line by line, and how each line is known."""

from dataclasses import dataclass, field
from typing import Literal

How = Literal["file", "measured", "assumed", "said", "mended"]


@dataclass(frozen=True)
class Row:
    """One fact. `how`: read in the file, measured by running it, assumed by default, said by the user, or mended."""

    what: str
    value: str
    how: How


@dataclass
class Report:
    """The facts in the order they were found."""

    rows: list[Row] = field(default_factory=list)

    def add(self, what: str, value: object, how: How) -> None:
        """Note one fact, replacing an earlier one of the same name."""
        row = Row(what, str(value), how)
        known = next((k for k, old in enumerate(self.rows) if old.what == what and how != "mended"), None)
        if known is None:
            self.rows.append(row)
        else:
            self.rows[known] = row

    def as_json(self) -> list[dict[str, str]]:
        """The rows as plain dictionaries."""
        return [{"what": row.what, "value": row.value, "how": row.how} for row in self.rows]
