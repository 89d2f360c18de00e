"""espeak-ng in a process of its own: its state is global, its licence is the GPL, and a crash of it is not ours.

Started by `tts/espeak`, and talks as `speaker` says. With a text come "voices", of which the first one that there is
speaks, "rate", "pitch" and "volume"; with the PCM the words in it, "words": [[at, start, end], ...]. {"id", "list":
true} is answered with all voices.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import importlib.util
from collections.abc import Mapping
from typing import Any

from antiphon.speech.children.speaker import Failed, Refused, Speaker

_SYNCHRONOUS = 2
DO_NOT_EXIT = 0x8000
UTF8 = 1
_PIECE_MS = 40
_RATE, _VOLUME, _PITCH = 1, 2, 3
_END, _WORD = 0, 1


class _Id(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    )


class _Voice(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_char_p),
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("xx1", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    )


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


class Espeak(Speaker):
    """The library."""

    def __init__(self) -> None:
        super().__init__()
        self._speaking = 0
        self._words: list[list[float]] = []
        self._kept = _Callback(self._on_audio)

    def open(self, header: Mapping[str, Any]) -> Mapping[str, Any]:
        """Load the library."""
        path, data = library()
        if not path:
            raise Failed("the library espeak-ng is not installed")
        self._lib = ctypes.CDLL(path)
        self._lib.espeak_Initialize.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_int]
        self._lib.espeak_Synth.argtypes = [
            *(ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int, ctypes.c_uint, ctypes.c_uint),
            *(ctypes.c_void_p, ctypes.c_void_p),
        ]
        self._lib.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_Voice))
        self._lib.espeak_ListVoices.argtypes = [ctypes.c_void_p]
        rate: int = self._lib.espeak_Initialize(_SYNCHRONOUS, _PIECE_MS, data.encode() or None, DO_NOT_EXIT)
        if rate <= 0:
            raise Failed("espeak-ng does not find its data")
        self._lib.espeak_SetSynthCallback(self._kept)
        self._listed = self._list()
        self._named = {language.casefold(): name for name, language, _ in reversed(self._listed)}
        return {"rate": rate}

    def answer(self, number: int, header: Mapping[str, Any]) -> None:
        """Say which voices there are, or speak."""
        if header.get("list"):
            self.send({"id": number, "list": self._listed, "done": True})
        else:
            super().answer(number, header)

    def speak(self, number: int, header: Mapping[str, Any]) -> None:
        """Speak with the first of the voices that there is."""
        voices: list[str] = header["voices"]
        if not any(self._choose(voice) for voice in voices):
            raise Refused(f"there is no voice {voices[0][:40]}")
        for parameter, key in ((_RATE, "rate"), (_VOLUME, "volume"), (_PITCH, "pitch")):
            self._lib.espeak_SetParameter(parameter, int(header[key]), 0)
        text = str(header["text"]).encode() + b"\0"
        self._speaking, self._words = number, []
        if self._lib.espeak_Synth(text, len(text), 0, 1, 0, UTF8, None, None):
            raise Failed("it refused the text")

    def _choose(self, voice: str) -> bool:
        """Take a voice by its name, or by its language where the file has another name (`en-gb` is `en`)."""
        if not voice.isprintable() or not set("/\\").isdisjoint(voice):
            return False  # the library would look for it as a path
        name, plus, variant = voice.partition("+")
        names = [voice, self._named.get(name.casefold(), name) + plus + variant]
        return any(self._lib.espeak_SetVoiceByName(one.encode()) == 0 for one in dict.fromkeys(names))

    def _on_audio(self, wave: Any, samples: int, events: Any) -> int:
        index = 0
        while events[index].type != _END:
            event = events[index]
            if event.type == _WORD:
                begin = event.text_position - 1
                self._words.append([event.audio_position / 1000, begin, begin + event.length])
            index += 1
        if self.stopped(self._speaking):
            return 1
        if wave and samples > 0:
            words, self._words = self._words, []
            self.send({"id": self._speaking, "words": words}, ctypes.string_at(wave, 2 * samples))
        return 0

    def _list(self) -> list[tuple[str, str, str]]:
        """Every voice: its name, its language and what it is called."""
        found: list[tuple[str, str, str]] = []
        listed = self._lib.espeak_ListVoices(None)
        index = 0
        while listed[index]:
            voice = listed[index].contents
            # "languages" is a list of a priority byte and a name that ends with a zero; the first one is the best.
            language = (voice.languages or b"\0")[1:].decode("utf-8", "replace")
            title = (voice.name or b"").decode("utf-8", "replace").strip()
            found.append(((voice.identifier or b"").decode("utf-8", "replace").rpartition("/")[2], language, title))
            index += 1
        return found


def library() -> tuple[str, str]:
    """The library's file and the folder that holds its data ("": its own): the wheel's, else the system's."""
    if importlib.util.find_spec("espeakng_loader") is not None:
        import espeakng_loader  # pyright: ignore[reportMissingTypeStubs]

        return str(espeakng_loader.get_library_path()), str(espeakng_loader.get_data_path())
    return ctypes.util.find_library("espeak-ng") or "", ""


if __name__ == "__main__":
    Espeak().serve()
