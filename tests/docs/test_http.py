"""docs/http.md is the HTTP API: every endpoint, every field, and commands that work."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from docs.http_tables import MARK, PAGE, document, endpoints, filled

TEXT = PAGE.read_text()
BLOCKS = re.findall(r"^```console\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def api() -> dict[str, Any]:
    return document()


def test_every_endpoint_has_a_section_and_no_other(api: dict[str, Any]) -> None:
    """What the server answers is documented, and what is documented it answers."""
    headings = re.findall(r"^### ((?:GET|POST|PUT|PATCH|DELETE) \S+)$", TEXT, re.MULTILINE)
    assert sorted(headings) == sorted(endpoints(api))


def test_the_tables_are_the_code(api: dict[str, Any]) -> None:
    """Fields, types and defaults; `python -m docs.http_tables` writes them."""
    assert filled(TEXT, api) == TEXT


def test_every_request_has_its_table(api: dict[str, Any]) -> None:
    """No endpoint with fields or parameters goes without."""
    shown = {found[1] for found in MARK.finditer(TEXT)}
    for name in endpoints(api):
        method, path = name.split()
        operation = api["paths"][path][method.lower()]
        fields = "application/json" in operation.get("requestBody", {}).get("content", {})
        query = any(parameter["in"] == "query" for parameter in operation.get("parameters", []))
        assert name in shown or not (fields or query), name


def test_every_status_is_explained(api: dict[str, Any]) -> None:
    """The table of statuses has every one that an endpoint may answer."""
    used = {
        status for item in api["paths"].values() for operation in item.values() for status in operation["responses"]
    }
    rows = re.findall(r"^\| ((?:\d{3}(?:, )?)+) \|", TEXT, re.MULTILINE)
    explained = {status for row in rows for status in row.split(", ")}
    assert {status for status in used if status >= "400"} == explained


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the commands run one after the other: later ones use what earlier ones wrote."""
    return tmp_path_factory.mktemp("commands")


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.split("localhost:8000", 1)[1][:30])
def test_commands_work(address: str, folder: Path, block: str) -> None:
    """As printed, on the shipped bundles; a refusal stops the block."""
    script = block.replace("localhost:8000", address.removeprefix("http://"))
    if "| grep -o" not in block:  # the one that shows a refusal
        script = script.replace("curl ", "curl --fail-with-body ")
    words = ["bash", "-euo", "pipefail", "-c", script]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    for name in re.findall(r" -o (\S+)", block):
        assert name.startswith("'") or (folder / name).stat().st_size > 20, name
