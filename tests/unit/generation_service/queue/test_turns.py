"""Fair turns: the property that a classroom relies on."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from generation_service.queue.turns import Past, Turns

JOBS = st.lists(st.integers(0, 5), max_size=60)


def fill(sessions: list[int]) -> Turns[tuple[str, int]]:
    """Turns in which each entry is a session's name and a running number."""
    turns: Turns[tuple[str, int]] = Turns()
    for number, session in enumerate(sessions):
        turns.put(str(session), (str(session), number))
    return turns


@given(JOBS)
def test_sessions_that_wait_are_served_in_equal_turns(sessions: list[int]) -> None:
    """While two sessions both wait, neither has had two turns more than the other."""
    turns = fill(sessions)
    left = Counter(str(session) for session in sessions)
    served: Counter[str] = Counter()
    while (entry := turns.take()) is not None:
        served[entry[0]] += 1
        left[entry[0]] -= 1
        waiting = [served[name] for name in left if left[name] > 0]
        assert not waiting or max(waiting) - min(waiting) <= 1


@given(JOBS)
def test_within_a_session_the_first_to_come_is_the_first_served(sessions: list[int]) -> None:
    """Nobody's own jobs overtake each other, and none is lost."""
    turns = fill(sessions)
    taken = [turns.take() for _ in sessions]
    assert turns.take() is None
    for session in set(sessions):
        numbers = [entry[1] for entry in taken if entry and entry[0] == str(session)]
        assert numbers == [n for n, s in enumerate(sessions) if s == session]


@given(JOBS, st.integers(0, 20))
def test_the_order_that_is_announced_is_the_order_that_comes(
    sessions: list[int], taken: int
) -> None:
    """A position is a promise, as long as nobody new comes."""
    turns = fill(sessions)
    for _ in range(min(taken, len(sessions))):
        turns.take()
    announced = turns.order()
    assert announced == [turns.take() for _ in announced]
    assert len(turns) == 0


def test_a_newcomer_does_not_wait_behind_one_who_submitted_much() -> None:
    """After twenty jobs of one child, another child's first job is next but one at most."""
    turns = fill([0] * 20)
    turns.take()
    turns.put("1", ("1", 99))
    assert ("1", 99) in (turns.take(), turns.take())


def test_a_stream_of_newcomers_starves_nobody() -> None:
    """Who has had a turn is served again, however many new sessions come."""
    turns: Turns[str] = Turns()
    turns.put("old", "first")
    turns.take()
    turns.put("old", "second")
    served = []
    for number in range(20):
        turns.put(f"new {number}", f"new {number}")
        served.append(turns.take())
    assert "second" in served


def test_coming_back_saves_no_turns() -> None:
    """A session that was away gets no burst of turns when it returns."""
    turns = fill([0] * 12)
    for _ in range(6):
        turns.take()
    for number in range(6):
        turns.put("1", ("1", number))
    first_six = [turns.take() for _ in range(6)]
    assert sum(entry is not None and entry[0] == "1" for entry in first_six) in (3, 4)


def test_priority_gives_more_turns() -> None:
    """With priority 1, a session has two turns for each of the others'."""
    turns: Turns[str] = Turns()
    for _ in range(9):
        turns.put("teacher", "t", priority=1)
        turns.put("child", "c")
    assert Counter(turns.take() for _ in range(9)) == {"t": 6, "c": 3}


def test_an_entry_can_be_taken_out_of_the_middle() -> None:
    """A cancelled job leaves the line, the others keep their places."""
    turns: Turns[str] = Turns()
    entries = [f"job {n}" for n in range(3)]
    for entry in entries:
        turns.put("s", entry)
    assert turns.remove("s", entries[1])
    assert not turns.remove("s", entries[1])
    assert not turns.remove("nobody", entries[0])
    assert turns.order() == [entries[0], entries[2]]


@given(JOBS, st.sets(st.integers(0, 59)))
def test_a_preference_costs_nobody_more_than_a_turn(sessions: list[int], warm: set[int]) -> None:
    """Whatever a worker prefers: while two wait, neither has had three turns more."""
    turns = fill(sessions)
    left = Counter(str(session) for session in sessions)
    served: Counter[str] = Counter()
    while (turn := turns.find(prefers=lambda entry: entry[1] in warm)) is not None:
        turns.grant(turn)
        served[turn.key] += 1
        left[turn.key] -= 1
        waiting = [served[name] for name in left if left[name] > 0]
        assert not waiting or max(waiting) - min(waiting) <= 2
    assert not +left


@given(JOBS, st.sets(st.integers(0, 59)))
def test_who_cannot_do_a_job_leaves_it_in_its_place(sessions: list[int], able: set[int]) -> None:
    """A worker gets all that it can do, in turn, and the order of the rest stays."""
    turns = fill(sessions)
    while (turn := turns.find(fits=lambda entry: entry[1] in able)) is not None:
        assert turn.entry[1] in able
        turns.grant(turn)
    rest = [number for _, number in turns.order()]
    assert sorted(rest) == [n for n in range(len(sessions)) if n not in able]
    for session in set(sessions):
        own = [n for n in rest if sessions[n] == session]
        assert own == sorted(own)


def test_replayed_turns_leave_everybody_the_claim_that_they_had() -> None:
    """Who had more turns before a restart has to wait for the others after it."""
    before = [Past("greedy", f"g{n}", 0, n, 10 + n) for n in range(3)]
    before += [Past("greedy", f"g{n}", 0, n, 0) for n in range(3, 6)]
    before += [Past("late", f"l{n}", 0, 9 + n / 10, 0) for n in range(3)]
    turns: Turns[str] = Turns()
    turns.replay(before)
    assert [turns.take() for _ in range(len(turns))] == ["l0", "l1", "l2", "g3", "g4", "g5"]
