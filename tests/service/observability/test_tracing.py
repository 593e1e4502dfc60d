"""Traces: one request can be followed through queue, batch and encoding, over all processes. Real requests, real SDK."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from models.runtimes.base import Array, Pixels
from service.engine import device_worker
from service.engine.batcher import Batch
from service.engine.level_work import run_batch
from service.observability import open_telemetry
from service.operations.state import State
from tests.conftest import AppClient, ClientFactory
from tests.service.operations.test_jobs import ended
from tests.service.servers import Server

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE, PARENT = 0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331
Spans = Callable[..., list[ReadableSpan]]


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Spans:
    """What was sent to the collector, by name; the clients whose states are given send what they have first."""
    memory = InMemorySpanExporter()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(open_telemetry, "exporter", lambda: memory)

    def sent(name: str, *clients: AppClient) -> list[ReadableSpan]:
        for client in clients:
            state: State = client.app.state.ganymede
            state.tracing._provider.force_flush()  # type: ignore[attr-defined]
        return [span for span in memory.get_finished_spans() if span.name == name]

    return sent


async def test_a_request_is_traced_from_the_callers_span_to_the_encoder(
    client_with: ClientFactory, spans: Spans
) -> None:
    """The caller's trace goes on here: waiting and encoding are children of the request, and the answer says where."""
    async with client_with() as client:
        answer = await client.post("/sample", json={"seed": 1}, headers={"traceparent": CALLER})
        (request,) = spans("POST /sample", client)
        (wait,), (encode,) = spans("wait for the engine"), spans("encode")
    assert (request.context.trace_id, request.parent and request.parent.span_id) == (TRACE, PARENT)
    assert request.attributes is not None
    assert request.attributes["http.response.status_code"] == 200
    assert answer.headers["traceparent"] == f"00-{TRACE:032x}-{request.context.span_id:016x}-01"
    for child in (wait, encode):
        assert child.parent is not None
        assert (child.context.trace_id, child.parent.span_id) == (TRACE, request.context.span_id)
    assert request.start_time <= wait.start_time <= wait.end_time <= request.end_time  # type: ignore[operator]


async def test_a_batch_links_to_its_requests(
    client_with: ClientFactory, spans: Spans, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch belongs to no single request: a span of its own trace, linked to every one whose pictures it holds."""

    def slow(batch: Batch) -> Array | Pixels:
        time.sleep(0.3)  # meanwhile the other requests queue up
        return run_batch(batch)

    monkeypatch.setattr(device_worker, "run_batch", slow)
    async with client_with() as client:
        await asyncio.gather(*[client.post("/sample", json={"seed": seed, "n": 6}) for seed in range(8)])
        requests = {span.context.span_id for span in spans("POST /sample", client)}
        batches = spans("batch")
    linked = [{link.context.span_id for link in batch.links} for batch in batches]
    assert set().union(*linked) == requests
    assert max(map(len, linked)) > 1
    assert sum(batch.attributes["ganymede.pictures"] for batch in batches) == 48  # type: ignore[index, misc]
    assert all(batch.parent is None for batch in batches)


async def test_a_trace_goes_through_the_queue_to_the_worker(
    client_with: ClientFactory, own_server: Server, spans: Spans
) -> None:
    """Immediate or as a job, on another process: the worker's spans stand under the request that asked."""
    async with (
        client_with(role="api", redis_url=own_server.url) as api,
        client_with(role="worker", redis_url=own_server.url) as worker,
    ):
        await api.post("/sample", json={"seed": 1}, headers={"traceparent": CALLER})
        later = {"traceparent": CALLER, "prefer": "respond-async"}
        accepted = await api.post("/sample", json={"seed": 2}, headers=later)
        await ended(api, accepted.headers["location"])
        asked = {span.context.span_id for span in spans("POST /sample", api, worker)}
        jobs, queued = spans("job sample"), spans("wait in the queue")
        waits = spans("wait for the engine")
    for found in (jobs, queued):
        assert {span.context.trace_id for span in found} == {TRACE}
        assert {span.parent.span_id for span in found if span.parent} == asked
    assert {wait.parent.span_id for wait in waits if wait.parent} == {job.context.span_id for job in jobs}
    assert {span.resource.attributes["service.name"] for span in jobs} == {"ganymede-worker"}


async def test_a_malformed_traceparent_begins_a_new_trace(client_with: ClientFactory, spans: Spans) -> None:
    """Whatever a client sends, its request is answered; health checks are not traced."""
    async with client_with() as client:
        assert (await client.post("/sample", json={}, headers={"traceparent": "00-xyz"})).status_code == 200
        await client.get("/livez")
        (request,) = spans("POST /sample", client)
        assert request.parent is None
        assert spans("GET /livez") == []


def test_without_a_collector_nothing_is_loaded() -> None:
    """Off by default: neither our part nor the SDK's is imported (redis-py itself imports the SDK's metrics)."""
    ours = "('service.observability.open_telemetry', 'opentelemetry.sdk.trace', 'opentelemetry.exporter')"
    lines = [
        "import sys, service.http.app",
        "from service.observability.start_tracing import open_tracing",
        "from service.observability.tracing import Tracing",
        "assert type(open_tracing('all')) is Tracing",
        f"print([m for m in sys.modules if m.startswith({ours})])",
    ]
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, env={"PATH": ""})
    assert done.stdout.strip() == "[]", done.stderr


def test_a_collector_without_the_extra_is_said_plainly(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The server starts and says what to install."""
    from service.observability.start_tracing import open_tracing
    from service.observability.tracing import Tracing

    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setitem(sys.modules, "service.observability.open_telemetry", None)
    assert type(open_tracing("all")) is Tracing
    assert "ganymede[telemetry]" in caplog.text
