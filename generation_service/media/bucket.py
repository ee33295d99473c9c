"""An S3-compatible bucket, as an operator names it; known without the library that speaks to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import SecretStr


@dataclass(frozen=True)
class Bucket:
    """Where the files are.

    Attributes:
        name: Of the bucket, which must be there.
        endpoint: Address of the server, `https://…`; empty: AWS itself.
        region: Empty: the environment's, else `us-east-1`.
        access_key_id: None: from the environment, such as a role of the machine.
        secret_access_key: None: from the environment.
        prefix: Put before every key; empty: nothing.
    """

    name: str
    endpoint: str = ""
    region: str = ""
    access_key_id: SecretStr | None = None
    secret_access_key: SecretStr | None = None
    prefix: str = ""
