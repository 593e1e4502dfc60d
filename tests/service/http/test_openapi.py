"""Schemathesis over the OpenAPI document: no 5xx, no answer that the document does not describe."""

import json
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance
from starlette.testclient import TestClient

from service.http.app import build_app
from service.settings import Settings

METHODS = {"get", "post", "put", "patch", "delete"}
ENDPOINTS = [
    (path, method)
    for path, item in build_app(Settings()).openapi()["paths"].items()
    for method in sorted(METHODS & item.keys())
]


@schemathesis.serializer("application/x-ndjson")
def ndjson(context: object, value: object) -> bytes:
    """Lines as they are; what is no text is sent as JSON."""
    return value if isinstance(value, bytes) else json.dumps(value).encode()


@pytest.fixture(scope="module")
def schema(bundle_folder: Path, tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    """The schema of a running application over the tiny bundles, small limits so that no case is slow."""
    data = tmp_path_factory.mktemp("data")
    small = {"max_pictures": 20, "max_frames": 20, "allowed_hosts": ("testserver",)}
    app = build_app(Settings(bundles=(bundle_folder,), data_dir=data, threads=1, default_model="tiny", **small))
    with TestClient(app):
        yield schemathesis.openapi.from_asgi("/openapi.json", app)


@pytest.mark.parametrize(("path", "method"), ENDPOINTS)
def test_every_answer_is_described(schema, path: str, method: str) -> None:  # type: ignore[no-untyped-def]
    """Any request the document allows, and many it does not, gets an answer that the document describes."""

    # What the document allows may still be refused: a label the model does not have, names that are not saved.
    @given(case=schema[path][method.upper()].as_strategy())
    @settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
    def check(case) -> None:  # type: ignore[no-untyped-def]
        case.call_and_validate(excluded_checks=[positive_data_acceptance])

    check()
