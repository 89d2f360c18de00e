"""Which language model answers, out of the settings. Checked at start without importing anything heavy."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from antiphon.config.settings import Settings
from antiphon.domain.errors import ConfigError

if TYPE_CHECKING:
    from pydantic_ai.models import Model

OFFLINE = "offline"
_OLLAMA = "http://127.0.0.1:11434/v1"
_COMPATIBLE = ("openai", "ollama", "local", "vllm", "llamacpp")
"""Providers that speak the OpenAI protocol: the prefix only says so, the model's name follows it."""


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """The configured model; `name` is empty when only the offline model answers."""

    name: str = ""
    base_url: str = ""
    api_key: str = field(default="", repr=False)
    label: str = OFFLINE

    @property
    def configured(self) -> bool:
        """Whether there is a model beside the offline one."""
        return bool(self.name)

    def build(self) -> Model:
        """The model as pydantic-ai knows it. Imports the client (a second of CPU): call it late, and once."""
        from openai import AsyncOpenAI  # late: see above
        from pydantic_ai.models.openai import OpenAIChatModel
        from pydantic_ai.providers.openai import OpenAIProvider

        # One quick try again inside the client; beyond that the offline model answers and says why.
        client = AsyncOpenAI(base_url=self.base_url or None, api_key=self.api_key or "none", max_retries=1)
        return OpenAIChatModel(self.name, provider=OpenAIProvider(openai_client=client))


def choose_model(settings: Settings) -> ModelChoice:
    """The model the settings ask for. Raises `ConfigError` when they ask for something that cannot work."""
    wanted, key = settings.model.strip(), settings.openai_api_key.get_secret_value()
    provider, colon, name = wanted.partition(":")
    url = settings.model_url or (settings.openai_base_url if provider == "openai" else "")
    if not wanted:
        if settings.model_url:
            raise _refused("model", "is empty, but model_url is set", "name the model that server serves: openai:NAME")
        return ModelChoice()
    if provider == OFFLINE:
        return ModelChoice()
    if not colon or provider not in _COMPATIBLE:
        if not settings.model_url:
            raise _refused(
                "model",
                f"there is no built-in provider {provider!r}",
                "use openai:NAME, ollama:NAME, or openai:NAME with ANTIPHON_MODEL_URL set to any OpenAI-compatible URL",
            )
        name = wanted
    if not url and provider in ("ollama", "local"):
        url = _OLLAMA
    if not url and provider != "openai":
        raise _refused("model_url", f"is empty, and {provider} has no usual address", "set ANTIPHON_MODEL_URL")
    if not url and not key:
        raise _refused(
            "openai_api_key", f"is empty, and {wanted} needs it", "set OPENAI_API_KEY, or ANTIPHON_MODEL_URL"
        )
    return ModelChoice(name=name, base_url=url, api_key=key, label=wanted)


def _refused(key: str, problem: str, remedy: str) -> ConfigError:
    return ConfigError(source="settings", key=key, problem=problem, remedy=remedy)
