"""The admin: for the owner only, and history stays as it was."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from antiphon.config import Settings
from antiphon.domain.identity import Role
from antiphon.domain.memories import MemoryScope
from antiphon.domain.schedule import EntryKind, NewEntry
from antiphon.domain.tools import ExecutionKey
from tests.contract.store_work import AT, asking, claimed, delivered, discord, done, started

if TYPE_CHECKING:
    from django.test import Client

    from antiphon.store.stores import Stores

SECRET_WORDS = ("ant_", "pbkdf2", "snapshot")


@pytest.fixture
async def used_settings(stores: Stores, store_settings: Settings) -> Settings:
    """A database with at least one row of nearly everything."""
    owner = await stores.users.ensure_owner()
    await stores.users.create("operator", Role.OPERATOR)
    await stores.users.create("member", Role.MEMBER)
    lease = await started(stores)
    key = ExecutionKey(lease.task, "clock.now", "h", 0)
    await stores.executions.begin(key, {"zone": "<script>alert(1)</script>"}, lease=lease, approval=None)
    await stores.tasks.pause(lease, asking("h1"))
    await stores.inbox.receive(discord("m2", "<script>alert(1)</script>"))
    await stores.tasks.finish((await claimed(stores)).lease, done("fine"))
    await delivered(stores)
    answer = (await stores.threads.recent("discord:c1", before=None, limit=1))[0]
    await stores.feedback.rate(answer.id, owner.person, 1, "good")
    await stores.schedule.add(NewEntry(EntryKind.TIMER, AT, "discord:c1", owner.person, "o1"))
    await stores.memories.remember(
        MemoryScope.PERSON, owner.person, "likes tea", author=owner.person, channel="web:c1", origin="o1"
    )
    await stores.keys.create("laptop", ["chat"], owner.person)
    await stores.database.run(lambda _: _add_moderation())
    await stores.close()
    return store_settings


def _add_moderation() -> None:
    from antiphon.store import models

    server = models.Server.objects.create(platform="discord", native_id="g1", name="Guild", created_at=AT)
    account = models.Account.objects.get(native_id="u1")
    models.ServerSetting.objects.create(server=server, name="persona", value="pirate", updated_at=AT)
    models.Event.objects.create(platform="discord", name="member.joined", server=server, account=account, at=AT)
    models.Case.objects.create(server=server, number=1, action="warn", target=account, created_at=AT)


@pytest.fixture
def client(used_settings: Settings) -> Iterator[Client]:
    from django.contrib import admin
    from django.test import Client, override_settings
    from django.urls import path

    urls = ModuleType("admin_urls")
    urls.urlpatterns = [path("admin/", admin.site.urls)]  # type: ignore[attr-defined]
    with override_settings(ROOT_URLCONF=urls, ALLOWED_HOSTS=["testserver"]):
        yield Client()


def _sign_in(client: Client, name: str) -> Any:
    from antiphon.store.models import User

    user = User.objects.get(name=name)
    client.force_login(user)
    return user


def _models() -> list[Any]:
    from django.contrib import admin

    return list(admin.site._registry)


def _address(model: Any, page: str) -> str:
    return f"/admin/{model._meta.app_label}/{model._meta.model_name}/{page}"


def test_only_active_owners_get_in(client: Client) -> None:
    assert client.get("/admin/").status_code == 302
    for name in ("operator", "member"):
        _sign_in(client, name)
        assert client.get("/admin/").status_code == 302
        assert client.get("/admin/antiphon/message/").status_code == 302
    owner = _sign_in(client, "owner")
    assert client.get("/admin/").status_code == 200
    owner.is_active = False
    owner.save()
    assert client.get("/admin/").status_code == 302


def test_every_page_can_be_looked_at_and_nothing_can_be_changed(client: Client) -> None:
    from antiphon.store.models import User

    _sign_in(client, "owner")
    assert len(_models()) > 15
    for model in _models():
        assert client.get(_address(model, "?q=1")).status_code == 200, model
        listing = client.get(_address(model, ""))
        assert listing.status_code == 200, model
        assert client.post(_address(model, "add/"), {}).status_code == 403, model
        row = model.objects.order_by("pk").first()
        assert row is not None, model
        page = client.get(_address(model, f"{row.pk}/change/"))
        assert page.status_code == 200, model
        for content in (listing.content.decode(), page.content.decode()):
            assert "<script>alert(1)" not in content, "what people wrote is text"
        assert not any(word in page.content.decode() for word in (*SECRET_WORDS[1:],) if model is not User), model
        assert client.post(_address(model, f"{row.pk}/delete/"), {"post": "yes"}).status_code == 403, model
        if model is not User:
            before = model.objects.filter(pk=row.pk).values().get()
            assert client.post(_address(model, f"{row.pk}/change/"), {"text": "forged"}).status_code == 403, model
            client.post(_address(model, ""), {"action": "delete_selected", "_selected_action": [row.pk]})
            assert model.objects.filter(pk=row.pk).values().get() == before, model


def test_secrets_are_not_shown(client: Client) -> None:
    from antiphon.store.models import Key, User

    owner = _sign_in(client, "owner")
    key = Key.objects.get()
    for page in (_address(Key, f"{key.pk}/change/"), _address(User, f"{owner.pk}/change/")):
        content = client.get(page).content.decode()
        assert key.digest not in content
        assert owner.password not in content


def test_an_owner_disables_others_but_not_themselves(client: Client) -> None:
    from antiphon.store.models import User

    owner = _sign_in(client, "owner")
    member = User.objects.get(name="member")
    form = {"role": "operator"}  # an unticked box: not active any more
    assert client.post(_address(User, f"{member.pk}/change/"), form).status_code == 302
    member.refresh_from_db()
    assert (member.role, member.is_active, member.name) == ("operator", False, "member")
    client.post(_address(User, f"{owner.pk}/change/"), {"role": "member"})
    owner.refresh_from_db()
    assert (owner.role, owner.is_active) == ("owner", True)


def test_times_are_shown_as_times(client: Client) -> None:
    from antiphon.store.models import Message

    _sign_in(client, "owner")
    row = Message.objects.order_by("pk").first()
    assert row is not None
    assert row.at == datetime(2026, 3, 4, 15, 0, tzinfo=UTC)
    assert "March 4, 2026" in client.get(_address(Message, "")).content.decode()


async def test_instants_compare_and_keep_microseconds(stores: Stores) -> None:
    from antiphon.store.models import Server

    exact = datetime(2026, 3, 4, 15, 0, 0, 123457, tzinfo=UTC)

    def write_and_find(_: object) -> list[datetime]:
        Server.objects.create(platform="discord", native_id="g", created_at=exact)
        found = Server.objects.filter(created_at__gte=exact, created_at__lte=exact)
        return list(found.values_list("created_at", flat=True))

    assert await stores.database.run(write_and_find) == [exact]
