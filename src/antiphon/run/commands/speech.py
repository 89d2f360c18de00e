"""`antiphon speech list|test|download`: what is installed, whether it works and how fast, and models for it."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from antiphon.config import Settings
from antiphon.config.speech import Kind, engine_name
from antiphon.domain.errors import AntiphonError, InvalidInput
from antiphon.domain.speech import EngineState, EngineStatus, SpeechToText, TextToSpeech
from antiphon.run.commands import DONE, FAILED
from antiphon.run.commands.opening import read_settings
from antiphon.run.probes.speech import try_engines

_TITLES = {"stt": "Listening (speech.stt", "tts": "Speaking (speech.tts", "turns": "Turns (voice.turn_detection"}


def add_commands(commands: Any) -> None:
    """Add the commands to the parser of `antiphon`."""
    speech = commands.add_parser("speech", help="engines that listen and speak").add_subparsers(
        required=True, metavar="ACTION"
    )
    listing = speech.add_parser("list", help="which engines there are, and what each needs")
    listing.add_argument("--json", action="store_true", help="as JSON")
    listing.set_defaults(run=_list)
    trial = speech.add_parser("test", help="speak a sentence, recognise it, and say how long both took")
    trial.add_argument("--stt", metavar="ENGINE", help="this engine instead of those of speech.stt")
    trial.add_argument("--tts", metavar="ENGINE", help="this engine instead of those of speech.tts")
    trial.add_argument("--language", default="", help="language, like de (default: speech.language)")
    trial.add_argument("--voice", default="", help="voice (default: the engine's own)")
    trial.add_argument("--text", default="", help="what to say")
    trial.add_argument("--out", type=Path, metavar="FILE", help="write what was spoken into a WAV file")
    trial.add_argument("--json", action="store_true", help="as JSON")
    trial.set_defaults(run=_test)
    download = speech.add_parser("download", help="fetch the model of an engine into models_dir")
    download.add_argument("engine", help="engine, engine:model like faster_whisper:small, or smart_turn")
    download.set_defaults(run=_download)


def _list(options: argparse.Namespace) -> int:
    settings = read_settings(options)
    from antiphon.speech import _registry
    from antiphon.speech.engines import check_engines

    check_engines(settings)
    rows: list[dict[str, object]] = []
    for kind, chain in settings.speech.chains:
        names = [*chain, *(name for name in _registry.names(kind) if name not in map(engine_name, chain))]
        statuses = asyncio.run(_statuses(settings, kind, names))
        for choice, status in zip(names, statuses, strict=True):
            rows.append(_row(kind, choice, choice in chain, status, _title(kind, choice)))
    rows += _turn_rows(settings)
    if options.json:
        print(json.dumps(rows, indent=2))
        return DONE
    for kind, title in _TITLES.items():
        print(f"{title} = {', '.join(str(row['engine']) for row in rows if row['kind'] == kind and row['chosen'])})")
        for row in rows:
            if row["kind"] != kind:
                continue
            print(f"  {'*' if row['chosen'] else ' '} {row['engine']!s:<18} {row['state']!s:<14} {row['title']}")
            for line in (row["detail"], row["remedy"]):
                if line:
                    print(f"{'':38}{line}")
        print()
    print(f"Models are kept in {settings.models_path}.", file=sys.stderr)
    return DONE


def _row(kind: str, name: str, chosen: bool, status: EngineStatus, title: str) -> dict[str, object]:
    return {
        "kind": kind,
        "engine": name,
        "chosen": chosen,
        "state": status.state.value,
        "detail": status.detail,
        "remedy": status.remedy,
        "title": title,
    }


def _turn_rows(settings: Settings) -> Sequence[dict[str, object]]:
    """What can decide that a person is done."""
    from antiphon.voice.detectors import DETECTORS, detector_status

    chosen = settings.voice.turn_detection
    return [
        _row("turns", name, name == chosen, detector_status(name, settings.models_path), title)
        for name, title in DETECTORS.items()
    ]


async def _statuses(settings: Settings, kind: Kind, choices: Sequence[str]) -> Sequence[EngineStatus]:
    found: list[EngineStatus] = []
    for choice in choices:
        engine: SpeechToText | TextToSpeech | None = None
        try:
            engine = _made(settings, kind, choice)
            found.append(await engine.status())
        except AntiphonError as error:
            found.append(EngineStatus(choice, EngineState.BROKEN, error.message))
        except ValidationError:
            remedy = f"see the keys of [speech.engines.{engine_name(choice)}] in docs/reference/speech.md"
            found.append(EngineStatus(choice, EngineState.NEEDS_SETTING, "A setting is missing.", remedy))
        finally:
            if engine is not None:
                await engine.aclose()
    return found


def _made(settings: Settings, kind: Kind, choice: str) -> SpeechToText | TextToSpeech:
    from antiphon.brain.offline.phrases import spoken_phrases
    from antiphon.speech.engines import make_stt, make_tts, surroundings

    around = surroundings(settings, spoken_phrases)
    return make_stt(settings, choice, around) if kind == "stt" else make_tts(settings, choice, around)


def _title(kind: Kind, choice: str) -> str:
    from antiphon.speech import _registry

    try:
        return _registry.engine(kind, engine_name(choice)).title
    except AntiphonError:
        return ""


def _test(options: argparse.Namespace) -> int:
    settings = read_settings(options)
    if options.out is not None and not options.out.parent.is_dir():
        raise InvalidInput(f"{options.out} cannot be written: there is no folder {options.out.parent}.")
    chosen: dict[str, object] = {}
    for kind in ("stt", "tts"):
        if (choice := getattr(options, kind)) is not None:
            chosen[kind] = (choice,)
    settings = settings.model_copy(update={"speech": settings.speech.model_copy(update=chosen)})
    found = asyncio.run(try_engines(settings, language=options.language, voice=options.voice, text=options.text))
    result = {name: value for name, value in asdict(found).items() if name != "pcm"}
    if options.out is not None:
        from antiphon.speech.codec import wav

        try:
            options.out.write_bytes(wav(found.pcm, found.rate))
        except OSError as error:
            raise InvalidInput(f"{options.out} cannot be written: {error.strerror}.") from error
        result["file"] = str(options.out)
    if options.json:
        print(json.dumps(result, indent=2, ensure_ascii=False))
    else:
        for name, value in result.items():
            print(f"{name.replace('_', ' '):<28} {round(value, 3) if isinstance(value, float) else value}")
    return DONE if found.heard else FAILED


def _download(options: argparse.Namespace) -> int:
    settings = read_settings(options)
    from antiphon.run.addresses import PinnedTransport, only_public
    from antiphon.speech.download import fetch
    from antiphon.voice.detectors import SMART_TURN

    choice: str = options.engine
    if choice == SMART_TURN:
        from antiphon.voice.smart_turn_model import fetch_model

        print(f"{fetch_model(settings.models_path)} is there")
        return DONE
    wanted, hub = _downloads(settings, choice), settings.speech.hub_url
    files = asyncio.run(
        fetch(
            wanted,
            hub=hub,
            models=settings.models_path,
            transport=PinnedTransport(only_public(hub), proxies=True),
            progress=_Bar(sys.stderr.isatty()),
        )
    )
    print(f"{len(files)} files are in {settings.models_path / wanted[0].into}")
    return DONE


def _downloads(settings: Settings, choice: str) -> Sequence[Any]:
    from antiphon.config.speech import is_engine
    from antiphon.speech import _registry
    from antiphon.speech.engines import table_of

    name = engine_name(choice)
    kinds: list[Kind] = [kind for kind, _ in settings.speech.chains if is_engine(kind, name)]
    if not kinds:
        known = sorted({*_registry.names("stt"), *_registry.names("tts")})
        raise InvalidInput(f"There is no engine {name!r}; there are {', '.join(known)}.")
    try:
        wanted = [
            one for kind in kinds for one in _registry.engine(kind, name).downloads(table_of(settings, kind, choice))
        ]
    except ValidationError as error:
        raise InvalidInput(f"{choice} is not accepted: {error.errors(include_url=False)[0]['msg']}.") from error
    if not wanted:
        raise InvalidInput(f"The engine {name} has nothing to fetch.")
    return wanted


class _Bar:
    """A progress bar on stderr; a line for every tenth where that is no terminal."""

    def __init__(self, terminal: bool) -> None:
        self._terminal = terminal
        self._tenth = -1
        self._shown = 0.0

    def __call__(self, progress: Any) -> None:
        share = progress.done / max(progress.total, 1)
        megabytes = f"{progress.done / 1e6:.0f} of {progress.total / 1e6:.0f} MB"
        if self._terminal:
            now = time.monotonic()
            if now - self._shown > 0.1 or share >= 1:
                self._shown = now
                bar = "#" * int(share * 30)
                end = "\n" if share >= 1 else ""
                print(f"\r[{bar:<30}] {megabytes}  {progress.name:<30.30}", end=end, file=sys.stderr, flush=True)
        elif int(share * 10) > self._tenth:
            self._tenth = int(share * 10)
            print(f"{megabytes} ({progress.name})", file=sys.stderr, flush=True)
