"""What a service counts: defined once, in words, and bounded whatever happens.

A metric is a constant beside the code that knows it. From these constants come the numbers that
Prometheus fetches, the table in `docs/metrics.md`, and the check that dashboards and alerts name
nothing that does not exist. Label values are short words from small sets, never ids and never text:
a value that is no word, or one too many, is counted as `other`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

import prometheus_client
import structlog
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Iterable

log = structlog.get_logger(__name__)

MAX_LABEL_SETS = 500
"""Combinations of label values of one metric; Prometheus keeps each as a series of its own."""
OTHER = "other"
_WORD = re.compile(r"[A-Za-z0-9_./:@+{}-]{0,120}")

SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120)
"""Buckets for what a caller waits for, from a check of a text to a slow model."""
LONG_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 60, 120, 300, 600, 1800)
"""Buckets for what is made by a GPU or waits for one."""

Reading: TypeAlias = float | Mapping[tuple[str, ...], float]
"""What a metric that is read has now: one number, or one for each combination of labels."""

_Child = TypeVar("_Child")

_forgo_creation_times: Any = prometheus_client.disable_created_metrics  # has no types
_forgo_creation_times()  # a second series for each metric, which nobody asks for


class Kind(StrEnum):
    """How Prometheus treats a metric."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """One thing that is counted.

    Attributes:
        kind: How it is treated.
        name: As queries name it; a counter ends in `_total`, a duration in `_seconds`.
        help: One sentence for whoever reads a dashboard.
        labels: Names of its labels.
        buckets: Upper bounds of a histogram's buckets.
    """

    kind: Kind
    name: str
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


def counter(name: str, help: str, *labels: str) -> Metric:
    """Define a number that only grows."""
    return Metric(Kind.COUNTER, name, help, labels)


def gauge(name: str, help: str, *labels: str) -> Metric:
    """Define a number that grows and shrinks."""
    return Metric(Kind.GAUGE, name, help, labels)


def histogram(name: str, help: str, *labels: str, buckets: tuple[float, ...] = SECONDS) -> Metric:
    """Define a distribution."""
    return Metric(Kind.HISTOGRAM, name, help, labels, buckets)


RPC_SECONDS = histogram(
    "stellwerk_rpc_seconds",
    "Duration of RPCs by the code that their caller saw; a stream lasts until its end.",
    "rpc",
    "code",
)
IN_ORDER = gauge(
    "stellwerk_in_order",
    "1: what this names (policy, configs) is in order; 0: a change of its files was refused.",
    "what",
)
BUILD_INFO = gauge(
    "stellwerk_build_info", "Always 1; the labels say who this is.", "service", "version"
)
CERTIFICATE_EXPIRY = gauge(
    "stellwerk_certificate_expiry_timestamp_seconds",
    "Until when the certificate of this service lasts, in seconds since 1970; only with TLS.",
)

FREE_BYTES = gauge(
    "stellwerk_data_free_bytes", "Bytes that are free on the disk of this service's data folder."
)

DEFINITIONS = (RPC_SECONDS, IN_ORDER, BUILD_INFO, CERTIFICATE_EXPIRY, FREE_BYTES)
"""What every service counts; the gateway has no RPCs."""


class Count:
    """Adds to a counter."""

    def __init__(self, children: _Children[prometheus_client.Counter]) -> None:
        """Count in `children`."""
        self._children = children

    def add(self, *labels: str, amount: float = 1) -> None:
        """Add to the number of these label values, in the order of the definition."""
        self._children.of(labels).inc(amount)


class Distribution:
    """Adds to a histogram."""

    def __init__(self, children: _Children[prometheus_client.Histogram]) -> None:
        """Observe in `children`."""
        self._children = children

    def observe(self, value: float, *labels: str) -> None:
        """Note one value, under label values in the order of the definition."""
        self._children.of(labels).observe(value)


class Meter:
    """The numbers of one service; each server has its own, so tests do not meet."""

    def __init__(self) -> None:
        """Count nothing yet but the process itself."""
        self.registry = prometheus_client.CollectorRegistry()
        prometheus_client.ProcessCollector(registry=self.registry)

    def count(self, metric: Metric) -> Count:
        """Begin to count."""
        made = prometheus_client.Counter(
            metric.name, metric.help, metric.labels, registry=self.registry
        )
        return Count(_Children(metric, made, lambda labels: made.labels(*labels)))

    def distribution(self, metric: Metric) -> Distribution:
        """Begin to note values."""
        made = prometheus_client.Histogram(
            metric.name,
            metric.help,
            metric.labels,
            buckets=metric.buckets,
            registry=self.registry,
        )
        return Distribution(_Children(metric, made, lambda labels: made.labels(*labels)))

    def read(self, metric: Metric, reading: Callable[[], Reading]) -> None:
        """Have a gauge, or a counter that is kept elsewhere, read whenever somebody looks.

        Args:
            metric: A gauge or a counter.
            reading: Returns the present value. Called in a thread of its own, so it must not touch
                what needs the event loop.
        """
        self.registry.register(_Reader(metric, reading))

    def text(self) -> bytes:
        """Return all numbers in Prometheus' text format."""
        return prometheus_client.generate_latest(self.registry)


class _Children(Generic[_Child]):
    """Finds the number for label values: a look into a dict, but for the first time."""

    def __init__(
        self, metric: Metric, whole: _Child, make: Callable[[tuple[str, ...]], _Child]
    ) -> None:
        self._metric = metric
        self._make = make
        self._made: dict[tuple[str, ...], _Child] = {} if metric.labels else {(): whole}

    def of(self, labels: tuple[str, ...]) -> _Child:
        found = self._made.get(labels)
        return found if found is not None else self._add(labels)

    def _add(self, labels: tuple[str, ...]) -> _Child:
        bounded = bounded_labels(labels)
        if bounded not in self._made and len(self._made) >= MAX_LABEL_SETS:
            bounded = (OTHER,) * len(labels)
        if bounded not in self._made:
            self._made[bounded] = self._make(bounded)
        return self._made[bounded]


class _Reader(Collector):
    """A metric whose value is asked for when somebody looks."""

    def __init__(self, metric: Metric, reading: Callable[[], Reading]) -> None:
        self._metric = metric
        self._reading = reading

    def describe(self) -> Iterable[GaugeMetricFamily | CounterMetricFamily]:
        return [self._family()]

    def collect(self) -> Iterable[GaugeMetricFamily | CounterMetricFamily]:
        family = self._family()
        try:
            found = self._reading()
        except Exception as exc:  # the other numbers can still be read
            log.warning("metric_not_read", metric=self._metric.name, error_type=type(exc).__name__)
            return [family]
        by_labels = found if isinstance(found, Mapping) else {(): found}
        sums: dict[tuple[str, ...], float] = {}
        for labels, value in by_labels.items():
            bounded = bounded_labels(labels)
            if bounded not in sums and len(sums) >= MAX_LABEL_SETS:
                bounded = (OTHER,) * len(labels)
            sums[bounded] = sums.get(bounded, 0) + value
        for labels, value in sums.items():
            family.add_metric(labels, value)
        return [family]

    def _family(self) -> GaugeMetricFamily | CounterMetricFamily:
        metric = self._metric
        make = CounterMetricFamily if metric.kind is Kind.COUNTER else GaugeMetricFamily
        return make(metric.name, metric.help, labels=metric.labels)


def bounded_labels(labels: tuple[str, ...]) -> tuple[str, ...]:
    """Return label values of which each is a short word; what is none becomes `other`."""
    return tuple(value if _WORD.fullmatch(value) else OTHER for value in labels)
