"""Implements `domain.conversation.PlaceStore`: settings of servers and channels. Called by the context and the API."""

from __future__ import annotations

import json

from antiphon.domain.clock import Clock
from antiphon.domain.conversation import PlaceSettings, ServerSettings
from antiphon.domain.errors import InvalidInput, NotFound
from antiphon.store import models
from antiphon.store.db import Database, Tx

PERSONA = "persona"
"""The setting's name in both places."""
PERSONA_CHARS = 8000
_BOTH = """
SELECT c.settings, c.server_id, s.value FROM antiphon_channel c
LEFT JOIN antiphon_serversetting s ON s.server_id = c.server_id AND s.name = 'persona'
WHERE c.key = %s
"""


class DjangoPlaceStore:
    """Personas of channels and servers."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def settings_of(self, channel: str) -> PlaceSettings:
        """Those of a channel and of its server; empty ones where nothing is set or there is no such channel yet."""
        return await self._database.read(_settings_of, channel)

    async def set_for_channel(self, channel: str, persona: str) -> PlaceSettings:
        """Set the persona of one channel ("" takes it away). `NotFound` if there is none."""
        text = _checked(persona)

        def change(tx: Tx) -> PlaceSettings:
            row = models.Channel.objects.filter(key=channel).select_for_update().first()
            if row is None:
                raise NotFound("There is no such conversation.")
            others = {name: value for name, value in row.settings.items() if name != PERSONA}
            row.settings = {**others, PERSONA: text} if text else others
            row.save(update_fields=["settings"])
            return _settings_of(tx, channel)

        return await self._database.run(change)

    async def set_for_server(self, server: int, persona: str) -> ServerSettings:
        """Set the persona of one server ("" takes it away). `NotFound` if there is none."""
        text = _checked(persona)
        now = self._clock.now()

        def change(_: Tx) -> ServerSettings:
            row = _find(server)
            if text:
                models.ServerSetting.objects.update_or_create(
                    server=row, name=PERSONA, defaults={"value": text, "updated_at": now}
                )
            else:
                models.ServerSetting.objects.filter(server=row, name=PERSONA).delete()
            return _server(row)

        return await self._database.run(change)

    async def server(self, server: int) -> ServerSettings:
        """One server with its settings. `NotFound` if there is none."""
        return await self._database.read(lambda _: _server(_find(server)))


def _settings_of(tx: Tx, channel: str) -> PlaceSettings:
    row = tx.row(_BOTH, channel)
    if row is None:
        return PlaceSettings()
    of_channel, server, of_server = row
    settings = _json(of_channel)
    return PlaceSettings(
        channel_persona=_text(settings.get(PERSONA)) if isinstance(settings, dict) else "",
        server_persona=_text(_json(of_server)),
        server=server,
    )


def _checked(persona: str) -> str:
    text = persona.replace("\x00", "").strip()
    if len(text) > PERSONA_CHARS:
        raise InvalidInput(f"A persona has up to {PERSONA_CHARS} characters.", fields={"persona": "too long"})
    return text


def _find(server: int) -> models.Server:
    row = models.Server.objects.filter(pk=server).first()
    if row is None:
        raise NotFound("There is no such server.")
    return row


def _server(row: models.Server) -> ServerSettings:
    setting = models.ServerSetting.objects.filter(server=row, name=PERSONA).first()
    return ServerSettings(
        id=row.pk, platform=row.platform, name=row.name, persona=_text(setting.value) if setting else ""
    )


def _json(value: object) -> object:
    """A JSON column as the drivers give it: text from SQLite, the value itself from PostgreSQL."""
    return json.loads(value) if isinstance(value, str | bytes) else value


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
