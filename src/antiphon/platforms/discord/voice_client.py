"""The library's voice connection, with its state and its control messages made known. Imported when somebody joins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import discord
from discord.voice_state import ConnectionFlowState, VoiceConnectionState

StateTold = Callable[[str], None]
MessageTold = Callable[[dict[str, Any]], None]


class _State(VoiceConnectionState):
    """Tells when the connection is there and when it is not."""

    def __init__(self, client: ListeningClient, told: StateTold, message: MessageTold) -> None:
        self._told = told
        self._was = ""

        async def hook(_: Any, data: dict[str, Any]) -> None:
            message(data)

        super().__init__(client, hook=hook)

    @property
    def state(self) -> ConnectionFlowState:
        """Where in its course the connection is."""
        return self._state

    @state.setter
    def state(self, state: ConnectionFlowState) -> None:
        VoiceConnectionState.state.fset(self, state)  # type: ignore[attr-defined]
        now = "connected" if state is ConnectionFlowState.connected else "connecting"
        if now != self._was:
            again = now == "connecting" and self._was == "connected"
            self._was = now
            self._told("reconnecting" if again else now)


class ListeningClient(discord.VoiceClient):
    """A voice connection that says nothing and tells what its control socket says."""

    def __init__(self, client: discord.Client, channel: Any, *, told: StateTold, message: MessageTold) -> None:
        self._told = told
        self._message = message
        super().__init__(client, channel)

    def create_connection_state(self) -> VoiceConnectionState:
        """Called by the library when the connection is made."""
        return _State(self, self._told, self._message)
