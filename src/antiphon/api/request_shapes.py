"""What requests to the API may hold; views check them by `ApiView.body`. Those of spoken sessions: `voice_shapes`."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from antiphon.api.bodies import Body, Instant, StrictText
from antiphon.domain.identity import Role
from antiphon.domain.logins import SCOPES
from antiphon.domain.personal_data import CONFIRMATION
from antiphon.tools.recurrence import LONGEST_RULE


class NewMessage(Body):
    """Something said to the agent."""

    text = StrictText(
        allow_blank=True, help_text="What is said: not empty, no NUL, valid Unicode, up to limits.message_chars."
    )
    id = StrictText(
        required=False,
        min_length=1,
        max_length=128,
        help_text="Your own id of the message. Sending it again is answered with the first receipt.",
    )
    attachments = serializers.ListField(
        child=StrictText(max_length=19),
        required=False,
        max_length=100,
        help_text="Ids of files uploaded to this conversation before, up to attachments.per_message. With them the "
        "text may be empty.",
    )


class SignIn(Body):
    """A sign-in link's token; or a name and a password, with a code where the login asks for one."""

    token = StrictText(required=False, max_length=200)
    name = StrictText(required=False, max_length=150)
    password = StrictText(required=False, max_length=1024)
    code = StrictText(
        required=False, allow_blank=True, max_length=40, help_text="Of the authenticator app, or a recovery code."
    )

    def validate(self, attrs: Any) -> Any:
        """One proof, and a whole one."""
        if ("token" in attrs) == ("name" in attrs) or ("name" in attrs) != ("password" in attrs):
            raise serializers.ValidationError({"token": "send a link's token, or a name and a password"})
        return attrs


class NewPassword(Body):
    """A password to be chosen."""

    current = StrictText(required=False, allow_blank=True, max_length=1024, help_text="The old one, if there is one.")
    password = StrictText(max_length=1024)


class PasswordBody(Body):
    """The password once more, before something that only its owner may do."""

    password = StrictText(max_length=1024)


class CodeBody(Body):
    """A code of the authenticator app."""

    code = StrictText(max_length=40)


class SettingsChange(Body):
    """Settings to be changed; null sets one back to what it is without this page."""

    values = serializers.DictField(child=serializers.JSONField(allow_null=True), allow_empty=False)

    def to_internal_value(self, data: Any) -> Any:
        """JSON as it came: DRF would take "3" for 3."""
        checked = super().to_internal_value(data)
        return {"values": {str(name): value for name, value in data["values"].items()}} if checked else checked


class TrialBody(Body):
    """Something to be tried out."""

    kind = serializers.ChoiceField(choices=["model", "discord", "telegram", "livekit", "redis", "speech", "storage"])
    given = serializers.DictField(child=StrictText(allow_blank=True, max_length=2000), required=False)


class NewUser(Body):
    """A login to be made."""

    name = StrictText(max_length=150)
    role = serializers.ChoiceField(choices=[role.value for role in Role])


class UserChange(Body):
    """What may be changed about a login."""

    role = serializers.ChoiceField(choices=[role.value for role in Role], required=False)
    active = serializers.BooleanField(required=False)

    def validate_active(self, value: Any) -> bool:
        """Only JSON's true and false."""
        if type(self.initial_data["active"]) is not bool:
            raise serializers.ValidationError("must be true or false")
        return value


class MeChange(Body):
    """What a person may change about themself."""

    name = StrictText(required=False, max_length=100)
    timezone = StrictText(required=False, max_length=64, help_text="An IANA name, for example Europe/Berlin.")
    language = StrictText(required=False, max_length=35, help_text="A BCP 47 tag, for example en or pt-BR.")


class NewKey(Body):
    """A key to be made."""

    name = StrictText(max_length=100)
    scopes = serializers.ListField(child=serializers.ChoiceField(choices=sorted(SCOPES)), min_length=1, max_length=8)


class ChannelChange(Body):
    """What may be changed about a conversation."""

    title = StrictText(max_length=200, allow_blank=True)


class NewReminder(Body):
    """A reminder to be made."""

    channel = StrictText(max_length=140, help_text="One of your conversations: where it is said.")
    text = StrictText(required=False, allow_blank=True, max_length=1000)
    due_at = Instant(help_text="When it comes; with `rule`, when it begins. ISO 8601 with an offset or Z.")
    rule = StrictText(
        required=False,
        allow_blank=True,
        max_length=LONGEST_RULE,
        help_text="How it repeats: an RFC 5545 rule such as FREQ=WEEKLY;BYDAY=MO,TH.",
    )
    timezone = StrictText(required=False, max_length=64, help_text="IANA name for `rule`. Default: the person's own.")
    id = StrictText(required=False, min_length=1, max_length=128, help_text="Your own id: it is made once.")


class ReminderChange(Body):
    """What may be changed about a reminder."""

    text = StrictText(required=False, allow_blank=True, max_length=1000)
    due_at = Instant(required=False, help_text="ISO 8601 with an offset or Z.")
    rule = StrictText(required=False, allow_blank=True, max_length=LONGEST_RULE, help_text="Empty: it comes once.")
    timezone = StrictText(required=False, max_length=64)


class FeedbackBody(Body):
    """An opinion of one answer."""

    value = serializers.ChoiceField(choices=[1, -1], help_text="1 for a good answer, -1 for a poor one.")
    text = StrictText(required=False, allow_blank=True, max_length=2000)

    def validate_value(self, value: Any) -> int:
        """`true` and "1" are not the number 1."""
        if type(self.initial_data["value"]) is not int:
            raise serializers.ValidationError("must be 1 or -1")
        return value


class PersonaBody(Body):
    """What the agent is told about its role in a place."""

    persona = StrictText(max_length=8000, allow_blank=True, help_text="Empty: nothing of its own.")


class EraseBody(Body):
    """A person's word that everything about them shall go."""

    confirm = StrictText(max_length=100, help_text=f"Exactly: {CONFIRMATION}")


class UndoBody(Body):
    """The word by which something forgotten is taken back."""

    undo = StrictText(max_length=64_000, help_text="As it was given when the memory was forgotten.")
