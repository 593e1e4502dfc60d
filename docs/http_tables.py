"""Fills the tables of docs/http.md from the OpenAPI document: `python -m docs.http_tables`. A test fails when they differ.

A comment line above each table says what it shows: `<!-- POST /sample -->`, `<!-- schema Origin -->`, `<!-- shared -->`.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from service.http.app import build_app
from service.http.openapi_schemas import COMPONENTS
from service.operations.requests import Delivery
from service.settings import Settings

PAGE = Path(__file__).parent / "http.md"
METHODS = ("get", "post", "put", "patch", "delete")
MARK = re.compile(r"^<!-- (.+) -->\n(?:\|.*\n)*", re.MULTILINE)
SHARED = set(Delivery.model_fields)

Schema = dict[str, Any]


def document() -> Schema:
    """The OpenAPI document of this version."""
    return build_app(Settings()).openapi()


def endpoints(api: Schema) -> list[str]:
    """`POST /sample` and so on, as the document has them."""
    return [f"{method.upper()} {path}" for path, item in api["paths"].items() for method in METHODS if method in item]


def filled(text: str, api: Schema) -> str:
    """The page with every table written anew."""
    return MARK.sub(lambda found: f"<!-- {found[1]} -->\n{table(found[1], api)}", text)


def table(name: str, api: Schema) -> str:
    """The rows below one mark. Raises KeyError for something the document does not have."""
    if name == "shared":
        return _table("field", _fields(Delivery.model_json_schema()))
    if name.startswith("schema "):
        rows = _fields(api["components"]["schemas"][name[7:]])
        return _answer(rows) if name[7:] in COMPONENTS else _table("field", rows)
    method, path = name.split()
    return "\n".join(_of_operation(api["paths"][path][method.lower()], api))


def _of_operation(operation: Schema, api: Schema) -> Iterator[str]:
    parts = operation.get("requestBody", {}).get("content", {})
    body = parts.get("application/json") or parts.get("multipart/form-data")
    if body is not None:
        name = body["schema"]["$ref"].rsplit("/", 1)[1]
        yield _table("field", [row for row in _fields(api["components"]["schemas"][name]) if row[0] not in SHARED])
        return
    query = [p for p in operation.get("parameters", []) if p["in"] == "query"]
    yield _table("parameter", [_row(p["name"], p["schema"], p["required"], p.get("description", "")) for p in query])


def _fields(schema: Schema) -> list[tuple[str, str, str, str]]:
    needed = schema.get("required", [])
    return [_row(name, field, name in needed) for name, field in schema["properties"].items()]


def _row(name: str, schema: Schema, needed: bool, text: str = "") -> tuple[str, str, str, str]:
    default = schema.get("default")
    shown = "required" if needed else "" if default is None else str(default).lower() or '""'
    inner = next((part.get("description", "") for part in schema.get("anyOf", []) if "description" in part), "")
    return name, _kind(schema), shown, text or schema.get("description", "") or inner


def _table(head: str, rows: list[tuple[str, str, str, str]]) -> str:
    if not rows:
        return ""
    lines = [f"| `{name}` | {kind} | {default} | {text} |" for name, kind, default, text in rows]
    return "\n".join([f"| {head} | type | default | |", "|---|---|---|---|", *lines]) + "\n"


def _answer(rows: list[tuple[str, str, str, str]]) -> str:
    lines = [f"| `{name}` | {kind} | {'' if always else 'not always'} |" for name, kind, always, _ in rows]
    return "\n".join(["| field | type | |", "|---|---|---|", *lines]) + "\n"


def _kind(schema: Schema) -> str:
    """A type in words."""
    if "$ref" in schema:
        return str(schema["$ref"].rsplit("/", 1)[1])
    if "anyOf" in schema:
        return " or ".join(_kind(part) for part in schema["anyOf"] if part.get("type") != "null")
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    kinds = schema.get("type", "anything")
    kind = " or ".join(kinds) if isinstance(kinds, list) else kinds
    if kind == "array":
        return f"array of {_kind(schema['items'])}"
    if kind == "string" and schema.get("format") == "binary":
        return "file"
    low, high = (schema.get(key) for key in ("minimum", "maximum"))
    edge = "" if low is None and high is None else f" {_short(low)} … {_short(high)}".rstrip()
    return f"{kind}{edge}"


def _short(number: float | None) -> str:
    return "" if number is None else f"{number:g}" if number < 1e6 else f"{int(number)}"


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(), document()))
