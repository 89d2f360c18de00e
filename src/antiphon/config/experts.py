"""Settings of the experts: several language models, how one is chosen, and who steps in when it fails."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from antiphon.config.values import ModelName, Part, SecretName, WebUrl

DEFAULT_EXPERT = "default"
"""The name of the expert that the setting `model` makes."""


def _name(value: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_-]{0,31}", value):
        raise ValueError(f"{value!r} is no name: use a small letter, then small letters, digits, - or _, 32 at most")
    if value in ("offline", DEFAULT_EXPERT):
        raise ValueError(f"{value!r} is taken: offline is the model that is always there, default is `model`")
    return value


class ExpertSettings(Part):
    """One language model with what it is good at."""

    name: Annotated[str, AfterValidator(_name)] = Field(
        description="Word by which people and other settings call it: @code at the start of a message asks for it."
    )
    model: ModelName = Field(description="The model as provider:model, like the setting model.", min_length=1)
    description: str = Field(default="", max_length=1000, description="What it is good at, in a sentence.")
    examples: tuple[str, ...] = Field(
        default=(), max_length=500, description="Messages it should answer; the more, the better it is recognised."
    )
    channels: tuple[str, ...] = Field(
        default=(), description="Channels it always answers, such as discord:1234 or web:*; * stands for anything."
    )
    base_url: WebUrl = Field(default="", description="Address of its server. Empty: the provider's own.")
    secret: SecretName = Field(
        default="",
        description="Name of the variable, or of the file in secrets_dir, that holds its key; never the key itself. "
        "Empty: the provider's usual variable, unless base_url is set.",
    )
    fallback: tuple[str, ...] = Field(
        default=(),
        description="Experts that step in when it fails, in order. Empty: default, then the others as they stand. "
        "The offline model is always last.",
    )
    first_token_seconds: float = Field(
        default=0.0,
        ge=0,
        le=600,
        description="Seconds until it must begin to answer. 0: 5 while another expert can step in, else 30.",
    )
    total_seconds: float = Field(default=60.0, gt=0, le=3600, description="Seconds one of its answers may take.")
    max_output_tokens: int = Field(
        default=0, ge=0, le=1_000_000, description="Tokens one of its answers may have. 0: what the model allows."
    )
    parallel: int = Field(default=0, ge=0, le=10_000, description="Requests to it at the same time. 0: any number.")


class RoutingSettings(Part):
    """How an expert is chosen for a message, and when one that fails is left alone."""

    default: str = Field(
        default="", description="Expert for what fits none. Empty: model when it is set, else the first expert."
    )
    margin: float = Field(
        default=0.08,
        ge=0,
        le=1,
        description="How much better than the second an expert must fit by its examples to be chosen without asking.",
    )
    judge: str = Field(
        default="", description="Expert that is asked which expert fits when the examples do not tell. Empty: nobody."
    )
    judge_seconds: float = Field(default=0.8, gt=0, le=30, description="Seconds the judge has.")
    embedding_model: ModelName = Field(
        default="",
        description="Model for embeddings, as provider:model, that compares a message with the examples by meaning. "
        "Empty: none.",
    )
    embedding_url: WebUrl = Field(
        default="", description="Address of the OpenAI-compatible server of embedding_model. Empty: the provider's own."
    )
    offline_first: bool = Field(
        default=False,
        description="Whether what the offline model understands for sure (time, sums, reminders) is answered by it.",
    )
    breaker_failures: int = Field(
        default=3, ge=1, le=100, description="Failures in a row after which an expert is left alone for a while."
    )
    breaker_seconds: float = Field(
        default=15.0,
        gt=0,
        le=3600,
        description="Seconds it is left alone before one message tries it again; doubled each time, to 5 minutes.",
    )
    health_seconds: float = Field(
        default=60.0,
        ge=0,
        le=86_400,
        description="Seconds between checks whether the experts can be reached. 0: no checks.",
    )
