"""What a researcher searches by: a form whose fields stay in it, and what it asks the tracker.

The form is always posted: words of people belong in no address.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from gateway.exports import export_format
from servicekit.errors import FailedPreconditionError, InvalidArgumentError
from stellwerk.common.v1.types_pb2 import SafetyLevel
from stellwerk.tracker.v1 import export_service_pb2 as export_pb
from stellwerk.tracker.v1 import export_workflow_service_pb2 as workflow_pb
from stellwerk.tracker.v1 import tracker_service_pb2 as pb
from stellwerk.tracker.v1.execution_pb2 import ExecutionState

if TYPE_CHECKING:
    from starlette.datastructures import FormData

    from gateway.neighbours import Neighbours

STATES = (
    "running",
    "awaiting_edit",
    "completed",
    "blocked",
    "failed",
    "cancelled",
    "interrupted",
)
LEVELS = ("kids", "youth", "adult", "off")
PAGE_ROWS = 50
MOST_IDS = 10_000
_BATCH = 1000


class Facets(BaseModel):
    """Filters of a search; what is empty does not filter. Days are in UTC and included."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    config_name: str = Field("", max_length=128)
    user_id: str = Field("", max_length=64)
    session_id: str = Field("", max_length=64)
    states: tuple[str, ...] = ()
    level: str = ""
    first_day: date | None = Field(None, ge=date(1970, 1, 1), le=date(2999, 12, 31))
    last_day: date | None = Field(None, ge=date(1970, 1, 1), le=date(2999, 12, 31))
    model_used: str = Field("", max_length=200)
    item_type: str = Field("", max_length=64)
    words: str = Field("", max_length=200)

    @field_validator("first_day", "last_day", mode="before")
    @classmethod
    def _unset(cls, value: Any) -> Any:
        return value or None

    @field_validator("states")
    @classmethod
    def _known_states(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(state for state in STATES if state in value)

    @field_validator("level")
    @classmethod
    def _known_level(cls, value: str) -> str:
        return value if value in LEVELS else ""

    @classmethod
    def of(cls, form: FormData) -> Self:
        """Read a form.

        Raises:
            InvalidArgumentError: As `read` does.
        """
        fields: dict[str, Any] = {
            name: text.strip() for name, text in form.items() if isinstance(text, str)
        }
        fields["states"] = [text for text in form.getlist("states") if isinstance(text, str)]
        return cls.read(fields)

    @classmethod
    def read(cls, fields: dict[str, Any]) -> Self:
        """Read fields.

        Raises:
            InvalidArgumentError: FILTER_INVALID: a day is none, or a text is too long.
        """
        try:
            return cls.model_validate(fields)
        except ValidationError as exc:
            field = str(exc.errors()[0]["loc"][0])
            raise InvalidArgumentError(
                "FILTER_INVALID", "A day does not exist, or a text is too long.", field=field
            ) from None

    @property
    def hidden_fields(self) -> list[tuple[str, str]]:
        """Names and values with which another form carries the filters on."""
        plain = self.model_dump(exclude={"states"}, exclude_none=True)
        fields = [(name, str(value)) for name, value in plain.items() if value]
        return fields + [("states", state) for state in self.states]

    @property
    def is_narrow(self) -> bool:
        """Whether an export cannot filter by all of it itself."""
        return bool(self.level or self.model_used or self.item_type or self.words)

    def list_request(self, page_token: str, page_size: int) -> pb.ListExecutionsRequest:
        """Return what a page of the list is asked by."""
        return pb.ListExecutionsRequest(
            **self._shared(),
            safety_level=SafetyLevel.Value(f"SAFETY_LEVEL_{(self.level or 'unspecified').upper()}"),
            model_used=self.model_used,
            item_type=self.item_type,
            text=self.words,
            page_token=page_token,
            page_size=page_size,
        )

    async def export_request(
        self, services: Neighbours, form: str, **options: Any
    ) -> export_pb.ExportExecutionsRequest:
        """Return what an export of just these executions is asked by.

        Args:
            services: For the ids, where the export cannot filter by itself.
            form: The format.
            options: `pseudonymise`, `drop_media`, `drop_text`.

        Raises:
            FailedPreconditionError: NOTHING_FOUND or TOO_MANY_FOUND.
        """
        request = export_pb.ExportExecutionsRequest(
            **self._shared(), **options, format=export_format(form)
        )
        if self.is_narrow:
            request.execution_ids.extend(await self._ids(services))
        return request

    async def selection(self, services: Neighbours) -> workflow_pb.ExecutionSelection:
        """Return these executions as an export workflow takes them.

        Raises:
            FailedPreconditionError: NOTHING_FOUND or TOO_MANY_FOUND.
        """
        selection = workflow_pb.ExecutionSelection(**self._shared())
        if self.is_narrow:
            selection.execution_ids.extend(await self._ids(services))
        return selection

    async def _ids(self, services: Neighbours) -> list[str]:
        ids: list[str] = []
        token = ""
        while len(ids) <= MOST_IDS:
            page = await services.tracker.ListExecutions(self.list_request(token, _BATCH))
            ids.extend(each.execution_id for each in page.executions)
            token = page.next_page_token
            if not token:
                break
        if len(ids) > MOST_IDS:
            raise FailedPreconditionError(
                "TOO_MANY_FOUND", "Over 10 000 executions match; narrow the search."
            )
        if not ids:
            raise FailedPreconditionError("NOTHING_FOUND", "No execution matches.")
        return ids

    def _shared(self) -> dict[str, Any]:
        return {
            "config_name": self.config_name,
            "user_id": self.user_id,
            "session_id": self.session_id,
            "states": [ExecutionState.Value(f"EXECUTION_STATE_{s.upper()}") for s in self.states],
            "start_time_from": day_begin(self.first_day),
            "start_time_before": day_begin(self.last_day, 1),
        }


def day_begin(day: date | None, later: int = 0) -> Timestamp | None:
    """Return when a day begins in UTC, or one some days later; None for none."""
    if day is None:
        return None
    timestamp = Timestamp()
    timestamp.FromDatetime(datetime.combine(day, datetime.min.time(), UTC) + timedelta(days=later))
    return timestamp
