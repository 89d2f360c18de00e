"""Implements `domain.ports.ServerSettingStore`: what is set for single guilds and groups. Called by the API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from antiphon.domain.errors import NotFound
from antiphon.domain.identity import Server
from antiphon.domain.ports import Clock
from antiphon.store import models
from antiphon.store.db import Database, Tx


class DjangoServerSettingStore:
    """One row per setting that is set; what is not set follows the installation."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def servers(self) -> Sequence[Server]:
        """Every server a platform has told us of, by name."""

        def read(_: Tx) -> Sequence[Server]:
            rows = models.Server.objects.order_by("name", "id")
            return [Server(row.pk, row.platform, row.native_id, row.name) for row in rows]

        return await self._database.read(read)

    async def of(self, server: int) -> Mapping[str, object]:
        """What is set for a server, by name. `NotFound`."""
        return await self._database.read(lambda _: _all_of(server))

    async def change(self, server: int, values: Mapping[str, object]) -> Mapping[str, object]:
        """Set what is given; None takes a setting away. Returns all that is set then. `NotFound`."""
        now = self._clock.now()

        def change(_: Tx) -> Mapping[str, object]:
            _all_of(server)
            for name, value in values.items():
                if value is None:
                    models.ServerSetting.objects.filter(server_id=server, name=name).delete()
                else:
                    models.ServerSetting.objects.update_or_create(
                        server_id=server, name=name, defaults={"value": value, "updated_at": now}
                    )
            return _all_of(server)

        return await self._database.run(change)


def _all_of(server: int) -> Mapping[str, object]:
    if not models.Server.objects.filter(pk=server).exists():
        raise NotFound("There is no such server.")
    return dict(models.ServerSetting.objects.filter(server_id=server).order_by("name").values_list("name", "value"))
