"""Every Prometheus metric as one table. A process keeps its own registry; `/metrics` adds `process` to nothing."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector

from service.errors import ServiceError

FAST = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
FILL = (1, 2, 4, 8, 16, 32, 64, 128, 256)

# name: (kind, help, labels, buckets)
TABLE: dict[str, tuple[type, str, tuple[str, ...], tuple[float, ...] | None]] = {
    "requests": (Counter, "Requests answered", ("route", "status"), None),
    "request_seconds": (Histogram, "Time from request to answer", ("route",), FAST),
    "pictures": (Counter, "Pictures computed", ("model",), None),
    "queue_wait_seconds": (Histogram, "Time a picture waits for the engine", (), FAST),
    "batch_pictures": (Histogram, "Pictures in one batch", ("model",), FILL),
    "compute_seconds": (Histogram, "Time of one batch in the runtime", ("model",), FAST),
    "encode_seconds": (Histogram, "Time to encode one answer", ("format",), FAST),
    "rejected": (Counter, "Requests refused; by queue, rate, deadline, size, key, scope, storage", ("reason",), None),
    "cancelled": (Counter, "Pictures dropped because nobody waits for them", ("reason",), None),
    "wasted_compute_seconds": (Counter, "Compute spent on pictures nobody took", (), None),
    "waiting_pictures": (Gauge, "Pictures waiting for the engine", (), None),
    "in_flight_requests": (Gauge, "Requests being answered", (), None),
    "models_loaded": (Gauge, "Bundles being served", (), None),
    "bundles_refused": (Gauge, "Bundle folders that failed verification", (), None),
    "jobs": (Gauge, "Jobs by state, as Redis counts them", ("state",), None),
    "jobs_ended": (Counter, "Jobs this process finished", ("op", "state"), None),
    "jobs_reclaimed": (Counter, "Jobs taken over from a worker that went away", (), None),
}


@dataclass
class Metrics:
    """The metrics of one process, by the names of TABLE."""

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    _children: dict[object, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        for name, (kind, text, labels, buckets) in TABLE.items():
            options = {"buckets": buckets} if buckets else {}
            setattr(self, f"_{name}", kind(f"ganymede_{name}", text, labels, registry=self.registry, **options))

    def add(self, name: str, amount: float = 1, **labels: str) -> None:
        """Raise a counter."""
        self._of(name, labels).inc(amount)

    def observe(self, name: str, value: float, **labels: str) -> None:
        """Put a value into a histogram."""
        self._of(name, labels).observe(value)

    def set(self, name: str, value: float, **labels: str) -> None:
        """Set a gauge."""
        self._of(name, labels).set(value)

    def follow(self, name: str, value: Callable[[], float]) -> None:
        """A gauge that is read when it is asked for."""
        self._of(name, {}).set_function(value)

    def refused(self, error: ServiceError) -> None:
        """Count a refusal by its reason; other errors are in `requests` by their status."""
        if error.reason is not None:
            self.add("rejected", reason=error.reason)

    def text(self) -> bytes:
        """The exposition format."""
        return bytes(generate_latest(self.registry))

    def _of(self, name: str, labels: dict[str, str]):  # type: ignore[no-untyped-def]
        key = (name, *labels.values()) if labels else name
        child = self._children.get(key)
        if child is None:  # looking a child up by its labels costs more than counting
            metric = getattr(self, f"_{name}")
            child = self._children[key] = metric.labels(**labels) if labels else metric
        return child
