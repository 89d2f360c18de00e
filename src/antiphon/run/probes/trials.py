"""What the set-up page can try out, by name, with what was entered or with what is stored.

A stored secret is only ever sent to the stored address: whoever may try something out must not be able to have a secret
sent to a server of their own.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping

from antiphon.brain.experts.probe import probe_model
from antiphon.config import Settings
from antiphon.domain.errors import InvalidInput
from antiphon.domain.health import PartState, Trial
from antiphon.run.probes.discord import try_discord
from antiphon.run.probes.livekit import try_livekit
from antiphon.run.probes.outside import host_of, refusal
from antiphon.run.probes.redis import try_redis
from antiphon.run.probes.speech import try_speech
from antiphon.run.probes.storage import try_storage
from antiphon.run.probes.telegram import try_telegram

FIELDS: Mapping[str, frozenset[str]] = {
    "model": frozenset({"model", "url", "key"}),
    "discord": frozenset({"token"}),
    "telegram": frozenset({"token"}),
    "livekit": frozenset({"url", "key", "secret"}),
    "redis": frozenset({"url"}),
    "speech": frozenset(),
    "storage": frozenset(),
}
"""What may be entered for each kind. What is left out is what is stored."""
_LATER = "saved for the {name} service; that service is not part of this installation yet"
_OTHER_ADDRESS = "name a server by its own address"
_AT_ONCE = 2


class Trials:
    """Tries things out, two at a time. `settings` gives the settings that are stored now.

    `ready` is waited for before a model is tried: the library behind models is imported in a thread at start, and a
    second import beside it would meet it half done.
    """

    def __init__(self, settings: Callable[[], Settings], ready: Callable[[], Awaitable[None]]) -> None:
        self._settings = settings
        self._ready = ready
        self._turn = asyncio.Semaphore(_AT_ONCE)

    async def run(self, kind: str, given: Mapping[str, str]) -> Trial:
        """Try `kind` out. Raises `InvalidInput` for a field it does not have."""
        if kind not in FIELDS:
            raise InvalidInput("There is nothing of that kind to try.", fields={"kind": "unknown"})
        if unknown := sorted(given.keys() - FIELDS[kind]):
            raise InvalidInput("Some fields are not right.", fields=dict.fromkeys(unknown, "not asked for"))
        tries: dict[str, Callable[[Settings, Mapping[str, str]], Awaitable[Trial]]] = {
            "model": _model,
            "discord": _discord,
            "telegram": _telegram,
            "livekit": _livekit,
            "redis": _redis,
            "speech": _speech,
            "storage": _storage,
        }
        if kind == "model":
            with contextlib.suppress(Exception):  # a model that cannot be built is no reason not to try another
                await self._ready()
        async with self._turn:
            return await tries[kind](self._settings(), {name: text.strip() for name, text in given.items()})


async def _model(settings: Settings, given: Mapping[str, str]) -> Trial:
    model = given.get("model") or settings.model
    if not model:
        return Trial(PartState.OFF, "The offline model answers.", "choose a provider and a model")
    stored_url = settings.model_url or (settings.openai_base_url if model.startswith("openai:") else "")
    url = given.get("url", stored_url)
    if url and not host_of(url):
        return Trial(PartState.DEGRADED, "That is no address.", "write it as http://… or https://…")
    if url and (why := await refusal(url)):
        return Trial(PartState.DEGRADED, why, _OTHER_ADDRESS)
    key = given.get("key") or (settings.usual_key(model) if url in (stored_url, "") else "")
    found = await probe_model(model, base_url=url, api_key=key, folder=settings.models_path)
    facts = (("Answered in", f"{found.seconds:.1f} s"),) if found.ok and found.seconds else ()
    if found.models:
        facts += (("Models there", str(len(found.models))),)
    state = PartState.OK if found.ok else PartState.DEGRADED
    return Trial(state, found.detail, found.remedy, facts, choices=found.models)


async def _discord(settings: Settings, given: Mapping[str, str]) -> Trial:
    if settings.discord.loopback and not given.get("token"):
        return Trial(PartState.OK, "A simulated Discord is connected, on this machine alone.")
    token = given.get("token") or settings.discord.token.get_secret_value()
    if not token:
        return Trial(PartState.OFF, "There is no token.", "make a bot in Discord's developer portal, paste its token")
    if not (token.isascii() and token.isprintable() and " " not in token):
        return Trial(PartState.DEGRADED, "This is not a token.", "copy it whole from the developer portal, page Bot")
    return await try_discord(token, settings.discord.api_url)


async def _telegram(settings: Settings, given: Mapping[str, str]) -> Trial:
    token = given.get("token") or settings.telegram.token.get_secret_value()
    if not token:
        return Trial(PartState.OFF, "There is no token.", "ask @BotFather on Telegram for a bot: /newbot")
    return _kept(await try_telegram(token, settings.telegram.api_url), "Telegram")


async def _livekit(settings: Settings, given: Mapping[str, str]) -> Trial:
    stored = settings.livekit
    url, key = given.get("url") or stored.url, given.get("key") or stored.api_key
    same = url == stored.url and key == stored.api_key
    secret = given.get("secret") or (stored.api_secret.get_secret_value() if same else "")
    return await try_livekit(url, key, secret)


async def _redis(settings: Settings, given: Mapping[str, str]) -> Trial:
    url = given.get("url") or settings.redis_url.get_secret_value()
    if host_of(url) and (why := await refusal(url)):
        return Trial(PartState.DEGRADED, why, _OTHER_ADDRESS)
    return await try_redis(url)


async def _speech(settings: Settings, given: Mapping[str, str]) -> Trial:
    del given
    return await try_speech(settings)


async def _storage(settings: Settings, given: Mapping[str, str]) -> Trial:
    del given
    return await asyncio.to_thread(try_storage, settings.data_dir)


def _kept(trial: Trial, name: str) -> Trial:
    """Says what the token will do, and does not pretend that it does it already."""
    if trial.state is PartState.OFF:
        return trial
    fact = ("Once stored", _LATER.format(name=name))
    return Trial(trial.state, trial.detail, trial.remedy, (*trial.facts, fact), trial.choices, trial.link)
