"""The documents of spoken sessions: what requests may hold and what answers look like."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from antiphon.api.bodies import Body, StrictText
from antiphon.domain.errors import InvalidInput
from antiphon.domain.voice import LONGEST_LABEL, LONGEST_ROOM, EndReason, check_room

LANGUAGES = (("en", "English"), ("de", "Deutsch"), ("es", "Español"), ("fr", "Français"), ("it", "Italiano"))
"""Offered by the page; a session may ask for any that the engines know."""
_TAG = r"^$|^[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8}){0,4}$"


class NewVoiceSession(Body):
    """A spoken session to be begun."""

    room = StrictText(max_length=LONGEST_ROOM, help_text="A name of your choice; it belongs to whoever uses it first.")
    identity = StrictText(
        min_length=1, max_length=LONGEST_LABEL, help_text="What you are called there: a label, never authority."
    )
    system_prompt = StrictText(
        required=False, allow_blank=True, max_length=8000, help_text="What the agent is asked to be in this session."
    )
    language = serializers.RegexField(
        _TAG, required=False, allow_blank=True, max_length=35, help_text="What is spoken, like en or de-DE."
    )
    voice = StrictText(required=False, allow_blank=True, max_length=100, help_text="Of `GET /api/voice/options`.")

    def validate_room(self, value: str) -> str:
        """As the domain has it."""
        try:
            return check_room(value)
        except InvalidInput as error:
            raise serializers.ValidationError(error.message) from None

    def validate_language(self, value: Any) -> str:
        """No number is taken for text."""
        if not isinstance(self.initial_data["language"], str):
            raise serializers.ValidationError("must be text")
        return value


class VoicePass(serializers.Serializer):
    """The way in for a person's sound."""

    token = serializers.CharField(help_text="A secret: the ticket, or LiveKit's token.")
    transport = serializers.ChoiceField(choices=["embedded", "livekit"])
    url = serializers.CharField(help_text="Of the LiveKit server, or the path to which the session's id is added.")
    expires_in = serializers.FloatField(help_text="Seconds.")


class VoiceBegun(serializers.Serializer):
    """A session that has begun."""

    session_id = serializers.CharField()


class VoiceStopped(serializers.Serializer):
    """A session that is over."""

    stopped = serializers.BooleanField()


class VoiceSegmentItem(serializers.Serializer):
    """One stretch of speech."""

    segment = serializers.IntegerField(help_text="Counts from 1.")
    role = serializers.ChoiceField(choices=["user", "agent"])
    speaker = serializers.CharField(help_text="A label.")
    text = serializers.CharField(help_text="Of an answer that was interrupted, what was heard.")
    final = serializers.BooleanField()
    at = serializers.DateTimeField(help_text="When it began.")
    interrupted = serializers.BooleanField()
    unheard = serializers.CharField(help_text="What nobody heard of it.")
    heard_seconds = serializers.FloatField(allow_null=True)


class VoiceToolItem(serializers.Serializer):
    """A tool that ran for something that was said."""

    execution = serializers.CharField(help_text="As in the events `tool` of the session.")
    tool = serializers.CharField()
    status = serializers.ChoiceField(choices=["running", "done", "failed", "refused", "unknown"])
    at = serializers.DateTimeField(help_text="When it began.")
    seconds = serializers.FloatField(allow_null=True, help_text="How long it took; null while it runs.")


class VoiceTranscript(serializers.Serializer):
    """Everything that was said."""

    session_id = serializers.CharField()
    segments = VoiceSegmentItem(many=True)
    tools = VoiceToolItem(many=True)


class VoiceSessionItem(serializers.Serializer):
    """A spoken session."""

    id = serializers.CharField()
    title = serializers.CharField(help_text="The first words that were said, shortened; empty before.")
    room = serializers.CharField()
    identity = serializers.CharField(help_text="A label.")
    channel = serializers.CharField(help_text="The conversation its turns are part of.")
    transport = serializers.CharField()
    language = serializers.CharField()
    voice = serializers.CharField()
    system_prompt = serializers.CharField()
    started_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)
    reason = serializers.ChoiceField(choices=[reason.value for reason in EndReason], allow_null=True)
    recording = serializers.BooleanField(help_text="Whether there is one to listen to.")


class VoiceTurnItem(serializers.Serializer):
    """How long one answer took, in parts of seconds that follow each other; null was not measured."""

    turn = serializers.IntegerField()
    speech_end = serializers.FloatField(allow_null=True)
    endpoint = serializers.FloatField(allow_null=True)
    transcript = serializers.FloatField(allow_null=True)
    first_token = serializers.FloatField(allow_null=True)
    first_audio = serializers.FloatField(allow_null=True)
    stop = serializers.FloatField(allow_null=True, help_text="From an interruption to silence.")


class VoiceSessionDetail(VoiceSessionItem):
    """A spoken session with everything that was said."""

    segments = VoiceSegmentItem(many=True)
    tools = VoiceToolItem(many=True)
    turns = VoiceTurnItem(many=True)


class LanguageItem(serializers.Serializer):
    """A language to choose."""

    tag = serializers.CharField()
    title = serializers.CharField()
    known = serializers.BooleanField(help_text="Whether the engines here understand and speak it.")


class VoiceItem(serializers.Serializer):
    """A voice to choose."""

    name = serializers.CharField()
    language = serializers.CharField()
    title = serializers.CharField()


class VoiceEngines(serializers.Serializer):
    """What does the work."""

    stt = serializers.CharField()
    tts = serializers.CharField()
    turns = serializers.CharField(help_text="What decides that a person is done: vad, livekit or smart_turn.")
    turns_note = serializers.CharField(help_text="Why it is not the one of the settings, and the remedy; else empty.")
    transport = serializers.CharField()


class VoiceOptions(serializers.Serializer):
    """What can be chosen."""

    languages = LanguageItem(many=True)
    voices = VoiceItem(many=True)
    engines = VoiceEngines()
