"""Kokoro by sherpa-onnx in a process of its own: it computes for a long time at once, with a GPL library inside.

Started by `tts/kokoro`, and talks as `speaker` says. The first frame names the files of the model ("files") and how
many "threads" compute; it is answered with how many "speakers" there are, too. With a text come "speaker", "speed" and
"accent": the voice of espeak-ng that says how the text is pronounced, where the model has no lexicon.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from antiphon.speech.children.phonemes import Phonemes
from antiphon.speech.children.speaker import Failed, Speaker


class Kokoro(Speaker):
    """One model."""

    def open(self, header: Mapping[str, Any]) -> Mapping[str, Any]:
        """Load the model."""
        import sherpa_onnx  # pyright: ignore[reportMissingTypeStubs]

        library: Any = sherpa_onnx
        model = library.OfflineTtsModelConfig(
            kokoro=library.OfflineTtsKokoroModelConfig(**header["files"]), num_threads=header["threads"]
        )
        self._how: Any = library.GenerationConfig
        self._engine = library.OfflineTts(library.OfflineTtsConfig(model=model))
        self._phonemes = None if "lexicon" in header["files"] else Phonemes()
        return {"rate": int(self._engine.sample_rate), "speakers": int(self._engine.num_speakers)}

    def speak(self, number: int, header: Mapping[str, Any]) -> None:
        """Speak piece by piece, as the library hands them out."""
        how = self._how()
        how.sid, how.speed = header["speaker"], header["speed"]
        text: str = header["text"]
        if self._phonemes is not None:
            phonemes = self._phonemes.of(text, header["accent"])
            if not phonemes:
                return
            how.phoneme_codepoints = [[ord(phoneme) for phoneme in phonemes]]
        made = False

        def piece(samples: Any, progress: float) -> int:
            nonlocal made
            del progress
            if self.stopped(number):
                return 0
            pcm = (np.clip(np.asarray(samples, np.float32), -1, 1) * 32767).astype("<i2").tobytes()
            made = made or bool(pcm)
            self.send({"id": number}, pcm)
            return 1

        self._engine.generate(text, how, callback=piece)
        if not made and not self.stopped(number) and any(map(str.isalnum, text)):
            raise Failed("the model does not know how this text is pronounced")


if __name__ == "__main__":
    Kokoro().serve()
