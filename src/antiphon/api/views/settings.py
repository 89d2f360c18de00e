"""Settings of the installation, trying things out, backups: for owners and operators."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from django.http import HttpResponse
from pydantic import SecretStr
from rest_framework.request import Request

from antiphon.api import request_shapes, shapes, wire
from antiphon.api.schema import describe
from antiphon.api.views.base import ApiView, json_answer
from antiphon.config.change import Shown
from antiphon.config.keys import sections
from antiphon.domain.errors import Forbidden
from antiphon.domain.health import Trial
from antiphon.domain.identity import Role

_PROVIDERS = "providers"
_TOO_MANY = "That is a lot of trying. Wait a moment."


class _OperatorView(ApiView):
    needs = "admin"

    async def _role(self) -> Role | None:
        role = await self.stores.people.role(self.person)
        return Role(role) if role in (Role.OWNER.value, Role.OPERATOR.value) else None

    async def _operator(self) -> Role:
        """The role of who asks. Raises `Forbidden` for everybody but owners and operators."""
        role = await self._role()
        if role is None:
            raise Forbidden("Settings are for owners and operators.")
        return role


class SettingsView(_OperatorView):
    """`/api/settings`."""

    @describe(
        summary="All settings",
        description="With values, where they come from, and whether a change needs a restart. Secrets show only "
        "whether they are set.",
        responses={200: shapes.SettingsTree},
    )
    async def get(self, request: Request) -> HttpResponse:
        """The whole tree."""
        return json_answer(self._tree(await self._operator()))

    @describe(
        summary="Change settings",
        description="All or none: what the next start would refuse is refused with a field for each key. Plain values "
        "go into `file`, secrets into files of the folder `secrets`. What can takes effect at once.",
        request=request_shapes.SettingsChange,
        responses={200: shapes.SettingsTree},
    )
    async def patch(self, request: Request) -> HttpResponse:
        """Write, apply, and give the tree as it is then."""
        role = await self._operator()
        values = self.body(request_shapes.SettingsChange)["values"]
        await self.services.change_settings(values, role is Role.OWNER)
        return json_answer(self._tree(role))

    def _tree(self, role: Role) -> wire.Document:
        configuration = self.services.configuration
        named = {"": "The most important ones.", **sections(), _PROVIDERS: "Keys of model providers."}
        return {
            "file": str(configuration.overlay.absolute()),
            "secrets": str(configuration.secrets.absolute()),
            "sections": [{"name": name, "description": text} for name, text in named.items()],
            "items": [_item(shown, role) for shown in configuration.shown()],
        }


class SetupTestView(_OperatorView):
    """`/api/setup/test`."""

    @describe(
        summary="Try something out",
        description="With what is given, else with what is stored; a stored secret goes to the stored address only. "
        "Kinds and fields: model (model, url, key), discord (token), telegram (token), livekit (url, key, secret), "
        "redis (url), speech, storage.",
        request=request_shapes.TrialBody,
        responses={200: shapes.TrialItem},
        also=(429,),
    )
    async def post(self, request: Request) -> HttpResponse:
        """Try; what fails is an answer, not an error."""
        await self._operator()
        body = self.body(request_shapes.TrialBody)
        self.state.trials.take(self.person, _TOO_MANY)
        return json_answer(_trial(await self.services.try_out(body["kind"], body.get("given", {}))))


class BackupsView(_OperatorView):
    """`/api/backups`."""

    @describe(summary="List backups", responses={200: shapes.page_shape(shapes.BackupItem)})
    async def get(self, request: Request) -> HttpResponse:
        """Those in the backups folder, newest first."""
        await self._operator()
        return json_answer({"items": [asdict(one) for one in await self.services.backups()], "next": None})

    @describe(
        summary="Make a backup",
        description="Written and verified while everything goes on, without the key that signs sessions.",
        request=None,
        responses={201: shapes.BackupItem},
        also=(409,),
    )
    async def post(self, request: Request) -> HttpResponse:
        """Make one now."""
        await self._operator()
        return json_answer(asdict(await self.services.make_backup()), 201)


def _item(shown: Shown, role: Role) -> wire.Document:
    key = shown.key
    own = "Only an owner changes this." if shown.owner_only and role is not Role.OWNER else ""
    section = key.name.rpartition(".")[0] if not key.name.isupper() else _PROVIDERS
    return {
        "key": key.name,
        "section": section,
        "kind": key.kind,
        "description": key.description,
        "choices": list(key.choices),
        "limits": list(key.limits),
        "value": shown.value,
        "default": None if key.secret else _plain(key.default),
        "is_set": shown.is_set,
        "origin": shown.origin,
        "locked": shown.locked or own,
        "restart": not shown.live,
        "pending": shown.pending,
        "here": shown.here,
    }


def _plain(value: Any) -> Any:
    """A default as JSON."""
    return json.loads(json.dumps(value, default=lambda other: None if isinstance(other, SecretStr) else str(other)))


def _trial(trial: Trial) -> wire.Document:
    return {
        "state": trial.state.value,
        "detail": trial.detail,
        "remedy": trial.remedy,
        "facts": [{"label": label, "value": value} for label, value in trial.facts],
        "choices": list(trial.choices),
        "link": trial.link,
    }
