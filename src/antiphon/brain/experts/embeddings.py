"""Which expert a message is close to in meaning, by an embedding model of an OpenAI-compatible server. Optional.

The examples are embedded once, with the first message that needs them; a server that does not answer in time costs
one deadline per message and decides nothing.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import structlog

from antiphon.brain.models import choose
from antiphon.config.settings import Settings

if TYPE_CHECKING:
    from openai import AsyncOpenAI

log = structlog.stdlib.get_logger(__name__)

SECONDS = 1.0
"""How long a message waits for its embedding."""
_EXAMPLES_SECONDS = 20.0
_BEST = 2


class EmbeddingIndex:
    """The examples of all experts as vectors of length one."""

    def __init__(self, name: str, base_url: str, api_key: str, examples: Mapping[str, Sequence[str]]) -> None:
        self._name = name
        self._base_url = base_url
        self._api_key = api_key
        self._examples = [(owner, text) for owner, texts in examples.items() for text in texts]
        self._vectors: asyncio.Task[list[list[float]]] | None = None
        self._client: AsyncOpenAI | None = None

    @classmethod
    def of(cls, settings: Settings, examples: Mapping[str, Sequence[str]]) -> EmbeddingIndex | None:
        """The index of the settings, or None when no embedding model is set. Raises `ConfigError`."""
        model = settings.routing.embedding_model
        if not model:
            return None
        choice = choose(
            model,
            settings.routing.embedding_url,
            settings.usual_key(model),
            settings.models_path,
            where="routing.embedding_",
        )
        return cls(choice.name, choice.base_url, choice.api_key, examples)

    async def scores(self, text: str) -> Mapping[str, float]:
        """Expert -> how near, best first; empty when it cannot be told in time. Never raises."""
        try:
            async with asyncio.timeout(SECONDS):
                if self._vectors is None or (self._vectors.done() and self._vectors.exception() is not None):
                    self._vectors = asyncio.create_task(self._embed_examples(), name="router examples")
                vectors = await asyncio.shield(self._vectors)
                [asked] = await self._embed([text])
        except Exception as error:
            log.info("router.embedding_failed", error=type(error).__name__)
            return {}
        found: dict[str, list[float]] = {}
        for (owner, _), vector in zip(self._examples, vectors, strict=True):
            likeness = sum(one * other for one, other in zip(asked, vector, strict=True))
            found.setdefault(owner, []).append(likeness)
        best = {owner: math.fsum(sorted(values)[-_BEST:]) / min(_BEST, len(values)) for owner, values in found.items()}
        return dict(sorted(best.items(), key=lambda item: -item[1]))

    async def close(self) -> None:
        """Close its connections."""
        if self._vectors is not None:
            self._vectors.cancel()
            await asyncio.wait((self._vectors,))
        if self._client is not None:
            await self._client.close()

    async def _embed_examples(self) -> list[list[float]]:
        async with asyncio.timeout(_EXAMPLES_SECONDS):
            return await self._embed([text for _, text in self._examples])

    async def _embed(self, texts: Sequence[str]) -> list[list[float]]:
        if self._client is None:
            from openai import AsyncOpenAI, DefaultAsyncHttpxClient

            from antiphon.brain.experts.clients import on_this_machine

            http = DefaultAsyncHttpxClient(trust_env=not on_this_machine(self._base_url))
            self._client = AsyncOpenAI(
                base_url=self._base_url, api_key=self._api_key or "none", max_retries=0, http_client=http
            )
        answer = await self._client.embeddings.create(model=self._name, input=list(texts))
        rows = sorted(answer.data, key=lambda row: row.index)
        return [_unit(row.embedding) for row in rows]


def _unit(vector: Sequence[float]) -> list[float]:
    norm = math.sqrt(sum(value * value for value in vector)) or 1.0
    return [value / norm for value in vector]
