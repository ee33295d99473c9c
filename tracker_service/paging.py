"""Pages of lists on the wire: their size, and the tokens that lead from one to the next."""

from __future__ import annotations

from typing import Final

from servicekit.errors import InvalidArgumentError
from tracker_service.store.interface import PageKey
from tracker_service.tokens import decode_token, encode_token

DEFAULT_PAGE_SIZE: Final = 50
MAX_PAGE_SIZE: Final = 1000


def page_size(asked: int) -> int:
    """Return how many entries a page holds.

    Raises:
        InvalidArgumentError: PAGE_SIZE_INVALID.
    """
    if not 0 <= asked <= MAX_PAGE_SIZE:
        raise InvalidArgumentError(
            "PAGE_SIZE_INVALID", "Ask for 1 to 1 000 entries, or 0 for 50.", field="page_size"
        )
    return asked or DEFAULT_PAGE_SIZE


def page_key(token: str, wanted: object) -> PageKey | None:
    """Return where a page begins; None: at the beginning.

    Args:
        token: As a caller sent it.
        wanted: The filter, to which the token is bound.

    Raises:
        InvalidArgumentError: PAGE_TOKEN_INVALID.
    """
    if not token:
        return None
    try:
        return PageKey(*decode_token("page", wanted, token, 2))
    except ValueError as exc:
        raise token_invalid() from exc


def page_token(key: PageKey | None, wanted: object) -> str:
    """Return the token of the next page; empty: there is none."""
    return "" if key is None else encode_token("page", wanted, key.start_time_us, key.key)


def token_invalid() -> InvalidArgumentError:
    """Return the error for a token that cannot be used."""
    return InvalidArgumentError(
        "PAGE_TOKEN_INVALID",
        "Send a token as it was received, with the same filters.",
        field="page_token",
    )
