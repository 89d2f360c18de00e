"""Spoken sessions: rooms, what was said in them, and how long each turn took."""

from __future__ import annotations

from django.db import models

from antiphon.domain.conversation import Author
from antiphon.domain.voice import LONGEST_LABEL, LONGEST_ROOM, EndReason
from antiphon.store.models.fields import InstantField, choices
from antiphon.store.models.people import Person


class VoiceRoom(models.Model):
    """The name of a room and whose it is: whoever used it first."""

    name = models.CharField(max_length=LONGEST_ROOM, unique=True)
    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="voice_rooms")
    created_at = InstantField()

    def __str__(self) -> str:
        return f"room {self.pk}"


class VoiceSession(models.Model):
    """One spoken session. `channel` is a key, not a reference: the channel comes to be with its first turn.

    `owner` is the process that carries it, which lives as long as its lease (`NamedLease`), "" where there is but one.
    """

    key = models.CharField(max_length=40, unique=True)
    room = models.ForeignKey(VoiceRoom, on_delete=models.CASCADE, related_name="sessions")
    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="voice_sessions")
    identity = models.CharField(max_length=LONGEST_LABEL, blank=True, default="")
    channel = models.CharField(max_length=200)
    transport = models.CharField(max_length=16)
    language = models.CharField(max_length=35, blank=True, default="")
    voice = models.CharField(max_length=100, blank=True, default="")
    system_prompt = models.TextField(blank=True, default="")
    started_at = InstantField()
    ended_at = InstantField(null=True, blank=True)
    reason = models.CharField(max_length=16, choices=choices(EndReason), blank=True, default="")
    recording = models.BooleanField(default=False)
    owner = models.CharField(max_length=100, blank=True, default="")

    class Meta:
        indexes = [models.Index(fields=["ended_at"], name="voice_session_ended")]

    def __str__(self) -> str:
        return f"session {self.key}"


class VoiceSegment(models.Model):
    """One stretch of speech, once it is final."""

    session = models.ForeignKey(VoiceSession, on_delete=models.CASCADE, related_name="segments")
    number = models.PositiveIntegerField()
    author = models.CharField(max_length=8, choices=choices(Author))
    speaker = models.CharField(max_length=LONGEST_LABEL, blank=True, default="")
    text = models.TextField(blank=True, default="")
    unheard = models.TextField(blank=True, default="")
    interrupted = models.BooleanField(default=False)
    heard_seconds = models.FloatField(null=True, blank=True)
    at = InstantField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["session", "number"], name="voice_segment_once")]

    def __str__(self) -> str:
        return f"segment {self.pk}"


class VoiceTurn(models.Model):
    """How long one spoken turn took, in parts of seconds by name."""

    session = models.ForeignKey(VoiceSession, on_delete=models.CASCADE, related_name="turns")
    number = models.PositiveIntegerField()
    parts = models.JSONField(default=dict)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["session", "number"], name="voice_turn_once")]

    def __str__(self) -> str:
        return f"turn {self.pk}"
