"""Writes docs/metrics.md from the definitions in code; run by `make docs`.

Dashboards and alerts name these metrics; a test compares all of them with what the code defines.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import gateway.metrics
import generation_service.metrics
import orchestrator.metrics
import safety_service.metrics
import servicekit.metrics
import tracker_service.metrics

if TYPE_CHECKING:
    from servicekit.metrics import Metric

PAGE = Path(__file__).with_name("metrics.md")

SECTIONS = {
    "Of every service": servicekit.metrics.DEFINITIONS,
    "Orchestrator": orchestrator.metrics.DEFINITIONS,
    "Safety": safety_service.metrics.DEFINITIONS,
    "Generation": generation_service.metrics.DEFINITIONS,
    "Tracker": tracker_service.metrics.DEFINITIONS,
    "Gateway": gateway.metrics.DEFINITIONS,
}

HEAD = """\
# Metrics

<!-- Made by `make docs` from the definitions in code; change the words there. -->

Every service shows its numbers in Prometheus' text format: at `/metrics` of the address in
`<SERVICE>_METRICS_ADDRESS`, which is unset at first, so that nothing listens. There they need no
credentials, since they hold neither ids nor texts; let the network decide who reaches it. The
gateway shows them at `/metrics` of its page, too, to whoever has a key that is no learner's.

```
TRACKER_METRICS_ADDRESS=127.0.0.1:9464 stellwerk up      # then: curl 127.0.0.1:9464/metrics
```

A histogram `x` is asked for as `x_count`, `x_sum` and `x_bucket`. Labels have few values; what is
no short word, or one value too many (500 combinations), is counted as `other`. Besides, each
process shows what `prometheus_client` knows of it: `process_cpu_seconds_total`, `process_open_fds`,
`process_max_fds`, `process_resident_memory_bytes`, `process_virtual_memory_bytes` and
`process_start_time_seconds`.

[`deploy/components/monitoring`](../deploy/components/monitoring) holds a Grafana dashboard and
alert rules over them; [a runbook](operations/runbooks/README.md) says what to do about each alert.
[Monitoring](operations/monitoring.md) says how all of it is put to use.
"""


def page() -> str:
    """Returns the whole page."""
    parts = [HEAD]
    for title, metrics in SECTIONS.items():
        parts += [f"## {title}", "| metric | kind | labels | meaning |\n|---|---|---|---|"]
        parts[-1] += "".join(f"\n{_row(metric)}" for metric in metrics)
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _row(metric: Metric) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels) or "–"
    return f"| `{metric.name}` | {metric.kind.value} | {labels} | {metric.help} |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
