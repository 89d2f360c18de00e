"""Rules between settings: what each value alone cannot show to be wrong. Called by `config.load` before a start."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from antiphon.config.settings import Settings


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


def _http(settings: Settings) -> Iterator[Finding]:
    http = settings.http
    for key, path in (("http.tls_cert", http.tls_cert), ("http.tls_key", http.tls_key)):
        if path is not None and not path.is_file():
            yield Finding(key, f"the file {path} does not exist", "name an existing PEM file")
    if http.tls_cert is not None and http.tls_key is None:
        yield Finding("http.tls_cert", "has no private key", "set http.tls_key too")
    if http.tls_key is not None and http.tls_cert is None:
        yield Finding("http.tls_key", "has no certificate", "set http.tls_cert too")
    if http.tls == "self" and http.tls_cert is not None:
        yield Finding("http.tls", "'self' contradicts http.tls_cert", "keep one of the two")
    if not http.loopback and not http.secure and http.tls_key is None and not http.trusted_proxies:
        yield Finding(
            "http.host",
            f"{http.host} can be reached from other machines, and sign-in links and keys would travel unencrypted",
            "set http.tls_cert and http.tls_key, or http.tls = 'self', or http.trusted_proxies when a proxy "
            "with TLS stands in front; or listen on 127.0.0.1",
        )


def _model(settings: Settings) -> Iterator[Finding]:
    own_server = settings.model_url or settings.openai_base_url
    if settings.model.startswith("openai:") and not settings.openai_api_key.get_secret_value() and not own_server:
        yield Finding(
            "model",
            f"{settings.model} needs a key",
            "set OPENAI_API_KEY, or ANTIPHON_MODEL_URL for a server of your own",
        )
    if settings.model_url and not settings.model:
        yield Finding("model_url", "is set without a model", "set model too, for example openai:llama3.2")
