"""How a text is pronounced, by espeak-ng: for models that were trained on its phonemes and bring no lexicon.

Used by `kokoro` beside this file, in its process: the library's state is global, and its licence is the GPL.
"""

from __future__ import annotations

import ctypes
import re

from antiphon.speech.children.espeak import DO_NOT_EXIT, UTF8, library
from antiphon.speech.children.speaker import Failed

_SILENT = 1
_IPA = 0x02
_MARKS = ".?!,;:…"
"""What models know as pauses and tone; espeak-ng leaves it out."""
_CLAUSES = re.compile(rf"(?<=[{_MARKS}])\s+")


class Phonemes:
    """The library. Raises `Failed` with what is missing."""

    def __init__(self) -> None:
        path, data = library()
        if not path:
            raise Failed("the library espeak-ng is not installed")
        self._lib = ctypes.CDLL(path)
        self._lib.espeak_TextToPhonemes.restype = ctypes.c_char_p
        self._lib.espeak_TextToPhonemes.argtypes = [ctypes.POINTER(ctypes.c_char_p), ctypes.c_int, ctypes.c_int]
        if self._lib.espeak_Initialize(_SILENT, 0, data.encode() or None, DO_NOT_EXIT) <= 0:
            raise Failed("espeak-ng does not find its data")

    def of(self, text: str, voice: str) -> str:
        """The text in the international phonetic alphabet, with its marks. Raises `Failed` for an unknown voice."""
        if self._lib.espeak_SetVoiceByName(voice.encode()):
            raise Failed(f"espeak-ng does not know how {voice} is pronounced")
        said: list[str] = []
        for clause in _CLAUSES.split(text):
            mark = clause[-1:] if clause[-1:] in _MARKS else ""
            if phonemes := self._clause(clause):
                said.append(phonemes + mark)
        return " ".join(said)

    def _clause(self, text: str) -> str:
        rest = ctypes.c_char_p(text.encode())
        said: list[str] = []
        while rest.value:  # the library goes on to what it has not read, and to nothing at the end
            phonemes: bytes = self._lib.espeak_TextToPhonemes(ctypes.byref(rest), UTF8, _IPA) or b""
            said += phonemes.decode("utf-8", "replace").split()
        return " ".join(said)
