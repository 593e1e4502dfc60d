"""The real command sends its spans to a real collector: OTLP over HTTP, by the standard variables alone."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.end_to_end.processes import running


@contextmanager
def collector() -> Iterator[tuple[str, list[ExportTraceServiceRequest]]]:
    """Its address, and what it was sent."""
    sent: list[ExportTraceServiceRequest] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.path == "/v1/traces":
                sent.append(ExportTraceServiceRequest.FromString(body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *words: object) -> None:
            """Quiet."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", sent
    server.shutdown()


def test_spans_arrive_at_the_collector(tmp_path: Path, bundle_folder: Path) -> None:
    """An operator sets one variable and sees requests, waits, batches and encoding of this service."""
    wanted = {"POST /sample", "wait for the engine", "batch", "encode"}
    with collector() as (address, sent):
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": address, "OTEL_BSP_SCHEDULE_DELAY": "100"}
        with running(tmp_path, bundle_folder, **variables) as (_, url):
            assert httpx.post(f"{url}/sample", json={"n": 2}).status_code == 200
            end = time.monotonic() + 20
            while not wanted <= names_of(sent) and time.monotonic() < end:
                time.sleep(0.1)
    assert names_of(sent) == wanted
    attributes = sent[0].resource_spans[0].resource.attributes
    assert {a.key: a.value.string_value for a in attributes}["service.name"] == "ganymede-all"


def names_of(sent: list[ExportTraceServiceRequest]) -> set[str]:
    """Names of all spans."""
    scopes = [scope for request in sent for resource in request.resource_spans for scope in resource.scope_spans]
    return {span.name for scope in scopes for span in scope.spans}
