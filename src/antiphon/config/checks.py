"""Rules between settings: what each value alone cannot show to be wrong. Called by `config.load` before a start."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from antiphon.config.experts import DEFAULT_EXPERT
from antiphon.config.providers import OFFLINE, known_providers, split_model
from antiphon.config.settings import Settings
from antiphon.config.speech import engine_name, engine_names, is_engine, named_secrets
from antiphon.config.values import is_loopback

SHORTEST_TOKEN = 16
LEAST_SILENCE = 0.25
"""What LiveKit's model wants to hear of it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that is broken, said about the key that a person would change first."""

    key: str
    problem: str
    remedy: str


def check(settings: Settings) -> Iterator[Finding]:
    """Every broken rule. Files that are named must exist; a public port must be safe; a model needs its key."""
    yield from _http(settings)
    yield from _model(settings)
    yield from _experts(settings)
    yield from _routing(settings)
    yield from _log(settings)
    yield from _speech_services(settings)
    yield from _speech(settings)

    yield from _livekit(settings)
    yield from _voice(settings)


def _log(settings: Settings) -> Iterator[Finding]:
    if settings.log.otlp and not settings.telemetry.otlp_endpoint:
        yield Finding("log.otlp", "has nowhere to send to", "set telemetry.otlp_endpoint, or log.otlp = false")
    file = settings.log.file
    if file is not None and file.is_dir():
        yield Finding("log.file", f"{file} is a folder", "name a file in it")


def _http(settings: Settings) -> Iterator[Finding]:
    http = settings.http
    yield from _certificate("http", http.tls_cert, http.tls_key, http.tls)
    if not http.loopback and not http.secure and http.tls_key is None and not http.trusted_proxies:
        yield Finding(
            "http.host",
            f"{http.host} can be reached from other machines, and sign-in links and keys would travel unencrypted",
            "set http.tls_cert and http.tls_key, or http.tls = 'self', or http.trusted_proxies when a proxy "
            "with TLS stands in front; or listen on 127.0.0.1",
        )


def _certificate(part: str, certificate: Path | None, key: Path | None, mode: str) -> Iterator[Finding]:
    """What is wrong with the three settings of TLS of one part."""
    for name, path in ((f"{part}.tls_cert", certificate), (f"{part}.tls_key", key)):
        if path is not None and not path.is_file():
            yield Finding(name, f"the file {path} does not exist", "name an existing PEM file")
    if certificate is not None and key is None:
        yield Finding(f"{part}.tls_cert", "has no private key", f"set {part}.tls_key too")
    if key is not None and certificate is None:
        yield Finding(f"{part}.tls_key", "has no certificate", f"set {part}.tls_cert too")
    if mode == "self" and certificate is not None:
        yield Finding(f"{part}.tls", f"'self' contradicts {part}.tls_cert", "keep one of the two")


def _speech_services(settings: Settings) -> Iterator[Finding]:
    services = settings.speech_services
    yield from _certificate("speech_services", services.tls_cert, services.tls_key, services.tls)
    token = services.token.get_secret_value()
    if token and (len(token) < SHORTEST_TOKEN or not token.isascii() or not token.isprintable() or " " in token):
        yield Finding(
            "speech_services.token",
            f"is no token: at least {SHORTEST_TOKEN} printable ASCII characters without spaces",
            "make one: openssl rand -hex 24",
        )
    if not services.loopback and not (services.secure and token):
        lacking = " and no ".join(what for what, there in (("TLS", services.secure), ("token", token)) if not there)
        yield Finding(
            "speech_services.host",
            f"{services.host} can be reached from other machines, and there is no {lacking}",
            "set speech_services.token, and speech_services.tls_cert and tls_key or speech_services.tls = 'self'; "
            "or listen on 127.0.0.1",
        )
    if services.wyoming and not is_loopback(services.wyoming_host) and not services.wyoming_allow:
        yield Finding(
            "speech_services.wyoming_host",
            f"{services.wyoming_host} can be reached from other machines, and Wyoming knows neither TLS nor tokens",
            "name who may use it in speech_services.wyoming_allow, for example the address of Home Assistant; "
            "or listen on 127.0.0.1, or set speech_services.wyoming = false",
        )


def _model(settings: Settings) -> Iterator[Finding]:
    own_server = settings.model_url or (settings.openai_base_url if settings.model.startswith("openai:") else "")
    yield from _one_model("model", "model_url", settings.model, own_server, settings.usual_key(settings.model))
    if settings.model_url and not settings.model:
        yield Finding("model_url", "is set without a model", "set model too, for example openai:llama3.2")


def _one_model(key: str, url_key: str, model: str, url: str, secret: str) -> Iterator[Finding]:
    """What is wrong with a model: its provider, its address or its key."""
    provider, name = split_model(model)
    set_url = "ANTIPHON_MODEL_URL" if url_key == "model_url" else url_key
    if not model or model.startswith(f"{OFFLINE}:"):
        return
    if provider is None:
        if not url:
            yield Finding(
                key,
                f"there is no provider {model.partition(':')[0]!r}",
                f"use one of {known_providers()}, or set {set_url} for any OpenAI-compatible server",
            )
    elif provider.speaks == "gguf":
        if "/" in name or "\\" in name or name.startswith("."):
            yield Finding(key, f"{name!r} is not the name of a file", "put the file into models_dir and name it here")
    elif not url and not provider.base_url:
        yield Finding(url_key, f"is empty, and {provider.name} has no usual address", f"set {set_url}")
    elif not url and provider.needs_key and not secret:
        yield Finding(key, f"{model} needs a key", f"set {provider.keys[0]}, or {set_url} for a server of your own")


def _experts(settings: Settings) -> Iterator[Finding]:
    names = [expert.name for expert in settings.experts]
    known = {*names, *([DEFAULT_EXPERT] if settings.model else [])}
    for number, expert in enumerate(settings.experts):
        place = f"experts.{expert.name}"
        if expert.name in names[:number]:
            yield Finding(f"{place}.name", "is there twice", "give each expert a name of its own")
        secret = settings.secret(expert.secret) if expert.secret else settings.usual_key(expert.model)
        if expert.secret and not secret:
            yield Finding(
                f"{place}.secret",
                f"there is no variable {_safe(expert.secret)} and no file of this name in secrets_dir",
                "set the variable, make the file, or remove the key",
            )
        else:
            yield from _one_model(f"{place}.model", f"{place}.base_url", expert.model, expert.base_url, secret)
        for other in expert.fallback:
            if other not in known:
                yield Finding(f"{place}.fallback", f"there is no expert {other!r}", _one_of(known - {expert.name}))
    if circle := _circle({expert.name: expert.fallback for expert in settings.experts}):
        yield Finding(
            f"experts.{circle[0]}.fallback", f"goes in a circle: {' -> '.join(circle)}", "remove one of these steps"
        )


def _circle(chains: Mapping[str, Sequence[str]]) -> Sequence[str]:
    """A way along fallbacks that comes back to where it began, with that name at both ends, or nothing."""

    def walk(name: str, way: tuple[str, ...]) -> Sequence[str]:
        if name in way:
            return (*way[way.index(name) :], name)
        return next((found for other in chains.get(name, ()) if (found := walk(other, (*way, name)))), ())

    return next((found for name in chains if (found := walk(name, ()))), ())


def _routing(settings: Settings) -> Iterator[Finding]:
    routing = settings.routing
    known = {*(expert.name for expert in settings.experts), *([DEFAULT_EXPERT] if settings.model else [])}
    for key, name in (("routing.default", routing.default), ("routing.judge", routing.judge)):
        if name and name not in known:
            yield Finding(key, f"there is no expert {name!r}", _one_of(known))
    model, url = routing.embedding_model, routing.embedding_url
    if url and not model:
        yield Finding("routing.embedding_url", "is set without a model", "set routing.embedding_model too")
    provider, _ = split_model(model)
    if provider is not None and provider.speaks != "openai":
        yield Finding("routing.embedding_model", f"{provider.name} is not spoken to for embeddings", "use openai:NAME")
    else:
        yield from _one_model("routing.embedding_model", "routing.embedding_url", model, url, settings.usual_key(model))


def _speech(settings: Settings) -> Iterator[Finding]:
    speech = settings.speech
    for kind, chain in speech.chains:
        for name in map(engine_name, chain):
            if not is_engine(kind, name):
                yield Finding(
                    f"speech.{kind}", f"there is no engine {name!r}", f"use {', '.join(sorted(engine_names(kind)))}"
                )
    for name in speech.engines:
        if not (is_engine("stt", name) or is_engine("tts", name)):
            known = engine_names("stt") | engine_names("tts")
            yield Finding("speech.engines", f"there is no engine {name!r}", f"use {', '.join(sorted(known))}")
    for secret in named_secrets(speech.engines):
        if not settings.secret(secret):
            yield Finding(
                "speech.engines",
                f"there is no variable {_safe(secret)} and no file of this name in secrets_dir",
                "set the variable, make the file, or remove the key",
            )


def _voice(settings: Settings) -> Iterator[Finding]:
    voice = settings.voice
    if voice.turn_detection != "vad" and voice.silence_seconds < LEAST_SILENCE:
        yield Finding(
            "voice.silence_seconds",
            f"is too short for voice.turn_detection = {voice.turn_detection!r}",
            f"use {LEAST_SILENCE} or more",
        )


def _livekit(settings: Settings) -> Iterator[Finding]:
    livekit = settings.livekit
    for key, value in (("api_key", livekit.api_key), ("api_secret", livekit.api_secret.get_secret_value())):
        if livekit.url and not value:
            yield Finding(f"livekit.{key}", "is empty, and livekit.url is set", f"set LIVEKIT_{key.upper()}")


def _one_of(names: set[str]) -> str:
    return f"use one of {', '.join(sorted(names))}" if names else "add it as a table [[experts]]"


def _safe(name: str) -> str:
    """The name of a secret, unless it looks as if somebody had written the secret itself."""
    suspicious = len(name) > 24 and any(c.isdigit() for c in name) and any(c.islower() for c in name)
    return "of this name (not shown, it looks like a secret itself)" if suspicious else name
