"""Spans of studies, rounds and sites: off by default, codes and ids only."""

import http.server
import logging
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from federation import observability as observed
from federation.domain.ids import RunId, SiteId, StudyId
from federation.errors.observation import (
    CheckupOffError,
    ObservationSettingsError,
    TracingMissingError,
)
from federation.observability import settings
from federation.observability.port import SilentObserver
from federation.observability.tracing import TracingObserver, trace_if_wanted, tracing_to

PATIENT = "CHEN^MEI-LING"
NORTH = SiteId("north")


@pytest.fixture(autouse=True)
def nobody_after() -> Iterator[None]:
    yield
    observed.observe_with(None)


@pytest.fixture
def kept() -> Iterator[object]:
    """The real SDK, its spans kept in memory."""
    memory = pytest.importorskip(
        "opentelemetry.sdk.trace.export.in_memory_span_exporter",
        reason="the OpenTelemetry SDK is not installed (extra `tracing`)",
    )
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    exporter, provider = memory.InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    observed.observe_with(TracingObserver(provider.get_tracer("test")))
    yield exporter
    provider.shutdown()


def test_spans_hang_together_and_carry_ids_alone(kept: object) -> None:
    with observed.study(StudyId("cxr"), run=RunId("cxr.1")), observed.round(2):
        observed.answered(NORTH, seconds=3.0)
        observed.refused(NORTH, "TF344", seconds=0.5)

    spans = kept.get_finished_spans()  # type: ignore[attr-defined]
    answered, refused, of_round, study = spans
    assert [one.name for one in spans] == ["trifed.site"] * 2 + ["trifed.round", "trifed.study"]
    assert answered.parent.span_id == of_round.context.span_id
    assert of_round.parent.span_id == study.context.span_id
    assert dict(answered.attributes) == {
        "trifed.study": "cxr",
        "trifed.run": "cxr.1",
        "trifed.round": 2,
        "trifed.kind": "train",
        "trifed.site": "north",
    }
    assert 2.9e9 < answered.end_time - answered.start_time < 3.1e9
    assert refused.attributes["trifed.code"] == "TF344"
    assert refused.status.description == "TF344"


@pytest.mark.parametrize(
    ("error", "code"), [(CheckupOffError(), "TF251"), (RuntimeError(PATIENT), "defect")]
)
def test_a_failed_span_has_a_code_and_no_words(kept: object, error: Exception, code: str) -> None:
    with pytest.raises(type(error)), observed.study(StudyId("cxr")):
        raise error

    (span,) = kept.get_finished_spans()  # type: ignore[attr-defined]
    assert span.attributes["trifed.code"] == code
    assert span.events == ()
    assert "CHEN" not in span.to_json()


def test_nothing_is_traced_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(settings.ENDPOINT_VARIABLE, raising=False)
    trace_if_wanted("test")

    assert isinstance(observed._observer, SilentObserver)


@pytest.mark.parametrize(
    "address", ["localhost:4318", "ftp://x", "http://", "http://u:p@x:1", "file:///etc/passwd"]
)
def test_an_address_that_cannot_be_used_is_refused(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(settings.ENDPOINT_VARIABLE, address)

    with pytest.raises(ObservationSettingsError):
        trace_if_wanted("test")


def test_without_the_software_the_work_goes_on_and_the_log_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    monkeypatch.setenv(settings.ENDPOINT_VARIABLE, "http://127.0.0.1:1")
    with pytest.raises(TracingMissingError):
        tracing_to("http://127.0.0.1:1", service="test")
    with caplog.at_level(logging.WARNING):
        trace_if_wanted("test")

    assert "TF257" in caplog.text
    assert isinstance(observed._observer, SilentObserver)


def test_spans_reach_a_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip(
        "opentelemetry.exporter.otlp.proto.http.trace_exporter",
        reason="the OpenTelemetry exporter is not installed (extra `tracing`)",
    )
    asked: list[tuple[str, bytes]] = []

    class Receives(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            asked.append((self.path, content))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Receives) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        observer = tracing_to(f"http://127.0.0.1:{server.server_port}", service="trifed-test")
        observed.observe_with(observer)
        with observed.study(StudyId("cxr-of-traces")):
            pass
        observer.close()
        server.shutdown()
        thread.join()

    (path, content), *_ = asked
    assert path == "/v1/traces"
    import gzip

    content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    assert b"trifed.study" in content and b"cxr-of-traces" in content and b"trifed-test" in content


def test_a_collector_that_is_gone_does_not_hold_up_the_work() -> None:
    pytest.importorskip(
        "opentelemetry.exporter.otlp.proto.http.trace_exporter",
        reason="the OpenTelemetry exporter is not installed (extra `tracing`)",
    )
    observer = tracing_to("http://127.0.0.1:1", service="test")
    observed.observe_with(observer)
    started = time.perf_counter()
    for number in range(1000):
        with observed.round(number + 1):
            pass
    assert time.perf_counter() - started < 2.0
    observer.close()
