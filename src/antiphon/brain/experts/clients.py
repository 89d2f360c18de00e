"""Builds the client of a model: one per wire protocol, without retries of its own. Called by `ModelChoice.build`.

The libraries' own retries are switched off: they wait inside of a request, unseen, while another expert could answer.
"""

from __future__ import annotations

import inspect
import ipaddress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from antiphon.domain.errors import ConfigError

if TYPE_CHECKING:
    from pydantic_ai.models import Model

    from antiphon.brain.models import ModelChoice


def build_client(choice: ModelChoice) -> Model:
    """The model behind a choice. Raises `ConfigError` when its library or file is missing."""
    build = {"openai": _openai, "anthropic": _anthropic, "google": _google, "gguf": _gguf}[choice.speaks]
    try:
        return build(choice)
    except ImportError as error:
        extra = "gguf" if choice.speaks == "gguf" else choice.speaks
        raise ConfigError(
            source="settings",
            key="model",
            problem=f"{choice.label} needs a library that is not installed",
            remedy=f"install it with: pip install 'antiphon[{extra}]'",
        ) from error


async def close_client(model: Model) -> None:
    """Close the connections of a model that `build_client` made."""
    close = getattr(getattr(model, "client", None), "close", None)
    if close is not None and inspect.iscoroutinefunction(close):
        await close()
    else:  # the library made the connections itself, and closes them when the last user leaves
        async with model:
            pass


def on_this_machine(url: str) -> bool:
    """Whether an address is on loopback."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _openai(choice: ModelChoice) -> Model:
    from openai import AsyncOpenAI, DefaultAsyncHttpxClient
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.profiles import ModelProfile
    from pydantic_ai.profiles.mistral import mistral_model_profile
    from pydantic_ai.providers.openai import OpenAIProvider
    from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider

    # A proxy of the environment is meant for the internet, not for a server on this machine.
    http = DefaultAsyncHttpxClient(trust_env=not on_this_machine(choice.base_url))
    client = AsyncOpenAI(
        base_url=choice.base_url or None, api_key=choice.api_key or "none", max_retries=0, http_client=http
    )
    if choice.provider == "openai":
        return OpenAIChatModel(choice.name, provider=OpenAIProvider(openai_client=client))
    profile: ModelProfile | None = mistral_model_profile(choice.name) if choice.provider == "mistral" else None
    provider = OpenAICompatibleProvider(choice.provider, openai_client=client, profile=profile)
    return OpenAIChatModel(choice.name, provider=provider)


def _anthropic(choice: ModelChoice) -> Model:
    from anthropic import AsyncAnthropic, DefaultAsyncHttpxClient
    from pydantic_ai.models.anthropic import AnthropicModel
    from pydantic_ai.providers.anthropic import AnthropicProvider

    http = DefaultAsyncHttpxClient(trust_env=not on_this_machine(choice.base_url))
    client = AsyncAnthropic(
        base_url=choice.base_url or "https://api.anthropic.com",
        api_key=choice.api_key or "none",
        max_retries=0,
        http_client=http,
    )
    return AnthropicModel(choice.name, provider=AnthropicProvider(anthropic_client=client))


def _google(choice: ModelChoice) -> Model:
    from pydantic_ai.models.google import GoogleModel
    from pydantic_ai.providers.google import GoogleProvider

    url = choice.base_url or "https://generativelanguage.googleapis.com"
    provider = GoogleProvider(api_key=choice.api_key or "none", base_url=url)
    return GoogleModel(choice.name, provider=provider)


def _gguf(choice: ModelChoice) -> Model:
    from antiphon.brain.experts.gguf import GgufModel

    return GgufModel(choice.folder, choice.name)
