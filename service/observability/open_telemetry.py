"""Tracing with the SDK of OpenTelemetry, sent as OTLP over HTTP. Loaded only when a collector is named."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from service.observability.tracing import Arrival, TracedRequest, Tracing

Attributes = dict[str, str | int]
UNTRACED = frozenset({"/livez", "/readyz", "/metrics"})
W3C = TraceContextTextMapPropagator()


def exporter() -> SpanExporter:
    """What sends spans away; it reads the standard variables by itself."""
    return OTLPSpanExporter()


class OpenTelemetry(Tracing):
    """Spans of one process. `OTEL_SERVICE_NAME` goes before the role's name."""

    is_on = True

    def __init__(self, role: str) -> None:
        name = Resource.create().attributes.get(SERVICE_NAME, "unknown_service")
        own = {SERVICE_NAME: f"ganymede-{role}"} if str(name).startswith("unknown_service") else {}
        self._provider = TracerProvider(resource=Resource.create(own), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter()))
        self._tracer = self._provider.get_tracer("ganymede")

    @contextmanager
    def request(self, method: str, path: str, traceparent: str) -> Iterator[TracedRequest]:
        """A server span; health and metrics have none."""
        if path in UNTRACED:
            yield TracedRequest()
            return
        about = {"http.request.method": method, "url.path": path}
        parent = _context_of(traceparent)
        with self._tracer.start_as_current_span(method, parent, SpanKind.SERVER, about) as span:
            yield _Answered(span, method)

    @contextmanager
    def job(self, op: str, job_id: str, attempt: int, traceparent: str, created_at: float) -> Iterator[None]:
        """A consumer span, and before it a span of the wait in the queue (of a later attempt: since it was made)."""
        parent = _context_of(traceparent)
        about: Attributes = {"ganymede.job": job_id, "ganymede.attempt": attempt}
        waited = self._tracer.start_span("wait in the queue", parent, attributes=about, start_time=_ns(created_at))
        waited.end()
        with self._tracer.start_as_current_span(f"job {op}", parent, SpanKind.CONSUMER, about):
            yield

    @contextmanager
    def span(self, name: str, **attributes: str | int) -> Iterator[None]:
        """A child of what is current."""
        about = {f"ganymede.{key}": value for key, value in attributes.items()}
        with self._tracer.start_as_current_span(name, attributes=about):
            yield

    def batch(self, model: str, level: int, pictures: int, began: float, arrivals: Sequence[Arrival]) -> None:
        """A span of its own trace with a link to every request in it; each request gets the span of its wait."""
        shift = time.time() - time.monotonic()
        places = [(where, arrived) for where, arrived in arrivals if isinstance(where, SpanContext) and where.is_valid]
        if not places:
            return
        about: Attributes = {"ganymede.model": model, "ganymede.level": level, "ganymede.pictures": pictures}
        links = [Link(where) for where in {where.span_id: where for where, _ in places}.values()]
        start = _ns(began + shift)
        self._tracer.start_span("batch", Context(), attributes=about, links=links, start_time=start).end()
        for where, arrived in places:
            if arrived is None:
                continue
            parent = trace.set_span_in_context(trace.NonRecordingSpan(where), Context())
            self._tracer.start_span("wait for the engine", parent, start_time=_ns(arrived + shift)).end(start)

    def here(self) -> SpanContext:
        """The current span."""
        return trace.get_current_span().get_span_context()

    def traceparent(self) -> str | None:
        """The current span as a header; None outside of any."""
        carrier: dict[str, str] = {}
        W3C.inject(carrier)
        return carrier.get("traceparent")

    def close(self) -> None:
        """Send what is left, as long as the exporter's own time limits allow."""
        self._provider.shutdown()


class _Answered(TracedRequest):
    def __init__(self, span: Span, method: str) -> None:
        self._span, self._method = span, method

    def answered(self, route: str, status: int) -> None:
        self._span.update_name(f"{self._method} {route}")
        self._span.set_attributes({"http.route": route, "http.response.status_code": status})
        if status >= 500:
            self._span.set_status(Status(StatusCode.ERROR))


def _context_of(traceparent: str) -> Context:
    """The caller's context; an empty one (a new trace) when there is none or it is malformed."""
    return W3C.extract({"traceparent": traceparent}, Context())


def _ns(seconds: float) -> int:
    return int(seconds * 1e9)
