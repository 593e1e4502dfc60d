"""Log lines: whoever reads them finds everything about a request or a job by its id, in every role and both formats."""

import asyncio
import io
import json
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from service.observability.logs import FORMS, QUIET, about, about_job, configure
from service.operations.table import OPERATIONS
from tests.conftest import ClientFactory
from tests.service.servers import Server

ASYNC = {"prefer": "respond-async", "x-request-id": "visit-7"}


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """Where the log goes; the root logger is put back afterwards."""
    root, text = logging.getLogger(), io.StringIO()
    kept, level = list(root.handlers), root.level
    yield text
    root.handlers[:] = kept
    root.setLevel(level)
    for name in (FORMS, *QUIET):
        logging.getLogger(name).setLevel(logging.NOTSET)


def read(lines: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines.getvalue().splitlines()]


@pytest.fixture
async def api(client_with: ClientFactory, own_server: Server, lines: io.StringIO) -> AsyncIterator[httpx.AsyncClient]:
    """An API without an engine and a worker, logging as JSON."""
    configure("json", stream=lines)
    async with (
        client_with(role="api", redis_url=own_server.url, job_chunk_pictures=4) as api,
        client_with(role="worker", redis_url=own_server.url),
    ):
        yield api


async def job_of(client: httpx.AsyncClient, body: dict[str, Any]) -> dict[str, Any]:
    """A job that has ended."""
    accepted = await client.post("/sample", json=body, headers=ASYNC)
    async with asyncio.timeout(30):
        while True:
            job: dict[str, Any] = (await client.get(accepted.headers["location"])).json()
            if job["state"] not in ("queued", "running"):
                return job
            await asyncio.sleep(0.05)


async def test_a_job_is_found_by_its_id_and_by_its_request(api: httpx.AsyncClient, lines: io.StringIO) -> None:
    """The API's line and the worker's lines, of every part and of the merging, carry both ids."""
    job = await job_of(api, {"seed": 1, "n": 10})
    mine = [line for line in read(lines) if line.get("job_id") == job["id"]]
    accepted = [line for line in mine if line["message"] == "POST /sample 202"]
    worked = [line for line in mine if line["logger"] == "ganymede.ended"]
    assert [line["request_id"] for line in accepted] == ["visit-7"]
    assert {line["request_id"] for line in worked} == {"visit-7"}
    assert {line.get("part") for line in worked} == {"0", "1", "2", None}


async def test_an_immediate_request_is_found_on_the_worker(api: httpx.AsyncClient, lines: io.StringIO) -> None:
    """It travelled through the queue under the id that its client sent."""
    await api.post("/sample", json={"seed": 1}, headers={"x-request-id": "visit-8"})
    mine = [line for line in read(lines) if line.get("request_id") == "visit-8"]
    assert {line["logger"] for line in mine} == {"ganymede.requests", "ganymede.ended"}
    assert len({line["job_id"] for line in mine}) == 1


async def test_a_failure_names_its_request(
    client_with: ClientFactory, lines: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The 500 says that the log has the request id: it does, and the answer is complete and counted as a 500."""
    configure("text", stream=lines)

    def broken(*_: Any) -> Any:
        raise RuntimeError("the model broke")

    monkeypatch.setitem(
        OPERATIONS, "sample", OPERATIONS["sample"].__class__(**{**vars(OPERATIONS["sample"]), "run": broken})
    )
    async with client_with() as client:
        answer = await client.post("/sample", json={"n": 2}, headers={"x-request-id": "visit-9"})
        counted = (await client.get("/metrics")).text
    assert (answer.status_code, answer.headers["x-request-id"]) == (500, "visit-9")
    assert answer.headers["content-type"] == "application/problem+json"
    assert "unforeseen failure on POST /sample [request visit-9]" in lines.getvalue()
    assert "RuntimeError: the model broke" in lines.getvalue()
    assert "broke" not in answer.text, "what it was is the log's"
    assert "Traceback" not in answer.text
    assert 'ganymede_requests_total{route="/sample",status="500"} 1.0' in counted


def test_text_lines_say_what_they_are_about(lines: io.StringIO) -> None:
    """People see the ids, too; lines about nothing in particular stay short."""
    configure("text", stream=lines)
    log = logging.getLogger("ganymede.test")
    with about(request_id="r"), about_job("j.3"):
        log.warning("inside")
    log.warning("outside")
    inside, outside = lines.getvalue().splitlines()
    assert inside.endswith("inside [request r] [job j] [part 3]")
    assert outside.endswith("outside")


async def test_a_broken_form_is_answered_and_not_logged(client_with: ClientFactory, lines: io.StringIO) -> None:
    """Else whoever sends broken forms fills the log with warnings."""
    configure("text", stream=lines)
    async with client_with() as client:
        headers = {"content-type": "multipart/form-data; boundary=here"}
        answer = await client.post("/upsample", content=b"--there", headers=headers)
    assert answer.status_code == 400
    assert "boundary" not in lines.getvalue()
