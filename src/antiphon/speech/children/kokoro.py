"""Kokoro by sherpa-onnx in a process of its own: it computes for a long time at once, with a GPL library inside.

Started by `tts/kokoro`. The first frame names the files of the model; then {"id", "text", "speaker", "speed"} to speak
and {"id", "stop"}. Frames out: {"id"} with PCM, and at last {"id", "done": true}, with an "error" where it failed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from antiphon.speech.children.frames import Channel


class Speaker(Channel):
    """The engine and the pipe."""

    def __init__(self) -> None:
        super().__init__()
        self._stopped: set[int] = set()

    def open(self, header: dict[str, Any]) -> dict[str, Any]:
        """Load the model; returns what it is like."""
        import sherpa_onnx  # pyright: ignore[reportMissingTypeStubs]

        library: Any = sherpa_onnx
        model = library.OfflineTtsModelConfig(
            kokoro=library.OfflineTtsKokoroModelConfig(**header["files"]), num_threads=header["threads"]
        )
        self._engine = library.OfflineTts(library.OfflineTtsConfig(model=model))
        return {"rate": int(self._engine.sample_rate), "speakers": int(self._engine.num_speakers)}

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
        def piece(samples: Any, progress: float) -> int:
            del progress
            if number in self._stopped:
                return 0
            pcm = (np.clip(np.asarray(samples, np.float32), -1, 1) * 32767).astype("<i2").tobytes()
            self.send({"id": number}, pcm)
            return 1

        self._engine.generate(header["text"], sid=header["speaker"], speed=header["speed"], callback=piece)


def main() -> None:
    """Get ready, say so, and speak until the pipe closes."""
    speaker = Speaker()
    speaker.listen()
    header, _ = speaker.inbox.get()
    try:
        speaker.send(speaker.open(header))
    except Exception as error:
        speaker.send({"error": f"{type(error).__name__}: {error}"[:300]})
        return
    speaker.run()


if __name__ == "__main__":
    main()
