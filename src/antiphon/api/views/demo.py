"""Playing people in the simulated server of `antiphon demo`. Without it none of these addresses is there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any, ClassVar

from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request

from antiphon.api.listeners import Frame
from antiphon.api.schema import describe
from antiphon.api.services import DemoStage
from antiphon.api.views.base import ApiView, json_answer
from antiphon.domain.errors import NotFound

EVERY_SECONDS = 0.25
HEARTBEAT_SECONDS = 10.0
_ABSENT = (404,)
_CHANNEL = OpenApiParameter("channel", str, description="The channel to show; the first without it.")


class Scene(serializers.Serializer):
    """The simulated server as its people see it."""

    server = serializers.DictField()
    bot = serializers.DictField()
    people = serializers.ListField(child=serializers.DictField())
    channels = serializers.ListField(child=serializers.DictField())
    channel = serializers.DictField(help_text="The chosen channel with its messages.")
    commands = serializers.ListField(child=serializers.DictField())


class Words(serializers.Serializer):
    """What a played person writes."""

    person = serializers.CharField(max_length=20)
    channel = serializers.CharField(max_length=20)
    text = serializers.CharField(max_length=4000, trim_whitespace=False)


class Press(serializers.Serializer):
    """A button that a played person presses."""

    person = serializers.CharField(max_length=20)
    message = serializers.CharField(max_length=20)
    button = serializers.CharField(max_length=100)


class Opened(serializers.Serializer):
    """What a press opened."""

    form = serializers.DictField(allow_null=True, help_text="A form to fill in (title, fields), or null.")


class Form(serializers.Serializer):
    """A form that a played person sends."""

    person = serializers.CharField(max_length=20)
    values = serializers.DictField(child=serializers.CharField(max_length=4000, allow_blank=True))


class Move(serializers.Serializer):
    """The voice channel a played person is in, and whether they speak; "" leaves."""

    person = serializers.CharField(max_length=20)
    channel = serializers.CharField(max_length=20, allow_blank=True)
    speaking = serializers.BooleanField(default=False)


class Arrived(serializers.Serializer):
    """Who is there now."""

    id = serializers.CharField()


class Guest(serializers.Serializer):
    """Somebody new."""

    name = serializers.RegexField(r"^[A-Za-z0-9_.]{2,32}$")


class _DemoView(ApiView):
    needs: ClassVar[str | None] = "admin"

    async def stage(self) -> DemoStage:
        """The simulated server. Raises `NotFound` without one."""
        if self.services.demo is None:
            raise NotFound("There is no demo here: antiphon demo starts one.")
        await self.operator()
        return self.services.demo


class DemoView(_DemoView):
    """`/api/demo`."""

    @describe(also=_ABSENT, summary="The simulated server of the demo", parameters=[_CHANNEL], responses={200: Scene})
    async def get(self, request: Request) -> HttpResponse:
        """All of it, with one channel."""
        return json_answer((await self.stage()).scene(request.GET.get("channel", "")))


class DemoStreamView(_DemoView):
    """`/api/demo/stream`."""

    media_type = "text/event-stream"
    http_method_names = ["get", "options"]  # noqa: RUF012 - Django's own name

    @describe(
        also=_ABSENT,
        summary="The simulated server, live",
        parameters=[_CHANNEL],
        responses={(200, "text/event-stream"): str},
    )
    async def get(self, request: Request) -> HttpResponseBase:
        """The scene, named `scene`, whenever something happened; at most four times a second."""
        stream = self._stream(self.request.scope, await self.stage(), request.GET.get("channel", ""))
        response = StreamingHttpResponse(stream, content_type="text/event-stream", headers={"X-Accel-Buffering": "no"})
        response.source = stream  # pyright: ignore[reportAttributeAccessIssue] - the handler closes it
        return response

    async def _stream(self, scope: dict[str, Any], stage: DemoStage, channel: str) -> AsyncIterator[bytes]:
        ended: list[bool] = []
        with self.state.auth.watch(self.identity, scope, lambda: ended.append(True)):
            yield b"retry: 2000\n: watching\n\n"
            version, silent = -1, 0.0
            while not ended and not self.services.should_stop():
                if stage.version != version:
                    version, silent = stage.version, 0.0
                    yield Frame(0, "scene", stage.scene(channel)).sse
                elif (silent := silent + EVERY_SECONDS) >= HEARTBEAT_SECONDS:
                    silent = 0.0
                    yield b": still here\n\n"
                await asyncio.sleep(EVERY_SECONDS)


class SayView(_DemoView):
    """`/api/demo/say`."""

    @describe(also=_ABSENT, summary="Let a played person write something", request=Words, responses={204: None})
    async def post(self, request: Request) -> HttpResponse:
        """A message, or a `/command`."""
        stage = await self.stage()
        body = self.body(Words)
        stage.say(body["person"], body["channel"], body["text"])
        return HttpResponse(status=HTTPStatus.NO_CONTENT)


class PressView(_DemoView):
    """`/api/demo/press`."""

    @describe(also=_ABSENT, summary="Let a played person press a button", request=Press, responses={200: Opened})
    async def post(self, request: Request) -> HttpResponse:
        """The form that opens, if one does within two seconds."""
        stage = await self.stage()
        body = self.body(Press)
        before = stage.version
        stage.press(body["person"], body["message"], body["button"])
        for _ in range(20):
            await asyncio.sleep(0.1)
            if (form := stage.shown_form(body["person"])) is not None:
                return json_answer({"form": form})
            if stage.version > before + 1:
                break
        return json_answer({"form": None})


class FormView(_DemoView):
    """`/api/demo/form`."""

    @describe(
        also=_ABSENT, summary="Let a played person send the form that opened", request=Form, responses={204: None}
    )
    async def post(self, request: Request) -> HttpResponse:
        """It is sent as Discord's client would."""
        stage = await self.stage()
        body = self.body(Form)
        stage.fill_in(body["person"], body["values"])
        return HttpResponse(status=HTTPStatus.NO_CONTENT)


class MoveView(_DemoView):
    """`/api/demo/voice`."""

    @describe(also=_ABSENT, summary="Let a played person enter or leave voice", request=Move, responses={204: None})
    async def post(self, request: Request) -> HttpResponse:
        """They are there when this is answered."""
        stage = await self.stage()
        body = self.body(Move)
        stage.voice(body["person"], body["channel"], speaking=body["speaking"])
        return HttpResponse(status=HTTPStatus.NO_CONTENT)


class GuestsView(_DemoView):
    """`/api/demo/people`."""

    @describe(
        also=_ABSENT, summary="Let somebody new join the simulated server", request=Guest, responses={201: Arrived}
    )
    async def post(self, request: Request) -> HttpResponse:
        """Their id."""
        stage = await self.stage()
        return json_answer({"id": stage.invite(self.body(Guest)["name"])}, HTTPStatus.CREATED)
