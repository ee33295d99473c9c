"""What every store must do for export workflows."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from servicekit.errors import FailedPreconditionError, NotFoundError
from tests.unit.tracker_service.builders import make_batch, make_run
from tests.unit.tracker_service.export_workflow.workflows import (
    make_delivery,
    make_edit,
    make_initial,
    make_workflow,
    new_id,
)
from tests.unit.tracker_service.store_tests import Clock, StoreTests
from tracker_service.erasure import Wanted
from tracker_service.export_workflow import rules
from tracker_service.export_workflow.insights import DAY_US
from tracker_service.export_workflow.model import FinalDeliverable, Quality, Stage, Status
from tracker_service.export_workflow.store import (
    EVERYBODY,
    PIECE_BYTES,
    AuditFilter,
    Removal,
    Scope,
    WorkflowFilter,
)

if TYPE_CHECKING:
    from tracker_service.export_workflow.model import StageRecord, Workflow
    from tracker_service.store.interface import PageKey, Store

DATA = {"größe": 1, "liste": ["\0", "b 🌼"], "seed": 2**64 - 1}
EDITED = {"größe": 2, "liste": ["b 🌼"], "seed": 2**64 - 1}
FILE = bytes(range(256)) * (PIECE_BYTES // 256) + b"end"
LAST = 2**62


async def begin(
    store: Store, clock: Clock, execution_ids: tuple[str, ...] = (), **fields: Any
) -> Workflow:
    """Store a workflow with its first record."""
    record = make_initial(clock.now_us, DATA, execution_ids)
    return await store.workflows.create(
        make_workflow(clock.now_us, **fields), record, execution_ids
    )


async def append(
    store: Store, workflow: Workflow, record: StageRecord, clock: Clock, file: bytes = b""
) -> Workflow:
    """Store a further record."""
    after = rules.after(workflow, record, clock.now_us)
    return await store.workflows.append(workflow, after, record, file)


async def complete(store: Store, clock: Clock, **fields: Any) -> Workflow:
    """Store a workflow with all three stages."""
    workflow = await begin(store, clock, **fields)
    clock.advance(60)
    edit = make_edit(workflow, DATA, EDITED, clock.now_us)
    workflow = await append(store, workflow, edit, clock)
    clock.advance(60)
    delivery = make_delivery(workflow, FILE, clock.now_us)
    return await append(store, workflow, delivery, clock, FILE)


async def erase(store: Store, wanted: Wanted) -> None:
    """Erase in the database."""
    name = new_id()
    await store.erasures.begin(name, wanted)
    (erasure,) = await store.erasures.unfinished()
    while await store.erasures.erase_next(erasure):
        pass
    await store.erasures.forget(erasure)
    await store.erasures.finish(name)


class WorkflowContract(StoreTests):
    """Tests of the behaviour that does not depend on the database."""

    async def test_records_come_back_as_they_were(self, store: Store, clock: Clock) -> None:
        """All three stages, with data of any characters and a file of several pieces."""
        workflow = await complete(store, clock)
        found = await store.workflows.workflow(workflow.export_workflow_id, Scope("rita"))
        assert found == workflow
        assert (found.status, found.modification_version) == (Status.COMPLETED, 1)
        first = await store.workflows.record(found, Stage.INITIAL_AI_SUMMARY, 1)
        assert first is not None
        assert first.content == make_initial(0, DATA).content
        second = await store.workflows.record(found, Stage.USER_MODIFICATIONS, 1)
        assert second is not None
        assert second.content == make_edit(found, DATA, EDITED, 0).content
        assert await store.workflows.record_named(found, second.record_id) == second
        pieces = [await store.workflows.piece(found, 1, number) for number in range(3)]
        assert pieces == [FILE[:PIECE_BYTES], FILE[PIECE_BYTES:], None]
        assert await store.workflows.record(found, Stage.USER_MODIFICATIONS, 2) is None

    async def test_workflows_are_their_owners(self, store: Store, clock: Clock) -> None:
        """Somebody else's workflow is not there; one who may see all sees it."""
        workflow = await begin(store, clock)
        name = workflow.export_workflow_id
        with pytest.raises(NotFoundError):
            await store.workflows.workflow(name, Scope("ben"))
        assert await store.workflows.workflow(name, EVERYBODY) == workflow
        page = await store.workflows.page(WorkflowFilter(), Scope("ben"), 5, None)
        assert page.workflows == ()

    async def test_one_of_two_at_once_is_refused(self, store: Store, clock: Clock) -> None:
        """Of two who record from the same state one succeeds, and the other changes nothing."""
        workflow = await begin(store, clock)
        edits = [make_edit(workflow, DATA, {"n": n}, clock.now_us) for n in range(2)]
        results = await asyncio.gather(
            *(append(store, workflow, edit, clock) for edit in edits), return_exceptions=True
        )
        failed = [one for one in results if isinstance(one, FailedPreconditionError)]
        assert [one.reason for one in failed] == ["WORKFLOW_CHANGED"]
        found = await store.workflows.workflow(workflow.export_workflow_id, EVERYBODY)
        assert found.modification_version == 1
        insights = await store.workflows.insights(WorkflowFilter(), EVERYBODY, 5)
        assert insights.figures.reviewed_count == 1

    async def test_a_taken_name_returns_what_is_there(self, store: Store, clock: Clock) -> None:
        """A workflow of a name that is taken is not stored; the stored one is returned."""
        workflow = await begin(store, clock)
        again = await begin(
            store, clock, export_workflow_id=workflow.export_workflow_id, owner="ben"
        )
        assert again == workflow

    async def test_history_is_stable_and_filtered(self, store: Store, clock: Clock) -> None:
        """Pages hold each workflow once, the latest first, while new ones are started."""
        made = []
        for number in range(5):
            clock.advance(number % 2)  # some at the same time
            made.append(await begin(store, clock, document_id=f"d{number}"))
        done = await complete(store, clock)
        seen: list[Workflow] = []
        after: PageKey | None = None
        while True:
            page = await store.workflows.page(WorkflowFilter(), Scope("rita"), 2, after)
            seen += page.workflows
            clock.advance(1)
            await begin(store, clock)
            after = page.next
            if after is None:
                break
        assert [one.export_workflow_id for one in seen] == [
            one.export_workflow_id for one in (done, *reversed(made))
        ]
        for wanted, expected in (
            (WorkflowFilter(document_id="d3"), [made[3]]),
            (WorkflowFilter(status=Status.COMPLETED), [done]),
            (WorkflowFilter(file_format="pdf", document_template="data_table"), [done]),
            (WorkflowFilter(file_format="csv"), []),
            (WorkflowFilter(create_before_us=made[1].create_time_us), [made[0]]),
            (WorkflowFilter(document_type="none"), []),
        ):
            page = await store.workflows.page(wanted, EVERYBODY, 9, None)
            assert list(page.workflows) == expected, wanted

    async def test_figures_are_those_of_ones_own(self, store: Store, clock: Clock) -> None:
        """Counts and means by day, format, template and field; one's own, or everybody's."""
        await complete(store, clock)
        clock.advance(86_400)
        await begin(store, clock)
        await complete(store, clock, owner="ben")
        own = await store.workflows.insights(WorkflowFilter(), Scope("rita"), 9)
        figures = own.figures
        counts = (figures.workflow_count, figures.completed_count, figures.reviewed_count)
        assert counts == (2, 1, 1)
        assert figures.mean_total_time_seconds == 120.0
        assert figures.mean_editing_time_seconds == 2.0
        assert figures.mean_ai_processing_accuracy == 0.75
        assert figures.mean_confidence_score == 0.5
        assert (own.formats, own.templates) == ((("pdf", 1),), (("data_table", 1),))
        assert own.fields == (("größe", 1), ("liste[]", 1))
        assert [(day, of.workflow_count) for day, of in own.days] == [
            ("2023-11-14", 1),
            ("2023-11-15", 1),
        ]
        everybody = await store.workflows.insights(WorkflowFilter(), EVERYBODY, 1)
        assert everybody.figures.workflow_count == 3
        assert everybody.fields == (("größe", 2),)
        later = WorkflowFilter(create_from_us=clock.now_us)
        assert (await store.workflows.insights(later, EVERYBODY, 9)).figures.completed_count == 1

    async def test_what_was_kept_long_enough_goes(self, store: Store, clock: Clock) -> None:
        """Records, file and figures go; the hash stays in the audit, without a name."""
        old = await complete(store, clock)
        clock.advance(30 * 86_400)
        young = await complete(store, clock, owner="ben")
        before_us = clock.now_us - 29 * DAY_US
        assert await store.workflows.due_count(before_us) == 1
        assert old.deliverable is not None
        removed = await store.workflows.remove_due(before_us)
        assert removed == Removal(1, (old.deliverable.content_hash,))
        assert await store.workflows.remove_due(before_us) == Removal(0, ())
        with pytest.raises(NotFoundError):
            await store.workflows.workflow(old.export_workflow_id, EVERYBODY)
        assert await store.workflows.record(old, Stage.INITIAL_AI_SUMMARY, 1) is None
        assert await store.workflows.piece(old, 1, 0) is None
        insights = await store.workflows.insights(WorkflowFilter(), EVERYBODY, 9)
        assert insights.figures.workflow_count == 1
        assert len(insights.days) == 1
        assert (await store.workflows.insights(WorkflowFilter(), Scope("rita"), 9)).fields == ()
        entries = await store.workflows.audit(AuditFilter(old.export_workflow_id), 9, LAST)
        assert [one.event for one in entries] == ["expired", "delivered"]
        assert {one.content_hash for one in entries} == {old.deliverable.content_hash}
        by_hash = AuditFilter(content_hash=old.deliverable.content_hash)
        found = await store.workflows.audit(by_hash, 9, LAST)
        assert {one.export_workflow_id for one in found} == {
            old.export_workflow_id,
            young.export_workflow_id,
        }
        assert len(await store.workflows.audit(by_hash, 9, found[0].key)) == len(found) - 1

    async def test_erasing_a_person_erases_their_workflows(
        self, store: Store, clock: Clock
    ) -> None:
        """Those that they own, and those that hold data of their executions, whoever owns them."""
        await store.record(make_batch(make_run("anna-s")))
        about = await begin(store, clock, ("anna-s",))
        own = await complete(store, clock, owner="anna")
        other = await complete(store, clock)
        clock.advance(1)
        await erase(store, Wanted(user_id="anna"))
        for gone in (about, own):
            with pytest.raises(NotFoundError):
                await store.workflows.workflow(gone.export_workflow_id, EVERYBODY)
        found = await store.workflows.workflow(other.export_workflow_id, EVERYBODY)
        assert found == other
        (entry, _) = await store.workflows.audit(AuditFilter(own.export_workflow_id), 9, LAST)
        assert entry.event == "erased"

    async def test_nothing_begins_with_what_is_erased(self, store: Store, clock: Clock) -> None:
        """A workflow whose execution or owner was erased while it was being made is not stored."""
        await store.record(make_batch(make_run("anna-s")))
        early = clock.now_us
        clock.advance(1)
        await erase(store, Wanted(user_id="anna"))
        with pytest.raises(NotFoundError) as raised:
            await begin(store, clock, ("anna-s",))
        assert raised.value.reason == "EXECUTION_NOT_FOUND"
        with pytest.raises(NotFoundError) as raised:
            await begin(store, clock, owner="anna", create_time_us=early)
        assert raised.value.reason == "OWNER_ERASED"
        assert (await begin(store, clock, owner="anna", create_time_us=early + 2_000_000)).key

    async def test_judgements_replace_each_other(self, store: Store, clock: Clock) -> None:
        """A deliverable has the latest judgement; one that is not there has none."""
        workflow = await complete(store, clock)
        for score in (0.25, 1.0):
            await store.workflows.rate(workflow, 1, Quality(score, "rita"))
        record = await store.workflows.record(workflow, Stage.FINAL_SUMMARY_AND_DELIVERABLE, 1)
        assert record is not None
        assert isinstance(record.content, FinalDeliverable)
        assert record.content.whole.final_output_quality == Quality(1.0, "rita")
        with pytest.raises(NotFoundError):
            await store.workflows.rate(workflow, 2, Quality(1.0, "rita"))
