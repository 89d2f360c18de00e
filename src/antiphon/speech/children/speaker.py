"""What the processes of the engines that speak have in common: one text after the other, and stops that do not wait.

`espeak`, `kokoro` and `piper` beside this file are built on it. The first frame sets the engine up; it is answered
with what it is like ("rate": its sample rate). Then {"id", "text", …} to speak, with what the engine wants to know,
and {"id", "stop": true} to stop speaking it. Frames out: {"id", …} with PCM, and at last {"id", "done": true}, with an
"error" where it failed, or why it was "refused" where there is not what was asked for.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from antiphon.speech.children.frames import Channel


class Failed(Exception):
    """The engine cannot: why, in words that are shown."""


class Refused(Exception):
    """There is not what was asked for: the same in words."""


class Speaker(Channel, ABC):
    """An engine and the pipe. The engine fills in `open` and `speak`."""

    def __init__(self) -> None:
        super().__init__()
        self._stopped: set[int] = set()

    @abstractmethod
    def open(self, header: Mapping[str, Any]) -> Mapping[str, Any]:
        """Load the engine; returns what it is like. Raises `Failed`, and whatever its library raises."""

    @abstractmethod
    def speak(self, number: int, header: Mapping[str, Any]) -> None:
        """Send the PCM of a text, as long as it is not `stopped`. Raises like `open`, and `Refused`."""

    def stopped(self, number: int) -> bool:
        """Whether nobody wants to hear this text any more."""
        return number in self._stopped

    def answer(self, number: int, header: Mapping[str, Any]) -> None:
        """Deal with a frame that is no stop."""
        if self.stopped(number):
            self.send({"id": number, "done": True})
            return
        try:
            self.speak(number, header)
        except Refused as error:
            self.send({"id": number, "done": True, "refused": str(error)})
        except Failed as error:
            self.send({"id": number, "done": True, "error": str(error)})
        except Exception as error:
            self.send({"id": number, "done": True, "error": f"it refused the text ({type(error).__name__})"})
        else:
            self.send({"id": number, "done": True})

    def taken(self, header: Mapping[str, Any], payload: bytes) -> bool:
        """A stop must not wait behind what it stops."""
        if header.get("stop"):
            self._stopped.add(header["id"])
            return True
        return False

    def forget(self, number: int) -> None:
        """Numbers only grow, so whatever was stopped up to this one is over.

        The reading thread adds to the set meanwhile: it is copied in one step, and never replaced.
        """
        for stopped in tuple(self._stopped):
            if stopped <= number:
                self._stopped.discard(stopped)

    def serve(self) -> None:
        """Get ready, say so, and speak until the pipe closes."""
        self.listen()
        header, _ = self.inbox.get()
        try:
            facts = self.open(header)
        except Failed as error:
            self.send({"error": str(error)})
            return
        except Exception as error:
            self.send({"error": f"{type(error).__name__}: {error}"[:300]})
            return
        self.send(facts)
        while True:
            header, _ = self.inbox.get()
            self.answer(header["id"], header)
            self.forget(header["id"])
