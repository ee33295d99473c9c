"""What every store must tell about many executions: search, statistics, sessions, patterns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.tracker_service.builders import SECOND_US, make_batch, make_item, make_start
from tests.unit.tracker_service.store_tests import StoreTests
from tracker_service.access import EVERYTHING, Audience
from tracker_service.erasure import Wanted
from tracker_service.insights import Counted, Dimension, PromptChanges, Session
from tracker_service.search import query_words
from tracker_service.store.interface import ExecutionFilter

if TYPE_CHECKING:
    from tracker_service.items import ExecutionItem
    from tracker_service.store.interface import PageKey, Store

DAY = 86_400


def run_of(
    name: str, *, text: str = "Eine Blume", at: int = 0, **facts: Any
) -> list[ExecutionItem]:
    """Make a run of four items that begins `at` seconds and takes as long as its number says."""
    model = facts.pop("model", "ollama/gemma")
    seconds = facts.pop("seconds", 10)
    end = facts.pop("end", "pipeline_complete")
    blocked = facts.pop("blocked", None)
    metadata = {} if blocked is None else {"categories": blocked}
    middle = "stage1_blocked" if blocked else "interception_iteration"
    stage = 1 if blocked else 2
    plain = [
        make_start(name, **facts),
        make_item(name, 2, "user_input_text", stage=1, content=text),
        make_item(
            name, 3, middle, stage=stage, stage_iteration=1, model_used=model, metadata=metadata
        ),
        make_item(name, 4, end, stage=5, metadata={"outputs_generated": 2}),
    ]
    times = [at, at, at, at + seconds]
    return [
        item._replace(occur_time_us=time * SECOND_US)
        for item, time in zip(plain, times, strict=True)
    ]


async def filled(store: Store, *runs: list[ExecutionItem]) -> None:
    """Store runs and have them prepared for being found."""
    for run in runs:
        await store.record(make_batch(run))
    while await store.insights.index_changed(2):
        pass


async def names(store: Store, audience: Audience = EVERYTHING, **wanted: Any) -> list[str]:
    """Return the executions that match, over pages of two."""
    found: list[str] = []
    after: PageKey | None = None
    while True:
        page = await store.page(ExecutionFilter(**wanted), audience, 2, after)
        found += [one.execution_id for one in page.executions]
        after = page.next
        if after is None:
            return found


class InsightContract(StoreTests):
    """Tests of the behaviour that does not depend on the database."""

    async def test_executions_are_found_by_what_they_are(self, store: Store) -> None:
        """Person, level, model and item type choose executions, in either order."""
        await filled(
            store,
            *(run_of(f"a{n}", at=n, user_id="anna", safety_level="kids") for n in range(4)),
            run_of("b", at=9, user_id="berta", safety_level="adult", model="openai/x"),
            run_of("c", at=5, blocked=["violence"], end="pipeline_blocked"),
        )
        assert await names(store, user_id="berta") == ["b"]
        assert await names(store, safety_level="adult") == ["b"]
        assert await names(store, model="openai/x") == ["b"]
        assert await names(store, item_type="stage1_blocked") == ["c"]
        assert await names(store, model="ollama/gemma") == ["c", "a3", "a2", "a1", "a0"]
        both: dict[str, Any] = {"model": "ollama/gemma", "item_type": "interception_iteration"}
        assert await names(store, **both) == ["a3", "a2", "a1", "a0"]
        assert await names(store, **both, oldest_first=True) == ["a0", "a1", "a2", "a3"]
        assert await names(store, oldest_first=True) == ["a0", "a1", "a2", "a3", "c", "b"]
        assert await names(store, model="none") == []
        foreign = Audience(False, session_id="elsewhere")
        assert await names(store, foreign, model="ollama/gemma") == []

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ("blume", ["both", "flower"]),
            ("BLUME rot", ["both"]),
            ("rot", ["both", "red"]),
            ("blu", ["umlaut", "both", "flower"]),
            ("apfel", []),
            ("bluten", ["umlaut"]),
            ("Blüten", ["umlaut"]),
            ("Blütentraum", ["umlaut"]),
            ("東京", ["script"]),
            ("꽃", ["script"]),
            ("फूल", ["script"]),
            ("it's", ["script"]),
        ],
    )
    async def test_texts_are_found_by_their_words(
        self, store: Store, query: str, found: list[str]
    ) -> None:
        """All words of a query must be there, by their beginnings, in every script and case."""
        await filled(
            store,
            run_of("flower", text="Eine Blume.", at=1),
            run_of("red", text="Rotes_Haus", at=2),
            run_of("both", text="Die rote Blume", at=3),
            run_of("umlaut", text="Blütenträume", at=4),
            run_of("script", text="夏の東京 꽃이 예쁘다 फूल it's 🌸", at=5),
        )
        assert await names(store, words=query_words(query)) == found

    async def test_withheld_and_erased_texts_are_not_found(self, store: Store) -> None:
        """What a person may not read, and what was erased, cannot be found either."""
        items = run_of("e", text="Apfel")
        hidden = make_item(
            "e", 9, "interception_final", stage=2, content="Birne", metadata={"withheld": True}
        )
        await filled(store, [items[0], items[1], hidden], run_of("f", text="Kirsche"))
        await filled(store, [make_item("e", 10, "pipeline_complete", stage=5)])
        assert await names(store, words=("apfel",)) == ["e"]
        assert await names(store, words=("birne",)) == []
        await store.erasures.begin("r", Wanted(execution_ids=("e",)))
        assert await store.erasures.erase_next(await store.erasures.get("r"))
        while await store.insights.index_changed(2):
            pass
        assert await names(store, words=("apfel",)) == []
        assert await names(store, item_type="user_input_text") == ["f"]

    async def test_statistics_are_counted_by_the_database(self, store: Store) -> None:
        """Counts, states, blocks, durations, outputs and iterations, in total and split."""
        await filled(
            store,
            *(run_of(f"a{n}", seconds=n, at=n) for n in range(1, 21)),
            run_of("b", at=DAY, config_name="bauhaus", model="openai/x"),
            run_of("c", at=DAY, blocked=["hate", "sex"], end="pipeline_blocked"),
        )
        (total,) = await store.insights.statistics(ExecutionFilter(), EVERYTHING, ())
        assert (total.execution_count, total.output_count, total.iteration_count) == (22, 44, 21)
        assert total.states == {"completed": 21, "blocked": 1}
        assert total.blocks == {"hate": 1, "sex": 1}
        assert (total.day, total.config_name, total.model, total.level) == (None,) * 4
        dada = ExecutionFilter(config_name="dada", start_before_us=DAY * SECOND_US)
        (row,) = await store.insights.statistics(dada, EVERYTHING, [Dimension.CONFIG])
        assert row.duration_p50_us == 10 * SECOND_US
        assert row.duration_p95_us == 19 * SECOND_US
        split = await store.insights.statistics(
            ExecutionFilter(), EVERYTHING, [Dimension.DAY, Dimension.MODEL]
        )
        assert [(row.day, row.model, row.execution_count) for row in split] == [
            (0, "ollama/gemma", 20),
            (1, "ollama/gemma", 1),
            (1, "openai/x", 1),
        ]
        assert [row.duration_p50_us is None for row in split] == [False, True, False]
        assert split[1].blocks == {"hate": 1, "sex": 1}
        foreign = Audience(False, session_id="elsewhere")
        assert await store.insights.statistics(ExecutionFilter(), foreign, ()) == []

    async def test_sessions_are_listed_by_their_latest_execution(self, store: Store) -> None:
        """Each session appears once, with its counts; pages go on where the last one ended."""
        for n in range(12):
            await filled(store, run_of(f"e{n}", at=n, session_id=f"s{n % 5}", user_id=f"u{n % 2}"))
        seen: list[Session] = []
        after = None
        while True:
            page = await store.insights.sessions(ExecutionFilter(), EVERYTHING, 2, after)
            seen += page.sessions
            after = page.next
            if after is None:
                break
        assert [one.session_id for one in seen] == ["s1", "s0", "s4", "s3", "s2"]
        latest = seen[0]
        assert (latest.execution_count, latest.user_count) == (3, 2)
        assert (latest.first_start_us, latest.last_start_us) == (1 * SECOND_US, 11 * SECOND_US)
        assert latest.states == {"completed": 3}

    async def test_names_are_listed_once(self, store: Store) -> None:
        """People and sessions are known by name, each once, until they are erased."""
        people = (("a", "anna"), ("b", "anna"), ("c", "berta"))
        runs = [run_of(name, user_id=user, session_id=f"s-{user}") for name, user in people]
        await filled(store, *runs)
        assert sorted(await store.insights.names("user")) == ["anna", "berta"]
        assert sorted(await store.insights.names("session")) == ["s-anna", "s-berta"]

    async def test_use_of_configs_is_counted(self, store: Store) -> None:
        """Configs by use, with sessions and completed runs."""
        await filled(
            store,
            *(run_of(f"a{n}", at=n, session_id=f"s{n % 2}") for n in range(3)),
            run_of("b", at=9, config_name="bauhaus", end="pipeline_cancelled"),
        )
        usage = await store.insights.config_usage(ExecutionFilter(), EVERYTHING)
        assert [
            (one.config_name, one.execution_count, one.session_count, one.completed_count)
            for one in usage
        ] == [("dada", 3, 2, 3), ("bauhaus", 1, 1, 0)]
        assert usage[1].last_start_us == 9 * SECOND_US

    async def test_patterns_show_how_people_work(self, store: Store) -> None:
        """Inputs compared with the next of their session, configs in a row, what was abandoned."""
        await filled(
            store,
            run_of("a", text="rote Blume", at=1, session_id="s"),
            run_of("b", text="rote Blume", at=2, session_id="s"),
            run_of("c", text="rote Tulpe im Wind", at=3, session_id="s", config_name="bauhaus"),
            run_of("d", text="anders", at=4, session_id="t", end="pipeline_cancelled"),
        )
        patterns = await store.insights.patterns(ExecutionFilter(), EVERYTHING)
        assert patterns.prompt_changes == PromptChanges(2, 1, 1, 0, 0.75)
        assert list(patterns.next_configs) == [
            Counted("dada", "bauhaus", 1),
            Counted("dada", "dada", 1),
        ]
        assert list(patterns.abandoned) == [Counted("cancelled", "2", 1)]
