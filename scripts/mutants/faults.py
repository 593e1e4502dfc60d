"""The faults of modules: mutmut writes every variant of a function beside it and chooses one when it is called."""

import contextlib
import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SETTINGS = """[mutmut]
source_paths=.
do_not_mutate_patterns=
    ^\\s*raise\\b
    ^\\s*log\\.
"""
"""How an error or a line of the log is worded is no fault."""


@dataclass(frozen=True)
class Fault:
    """A variant of one function: its name is the module's and mutmut's, `change` a diff."""

    module: str
    name: str
    change: str


def put_into(folder: Path, module: str) -> list[Fault]:
    """Rewrites `folder/module` so that each of its faults can be chosen by name; returns them."""
    (folder / "setup.cfg").write_text(SETTINGS)
    with contextlib.chdir(folder):  # mutmut reads its settings where it is imported
        from mutmut.mutation.file_mutation import mutate_file_contents

        mutated = mutate_file_contents(module, Path(module).read_text())
        Path(module).write_text(mutated.code)
    lines, spans = mutated.code.splitlines(), mutated.line_span_by_function_name
    dotted = module.removesuffix(".py").replace("/", ".")

    def text_of(name: str) -> list[str]:
        span = spans[name]
        return [line for line in lines[span.start - 1 : span.end] if "__mutmut_" not in line]

    def change_of(name: str) -> str:
        return "\n".join(_changed(text_of(name.rsplit("_", 1)[0] + "_orig"), text_of(name)))

    def is_one(name: str) -> bool:
        """Not where only `strict=` of a zip is another, which guards what does not happen, or the case of a header's name."""
        pair = ["".join(text_of(each)) for each in (name.rsplit("_", 1)[0] + "_orig", name)]
        changed = [line[1:] for line in change_of(name).splitlines() if line.startswith(("-", "+"))]
        if all("headers" in line for line in changed) and len({line.lower() for line in changed}) == 1:
            return False
        return len({re.sub(r",\s*(strict=\w+\s*,?)?\s*\)", ")", text) for text in pair}) == 2

    return [Fault(module, f"{dotted}.{name}", change_of(name)) for name in mutated.mutant_names if is_one(name)]


def _changed(before: list[str], after: list[str]) -> Iterator[str]:
    """The lines that differ, and those beside them."""
    for line in difflib.unified_diff(before, after, n=1, lineterm=""):
        if not line.startswith(("---", "+++", "@@")):
            yield line
