"""Kokoro by sherpa-onnx in a process of its own: it computes for a long time at once, with a GPL library inside.

Started by `tts/kokoro`, and talks as `speaker` says. The first frame names the files of the model ("files") and how
many "threads" compute; it is answered with how many "speakers" there are, too. With a text come "speaker" and "speed".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from antiphon.speech.children.speaker import Speaker


class Kokoro(Speaker):
    """One model."""

    def open(self, header: Mapping[str, Any]) -> Mapping[str, Any]:
        """Load the model."""
        import sherpa_onnx  # pyright: ignore[reportMissingTypeStubs]

        library: Any = sherpa_onnx
        model = library.OfflineTtsModelConfig(
            kokoro=library.OfflineTtsKokoroModelConfig(**header["files"]), num_threads=header["threads"]
        )
        self._engine = library.OfflineTts(library.OfflineTtsConfig(model=model))
        return {"rate": int(self._engine.sample_rate), "speakers": int(self._engine.num_speakers)}

    def speak(self, number: int, header: Mapping[str, Any]) -> None:
        """Speak piece by piece, as the library hands them out."""

        def piece(samples: Any, progress: float) -> int:
            del progress
            if self.stopped(number):
                return 0
            pcm = (np.clip(np.asarray(samples, np.float32), -1, 1) * 32767).astype("<i2").tobytes()
            self.send({"id": number}, pcm)
            return 1

        self._engine.generate(header["text"], sid=header["speaker"], speed=header["speed"], callback=piece)


if __name__ == "__main__":
    Kokoro().serve()
