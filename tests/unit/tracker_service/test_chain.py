"""The chain of seals by itself."""

from __future__ import annotations

import hmac
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.tracker_service.builders import make_item
from tracker_service.chain import (
    ChainReport,
    ChainState,
    SealedItem,
    link_of,
    new_key,
    seal_of,
    verify_chain,
)
from tracker_service.items import ExecutionItem, MediaRef

KEY = new_key()
ITEM: ExecutionItem = make_item(
    "e",
    3,
    "output_image",
    stage_iteration=1,
    loop_iteration=2,
    content="Blume",
    media=MediaRef("media/ab/ab.png", "ab", 3, "image/png", "a.png"),
    run_duration_us=4,
)


@pytest.mark.parametrize("name", ExecutionItem._fields)
def test_every_field_is_sealed(name: str) -> None:
    """Whatever field of an item is changed, the seal does not fit any more."""
    value: Any = getattr(ITEM, name)
    others: list[Any] = [None]
    if isinstance(value, MediaRef):
        for part in value._fields:
            change: dict[str, Any] = {part: 7 if part == "size_bytes" else "y"}
            others.append(value._replace(**change))
    elif value is not None:
        others = [f"{value}x" if isinstance(value, str) else value + 1]
    for other in others:
        changed: dict[str, Any] = {name: other}
        if other != value:
            assert seal_of(KEY, ITEM._replace(**changed)) != seal_of(KEY, ITEM)


def test_seals_are_an_hmac_of_a_json_array() -> None:
    """Whoever has the key can recompute a seal with other tools, today and in ten years."""
    sealed = (
        '[1,"0190f1c2-7a11-7000-8000-000000000001","e",1,2,3,4,null,1,"image","output_image",'
        '"Blüme \\u0001\\"",["u","ab",3,"image/png",""],"c","m","b","j",5,"{\\"a\\":1}",false]'
    )
    item = ExecutionItem._make(
        (
            *("0190f1c2-7a11-7000-8000-000000000001", "e", 1, 2, 3, 4, None, 1),
            *("image", "output_image", 'Blüme \u0001"', MediaRef("u", "ab", 3, "image/png", "")),
            *("c", "m", "b", "j", 5, '{"a":1}', False),
        )
    )
    assert seal_of(KEY, item) == hmac.digest(KEY, sealed.encode(), "sha256")


def test_seals_of_another_execution_tell_nothing() -> None:
    """The same item has another seal under another key, so seals cannot be compared or guessed."""
    assert seal_of(KEY, ITEM) != seal_of(new_key(), ITEM)


def chain_of(count: int) -> tuple[ChainReport, list[SealedItem]]:
    """Make a chain and what its row says."""
    items: list[SealedItem] = []
    head = b""
    for position in range(1, count + 1):
        item = make_item("e", position)
        seal = seal_of(KEY, item)
        head = link_of(head, position, item.item_id, seal)
        items.append(SealedItem(position, seal, item))
    return ChainReport("e", ChainState.VALID, 0, count, 0, False, head), items


@given(st.integers(2, 12), st.data())
def test_every_tampering_is_seen(count: int, data: st.DataObject) -> None:
    """Changed, swapped, removed and cut-off items and foreign heads are all noticed."""
    report, items = chain_of(count)
    assert verify_chain(report, KEY, items).state is ChainState.VALID
    index = data.draw(st.integers(0, count - 1))
    one = items[index]
    changed = replace(one, item=one.item._replace(content="anders"))
    resealed = replace(changed, seal=seal_of(KEY, changed.item))
    removed = [*items[:index], *items[index + 1 :]]
    for tampered, state in (
        ([*items[:index], changed, *items[index + 1 :]], ChainState.ITEM_CHANGED),
        ([*items[:index], resealed, *items[index + 1 :]], ChainState.HEAD_MISMATCH),
        (removed, ChainState.ITEM_MISSING),
        (items[:index], ChainState.ITEM_MISSING),
    ):
        found = verify_chain(report, KEY, tampered)
        assert found.state is state
        if state is not ChainState.HEAD_MISMATCH:
            assert found.position == index + 1
    foreign = replace(report, head=b"x" * 32)
    assert verify_chain(foreign, KEY, items).state is ChainState.HEAD_MISMATCH


def test_erased_chain_is_recomputed_from_ids_and_seals() -> None:
    """Without key and content the chain still shows whether an item was taken out or put in."""
    report, items = chain_of(5)
    erased = [replace(one, item=make_item("e", 0, item_id=one.item.item_id)) for one in items]
    report = replace(report, erased=True)
    assert verify_chain(report, b"", erased).state is ChainState.VALID
    swapped = [erased[1], erased[0], *erased[2:]]
    renumbered = [replace(one, position=n) for n, one in enumerate(swapped, 1)]
    assert verify_chain(report, b"", renumbered).state is ChainState.HEAD_MISMATCH
