"""The pseudonym that a browser is offered at its first visit, and keeps once it makes something.

A first visit may be several requests at once, such as the tabs of yesterday. Each is answered with
an offer of its own in a cookie of its own, and the browser keeps the last. What is made is made
under the offer that came with the request; from then on it is the browser's, and an answer that
comes late can only change the offer.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from itsdangerous import BadSignature, Signer
from starlette.requests import HTTPConnection

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "stellwerk-offer"
_KEY = "stellwerk.offer"
_TOKEN = re.compile("[0-9a-f]{32}")


@dataclass
class Offer:
    """What a browser may be called.

    Attributes:
        token: 32 hexadecimal digits.
        is_new: Whether the browser does not have it yet.
        is_used: Whether somebody asked for it: then the browser gets it.
    """

    token: str
    is_new: bool
    is_used: bool = False


def offered(scope: Scope) -> str:
    """Return the token of this browser; from now on it has it."""
    offer: Offer = scope[_KEY]
    offer.is_used = True
    return offer.token


def has_offer(scope: Scope) -> bool:
    """Tell whether a browser came with what it was offered."""
    offer: Offer = scope[_KEY]
    return not offer.is_new


class Pseudonyms:
    """Reads and gives offers, in a signed cookie that lasts as long as the browser is open."""

    def __init__(self, app: ASGIApp, secret: str, *, https_only: bool) -> None:
        """Wrap an app.

        Args:
            app: What is behind.
            secret: Signs the cookie.
            https_only: Whether it is sent over HTTPS only.
        """
        self._app = app
        self._signer = Signer(secret, salt=COOKIE)
        self._flags = "; Path=/; HttpOnly; SameSite=Lax" + ("; Secure" if https_only else "")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        known = self._known(HTTPConnection(scope).cookies.get(COOKIE, ""))
        offer = Offer(known or secrets.token_hex(16), is_new=not known)
        scope[_KEY] = offer

        async def with_offer(message: Message) -> None:
            if message["type"] == "http.response.start" and offer.is_new and offer.is_used:
                value = self._signer.sign(offer.token).decode()
                cookie = f"{COOKIE}={value}{self._flags}".encode()
                message["headers"] = [*message["headers"], (b"set-cookie", cookie)]
            await send(message)

        await self._app(scope, receive, with_offer)

    def _known(self, value: str) -> str:
        """The token in a cookie; empty: there is none that we gave out."""
        try:
            token = self._signer.unsign(value).decode()
        except BadSignature:
            return ""
        return token if _TOKEN.fullmatch(token) else ""
