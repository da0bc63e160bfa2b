"""Send spans of studies, rounds and sites to an OpenTelemetry collector, where one is named.

    trace_if_wanted("trifed-campaign")        # once, at a process's start

Off unless TRIFED_OTEL_ENDPOINT is set. A span has a name, the ids of the context, how
long it took, and the code if it failed; never an exception's words. A collector that
is slow or gone costs nothing but its spans: they wait in a queue of limited size and
are dropped.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from federation import observability
from federation.errors.base import PlatformError
from federation.errors.observation import TracingMissingError
from federation.observability.context import Context
from federation.observability.settings import tracing_endpoint

log = logging.getLogger(__name__)

_DEFECT = "defect"
_EXPORT_WITHIN_S = 5


def trace_if_wanted(service: str) -> None:
    """Begin to send this process's spans if a collector is named; else do nothing.

    Without the OpenTelemetry SDK the work goes on and the log says so, with its code.

    Raises
    ------
    ObservationSettingsError
        If the collector's address cannot be used.
    """
    endpoint = tracing_endpoint()
    if endpoint is None:
        return
    try:
        observability.observe_with(tracing_to(endpoint, service=service))
    except TracingMissingError as error:
        log.warning("[%s] %s", error.code, error.say())


def tracing_to(endpoint: str, *, service: str) -> "TracingObserver":
    """Return an observer that sends to a collector over OTLP/HTTP.

    Raises
    ------
    TracingMissingError
        If the OpenTelemetry SDK or its exporter is not installed.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise TracingMissingError() from error
    exporter = OTLPSpanExporter(f"{endpoint}/v1/traces", timeout=_EXPORT_WITHIN_S)
    provider = TracerProvider(resource=Resource({"service.name": service}))
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return TracingObserver(provider.get_tracer("trifed"), close=provider.shutdown)


class TracingObserver:
    """An observer over any OpenTelemetry tracer; `close` sends what waits, for some seconds."""

    def __init__(self, tracer: Any, *, close: Callable[[], None] = lambda: None) -> None:
        self._tracer = tracer
        self.close = close

    @contextmanager
    def span(self, name: str, where: Context) -> Iterator[None]:
        """Trace a piece of work; one that raises ends with its code or as a defect."""
        from opentelemetry.trace import use_span

        span = self._tracer.start_span(f"trifed.{name}", attributes=_attributes(where))
        try:
            with use_span(span, record_exception=False, set_status_on_exception=False):
                yield
        except PlatformError as error:
            _fail(span, error.code)
            raise
        except BaseException:
            _fail(span, _DEFECT)
            raise
        finally:
            span.end()

    def passed(self, name: str, where: Context, *, seconds: float, code: str | None) -> None:
        """Trace work that took place elsewhere and has just ended."""
        now_ns = time.time_ns()
        span = self._tracer.start_span(
            f"trifed.{name}",
            attributes=_attributes(where),
            start_time=now_ns - int(seconds * 1e9),
        )
        if code is not None:
            _fail(span, code)
        span.end(end_time=now_ns)


def _attributes(where: Context) -> dict[str, str | int]:
    return {f"trifed.{name}": value for name, value in where.fields().items()}


def _fail(span: Any, code: str) -> None:
    from opentelemetry.trace import Status, StatusCode

    span.set_attribute("trifed.code", code)
    span.set_status(Status(StatusCode.ERROR, code))
