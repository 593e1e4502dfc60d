"""The process that does an import: its orders as JSON on standard input, what came of it as JSON on standard output.

Before that a line [what, done, total] each time that something is counted. It has bounded memory, and whatever libraries
print goes to standard error, so that the answer stays readable.
"""

import json
import os
import resource
import sys
from pathlib import Path
from typing import Any

from models.counting import telling
from models.errors import ModelsError
from models.imports.build import import_file
from models.imports.options import Options
from models.imports.report import Report


def main() -> None:
    """Read the orders, import, answer. Never raises for a bad file: the answer says what was wrong with it."""
    answer_to = os.dup(1)
    os.dup2(2, 1)
    orders = json.loads(sys.stdin.read())
    if orders["memory_bytes"]:
        resource.setrlimit(resource.RLIMIT_AS, (orders["memory_bytes"], orders["memory_bytes"]))
    with os.fdopen(answer_to, "w") as stream, telling(lambda *count: print(json.dumps(count), file=stream, flush=True)):
        json.dump(answer(orders), stream)


def answer(orders: dict[str, Any]) -> dict[str, Any]:
    """The outcome as JSON: the bundle's name or the reason against it, and the table of what was understood."""
    report = Report()
    try:
        out = Path(orders["out"]) if orders["out"] else None
        bundle = import_file(Path(orders["path"]), out, Options.model_validate(orders["options"]), report)
        outcome: dict[str, Any] = {"name": bundle.name if bundle else None, "error": None}
    except ModelsError as error:
        outcome = {"name": None, "error": str(error)}
    except MemoryError:
        outcome = {"name": None, "error": "the file needs more memory than an import may take"}
    return outcome | {"rows": report.as_json()}


if __name__ == "__main__":
    main()
