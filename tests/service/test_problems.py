"""Problems as they travel: who writes an answer himself writes what the framework would."""

import json

import pytest

from service.errors import InvalidValueError, OverloadedError, ServiceError
from service.problems import problem_body, problem_headers, problem_response

ERRORS = [
    OverloadedError("312 pictures are waiting; try again later", retry_after_s=0.2),
    InvalidValueError("no", errors=[{"pointer": "/n", "detail": "naïve – und so weiter"}], headers={"X-Why": "é"}),
    ServiceError("unforeseen", extra={"near": ["a"]}),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_both_ways_give_the_same_bytes(error: ServiceError) -> None:
    """Headers in the same order, and a body that is JSON in UTF-8."""
    response = problem_response(error, "/sample")
    body = problem_body(error, "/sample")
    assert bytes(response.body) == body
    assert response.raw_headers == problem_headers(error, body)
    assert json.loads(body)["detail"] == error.detail
