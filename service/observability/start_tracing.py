"""Tracing as the environment asks for it: none, or OpenTelemetry, which is imported only then.

The standard variables decide (`OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_SERVICE_NAME`, `OTEL_TRACES_SAMPLER`, …).
"""

import logging
import os

from service.observability.tracing import Tracing

log = logging.getLogger("ganymede.tracing")
ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


def open_tracing(role: str) -> Tracing:
    """Tracing as the environment asks for it."""
    named = any(os.environ.get(name) for name in ENDPOINTS)
    if not named or os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return Tracing()
    try:
        from service.observability.open_telemetry import OpenTelemetry
    except ImportError as error:
        log.warning("a collector is named but %s is not installed: pip install 'ganymede[telemetry]'", error.name)
        return Tracing()
    return OpenTelemetry(role)
