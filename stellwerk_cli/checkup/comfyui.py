"""What ComfyUI workers lack for the outputs that are configured here."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING

from orchestrator.configs import ConfigError, load_configs, shipped_configs_dir
from stellwerk_cli.checkup.findings import Finding, fault, missing, ok
from stellwerk_cli.workflow_check import (
    Report,
    WorkerUnreadableError,
    check_outputs,
    read_catalogue,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

_ANSWER_SECONDS = 5.0
_NAMED = 6
"""Missing files named in one line."""


async def workers_lack(addresses: Iterable[str]) -> list[Finding]:
    """Hold the outputs against each worker; one that some worker can make is fine."""
    wanted = sorted({address for address in addresses if address})
    if not wanted:
        return [missing("comfyui", "no ComfyUI worker is known; the embedded outputs need none")]
    asked = await asyncio.gather(*(asyncio.to_thread(_reports, each) for each in wanted))
    findings: list[Finding] = []
    reports: dict[str, list[Report]] = defaultdict(list)
    for address, found in zip(wanted, asked, strict=True):
        if isinstance(found, Finding):
            findings.append(found)
            continue
        able = [report for report in found if not report.faults]
        words = f"{address} can make {len(able)} of {len(found)} outputs with a workflow"
        findings.append(ok("comfyui", words))
        for report in found:
            reports[report.name].append(report)
    return findings + [_lack(name, each) for name, each in reports.items() if _nobody_can(each)]


def _reports(address: str) -> list[Report] | Finding:
    folder = shipped_configs_dir()
    try:
        catalogue = read_catalogue(address, _ANSWER_SECONDS)
        configs = load_configs(folder)
    except WorkerUnreadableError as exc:
        fix = "Start ComfyUI there, or let the worker go: stellwerk workers remove NAME"
        return fault("comfyui", str(exc), fix)
    except ConfigError:  # has a finding of its own
        return []
    outputs = check_outputs(folder, configs, catalogue, frozenset(configs.output))
    return [report for report in outputs if report.output]


def _nobody_can(reports: list[Report]) -> bool:
    return all(report.faults for report in reports)


def _lack(name: str, reports: list[Report]) -> Finding:
    """Say what the worker that lacks the least lacks for an output."""
    best = min(reports, key=lambda one: len(one.missing_models) + len(one.missing_classes))
    models, classes = best.missing_models, best.missing_classes
    lacks = [f"models {_listed(models)}"] if models else []
    lacks += [f"nodes {_listed(classes)}"] if classes else []
    words = f"{name} cannot be made: no worker has {' and '.join(lacks) or 'what its graph asks'}"
    fix = f"stellwerk workflows check {name} --worker URL names every fault"
    if models:
        fix = f"Put the files into ComfyUI's models folder. {fix}"
    if classes:
        fix = f"Install the nodes there. {fix}"
    return missing("comfyui", words, fix)


def _listed(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
