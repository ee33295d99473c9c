"""Items that nobody should send, as hypothesis draws them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from tests.integration.tracker import Item, make_item
from tracker_service.taxonomy import RULES

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn

INT32 = st.sampled_from([0, 1, 2, 3, 4, 5, -1, 2**31 - 1, -(2**31)]) | st.integers(-2, 7)
INT64 = st.sampled_from([0, 1, 2, -1, 2**53, 2**53 + 1, 2**63 - 1, -(2**63)]) | st.integers(0, 9)
TEXT = st.text(st.characters(codec="utf-8"), max_size=70)
IDS = st.sampled_from(["e1", "e2", "e3", ""]) | TEXT
METADATA = st.binary(max_size=30) | st.sampled_from(
    [
        *(b"", b"{}", b"[]", b'{"withheld":true}', b'{"outputs_generated":-1}', b'{"a":1e999}'),
        *(b'{"user_id":7,"config_name":[],"error_type":{}}', b'{"outputs_generated":1e3}'),
        *(b'{"\\u0000":"\\u0000"}', b"[" * 400, b'{"config_name":"../../x","user_id":"u"}'),
    ]
)


@st.composite
def mutated_items(draw: DrawFn) -> Item:
    """Draw an item most of whose fields make sense."""
    item = make_item(
        draw(st.sampled_from(["e1", "e2", "e3"])),
        draw(st.integers(1, 12)),
        draw(st.sampled_from(sorted(RULES))),
        stage=draw(st.integers(0, 5)),
        metadata_json=draw(METADATA),
    )
    fields: dict[str, st.SearchStrategy[Any]] = {
        "item_id": IDS,
        "execution_id": IDS,
        "epoch": INT32,
        "sequence_number": INT64,
        "stage": INT32,
        "stage_iteration": INT32,
        "loop_iteration": INT32,
        "media_type": INT32,
        "item_type": TEXT,
        "content": TEXT,
        "config_used": TEXT,
        "model_used": TEXT,
    }
    for name in draw(st.sets(st.sampled_from(sorted(fields)), max_size=4)):
        setattr(item, name, draw(fields[name]))
    if draw(st.booleans()):
        item.occur_time.seconds, item.occur_time.nanos = draw(INT64), draw(INT32)
        item.run_duration.seconds, item.run_duration.nanos = draw(INT64), draw(INT32)
        item.media.uri, item.media.sha256, item.media.size_bytes = (
            draw(IDS),
            draw(TEXT),
            draw(INT64),
        )
    return item
