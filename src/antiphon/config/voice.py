"""Settings of spoken sessions. Part of the tree in `config.settings`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from antiphon.config.values import Part


class VoiceSettings(Part):
    """Spoken sessions: when a turn is over, what interrupts the agent, and how long a session may go on."""

    turn_detection: Literal["vad", "livekit", "smart_turn"] = Field(
        default="vad",
        description="What decides that a person is done: 'vad' silence alone, 'livekit' LiveKit's model, which listens "
        "to the tone too (250 MB of memory), 'smart_turn' smart-turn v3, which does so too "
        "(`antiphon speech download smart_turn`). A model that is not there: silence alone.",
    )
    silence_seconds: float = Field(
        default=0.3, ge=0.1, le=3, description="Seconds of silence after which speech counts as over."
    )
    endpoint_seconds: float = Field(
        default=0.0,
        ge=0,
        le=3,
        description="Seconds of silence, in all, that are waited at least before an answer. Slow speakers want more.",
    )
    most_endpoint_seconds: float = Field(
        default=2.0,
        ge=0.1,
        le=10,
        description="Seconds that are waited when the turn detection thinks that the person will go on.",
    )
    interruption_seconds: float = Field(
        default=0.2, ge=0.05, le=5, description="Seconds a person speaks before the agent falls silent."
    )
    resume_seconds: float = Field(
        default=1.0,
        ge=0.1,
        le=10,
        description="Seconds after which the agent goes on speaking when an interruption had no words.",
    )
    preemptive: bool = Field(
        default=True, description="Whether an answer is prepared while it is not yet sure that the person is done."
    )
    idle_minutes: float = Field(
        default=10, gt=0, le=1440, description="Minutes without a word of anybody after which a session ends."
    )
    reconnect_seconds: float = Field(
        default=60, ge=0, le=3600, description="Seconds a session waits for a connection that went away."
    )
    ticket_seconds: float = Field(
        default=60, ge=1, le=3600, description="Seconds a ticket for the audio connection is good for, once."
    )
    sessions: int = Field(default=100, ge=1, le=10_000, description="Sessions that one process carries at most.")
    lease_seconds: float = Field(
        default=15.0,
        ge=1.0,
        le=600,
        description="Seconds after which the sessions of a process that died are over. For several processes.",
    )
    record: bool = Field(
        default=False, description="Whether what is said is recorded, as sound. Tell the people when you turn it on."
    )
