"""Tries a model before it is configured: the same client, the same protocol, one short answer.

Called by the set-up page. Nothing is kept, and nothing the server wrote is shown.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from antiphon.brain.models import ModelChoice, choose
from antiphon.config.providers import split_model
from antiphon.domain.errors import ConfigError

if TYPE_CHECKING:
    from antiphon.brain.experts.failures import Failure

_MOST_MODELS = 500
_QUESTION = "Answer with the single word: ready"
_ANSWER_TOKENS = 64
"""Enough for a word, even where a model thinks a little first."""


@dataclass(frozen=True, slots=True)
class ModelProbe:
    """What came of a try. `detail` and `remedy` are sentences for people; `kind` is "" when all is well, "config" for
    what cannot even be tried, else a `failures.Kind`."""

    ok: bool
    detail: str
    remedy: str = ""
    kind: str = ""
    seconds: float = 0.0
    """From the question to the first sign of an answer."""
    models: tuple[str, ...] = ()
    """The names the server lists, sorted; empty when it lists none."""


async def probe_model(
    model: str, *, base_url: str = "", api_key: str = "", folder: Path | None = None, seconds: float = 15.0
) -> ModelProbe:
    """Try `provider:name` at an address (empty: the provider's own) with a key. Never raises; takes `seconds` at most.

    With a provider and no name (`ollama:`) it only lists what the server has.
    """
    from antiphon.brain.experts.failures import Failure, Kind  # late: the library behind it takes a second to load

    provider, name = split_model(model)
    address = urlsplit(base_url.strip())
    if base_url.strip() and (address.scheme not in ("http", "https") or not address.hostname or " " in address.netloc):
        return ModelProbe(False, "That is no address.", "write it as http://… or https://…", "config")
    if provider is not None and provider.needs_key and not (api_key.strip() or base_url.strip()):
        return ModelProbe(False, f"{provider.name} needs a key.", "enter the key of your account there", "config")
    only_list = provider is not None and not name and provider.speaks != "gguf"
    try:
        wanted = f"{model}any" if only_list else model
        choice = choose(wanted, base_url.strip().rstrip("/"), api_key.strip(), folder or Path(), where="model.")
        if not choice.configured:
            return ModelProbe(False, "The offline model needs no test.", "name a model as provider:model", "config")
    except ConfigError as error:
        return _refused(error)
    listed: tuple[str, ...] = ()
    try:
        async with asyncio.timeout(seconds):
            listing = await _list(choice)
            if isinstance(listing, Failure):
                if only_list or listing.kind in (Kind.KEY, Kind.UNREACHABLE):
                    return _failed(choice, listing, ())
            else:
                listed = listing
            if only_list:
                detail = f"{len(listed)} models are there." if listed else "The server answers, but lists no models."
                return ModelProbe(bool(listed), detail, "" if listed else "load a model on the server", models=listed)
            return await _ask(choice, listed)
    except TimeoutError:
        return _failed(choice, Failure(Kind.FIRST_TOKEN), listed)


async def list_models(choice: ModelChoice, seconds: float) -> tuple[str, ...] | Failure:
    """The names a model's server lists, or why it does not. Costs nothing at any provider."""
    from antiphon.brain.experts.failures import Failure, Kind

    try:
        async with asyncio.timeout(seconds):
            return await _list(choice)
    except TimeoutError:
        return Failure(Kind.UNREACHABLE)


async def _list(choice: ModelChoice) -> tuple[str, ...] | Failure:
    import httpx2

    from antiphon.brain.experts.clients import on_this_machine
    from antiphon.brain.experts.failures import Failure, Kind, failure_of

    if choice.speaks == "gguf":
        return await asyncio.to_thread(_files, choice.folder)
    url, headers = _listing(choice)
    # No redirects: the key goes to the address a person named, and nowhere else.
    client = httpx2.AsyncClient(trust_env=not on_this_machine(url), follow_redirects=False, timeout=10)
    try:
        async with client:
            answer = await client.get(url, headers=headers)
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
        return Failure(Kind.UNREACHABLE) if isinstance(error, httpx2.TimeoutException) else failure_of(error)
    if answer.status_code in (401, 403) or (choice.speaks == "google" and answer.status_code == 400):
        return Failure(Kind.KEY, answer.status_code)
    if answer.status_code != 200:
        kind = Kind.SERVER if answer.status_code >= 500 else Kind.GARBAGE
        return Failure(kind, answer.status_code)
    try:
        return _names(answer.json())
    except ValueError:
        return Failure(Kind.GARBAGE)


def _listing(choice: ModelChoice) -> tuple[str, dict[str, str]]:
    if choice.speaks == "anthropic":
        url = f"{choice.base_url or 'https://api.anthropic.com'}/v1/models?limit=1000"
        return url, {"x-api-key": choice.api_key or "none", "anthropic-version": "2023-06-01"}
    if choice.speaks == "google":
        url = f"{choice.base_url or 'https://generativelanguage.googleapis.com'}/v1beta/models?pageSize=1000"
        return url, {"x-goog-api-key": choice.api_key or "none"}
    return f"{choice.base_url}/models", {"Authorization": f"Bearer {choice.api_key or 'none'}"}


def _names(body: object) -> tuple[str, ...]:
    """The names in a listing: `data[].id` (OpenAI, Anthropic) or `models[].name` (Google, as `models/NAME`)."""
    if not isinstance(body, dict):
        raise ValueError("no listing")
    table = cast("dict[str, Any]", body)
    rows = table.get("data", table.get("models"))
    if not isinstance(rows, list):
        raise ValueError("no listing")
    found: set[str] = set()
    for row in cast("list[Any]", rows):
        if isinstance(row, dict):
            name = cast("dict[str, Any]", row).get("id") or cast("dict[str, Any]", row).get("name")
            if isinstance(name, str) and 0 < len(name) <= 200:
                found.add(name.removeprefix("models/"))
    return tuple(sorted(found)[:_MOST_MODELS])


def _files(folder: Path) -> tuple[str, ...]:
    return tuple(sorted(path.name for path in folder.glob("*.gguf"))) if folder.is_dir() else ()


async def _ask(choice: ModelChoice, listed: tuple[str, ...]) -> ModelProbe:
    from pydantic_ai.direct import model_request_stream
    from pydantic_ai.messages import ModelRequest
    from pydantic_ai.settings import ModelSettings

    from antiphon.brain.experts.clients import close_client
    from antiphon.brain.experts.failures import Failure, Kind, failure_of

    began, first, text = time.monotonic(), 0.0, ""
    try:
        model = await asyncio.to_thread(choice.build)
        began = time.monotonic()
        settings = ModelSettings(max_tokens=_ANSWER_TOKENS)
        question = [ModelRequest.user_text_prompt(_QUESTION)]
        async with AsyncExitStack() as open_:
            open_.push_async_callback(close_client, model)
            answer = await open_.enter_async_context(model_request_stream(model, question, model_settings=settings))
            async for _ in answer:
                first = first or time.monotonic() - began
            response = answer.get()
            text = response.text or response.thinking or ""
    except TimeoutError:
        raise
    except ConfigError as error:
        return _refused(error)
    except Exception as error:
        return _failed(choice, failure_of(error, begun=bool(first)), listed)
    if not text.strip():
        return _failed(choice, Failure(Kind.EMPTY), listed)
    return ModelProbe(True, f"{choice.label} answers.", seconds=first, models=listed)


def _refused(error: ConfigError) -> ModelProbe:
    return ModelProbe(False, f"{error.problem[:1].upper()}{error.problem[1:]}.", error.remedy, "config")


def _failed(choice: ModelChoice, failure: Failure, listed: tuple[str, ...]) -> ModelProbe:
    remedy = failure.remedy
    if listed and choice.name not in listed:
        remedy = f"{choice.name} is not among the {len(listed)} models it lists: choose one of those"
    return ModelProbe(False, f"{choice.label}: {failure.reason}.", remedy, failure.kind.value, models=listed)
