"""Piper in a process of its own: it is under the GPL, and computes for a long time at once.

Started by `tts/piper`, and talks as `speaker` says. The first frame names the model ("model"); with a text come
"speaker" and "length".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from antiphon.speech.children.speaker import Speaker


class Piper(Speaker):
    """One voice."""

    def open(self, header: Mapping[str, Any]) -> Mapping[str, Any]:
        """Load the model."""
        from piper import PiperVoice, SynthesisConfig  # pyright: ignore[reportMissingTypeStubs]

        self._how = SynthesisConfig
        self._voice: Any = PiperVoice.load(header["model"])
        return {"rate": int(self._voice.config.sample_rate)}

    def speak(self, number: int, header: Mapping[str, Any]) -> None:
        """Speak sentence by sentence."""
        how = self._how(speaker_id=header["speaker"], length_scale=header["length"])
        for chunk in self._voice.synthesize(header["text"], syn_config=how):
            if self.stopped(number):
                return
            self.send({"id": number}, chunk.audio_int16_bytes)


if __name__ == "__main__":
    Piper().serve()
