"""Serve numbers to Prometheus on a loopback port; the only module that knows its client.

    serve_metrics(lambda: figures.read(), MetricsAddress("127.0.0.1", 9464))

What is measured is read when somebody asks, from where it is kept: a crash loses no
count, and a process that is not asked does nothing. However often it is asked, it is
read once in `FRESH_S`; however many label values there are, `MOST_SERIES` of a metric
are told one by one and the rest together as `other`.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from federation.errors.base import PlatformError
from federation.errors.observation import CheckUnfinishedError, MetricsDoorError
from federation.observability.settings import MetricsAddress

log = logging.getLogger(__name__)

MOST_SERIES = 500
LONGEST_LABEL = 64
FRESH_S = 2.0
OTHER = "other"


class Kind(Enum):
    """How a metric behaves: it goes up and down, or only up."""

    GAUGE = "gauge"
    COUNTER = "counter"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric with its values by label values; names and labels are words of the code."""

    name: str
    help: str
    kind: Kind
    labels: tuple[str, ...]
    values: Mapping[tuple[str, ...], float]


Measure = Callable[[], Iterable[Metric]]


def one(name: str, text: str, value: float, kind: Kind = Kind.GAUGE) -> Metric:
    """Return a metric without labels."""
    return Metric(name, text, kind, (), {(): value})


def gauge(name: str, text: str, labels: tuple[str, ...], values: Mapping[Any, float]) -> Metric:
    """Return a metric that goes up and down; keys of `values` are tuples of label values."""
    return Metric(name, text, Kind.GAUGE, labels, dict(values))


def counter(name: str, text: str, labels: tuple[str, ...], values: Mapping[Any, float]) -> Metric:
    """Return a metric that only grows; keys of `values` are tuples of label values."""
    return Metric(name, text, Kind.COUNTER, labels, dict(values))


class Collector:
    """Read the metrics at most once in `FRESH_S`, whoever asks, one reader at a time.

    A reading that fails is a metric of its own, `trifed_metrics_failed` with the code,
    beside nothing else: numbers of before are not told as numbers of now.
    """

    def __init__(self, measure: Measure, *, passing: Callable[[], float] = time.monotonic) -> None:
        self._measure = measure
        self._passing = passing
        self._lock = threading.Lock()
        self._read = -FRESH_S
        self._kept: list[Metric] = []

    def metrics(self) -> list[Metric]:
        """Return the metrics of now, bounded."""
        with self._lock:
            if self._passing() - self._read >= FRESH_S:
                self._kept = [bounded(metric) for metric in self._measured()]
                self._read = self._passing()
            return self._kept

    def collect(self) -> Iterator[Any]:
        """Yield the metrics as Prometheus' client wants them."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        families = {Kind.GAUGE: GaugeMetricFamily, Kind.COUNTER: CounterMetricFamily}
        for metric in self.metrics():
            family = families[metric.kind](metric.name, metric.help, labels=metric.labels)
            for labels, value in metric.values.items():
                family.add_metric(labels, value)
            yield family

    def describe(self) -> list[Any]:
        """Return nothing: what is measured is known when it is read."""
        return []

    def _measured(self) -> list[Metric]:
        try:
            return [*self._measure(), _failed({})]
        except PlatformError as error:
            log.warning("[%s] %s", error.code, error.say())
            return [_failed({(error.code,): 1})]
        except Exception:  # its words may hold anything, and the scraper shows them
            log.exception("metrics could not be read")
            return [_failed({(CheckUnfinishedError.code,): 1})]


def _failed(values: Mapping[tuple[str, ...], float]) -> Metric:
    text = "Reading the metrics failed with this code"
    return Metric("trifed_metrics_failed", text, Kind.GAUGE, ("code",), values)


def bounded(metric: Metric) -> Metric:
    """Return a metric with at most `MOST_SERIES` values, the largest by name of their labels."""
    cut: dict[tuple[str, ...], float] = {}
    for labels, value in sorted(metric.values.items()):
        short = tuple(_label(text) for text in labels)
        key = short if short in cut or len(cut) < MOST_SERIES else (OTHER,) * len(short)
        cut[key] = cut.get(key, 0.0) + value
    return Metric(metric.name, metric.help, metric.kind, metric.labels, cut)


def _label(text: str) -> str:
    return text[:LONGEST_LABEL] if text.isprintable() else "?"


def serve_metrics(measure: Measure, address: MetricsAddress) -> Callable[[], None]:
    """Serve metrics from threads of this process; return what ends it.

    Raises
    ------
    MetricsDoorError
        If the address cannot be listened on.
    """
    from prometheus_client import start_http_server
    from prometheus_client.registry import CollectorRegistry

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Collector(measure))
    try:
        server, thread = start_http_server(address.port, addr=address.host, registry=registry)
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise MetricsDoorError(address=address, why=why) from error

    def end() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return end
