"""Measured facts kept between runs of an evidence command: one JSON line each, so that what is done is not done again."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from models.bundle import Bundle

Fact = dict[str, Any]
MISSING = "not run"


class Facts:
    """Facts by key, in a file that only grows; `minutes` of wall time for measuring new ones, 0 = no limit.

    `only`: the beginning of the keys that may be measured now; the others stay as they are known.
    """

    def __init__(self, path: Path, minutes: float = 0.0, only: str = "") -> None:
        self.only = only
        self.path, self._end = path, time.monotonic() + minutes * 60 if minutes else None
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        self.known: dict[str, Fact] = {fact.pop("key"): fact for fact in map(json.loads, lines)}

    def get(self, key: str) -> Fact | None:
        """What is known of a key; None where it was never measured."""
        return self.known.get(key)

    def beginning(self, prefix: str) -> list[Fact]:
        """The facts whose keys begin so: the runs of one row, a seed each."""
        return [fact for key, fact in self.known.items() if key.startswith(prefix)]

    def measure(self, key: str, take: Callable[[], Mapping[str, Any]], of: str | None = None) -> Fact | None:
        """The fact of that key, measured now if it is new and time is left; None otherwise.

        `of`: the weights it is about; a fact about earlier weights of that name is measured again (the last line counts).
        """
        known = self.known.get(key)
        fresh = known is not None and (of is None or known.get("weights") == of)
        if not fresh and self.may_measure(key):
            started = time.process_time()
            fact = {**take(), "cpu_seconds": round(time.process_time() - started, 1)}
            self.known[key] = fact
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps({"key": key, **fact}, ensure_ascii=False) + "\n")
        return self.known.get(key)

    def may_measure(self, key: str) -> bool:
        """Whether that key is among those asked for, and time is left."""
        return key.startswith(self.only) and not self.out_of_time

    @property
    def out_of_time(self) -> bool:
        """Whether the minutes are used up."""
        return self._end is not None and time.monotonic() >= self._end


def over_seeds(runs: Sequence[Fact], score: str, form: str = ".3g") -> str:
    """Mean, standard deviation and number of a score's runs, as a page's cell."""
    values = [run[score] for run in runs]
    if not values:
        return MISSING
    spread = f" ± {stdev(values):{'.2g' if form == '.3g' else form}}" if len(values) > 1 else ""
    return f"{mean(values):{form}}{spread} (n={len(values)})"


def weights_of(bundle: Bundle) -> str:
    """The beginning of the weights' sha256: what a figure is about, whatever else the manifest says."""
    return bundle.manifest.files["weights.safetensors"].sha256[:16]
