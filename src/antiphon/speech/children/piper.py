"""Piper in a process of its own: it is under the GPL, and computes for a long time at once.

Started by `tts/piper`. The first frame names the model; then {"id", "text", "speaker", "length"} to speak and {"id",
"stop"}. Frames out: {"id"} with PCM, and at last {"id", "done": true}, with an "error" where it failed.
"""

from __future__ import annotations

from typing import Any

from antiphon.speech.children.frames import Channel


class Speaker(Channel):
    """The engine and the pipe."""

    def __init__(self) -> None:
        super().__init__()
        self._stopped: set[int] = set()

    def open(self, header: dict[str, Any]) -> int:
        """Load the model; returns its sample rate."""
        from piper import PiperVoice, SynthesisConfig  # pyright: ignore[reportMissingTypeStubs]

        self._how = SynthesisConfig
        self._voice: Any = PiperVoice.load(header["model"])
        return int(self._voice.config.sample_rate)

    def taken(self, header: dict[str, Any], payload: bytes) -> bool:
        """A stop must not wait behind what it stops."""
        if header.get("stop"):
            self._stopped.add(header["id"])
            return True
        return False

    def run(self) -> None:
        """Speak what comes, one after the other."""
        while True:
            header, _ = self.inbox.get()
            number: int = header["id"]
            if number not in self._stopped:
                try:
                    self._speak(number, header)
                    self.send({"id": number, "done": True})
                except Exception as error:
                    self.send({"id": number, "done": True, "error": f"it refused the text ({type(error).__name__})"})
            self._stopped = {stopped for stopped in self._stopped if stopped > number}

    def _speak(self, number: int, header: dict[str, Any]) -> None:
        how = self._how(speaker_id=header["speaker"], length_scale=header["length"])
        for chunk in self._voice.synthesize(header["text"], syn_config=how):
            if number in self._stopped:
                return
            self.send({"id": number}, chunk.audio_int16_bytes)


def main() -> None:
    """Get ready, say so, and speak until the pipe closes."""
    speaker = Speaker()
    speaker.listen()
    header, _ = speaker.inbox.get()
    try:
        speaker.send({"rate": speaker.open(header)})
    except Exception as error:
        speaker.send({"error": f"{type(error).__name__}: {error}"[:300]})
        return
    speaker.run()


if __name__ == "__main__":
    main()
