"""A school's login service: a real HTTP server with keys that can be renewed, and tokens of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

if TYPE_CHECKING:
    from types import TracebackType

AUDIENCE = "stellwerk"


class IdentityProvider:
    """Answers where its keys are, and which; signs tokens.

    Attributes:
        fault: HTTP status to answer with instead; 0: none.
        asked_count: How often somebody asked for the keys.
    """

    def __init__(self) -> None:
        """Have one RSA key."""
        self.fault = 0
        self.asked_count = 0
        self._keys: dict[str, Any] = {}
        self._runner: web.AppRunner | None = None
        self.issuer = ""
        self.renew("first")

    async def __aenter__(self) -> IdentityProvider:
        app = web.Application()
        app.router.add_get("/school/.well-known/openid-configuration", self._configuration)
        app.router.add_get("/school/keys", self._answer_keys)
        app.router.add_get("/moved", self._moved)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.issuer = f"http://{host}:{port}/school"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def renew(self, key_id: str) -> None:
        """Sign with a new RSA key from now on, and forget the others."""
        self._keys = {key_id: rsa.generate_private_key(public_exponent=65537, key_size=2048)}

    def add_elliptic(self, key_id: str) -> None:
        """Have an elliptic key as well."""
        self._keys[key_id] = ec.generate_private_key(ec.SECP256R1())

    def public_key(self, key_id: str) -> Any:
        """Return what everybody may know of a key."""
        return self._keys[key_id].public_key()

    def token(self, *, key_id: str = "", algorithm: str = "RS256", **claims: Any) -> str:
        """Sign a token for Lea, a learner; a claim of None is left out."""
        key_id = key_id or next(iter(self._keys))
        now = int(time.time())
        said = {
            "iss": self.issuer,
            "aud": AUDIENCE,
            "sub": "lea@school.example",
            "iat": now,
            "exp": now + 300,
            "stellwerk_role": "learner",
            **claims,
        }
        content = {name: value for name, value in said.items() if value is not None}
        return jwt.encode(content, self._keys[key_id], algorithm, headers={"kid": key_id})

    async def _configuration(self, _: web.Request) -> web.Response:
        if self.fault:
            return web.Response(status=self.fault)
        return web.json_response({"issuer": self.issuer, "jwks_uri": f"{self.issuer}/keys"})

    async def _answer_keys(self, _: web.Request) -> web.Response:
        self.asked_count += 1
        if self.fault:
            return web.Response(status=self.fault)
        return web.json_response({"keys": [_public(name, key) for name, key in self._keys.items()]})

    async def _moved(self, _: web.Request) -> web.Response:
        raise web.HTTPFound(f"{self.issuer}/keys")


def _public(name: str, key: Any) -> dict[str, Any]:
    kind = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
    return {**kind.to_jwk(key.public_key(), as_dict=True), "kid": name, "use": "sig"}
