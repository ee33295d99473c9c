"""Page tokens and cursors."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker_service.tokens import decode_token, encode_token

PLACE = st.integers(-(2**63), 2**63 - 1)


@given(PLACE, PLACE)
def test_token_reads_back(first: int, second: int) -> None:
    """A token gives back its place, for the same use and filters only."""
    token = encode_token("page", ("dada",), first, second)
    assert decode_token("page", ("dada",), token, 2) == (first, second)
    for kind, scope, count in (
        ("export", ("dada",), 2),
        ("page", ("bauhaus",), 2),
        ("page", ("dada",), 3),
    ):
        with pytest.raises(ValueError, match=r"token|else"):
            decode_token(kind, scope, token, count)


@given(st.text(max_size=80))
def test_anything_else_is_refused(token: str) -> None:
    """Text that is no token raises nothing but ValueError."""
    with pytest.raises(ValueError, match=r"."):
        decode_token("page", None, token, 2)
