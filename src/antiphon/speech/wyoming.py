"""The Wyoming protocol, as Home Assistant speaks it: a server for an engine that listens, or for one that speaks.

The protocol knows neither TLS nor tokens, so it answers this machine, and the addresses that the settings allow.
"""

from __future__ import annotations

import asyncio
import ipaddress
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing, suppress
from typing import TypeVar, cast

import structlog
from wyoming.asr import Transcribe, Transcript, TranscriptChunk, TranscriptStart, TranscriptStop
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.error import Error
from wyoming.event import Event, Eventable
from wyoming.info import AsrModel, AsrProgram, Attribution, Describe, Info, TtsProgram, TtsVoice
from wyoming.ping import Ping, Pong
from wyoming.tts import (
    Synthesize,
    SynthesizeChunk,
    SynthesizeStart,
    SynthesizeStop,
    SynthesizeStopped,
    SynthesizeVoice,
)

from antiphon import __version__
from antiphon.config.speech_services import SpeechServiceSettings
from antiphon.domain.errors import (
    AntiphonError,
    ConfigError,
    InvalidInput,
    MalformedInput,
    SpeechError,
    TooLarge,
)
from antiphon.domain.speech import SpeechChunk, SpeechToText, TextToSpeech
from antiphon.speech.calls import Calls
from antiphon.speech.dictation import Dictation, Heard
from antiphon.speech.incoming import Incoming
from antiphon.speech.sentences import pieces
from antiphon.speech.wyoming_events import LINE_BYTES, read_event, write_event

log = structlog.stdlib.get_logger(__name__)

E = TypeVar("E", bound=Eventable)

_ATTRIBUTION = Attribution(name="Antiphon", url="")
_PIECE_BYTES = 16_384
_UNSENT_BYTES = 131_072
"""What may wait for a client that does not read."""
_CLOSE_SECONDS = 0.5
_MOST_TOLD = 100
_SPARE = 64
"""Connections beside those with a call: clients keep them open between calls."""


class WyomingServer:
    """Listens for connections; what is done with their events is said by `ListeningConnection` and its sibling."""

    def __init__(
        self,
        settings: SpeechServiceSettings,
        calls: Calls,
        *,
        port: int,
        port_key: str,
        stt: SpeechToText | None = None,
        tts: TextToSpeech | None = None,
        languages: Sequence[str] = (),
    ) -> None:
        self._settings = settings
        self._calls = calls
        self._wanted = port
        self._port_key = port_key
        self._stt = stt
        self._tts = tts
        self._languages = languages
        self._allowed = [ipaddress.ip_network(network) for network in settings.wyoming_allow]
        self._told: set[str] = set()
        self._server: asyncio.Server | None = None
        self._guests: dict[asyncio.Task[None], Wire] = {}
        self._leaving: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        """Where it listens, once it does."""
        return self._server.sockets[0].getsockname()[1] if self._server is not None else self._wanted

    async def start(self) -> int:
        """Listen; the port. Raises `ConfigError` when it cannot."""
        host = self._settings.wyoming_host
        try:
            self._server = await asyncio.start_server(self._accept, host, self._wanted, limit=LINE_BYTES)
        except OSError as error:
            raise ConfigError(
                source="settings",
                key=self._port_key,
                problem=f"cannot listen on {host}:{self._wanted} for Wyoming ({error.strerror})",
                remedy="stop the other program, set another port, or speech_services.wyoming = false",
            ) from error
        return self.port

    async def stop(self) -> None:
        """Close every connection."""
        if self._server is not None:
            self._server.close()
        for task in self._guests:
            task.cancel()
        if open_ := {*self._guests, *self._leaving}:
            await asyncio.wait(open_)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("peername")
        allowed = bool(peer) and self.allows(str(peer[0]))
        if not allowed or not self._room():
            if peer and not allowed:
                self._tell(str(peer[0]))
            writer.transport.abort()
            return
        wire = Wire(reader, writer, self._settings)
        task = asyncio.create_task(self._serve(wire, writer), name="wyoming connection")
        self._guests[task] = wire
        task.add_done_callback(self._gone)

    def _gone(self, task: asyncio.Task[None]) -> None:
        self._guests.pop(task, None)
        self._leaving.discard(task)

    def _room(self) -> bool:
        """Whether there is room for one more. Whoever has asked for nothing for longest makes it."""
        if len(self._guests) < self._settings.calls + _SPARE:
            return True
        idle = {task: wire.idle_since for task, wire in self._guests.items() if wire.idle_since is not None}
        if not idle:
            return False
        longest = min(idle, key=idle.__getitem__)
        del self._guests[longest]  # at once, so that the next one looks for another
        self._leaving.add(longest)
        longest.cancel()
        return True

    def _tell(self, peer: str) -> None:
        """Log an address that was refused, once."""
        if peer in self._told or len(self._told) >= _MOST_TOLD:
            return
        self._told.add(peer)
        remedy = "if it is yours, add it to speech_services.wyoming_allow"
        log.warning("wyoming.address_refused", remedy=remedy, personal={"address": peer})

    def allows(self, peer: str) -> bool:
        """Whether an address may use the service."""
        address = ipaddress.ip_address(peer.partition("%")[0])
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return address.is_loopback or any(address in network for network in self._allowed)

    async def _serve(self, wire: Wire, writer: asyncio.StreamWriter) -> None:
        writer.transport.set_write_buffer_limits(high=_UNSENT_BYTES)
        if self._stt is not None:
            connection: _Connection = ListeningConnection(wire, self._calls, self._settings, self._stt, self._languages)
        else:
            assert self._tts is not None  # noqa: S101 - one of the two is given
            connection = SpeakingConnection(wire, self._calls, self._settings, self._tts)
        try:
            await connection.run()
        except (ConnectionError, TimeoutError):
            pass
        except Exception:
            log.exception("wyoming.connection_failed")
        finally:
            if writer.transport.get_write_buffer_size():
                writer.transport.abort()  # who does not read is not waited for
            writer.close()
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await writer.wait_closed()


class Wire:
    """The events of one connection. Whoever sends or reads nothing for too long is let go."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, settings: SpeechServiceSettings
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._settings = settings
        self.idle_since: float | None = asyncio.get_running_loop().time()
        """Since when nothing is done for the client, None while something is."""

    async def request(self) -> Event | None:
        """What the client asks for next, None at the end."""
        self.idle_since = asyncio.get_running_loop().time()
        event = await self.read()
        self.idle_since = None
        return event

    async def read(self) -> Event | None:
        """The next event, None at the end."""
        async with asyncio.timeout(self._settings.idle_seconds):
            return await read_event(self._reader, payload_bytes=self._settings.message_bytes)

    async def write(self, event: Event | Eventable) -> None:
        """Send an event; waits while the client does not read."""
        write_event(self._writer, event if isinstance(event, Event) else event.event())
        async with asyncio.timeout(self._settings.idle_seconds):
            await self._writer.drain()

    async def problem(self, error: AntiphonError) -> None:
        """Say what went wrong."""
        with suppress(ConnectionError, TimeoutError):
            await self.write(Error(text=error.message, code=error.code))


class _Connection(ABC):
    """Reads events until the client is gone. What the two kinds have in common."""

    def __init__(self, wire: Wire, calls: Calls, settings: SpeechServiceSettings) -> None:
        self._wire = wire
        self._calls = calls
        self._settings = settings

    async def run(self) -> None:
        """Until the connection ends, or is of no use any more."""
        while True:
            try:
                event = await self._wire.request()
                if event is None:
                    return
                if Describe.is_type(event.type):
                    await self._wire.write(await self.info())
                elif Ping.is_type(event.type):
                    await self._wire.write(Pong(text=_read(Ping, event).text))
                else:
                    await self.take(event)
            except (MalformedInput, TooLarge) as error:
                await self._wire.problem(error)
                return
            except AntiphonError as error:
                await self._wire.problem(error)

    @abstractmethod
    async def info(self) -> Info:
        """What this service offers."""

    @abstractmethod
    async def take(self, event: Event) -> None:
        """Act on an event."""


class ListeningConnection(_Connection):
    """`transcribe`, then audio, then a transcript."""

    def __init__(
        self,
        wire: Wire,
        calls: Calls,
        settings: SpeechServiceSettings,
        engine: SpeechToText,
        languages: Sequence[str],
    ) -> None:
        super().__init__(wire, calls, settings)
        self._engine = engine
        self._languages = languages
        self._asked = Transcribe()
        self._said: list[str] = []

    async def info(self) -> Info:
        """The engine, as a model."""
        model = AsrModel(
            name=self._engine.name,
            attribution=_ATTRIBUTION,
            installed=True,
            description=self._engine.name,
            version=__version__,
            languages=list(self._languages),
        )
        program = AsrProgram(
            name="antiphon",
            attribution=_ATTRIBUTION,
            installed=True,
            description="Antiphon listens",
            version=__version__,
            models=[model],
            supports_transcript_streaming=True,
        )
        return Info(asr=[program])

    async def take(self, event: Event) -> None:
        """Note what is asked for; listen from `audio-start` to `audio-stop`."""
        if Transcribe.is_type(event.type):
            self._asked = _read(Transcribe, event)
        elif AudioStart.is_type(event.type):
            begun = _read(AudioStart, event)
            with self._calls.begin("wyoming"):
                await self._listen(Incoming(begun.rate, channels=begun.channels, width=begun.width))

    async def _listen(self, incoming: Incoming) -> None:
        self._said = []
        language = self._asked.language or ""
        dictation = Dictation(
            self._engine,
            self._settings,
            self._hear,
            incoming,
            language=language,
            hints=tuple(self._asked.transcript_terms or ()),
            interim=False,
        )

        async def audio() -> None:
            while (event := await self._wire.read()) is not None:
                if AudioChunk.is_type(event.type):
                    if dictation.position > self._settings.audio_seconds:
                        raise TooLarge(f"The recording is longer than {self._settings.audio_seconds:g} seconds.")
                    await dictation.hear(event.payload or b"")
                elif AudioStop.is_type(event.type):
                    return
            raise ConnectionResetError  # who is gone wants no transcript

        try:
            await dictation.run(audio)
        finally:
            self._calls.audio(dictation.position)
        if not self._said:
            await self._wire.write(TranscriptStart(language=language or None))
        await self._wire.write(Transcript(text=" ".join(self._said), language=language or None))
        await self._wire.write(TranscriptStop())

    async def _hear(self, heard: Heard) -> None:
        """What was said before a pause leaves at once, for clients that show it as it comes."""
        if not self._said:
            await self._wire.write(TranscriptStart(language=self._asked.language))
        text = heard.transcript.text
        await self._wire.write(TranscriptChunk(text=f" {text}" if self._said else text))
        self._said.append(text)


class SpeakingConnection(_Connection):
    """`synthesize` and its audio; or a text that comes in pieces between `synthesize-start` and `-stop`."""

    def __init__(self, wire: Wire, calls: Calls, settings: SpeechServiceSettings, engine: TextToSpeech) -> None:
        super().__init__(wire, calls, settings)
        self._engine = engine

    async def info(self) -> Info:
        """The engine with its voices."""
        voices = [
            TtsVoice(
                name=voice.name,
                attribution=_ATTRIBUTION,
                installed=True,
                description=voice.title or voice.name,
                version=__version__,
                languages=[voice.language],
            )
            for voice in await self._engine.voices()
        ]
        program = TtsProgram(
            name="antiphon",
            attribution=_ATTRIBUTION,
            installed=True,
            description="Antiphon speaks",
            version=__version__,
            voices=voices,
            supports_synthesize_streaming=True,
        )
        return Info(tts=[program])

    async def take(self, event: Event) -> None:
        """Speak a text, or one that is still being written."""
        if Synthesize.is_type(event.type):
            asked = _read(Synthesize, event)
            with self._calls.begin("wyoming"):
                self._check(len(asked.text))
                await self._start()
                await self._speak(asked.text, asked.voice)
                await self._wire.write(AudioStop())
        elif SynthesizeStart.is_type(event.type):
            with self._calls.begin("wyoming"):
                await self._follow(_read(SynthesizeStart, event).voice)

    async def _follow(self, voice: SynthesizeVoice | None) -> None:
        """Speak each sentence once it is whole."""
        await self._start()
        waiting, size = "", 0
        while (event := await self._wire.read()) is not None:
            if SynthesizeChunk.is_type(event.type):
                text = _read(SynthesizeChunk, event).text
                size += len(text)
                self._check(size)
                whole, waiting = _sentences(waiting + text)
                await self._speak(whole, voice)
            elif SynthesizeStop.is_type(event.type):
                await self._speak(waiting, voice)
                await self._wire.write(AudioStop())
                await self._wire.write(SynthesizeStopped())
                return
            # A `synthesize` in between repeats the whole text, for servers that know no pieces.
        raise ConnectionResetError

    def _check(self, size: int) -> None:
        if size > self._settings.text_chars:
            raise TooLarge(f"The text is longer than {self._settings.text_chars} characters.")

    async def _start(self) -> None:
        await self._engine.load()
        await self._wire.write(AudioStart(rate=self._engine.sample_rate, width=2, channels=1))

    async def _speak(self, text: str, voice: SynthesizeVoice | None) -> None:
        if not text.strip():
            return
        name, language = ((voice.name or ""), (voice.language or "")) if voice is not None else ("", "")
        speaking = self._engine.synthesize(text, voice=name, language=language)
        rate, size = self._engine.sample_rate, 0
        async with aclosing(cast("AsyncGenerator[SpeechChunk, None]", speaking)):
            while True:
                try:
                    async with asyncio.timeout(self._settings.answer_seconds):
                        chunk = await anext(speaking)
                except StopAsyncIteration:
                    break
                except TimeoutError:
                    raise SpeechError("The engine did not speak in time.") from None
                for at in range(0, len(chunk.pcm), _PIECE_BYTES):
                    piece = chunk.pcm[at : at + _PIECE_BYTES]
                    await self._wire.write(AudioChunk(rate=rate, width=2, channels=1, audio=piece))
                size += len(chunk.pcm)
        self._calls.audio(size / 2 / rate)


def _read(kind: type[E], event: Event) -> E:
    """What is in an event. Raises `InvalidInput` where it is not what it should be."""
    try:
        if all(map(_fits, (event.data, event.data.get("voice") or {}))):
            return cast("E", kind.from_event(event))
    except (KeyError, TypeError, ValueError, AttributeError):
        pass
    raise InvalidInput(f"{event.type} lacks something, or has something of a wrong kind.")


def _fits(data: Mapping[str, object]) -> bool:
    """Whether values are of the kinds that the package `wyoming` believes them to be."""
    terms: object = data.get("transcript_terms") or []
    return (
        all(isinstance(data.get(name, 0), int) for name in ("rate", "width", "channels"))
        and all(isinstance(data.get(name), str | None) for name in ("text", "language", "name", "speaker"))
        and isinstance(terms, list)
        and all(isinstance(term, str) for term in cast("list[object]", terms))
    )


def _sentences(text: str) -> tuple[str, str]:
    """What can be spoken of a text that is still being written, and the rest: its last sentence."""
    starts = [start for start, _ in pieces(text, longest=len(text) + 1)]
    return (text[: starts[-1]], text[starts[-1] :]) if len(starts) > 1 else ("", text)
