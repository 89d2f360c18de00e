"""What language models cost. Whose price is not listed costs nothing in the accounts, and they say so."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from antiphon.config.values import Part

_MILLION = 1_000_000


class PriceSettings(Part):
    """The price of one model, per million tokens, in the currency you count in."""

    model: str = Field(
        min_length=1,
        max_length=200,
        description="The model's name as its provider answers it, with or without provider:. Longer names that begin "
        "with it count too, so gpt-4o-mini is also gpt-4o-mini-2024-07-18.",
    )
    input: float = Field(ge=0, le=1_000_000, description="Price of a million input tokens.")
    output: float = Field(ge=0, le=1_000_000, description="Price of a million output tokens.")


def price_of(prices: Sequence[PriceSettings], model: str) -> PriceSettings | None:
    """The price that fits the model's name best, or None."""
    name = model.rpartition(":")[2] if model.count(":") == 1 else model
    fits = [(len(known), price) for price in prices for known in _names(price) if _fits(known, model, name)]
    return max(fits, key=lambda fit: fit[0])[1] if fits else None


def cost_of(price: PriceSettings, input_tokens: int, output_tokens: int) -> float:
    """What so many tokens cost."""
    return (input_tokens * price.input + output_tokens * price.output) / _MILLION


def _names(price: PriceSettings) -> tuple[str, ...]:
    bare = price.model.partition(":")[2]
    return (price.model, bare) if bare else (price.model,)


def _fits(known: str, model: str, name: str) -> bool:
    """The same name, or the same with a date or size behind it."""
    return any(text == known or text.startswith((f"{known}-", f"{known}@", f"{known}:")) for text in (model, name))
