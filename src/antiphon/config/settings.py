"""The settings tree itself: names, types, defaults, ranges and meanings, and nothing that reads them from anywhere.

Building a `Settings` by hand (as tests do) is pure: it looks at no environment and at no file. `config.load` gathers
the values of a running installation. The descriptions are published: they stand in the JSON schema, in
`antiphon.example.toml` and in docs/reference/settings.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, PrivateAttr, SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from antiphon.config.discord import DiscordSettings
from antiphon.config.experts import ExpertSettings, RoutingSettings
from antiphon.config.prices import PriceSettings
from antiphon.config.providers import split_model
from antiphon.config.speech import SpeechSettings
from antiphon.config.speech_services import SpeechServiceSettings
from antiphon.config.values import Part, UserPath, WebUrl, is_loopback, model_name, networks, syslog_address, url_check
from antiphon.config.voice import VoiceSettings

DEFAULT_PROMPT = (
    "You are Antiphon, a helpful assistant in a shared chat. Answer briefly and concretely. "
    "Use the tools you are given instead of guessing, and say plainly when you do not know something."
)


def _secret_url(*prefixes: str) -> AfterValidator:
    """Like `_url` for addresses that may hold a password: the message never repeats the value."""

    def check(value: SecretStr) -> SecretStr:
        text = value.get_secret_value()
        if text and not text.startswith(prefixes):
            raise ValueError(f"does not begin with {' or '.join(prefixes)}")
        return value

    return AfterValidator(check)


def _web_origins(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or value != f"{parts.scheme}://{parts.netloc}":
            raise ValueError(f"{value!r} is not an origin: scheme and host, and the port where it is not the usual one")
    return values


class HttpSettings(Part):
    """The one port that serves pages, API and WebSockets."""

    host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description="Address to listen on. Anything but loopback also needs TLS or trusted_proxies.",
    )
    port: int = Field(
        default=8000, ge=0, le=65535, description="Port to listen on; 0 lets the system choose a free one."
    )
    public_url: WebUrl = Field(
        default="", description="Address under which people reach it, for links. Empty: made from host and port."
    )
    tls_cert: UserPath | None = Field(default=None, description="PEM file with the certificate chain; needs tls_key.")
    tls_key: UserPath | None = Field(default=None, description="PEM file with the private key of tls_cert.")
    tls: Literal["", "self"] = Field(
        default="",
        description="'self' makes a self-signed certificate, so that browsers allow the microphone on a LAN.",
    )
    trusted_proxies: Annotated[tuple[str, ...], AfterValidator(networks)] = Field(
        default=(), description="Addresses or networks of reverse proxies whose X-Forwarded-* headers are believed."
    )
    allowed_origins: Annotated[tuple[str, ...], AfterValidator(_web_origins)] = Field(
        default=(),
        description="Origins of consoles that run elsewhere, for example http://127.0.0.1:5173: their pages may call "
        "the API with a person's session. No other page of another origin may.",
    )

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the port. A name other than localhost counts as public."""
        return is_loopback(self.host)

    @property
    def secure(self) -> bool:
        """Whether the port itself speaks TLS."""
        return self.tls == "self" or self.tls_cert is not None

    @property
    def url(self) -> str:
        """The address for links, without a slash at the end. A bind to every address is shown as localhost."""
        if self.public_url:
            return self.public_url
        host = "localhost" if self.host in ("0.0.0.0", "::") else self.host  # noqa: S104 - compared, not bound
        if ":" in host:
            host = f"[{host}]"
        return f"{'https' if self.secure else 'http'}://{host}:{self.port}"


class ConsoleSettings(Part):
    """The pages when `antiphon console` serves them alone, apart from the API."""

    port: int = Field(
        default=5173, ge=0, le=65535, description="Port of `antiphon console`; 0 lets the system choose a free one."
    )
    api_url: WebUrl = Field(
        default="",
        description="Address at which browsers reach the API from those pages. Empty: that of http. It must be of the "
        "same site (the same host, or host names below one domain), or browsers withhold the session.",
    )
    public_url: WebUrl = Field(
        default="",
        description="Address under which people reach those pages. Sign-in links lead there, and the API takes its "
        "origin as one of http.allowed_origins.",
    )


class ThreadSettings(Part):
    """Task threads and the workers that run their tasks."""

    idle_minutes: float = Field(
        default=5, gt=0, le=10080, description="Minutes without a message after which a thread closes."
    )
    max_attempts: int = Field(
        default=5, ge=1, le=100, description="Times a task may be started before it goes to the dead letters."
    )
    lease_seconds: float = Field(
        default=30.0,
        ge=0.2,
        le=3600,
        description="Seconds after which the task of a worker that died is given to another.",
    )
    slots: int = Field(default=16, ge=1, le=1000, description="Tasks that one process runs at the same time.")


class OutboxSettings(Part):
    """Delivery of replies."""

    max_attempts: int = Field(
        default=8, ge=1, le=100, description="Times a delivery is tried before it goes to the dead letters."
    )
    lease_seconds: float = Field(
        default=30.0,
        ge=0.2,
        le=3600,
        description="Seconds after which the delivery of a process that died is taken over.",
    )
    doubtful: Literal["resend", "dead"] = Field(
        default="dead",
        description="What happens to a reply that may have arrived when nobody can tell: sent again (perhaps twice), "
        "or left among the dead letters for a person to decide.",
    )


class ApprovalSettings(Part):
    """Questions to a human about a tool call."""

    expire_minutes: float = Field(
        default=10, gt=0, le=10080, description="Minutes after which an unanswered approval counts as refused."
    )


class LimitSettings(Part):
    """Bounds that keep one message, person or turn from using up everything."""

    message_chars: int = Field(
        default=16_000, ge=1, le=1_000_000, description="Longest message that is accepted, in characters."
    )
    body_bytes: int = Field(default=1_048_576, ge=1024, le=1_073_741_824, description="Largest request body, in bytes.")
    thread_file_bytes: int = Field(
        default=16_777_216,
        ge=1024,
        le=1_073_741_824,
        description="Largest file of a thread that is imported, in bytes.",
    )
    messages_per_minute: int = Field(
        default=30, ge=1, le=100_000, description="Messages one person may send in a minute before being asked to wait."
    )
    turn_requests: int = Field(default=8, ge=1, le=100, description="Requests to the model within one turn.")
    turn_tool_calls: int = Field(default=12, ge=0, le=1000, description="Tool calls within one turn.")
    turn_tokens: int = Field(default=200_000, ge=100, description="Tokens one turn may use, input and output together.")
    turn_cost: float = Field(default=0.0, ge=0, description="What one turn may cost, by the price table. 0: no limit.")
    turn_seconds: float = Field(default=120.0, gt=0, le=86_400, description="Seconds one turn may take.")
    person_day_tokens: int = Field(
        default=0, ge=0, description="Tokens one person may use in a day (UTC), input and output together. 0: no limit."
    )
    person_day_cost: float = Field(
        default=0.0, ge=0, description="Cost one person may cause in a day, by the price table. 0: no limit."
    )
    person_day_seconds: float = Field(
        default=0.0, ge=0, description="Seconds the turns of one person may take in a day. 0: no limit."
    )
    server_day_tokens: int = Field(default=0, ge=0, description="The same for all people of one server. 0: no limit.")
    server_day_cost: float = Field(default=0.0, ge=0, description="The same for one server. 0: no limit.")
    server_day_seconds: float = Field(default=0.0, ge=0, description="The same for one server. 0: no limit.")
    day_tokens: int = Field(default=0, ge=0, description="The same for everybody together. 0: no limit.")
    day_cost: float = Field(default=0.0, ge=0, description="The same for everybody together. 0: no limit.")
    day_seconds: float = Field(default=0.0, ge=0, description="The same for everybody together. 0: no limit.")
    soft_share: float = Field(
        default=0.8, gt=0, le=1, description="Share of a daily limit at which the person is told, once. 1: never."
    )
    context_tokens: int = Field(
        default=6_000, ge=100, description="Tokens of earlier conversation that are given to the model."
    )
    context_messages: int = Field(
        default=40, ge=0, le=10_000, description="Earlier messages that are given to the model at most."
    )


class AttachmentSettings(Part):
    """Files that come with messages."""

    max_bytes: int = Field(
        default=20_971_520, ge=1024, le=1_073_741_824, description="Largest file that can be attached, in bytes."
    )
    per_message: int = Field(default=10, ge=1, le=100, description="Files one message may carry.")
    images: bool = Field(
        default=True, description="Whether images are given to the language model. Turn it off for one that sees none."
    )
    text_chars: int = Field(
        default=20_000, ge=100, le=1_000_000, description="Characters that are read in one text file or PDF."
    )
    pdf_pages: int = Field(default=50, ge=1, le=2000, description="Pages that are read in one PDF.")
    pdf_seconds: float = Field(default=15.0, gt=0, le=300, description="Seconds that reading one PDF may take.")


class RetentionSettings(Part):
    """How long things are kept. 0 keeps them."""

    messages_days: int = Field(
        default=0, ge=0, le=36_500, description="Days after which messages are deleted, with their answers and records."
    )
    transcripts_days: int = Field(
        default=0, ge=0, le=36_500, description="Days after which spoken conversations are deleted."
    )
    events_days: int = Field(
        default=0, ge=0, le=36_500, description="Days after which events that platforms reported are deleted."
    )


class DashboardSettings(Part):
    """The panels in a platform's log channel. Those in the console are always there."""

    interval_seconds: float = Field(
        default=6.0, ge=2.0, le=3600, description="Least seconds between two edits of one panel on a platform."
    )
    edits_per_second: float = Field(
        default=5.0, ge=0.1, le=20, description="Edits of panels in a second, those of all servers together."
    )


class LogSettings(Part):
    """What is logged, and how."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severe level that is logged."
    )
    format: Literal["auto", "console", "json"] = Field(
        default="auto",
        description="'console' for people, 'json' for machines; 'auto' is console on a terminal, else json.",
    )
    personal_text: bool = Field(
        default=False,
        description="Whether names and words of people may stand in the log. Leave it off outside of debugging.",
    )
    recent: int = Field(
        default=2000,
        ge=100,
        le=100_000,
        description="Last lines that are kept in memory, for the console.",
    )
    file: UserPath | None = Field(
        default=None, description="File for the log beside standard error, one JSON object a line. Empty: none."
    )
    file_bytes: int = Field(
        default=10_485_760, ge=1024, le=10_737_418_240, description="Size at which the file is put aside as file.1."
    )
    file_count: int = Field(default=5, ge=0, le=1000, description="Files put aside that are kept.")
    syslog: Annotated[str, AfterValidator(syslog_address)] = Field(
        default="",
        description="Syslog server the log goes to as well: udp://host:514, tcp://host:601 or unix:///dev/log. "
        "Empty: none.",
    )
    otlp: bool = Field(
        default=False, description="Whether the log goes to telemetry.otlp_endpoint as well, over OTLP/HTTP."
    )


class TelegramSettings(Part):
    """The bot on Telegram. The token is kept for the Telegram service."""

    token: SecretStr = Field(default=SecretStr(""), description="Token of the bot, as @BotFather gives it.")
    api_url: WebUrl = Field(
        default="https://api.telegram.org", description="Address of the Bot API; another one for a server of your own."
    )


class LiveKitSettings(Part):
    """A LiveKit server whose rooms carry live voice. Without one, this program carries it itself."""

    url: Annotated[str, AfterValidator(url_check("ws", "wss", "http", "https"))] = Field(
        default="", description="Address of the server, for example wss://voice.example.org. Empty: none."
    )
    public_url: Annotated[str, AfterValidator(url_check("ws", "wss", "http", "https"))] = Field(
        default="", description="Address at which browsers reach the same server. Empty: that of url."
    )
    api_key: str = Field(default="", max_length=200, description="Name of the server's API key.")
    api_secret: SecretStr = Field(default=SecretStr(""), description="Secret that belongs to api_key.")

    @property
    def browser_url(self) -> str:
        """Where pages find the server; "" when there is none."""
        return (self.public_url or self.url) if self.url else ""


class _Origins(dict[str, str]):
    """Where each value stood, and what all of it was read from: two trees with the same values are equal all the same,
    wherever they were read."""

    reading: object = None


class TelemetrySettings(Part):
    """Traces for OpenTelemetry."""

    otlp_endpoint: WebUrl = Field(
        default="", description="Address of an OTLP/HTTP receiver, for example http://127.0.0.1:4318. Empty: no traces."
    )
    content: bool = Field(
        default=False, description="Whether traces hold what people, models and tools said. Leave it off."
    )


class Settings(BaseSettings):
    """The whole tree. Frozen; unknown names are refused."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid")

    data_dir: UserPath = Field(
        default=Path("data"), description="Folder for everything Antiphon writes; made when missing."
    )
    models_dir: UserPath | None = Field(
        default=None, description="Folder for models, once a part needs some. Empty: the folder models in data_dir."
    )
    secrets_dir: UserPath | None = Field(
        default=None,
        description="Folder with one file per secret, named like the environment variable it stands for. "
        "Empty: the folder secrets in data_dir, when there is one.",
    )
    database_url: Annotated[SecretStr, _secret_url("postgresql://", "postgres://", "sqlite:///")] = Field(
        default=SecretStr(""), description="Database. Empty: SQLite in data_dir. Several processes need postgresql://…"
    )
    redis_url: Annotated[SecretStr, _secret_url("redis://", "rediss://", "unix://")] = Field(
        default=SecretStr(""),
        description="Redis or Valkey for events between processes. Empty: events stay in the process.",
    )
    model: Annotated[str, AfterValidator(model_name)] = Field(
        default="",
        description="Language model as provider:model, for example openai:gpt-4o-mini. Empty: the offline model.",
    )
    model_url: WebUrl = Field(
        default="",
        description="Address of an OpenAI-compatible server for model, for example http://127.0.0.1:11434/v1.",
    )
    openai_api_key: SecretStr = Field(default=SecretStr(""), description="Key for OpenAI or a compatible service.")
    openai_base_url: WebUrl = Field(
        default="", description="Address used for every openai: model instead of OpenAI's own."
    )
    prices: tuple[PriceSettings, ...] = Field(
        default=(),
        description="What models cost, each a table [[prices]] at the end of the file. A model without one costs "
        "nothing in the accounts.",
    )
    experts: tuple[ExpertSettings, ...] = Field(
        default=(),
        description="Language models beside `model`, each a table [[experts]] at the end of the file; whoever fits "
        "best answers, and the others step in when it fails.",
    )
    system_prompt: str = Field(
        default=DEFAULT_PROMPT, description="What the model is told about its role before each turn."
    )

    http: HttpSettings = Field(default_factory=HttpSettings)
    console: ConsoleSettings = Field(default_factory=ConsoleSettings)
    routing: RoutingSettings = Field(default_factory=RoutingSettings)
    threads: ThreadSettings = Field(default_factory=ThreadSettings)
    outbox: OutboxSettings = Field(default_factory=OutboxSettings)
    approvals: ApprovalSettings = Field(default_factory=ApprovalSettings)
    limits: LimitSettings = Field(default_factory=LimitSettings)
    attachments: AttachmentSettings = Field(default_factory=AttachmentSettings)
    discord: DiscordSettings = Field(default_factory=DiscordSettings)
    telegram: TelegramSettings = Field(default_factory=TelegramSettings)
    livekit: LiveKitSettings = Field(default_factory=LiveKitSettings)
    speech: SpeechSettings = Field(default_factory=SpeechSettings)
    speech_services: SpeechServiceSettings = Field(default_factory=SpeechServiceSettings)
    voice: VoiceSettings = Field(default_factory=VoiceSettings)
    retention: RetentionSettings = Field(default_factory=RetentionSettings)
    dashboards: DashboardSettings = Field(default_factory=DashboardSettings)
    log: LogSettings = Field(default_factory=LogSettings)
    telemetry: TelemetrySettings = Field(default_factory=TelemetrySettings)

    _origins: Mapping[str, str] = PrivateAttr(default_factory=dict[str, str])
    _secrets: Mapping[str, str] = PrivateAttr(default_factory=dict[str, str])

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what the caller gives: `config.load` reads the sources itself, to keep the place of each value."""
        return (init_settings,)

    @property
    def sign_in_url(self) -> str:
        """The address below which sign-in links lead: that of the pages."""
        return self.console.public_url or self.http.url

    @property
    def models_path(self) -> Path:
        """Where models lie: `models_dir`, else `<data_dir>/models`."""
        return self.models_dir or self.data_dir / "models"

    @property
    def secrets_path(self) -> Path:
        """Where files with secrets lie: `secrets_dir`, else `<data_dir>/secrets`, which need not exist."""
        return self.secrets_dir or self.data_dir / "secrets"

    def secret(self, name: str) -> str:
        """The value of a secret that a setting names (a variable, or a file in secrets_dir), or ""."""
        if name == "OPENAI_API_KEY" and self.openai_api_key.get_secret_value():
            return self.openai_api_key.get_secret_value()
        return self._secrets.get(name, "")

    def usual_key(self, model: str) -> str:
        """The key for a model where a key of its provider usually stands, or ""."""
        provider, _ = split_model(model)
        return next((key for name in (provider.keys if provider else ()) if (key := self.secret(name))), "")

    @property
    def secrets(self) -> tuple[str, ...]:
        """The values of all named secrets: what must never be printed."""
        return tuple(self._secrets.values())

    @property
    def named_secrets(self) -> Mapping[str, str]:
        """The same with their names."""
        return self._secrets

    def with_secrets(self, secrets: Mapping[str, str]) -> Settings:
        """The same settings that also know the values of the secrets they name."""
        copy = self.model_copy()
        copy._secrets = dict(secrets)
        return copy

    def origin(self, key: str) -> str:
        """Where the value of a dotted key came from, in words (`environment ANTIPHON_MODEL`), or `default`."""
        return self._origins.get(key, "default")

    @property
    def reading(self) -> object:
        """What they were read from (a `load.Reading`); None when they were built by hand."""
        return getattr(self._origins, "reading", None)

    def with_origins(self, origins: Mapping[str, str], reading: object = None) -> Settings:
        """The same settings that also know where their values came from."""
        copy = self.model_copy()
        copy._origins = _Origins(origins)
        copy._origins.reading = reading
        return copy
