"""What an answer cost: as its server told, else from the prices that the models file names."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

_MILLION = 1_000_000


@dataclass(frozen=True)
class Cost:
    """An amount of money.

    Attributes:
        amount: In units of the currency.
        currency: ISO 4217 code.
    """

    amount: float
    currency: str


class Price(BaseModel):
    """What a provider asks for a model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    currency: str = Field("USD", pattern="^[A-Z]{3}$", description="ISO 4217 code.")
    per_million_prompt_tokens: float = Field(ge=0, description="For tokens read.")
    per_million_completion_tokens: float = Field(ge=0, description="For tokens written.")

    def of(self, prompt_tokens: int | None, completion_tokens: int | None) -> Cost | None:
        """Tell what an answer of so many tokens costs; None where they were not counted."""
        if prompt_tokens is None or completion_tokens is None:
            return None
        amount = (
            prompt_tokens * self.per_million_prompt_tokens
            + completion_tokens * self.per_million_completion_tokens
        )
        return Cost(amount / _MILLION, self.currency)
