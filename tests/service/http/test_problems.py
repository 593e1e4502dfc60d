"""What a client reads when its request was wrong: which fields, and what was meant."""

from typing import Any

import httpx
import pytest


async def problem(client: httpx.AsyncClient, body: object, path: str = "/sample") -> dict[str, Any]:
    answer = await client.post(path, json=body)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["instance"] == path
    return dict(answer.json())


@pytest.mark.parametrize(("typo", "meant"), [("sede", "seed"), ("scael", "scale"), ("lable", "label")])
async def test_a_mistyped_field_is_answered_with_the_right_one(
    client: httpx.AsyncClient, typo: str, meant: str
) -> None:
    """And with where it stands."""
    found = await problem(client, {typo: 1})
    assert found["errors"] == [{"pointer": f"/{typo}", "detail": f"unknown field; did you mean {meant!r}?"}]


async def test_what_is_like_no_field_gets_no_guess(client: httpx.AsyncClient) -> None:
    """Better none than a wrong one."""
    assert (await problem(client, {"qqqq": 1}))["errors"][0]["detail"] == "unknown field"


async def test_many_faults_are_told_shortly(client: httpx.AsyncClient) -> None:
    """Twenty as rows, three in the sentence: nobody makes the server write a book."""
    found = await problem(client, {f"q{k}": 1 for k in range(30)})
    assert (len(found["errors"]), found["detail"].count("unknown field")) == (20, 3)
    assert found["detail"].startswith("/q0: unknown field")
    assert (await problem(client, {"seeds": [1, -1]}))["errors"][0]["pointer"] == "/seeds/1"


async def test_what_the_framework_refuses_looks_the_same(client: httpx.AsyncClient) -> None:
    """No such address, no such method."""
    for method, path, status in (("GET", "/nowhere", 404), ("PUT", "/sample", 405)):
        answer = await client.request(method, path)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
        said = answer.json()
        assert (said["type"], said["status"], said["instance"]) == ("about:blank", status, path)
        assert said["detail"].startswith(f"{method} {path}: {said['title']}")
