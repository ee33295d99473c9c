"""`stellwerk records verify|erase|stats`: tamper evidence, erasure and figures."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from servicekit.plain import enum_word, plain_message
from stellwerk.common.v1.types_pb2 import SafetyLevel
from stellwerk.tracker.v1 import tracker_service_pb2 as pb
from stellwerk.tracker.v1.execution_pb2 import ExecutionState
from stellwerk_cli.console import complain, say
from stellwerk_cli.exits import Exit
from stellwerk_cli.options import DEFAULT_SERVER, ApiKeyOption, JsonOption, ServerOption
from stellwerk_cli.progress import counter
from stellwerk_cli.record_options import ConfigFilter, SessionFilter, StateFilter, state_numbers
from stellwerk_cli.remote import run_remote
from stellwerk_client.client import StellwerkClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Split(StrEnum):
    """What figures are split by."""

    DAY = "day"
    CONFIG = "config"
    MODEL = "model"
    LEVEL = "level"


def verify(
    execution_ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="The executions.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that you may see.")] = False,
    as_json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    api_key: ApiKeyOption = "",
) -> None:
    """Check that nothing in records was changed, left out or put in; exit code 1 if it was."""
    if bool(execution_ids) == everything:
        complain("name executions, or say --all")
        raise typer.Exit(Exit.USAGE)

    client = StellwerkClient(server, api_key=api_key)
    work = partial(_verify, client, execution_ids or [], as_json=as_json)
    run_remote(work, server=server, as_json=as_json)


async def _verify(client: StellwerkClient, chosen: list[str], *, as_json: bool) -> Exit:
    count = fault_count = unchained_count = 0
    async with client:
        with counter("records verified") as show:
            async for name in _names(client, chosen):
                report = await client.records.verify(name)
                holds = report.state == pb.CHAIN_STATE_VALID
                count += 1
                fault_count += not holds
                unchained_count += report.unchained_count > 0
                show(count)
                if as_json:
                    say(json.dumps(plain_message(report)))
                elif chosen or not holds:
                    say(_chain_line(report))
    if not as_json:
        say(f"{count} records, {fault_count} with a broken chain")
        if unchained_count:
            say(f"{unchained_count} began before there were chains; nothing vouches for that")
    return Exit.FAULTS if fault_count else Exit.OK


async def _names(client: StellwerkClient, chosen: list[str]) -> AsyncIterator[str]:
    """Yield the executions that were named, or else all."""
    if chosen:
        for name in chosen:
            yield name
        return
    async for summary in client.list_executions():
        yield summary.execution_id


def _chain_line(report: pb.VerifyChainResponse) -> str:
    word = enum_word(pb.ChainState.DESCRIPTOR, report.state).replace("_", " ")
    where = f" at item {report.position} of {report.item_count}" if report.position else ""
    erased = "  erased: ids and seals only" if report.erased else ""
    return f"{report.execution_id}  {word}{where}  head {report.head[:16] or 'none'}{erased}"


def erase(
    execution_ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="Executions to erase.")
    ] = None,
    user: Annotated[str, typer.Option(help="Erase all content of this pseudonym.")] = "",
    config: ConfigFilter = "",
    session: SessionFilter = "",
    state: StateFilter = None,
    older_than_days: Annotated[
        int | None, typer.Option(min=1, help="Only started longer ago.")
    ] = None,
    dry_run: Annotated[bool, typer.Option(help="Only count.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    api_key: ApiKeyOption = "",
) -> None:
    """Erase a person's content, or executions; what is left are ids and seals. For admins."""
    request = pb.DeleteExecutionsRequest(
        execution_ids=execution_ids or [],
        config_name=config,
        session_id=session,
        states=state_numbers(state),
    )
    if older_than_days is not None:
        before = datetime.now(UTC) - timedelta(days=older_than_days)
        request.start_time_before.FromDatetime(before)
    _check_choice(user, request, dry_run=dry_run)
    if not (yes or dry_run):
        what = f"all content of {user!r}" if user else "these executions"
        typer.confirm(f"Erase {what}? This cannot be undone.", abort=True, err=True)
    request.dry_run = dry_run
    work = partial(_erase, request, user, StellwerkClient(server, api_key=api_key), as_json=as_json)
    run_remote(work, server=server, as_json=as_json)


async def _erase(
    request: pb.DeleteExecutionsRequest, user: str, client: StellwerkClient, *, as_json: bool
) -> Exit:
    async with client:
        if user:
            _say_receipt(await client.records.erase_user(user), as_json=as_json)
            return Exit.OK
        response = await client.records.delete(request)
    if response.HasField("receipt"):
        _say_receipt(response.receipt, as_json=as_json)
    elif as_json:
        say(json.dumps({"matched_count": response.matched_count}))
    else:
        say(f"{response.matched_count} records match; none was erased")
    return Exit.OK


def _check_choice(user: str, request: pb.DeleteExecutionsRequest, *, dry_run: bool) -> None:
    """Make sure that exactly one thing is to be erased: a person, or chosen executions.

    Raises:
        typer.Exit: It is not clear.
    """
    if bool(user) == (request != pb.DeleteExecutionsRequest()):
        complain("say whom or what to erase: --user, or executions by id or filter")
        raise typer.Exit(Exit.USAGE)
    if user and dry_run:
        complain("--dry-run counts executions; with --user nothing is left to choose")
        raise typer.Exit(Exit.USAGE)


def receipt(
    receipt_id: Annotated[str, typer.Argument(metavar="ID", help="The receipt.")],
    as_json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    api_key: ApiKeyOption = "",
) -> None:
    """Show what became of an erasure."""

    async def work() -> Exit:
        async with StellwerkClient(server, api_key=api_key) as client:
            _say_receipt(await client.records.receipt(receipt_id), as_json=as_json)
        return Exit.OK

    run_remote(work, server=server, as_json=as_json)


def _say_receipt(receipt: pb.ErasureReceipt, *, as_json: bool) -> None:
    if as_json:
        say(json.dumps(plain_message(receipt), ensure_ascii=False))
        return
    word = enum_word(pb.ErasureState.DESCRIPTOR, receipt.state)
    say(f"receipt {receipt.receipt_id}: {word}")
    say(f"{receipt.execution_count} records with {receipt.item_count} items erased")
    if receipt.pending_count:
        say(f"{receipt.pending_count} files or media remain; `records receipt` shows when they go")
    say(receipt.notice)


def stats(
    by: Annotated[list[Split] | None, typer.Option(help="Split by; repeatable.")] = None,
    config: ConfigFilter = "",
    session: SessionFilter = "",
    days: Annotated[int | None, typer.Option(min=1, help="Only of the last days.")] = None,
    as_json: JsonOption = False,
    server: ServerOption = DEFAULT_SERVER,
    api_key: ApiKeyOption = "",
) -> None:
    """Count records: states, blocks, durations, outputs."""
    request = pb.GetStatisticsRequest(
        config_name=config,
        session_id=session,
        dimensions=[
            pb.StatisticsDimension.Value(f"STATISTICS_DIMENSION_{one.name}") for one in by or []
        ],
    )
    if days is not None:
        request.start_time_from.FromDatetime(datetime.now(UTC) - timedelta(days=days))

    async def work() -> Exit:
        async with StellwerkClient(server, api_key=api_key) as client:
            rows = await client.records.statistics(request)
        for row in rows:
            say(json.dumps(plain_message(row), ensure_ascii=False) if as_json else _figures(row))
        if not (rows or as_json):
            say("no records")
        return Exit.OK

    run_remote(work, server=server, as_json=as_json)


def _figures(row: pb.StatisticsRow) -> str:
    level = enum_word(SafetyLevel.DESCRIPTOR, row.safety_level) if row.safety_level else ""
    place = "  ".join(part for part in (row.day, row.config_name, row.model_used, level) if part)
    states = ", ".join(
        f"{one.count} {enum_word(ExecutionState.DESCRIPTOR, one.state)}" for one in row.states
    )
    parts = [place or "all", f"{row.execution_count} records ({states})"]
    if row.HasField("duration_p50"):
        half, most = (one.ToNanoseconds() / 1e9 for one in (row.duration_p50, row.duration_p95))
        parts.append(f"p50 {half:.1f} s, p95 {most:.1f} s")
    parts.append(f"{row.output_count} outputs")
    parts += [f"{count} blocked for {name}" for name, count in sorted(row.blocks.items())]
    return "  ".join(parts)
