"""docs/security.md: every threat has a test, and the tests it names exist."""

import ast
import re
from functools import cache

import pytest

from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "security.md").read_text()
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ")][1:]


@cache
def names_in(file: str) -> frozenset[str]:
    """Names of the test functions of a file."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(
        node.name for node in ast.walk(ast.parse((ROOT / file).read_text())) if isinstance(node, functions)
    )


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_the_named_test_exists(file: str, name: str) -> None:
    """A renamed or removed test takes its line with it."""
    assert name in names_in(file)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip()[:40])
def test_every_threat_has_a_test(row: str) -> None:
    """No defence is only said."""
    assert re.search(r"`tests/[\w/]+\.py::\w+` \|$|`tests/[\w/]+\.py::\w+`", row)


def test_nothing_is_unpickled() -> None:
    """No module of the server imports pickle or its relatives, or lets NumPy use them."""
    for file in (ROOT / "service").rglob("*.py"):
        text = file.read_text()
        assert not re.search(
            r"^\s*(import|from) (pickle|marshal|shelve|dill|joblib|cloudpickle)\b", text, re.MULTILINE
        ), file
        assert "allow_pickle=True" not in text, file
