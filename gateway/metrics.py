"""What the gateway counts: requests by the pattern of their path, never by the path."""

from __future__ import annotations

from typing import TYPE_CHECKING

from servicekit.metrics import OTHER, gauge, histogram

if TYPE_CHECKING:
    from servicekit.metrics import Meter

HTTP_SECONDS = histogram(
    "stellwerk_http_seconds",
    "Duration of HTTP requests by the pattern of their path; a stream of events lasts to its end.",
    "method",
    "route",
    "status",
)
HTTP_RUNNING = gauge(
    "stellwerk_http_requests_running", "HTTP requests that are being answered, streams included."
)

DEFINITIONS = (HTTP_SECONDS, HTTP_RUNNING)

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class HttpMetrics:
    """Counts requests."""

    def __init__(self, meter: Meter) -> None:
        """Count with `meter`."""
        self._seconds = meter.distribution(HTTP_SECONDS)
        self._running = 0
        meter.read(HTTP_RUNNING, lambda: self._running)

    def began(self) -> None:
        """Count a request that is being answered."""
        self._running += 1

    def ended(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        self._running -= 1
        known = method if method in _METHODS else OTHER
        self._seconds.observe(seconds, known, route, str(status))
