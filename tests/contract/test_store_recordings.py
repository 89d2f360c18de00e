"""The recording of a spoken session is a file: it goes with the rows, whoever deletes them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from antiphon.config import Settings
from antiphon.domain.identity import Role
from antiphon.domain.voice import EndReason, NewVoiceSession, recording_files
from tests.fakes.clock import FakeClock

if TYPE_CHECKING:
    from antiphon.store.stores import Stores


def recorded(settings: Settings, *sessions: str) -> list[Path]:
    """The files of recordings: one that is whole, and what a crash leaves of one."""
    files = [file for session in sessions for file in recording_files(settings.data_dir, session)]
    for file in files:
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"RIFF")
    return files


async def test_recordings_go_with_their_sessions(
    stores: Stores, store_settings: Settings, store_clock: FakeClock
) -> None:
    stays = (await stores.users.ensure_owner()).person
    goes = (await stores.users.create("leaving", Role.MEMBER)).person
    for key, who in (("k1", goes), ("k2", stays), ("k3", stays)):
        await stores.voice.begin(NewVoiceSession(key, f"room {key}", who, "a label", "web:voice:r", "embedded"))
    gone, old, kept = (recorded(store_settings, key) for key in ("k1", "k2", "k3"))
    await stores.personal_data.erase(goes)
    assert [file.exists() for file in (*gone, *old, *kept)] == [False, False, True, True, True, True]
    await stores.voice.end("k2", EndReason.STOPPED, recording=True)
    store_clock.move(days=40)
    await stores.retention.sweep({"transcripts": store_clock.now() - timedelta(days=30)}, 10)
    assert [file.exists() for file in (*old, *kept)] == [False, False, True, True]
