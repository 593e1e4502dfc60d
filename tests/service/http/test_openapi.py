"""Schemathesis over the OpenAPI document: no 5xx, no answer that the document does not describe."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, Response
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance
from starlette.testclient import TestClient

from service.http.app import build_app
from service.settings import Settings
from tests.service.fuzz.mutations import SECONDS, seeds

METHODS = {"get", "post", "put", "patch", "delete"}
ENDPOINTS = [
    (path, method)
    for path, item in build_app(Settings()).openapi()["paths"].items()
    for method in sorted(METHODS & item.keys())
]

TIMES = max(1, round(SECONDS / 10))
"""How much longer than in the tests: `make evidence-fuzz` takes other examples every time."""
FORM = "multipart/form-data"
UNLOAD = "/v2/repository/models/{name}/unload"
OFTEN = settings(deadline=None, suppress_health_check=list(HealthCheck), derandomize=not SECONDS, database=None)
ONE_WALK = settings(OFTEN, max_examples=2, stateful_step_count=8, phases=[Phase.generate])
"""The first example is always the simplest, without a link; nothing is made shorter, for the server has moved on."""


@schemathesis.serializer("application/x-ndjson")
def ndjson(context: object, value: object) -> bytes:
    """Lines as they are; what is no text is sent as JSON."""
    return value if isinstance(value, bytes) else json.dumps(value).encode()


@pytest.fixture(scope="module")
def schema(bundle_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BaseSchema]:
    """The schema of a running application over the tiny bundles, small limits so that no case is slow."""
    data = tmp_path_factory.mktemp("data")
    small: dict[str, Any] = {
        "max_pictures": 20,
        "max_frames": 20,
        "async_pictures": 8,
        "allowed_hosts": ("testserver",),
    }
    app = build_app(Settings(bundles=(bundle_folder,), data_dir=data, threads=1, default_model="tiny", **small))
    with TestClient(app):
        yield schemathesis.openapi.from_asgi("/openapi.json", app)


def is_described(case: Case[Any], response: Response) -> None:
    """What the document allows may still be refused: a label the model does not have, names that are not saved.

    504 is right where a deadline was asked for, in the body or in the query; and where a field stands in both, the
    form's is taken, whatever the query says.
    """
    late = [not_a_server_error] if response.status_code == 504 else []
    assert not late or "timeout_ms" in f"{case.query!r} {case.body!r}"
    twice = set(case.query).intersection(case.body if isinstance(case.body, dict) else ())
    hidden = [negative_data_rejection] if twice else []
    case.validate_response(response, excluded_checks=[positive_data_acceptance, *late, *hidden])


@pytest.mark.parametrize(("path", "method"), ENDPOINTS)
def test_every_answer_is_described(schema: BaseSchema, path: str, method: str) -> None:
    """Any request the document allows, and many it does not, gets an answer that the document describes."""

    operation = schema[path][method.upper()]
    cases = operation.as_strategy()
    if not any(body.media_type == FORM for body in operation.body):  # schemathesis fails at forbidden forms with files
        cases |= operation.as_strategy(GenerationMode.NEGATIVE)

    @given(case=cases)
    @settings(OFTEN, max_examples=8 * TIMES)
    def check(case: Case[Any]) -> None:
        is_described(case, case.call())

    check()


STARTS: dict[str, Any] = {
    "POST /sample": {"n": 12},
    "POST /interpolate": {"stops": [1, 2], "frames": 12},
    "POST /latents": {"name": "walked", "from": {"seed": 1}, "replace": True},
    "POST /directions": {"name": "walked", "from": {"expression": "seed(1) - seed(2)"}, "replace": True},
}
"""Requests that leave something to walk on with: two jobs, a latent, a direction. Of bodies by chance few are taken."""


def test_what_one_answer_names_the_next_request_finds(schema: BaseSchema) -> None:
    """Saved, listed, read, renamed, removed, queued, fetched, cancelled, in orders that nobody thought of: along the links.

    Without searches, whose events come for seconds, and without unloading: 503 is right when nothing is loaded any more.
    """
    followed = set()

    class Walk(schema.exclude(path=["/project", UNLOAD]).as_state_machine()):  # type: ignore[misc]
        def setup(self) -> None:
            self.starts = dict(STARTS)

        def before_call(self, case: Case[Any]) -> None:
            if case.operation.label in self.starts and case.meta and case.meta.generation.mode.is_positive:
                case.body = self.starts.pop(case.operation.label)

        def step(self, input: Any) -> Any:
            followed.add(input.transition and input.transition.id)
            return super().step(input)

        def validate_response(self, response: Response, case: Case[Any], *_: Any, **options: Any) -> None:
            is_described(case, response)

    # Hypothesis compares the walks of a run and wants them alike where they begin alike; but what was saved by one
    # is found by the next. So each is a run of its own, and the server gets fuller from walk to walk.
    for seed in seeds(8):
        hypothesis.seed(seed)(Walk).run(settings=ONE_WALK)
    assert len(followed) > 20


def test_every_link_leads_to_an_operation_that_takes_its_parameter() -> None:
    """What the document promises to its readers."""
    document = build_app(Settings()).openapi()
    operations = {one["operationId"]: one for item in document["paths"].values() for one in item.values()}
    linked = [
        (operations[link["operationId"]], set(link["parameters"]))
        for one in operations.values()
        for answer in one["responses"].values()
        for link in answer.get("links", {}).values()
    ]
    assert len(linked) > 50
    assert all(wanted <= {row["name"] for row in one["parameters"]} for one, wanted in linked)
