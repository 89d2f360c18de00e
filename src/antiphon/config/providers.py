"""The providers of language models that are known by name: what `openai:` or `anthropic:` in front of a model means.

Read by `config.checks` (so that a wrong name or a missing key is refused at start) and by `brain.models`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

OFFLINE = "offline"
"""The model that is always there; it has no provider and no address."""

Speech = Literal["openai", "anthropic", "google", "gguf"]


@dataclass(frozen=True, slots=True)
class Provider:
    """One provider. `base_url` is its usual address, empty where a person has to give one.

    `keys` are the variables its key usually stands in, the first one being the one we name to people.
    """

    name: str
    speaks: Speech = "openai"
    base_url: str = ""
    keys: tuple[str, ...] = ()
    port: int = 0
    """Where a server of this kind listens on one's own machine, when it is such a server."""

    @property
    def needs_key(self) -> bool:
        """Whether the usual address refuses requests without a key."""
        return bool(self.keys)


_ALL = (
    Provider("openai", base_url="https://api.openai.com/v1", keys=("OPENAI_API_KEY",)),
    Provider("anthropic", "anthropic", "https://api.anthropic.com", ("ANTHROPIC_API_KEY",)),
    Provider("google", "google", "https://generativelanguage.googleapis.com", ("GOOGLE_API_KEY", "GEMINI_API_KEY")),
    Provider("mistral", base_url="https://api.mistral.ai/v1", keys=("MISTRAL_API_KEY",)),
    Provider("groq", base_url="https://api.groq.com/openai/v1", keys=("GROQ_API_KEY",)),
    Provider("openrouter", base_url="https://openrouter.ai/api/v1", keys=("OPENROUTER_API_KEY",)),
    Provider("nvidia", base_url="https://integrate.api.nvidia.com/v1", keys=("NVIDIA_API_KEY",)),
    Provider("ollama", base_url="http://127.0.0.1:11434/v1", port=11434),
    Provider("local", base_url="http://127.0.0.1:11434/v1"),
    Provider("lmstudio", base_url="http://127.0.0.1:1234/v1", port=1234),
    Provider("llamacpp", port=8080),
    Provider("vllm", port=8000),
    Provider("nim"),
    Provider("triton", port=9000),
    Provider("gguf", "gguf"),
)
PROVIDERS = {provider.name: provider for provider in _ALL}


def known_providers() -> str:
    """The names in words, for remedies."""
    return ", ".join(PROVIDERS)


def split_model(model: str) -> tuple[Provider | None, str]:
    """`provider:name` as (provider, name). A provider nobody knows gives None and the whole text as the name, which
    an OpenAI-compatible server may well understand (`llama3.2:3b`)."""
    prefix, colon, name = model.strip().partition(":")
    provider = PROVIDERS.get(prefix) if colon else None
    return (provider, name) if provider is not None else (None, model.strip())
