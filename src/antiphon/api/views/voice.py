"""Spoken sessions: the way in, beginning and ending one, transcripts, and what is kept of those of the past.

The routes at the root (`/token`, `/session`, `/transcripts`) and those below `/api/voice` are the same.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from textwrap import shorten
from typing import Any

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from antiphon.api import shapes, voice_rows, voice_shapes
from antiphon.api.auth import credential_of
from antiphon.api.paging import envelope, page_of
from antiphon.api.schema import PAGING, describe
from antiphon.api.views.attachments import BYTES, AnyMediaType, sent_file
from antiphon.api.views.base import ApiView, json_answer
from antiphon.api.voice_sockets import end_with_the_credential
from antiphon.domain.conversation import Author
from antiphon.domain.errors import InvalidInput, NotFound
from antiphon.domain.speech import EngineState
from antiphon.domain.voice import LONGEST_LABEL, VoiceRecord, VoiceSession
from antiphon.voice.detectors import VAD
from antiphon.voice.service import Wish
from antiphon.voice.transcript import segment_event, tool_event

_TITLE_CHARS = 80
_ROOM = OpenApiParameter("room", str, OpenApiParameter.QUERY, required=True, description="Becomes yours with this.")
_IDENTITY = OpenApiParameter(
    "identity", str, OpenApiParameter.QUERY, required=True, description="What you are called there: a label."
)
_NAME = OpenApiParameter("name", str, OpenApiParameter.QUERY, description="To be shown. Default: identity.")


class TokenView(ApiView):
    """`/token`."""

    @describe(
        summary="The way in for a person's sound",
        description="For the room that is named, which belongs to whoever named it first: others get 404. `transport` "
        "is livekit (`token` is one of that server, `url` its address) or embedded (`token` is a ticket for the "
        "WebSocket, single use and short-lived).",
        parameters=[_ROOM, _IDENTITY, _NAME],
        responses={200: voice_shapes.VoicePass},
        also=(404, 422),
    )
    async def get(self, request: Request) -> HttpResponse:
        """A token for one connection."""
        room, identity = _label(request, "room"), _label(request, "identity")
        name = _label(request, "name", missing=identity)
        credential = credential_of(self.request._request.scope)
        way = await self.services.voice.token(self.person, room, identity, name, credential=credential)
        return json_answer(
            {"token": way.token, "transport": way.transport, "url": way.url, "expires_in": way.expires_in}
        )


class SessionView(ApiView):
    """`/session`."""

    @describe(
        summary="Begin a spoken session",
        description="In a room of yours. A session that goes on there ends: its owner speaks from elsewhere now.",
        request=voice_shapes.NewVoiceSession,
        responses={201: voice_shapes.VoiceBegun},
        also=(404, 502),
    )
    async def post(self, request: Request) -> HttpResponse:
        """The engine is ready when this is answered; the sound comes with the transport."""
        body = self.body(voice_shapes.NewVoiceSession)
        wish = Wish(
            body["room"],
            body["identity"],
            language=body.get("language", ""),
            voice=body.get("voice", ""),
            system_prompt=body.get("system_prompt", ""),
        )
        session = await self.services.voice.start(self.person, wish)
        end_with_the_credential(self.state.auth, self.identity, self.request._request.scope, session)
        return json_answer({"session_id": session.row.key}, HTTPStatus.CREATED)


class OneSessionView(ApiView):
    """`/session/{id}`."""

    @describe(summary="End a spoken session", description="Twice is once.", responses={200: voice_shapes.VoiceStopped})
    async def delete(self, request: Request, id: str) -> HttpResponse:
        """Everything of it is freed when this is answered."""
        await self.services.voice.stop(id, self.person)
        return json_answer({"stopped": True})


class TranscriptView(ApiView):
    """`/transcripts/{id}`."""

    @describe(
        summary="What was said in a session",
        description="Everything that is final so far, and the tools that ran for it, each the oldest first.",
        responses={200: voice_shapes.VoiceTranscript},
    )
    async def get(self, request: Request, id: str) -> HttpResponse:
        """As it is stored."""
        record = await self.stores.voice.record(id, self.person)
        return json_answer({"session_id": id, **_said(record)})


class SessionsView(ApiView):
    """`/api/voice/sessions`."""

    @describe(
        summary="My spoken sessions",
        description="Newest first.",
        parameters=PAGING,
        responses={200: shapes.page_shape(voice_shapes.VoiceSessionItem)},
    )
    async def get(self, request: Request) -> HttpResponse:
        """A page of them."""
        page = page_of(request.GET)
        rows = await self.stores.database.read(voice_rows.sessions, self.person, page)
        return json_answer(envelope(rows, page, lambda row: session_document(row[1], row[2]), lambda row: (row[0],)))


class PastSessionView(ApiView):
    """`/api/voice/sessions/{id}`."""

    @describe(summary="One spoken session", responses={200: voice_shapes.VoiceSessionDetail})
    async def get(self, request: Request, id: str) -> HttpResponse:
        """With what was said and how long each answer took."""
        record = await self.stores.voice.record(id, self.person)
        first = next((one.text for one in record.segments if one.author is Author.PERSON), "")
        return json_answer(
            {
                **session_document(record.session, first),
                **_said(record),
                "turns": [{"turn": times.turn, **times.parts} for times in record.turns],
            }
        )

    @describe(
        summary="Delete a spoken session",
        description="With its transcript and its recording. What was agreed in it stays in its conversation.",
        responses={204: None},
    )
    async def delete(self, request: Request, id: str) -> HttpResponse:
        """For good."""
        await self.services.voice.delete(id, self.person)
        return HttpResponse(status=HTTPStatus.NO_CONTENT)


class RecordingView(ApiView):
    """`/api/voice/sessions/{id}/recording`."""

    content_negotiation_class = AnyMediaType

    @describe(
        summary="The recording of a session",
        description="When voice.record was on: a WAV file, the person left, the agent right. `Range` asks for a part.",
        responses={(200, "*/*"): BYTES, (206, "*/*"): BYTES},
    )
    async def get(self, request: Request, id: str) -> HttpResponseBase:
        """Send it piece by piece."""
        session = await self.stores.voice.get(id, self.person)
        path = self.services.voice.recordings.path(session.key)
        if not session.recording or not await asyncio.to_thread(path.is_file):
            elsewhere = " on this machine. It lies where the session was carried" if session.recording else ""
            raise NotFound(f"There is no recording of this session{elsewhere}.")
        size = (await asyncio.to_thread(path.stat)).st_size
        return sent_file(
            path,
            size=size,
            media_type="audio/wav",
            name=f"{session.room}.wav",
            inline=True,
            wanted=request.headers.get("Range", ""),
        )


class OptionsView(ApiView):
    """`/api/voice/options`."""

    @describe(summary="What can be chosen for a session", responses={200: voice_shapes.VoiceOptions})
    async def get(self, request: Request) -> HttpResponse:
        """Languages, voices, engines."""
        options = await self.services.voice.options()
        turns, wanted = options.turns, options.turns.state is EngineState.READY
        return json_answer(
            {
                "languages": [
                    {"tag": tag, "title": title, "known": self.services.voice.knows(tag)}
                    for tag, title in voice_shapes.LANGUAGES
                ],
                "voices": [
                    {"name": voice.name, "language": voice.language, "title": voice.title} for voice in options.voices
                ],
                "engines": {
                    "stt": options.stt,
                    "tts": options.tts,
                    "turns": turns.name if wanted else VAD,
                    "turns_note": "" if wanted else f"{turns.name} is wanted: {turns.detail} {turns.remedy}".strip(),
                    "transport": options.transport,
                },
            }
        )


def session_document(session: VoiceSession, first_words: str) -> dict[str, Any]:
    """A session as the API shows it, named by what the person said first."""
    return {
        "id": session.key,
        "title": shorten(first_words, _TITLE_CHARS, placeholder="…"),
        "room": session.room,
        "identity": session.identity,
        "channel": session.channel,
        "transport": session.transport,
        "language": session.language,
        "voice": session.voice,
        "system_prompt": session.system_prompt,
        "started_at": session.started_at,
        "ended_at": session.ended_at,
        "reason": session.reason.value if session.reason else None,
        "recording": session.recording,
    }


def _said(record: VoiceRecord) -> dict[str, object]:
    return {
        "segments": [segment_event(segment) for segment in record.segments],
        "tools": [tool_event(tool) for tool in record.tools],
    }


def _label(request: Request, name: str, *, missing: str | None = None) -> str:
    """A label from the query. Raises `InvalidInput` naming it."""
    given = request.GET.get(name, missing)
    if given is None or not given.strip():
        if missing is not None:
            return missing
        raise InvalidInput(f"{name} is missing.", fields={name: "is missing"})
    if len(given) > LONGEST_LABEL or not given.isprintable():
        problem = f"1 to {LONGEST_LABEL} printable characters"
        raise InvalidInput(f"{name} is {problem}.", fields={name: problem})
    return given
