"""Records as clients read them, once the tracker has them whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stellwerk_client.errors import StellwerkError
from stellwerk_client.record_json import record_json
from tests.e2e.deployment import assert_well_formed
from tests.support import eventually

if TYPE_CHECKING:
    from stellwerk_client.client import StellwerkClient
    from tests.e2e.deployment import Json


async def record_of(client: StellwerkClient, execution_id: str) -> Json:
    """Return a record once it is complete and well formed.

    No run waits for its recorder, so on a busy machine it can end before the tracker knows it.
    """

    async def complete() -> Json | None:
        try:
            record = record_json(await client.get_record(execution_id))
        except StellwerkError as exc:
            assert exc.reason == "EXECUTION_NOT_FOUND"
            return None
        return record if record["complete"] else None

    record = await eventually(complete, within_seconds=60)
    assert record is not None
    assert_well_formed(record)
    return record
