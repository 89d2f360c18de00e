"""Files that come with a message and the signed addresses they are then fetched from.

Source: docs, Reference, "Uploading Files" and "Signed Attachment CDN URLs" (ex, is, hm); Message, "Attachment Object",
"Voice Messages" (one audio attachment with duration_secs and waveform, nothing else).
"""

from __future__ import annotations

import hashlib
import hmac
import mimetypes
import re
from dataclasses import dataclass
from typing import Any

from antiphon.sim.discord.errors import Form, refused
from antiphon.sim.discord.world.channels import Channel
from antiphon.sim.discord.world.messages import Attachment
from antiphon.sim.discord.world.world import World

KEPT = 24 * 3600
"""Seconds a signed address is valid."""


@dataclass(slots=True)
class Upload:
    """One `files[n]` part."""

    index: int
    filename: str
    content: bytes
    content_type: str


def take_in(
    world: World, form: Form, channel: Channel, described: Any, uploads: list[Upload], kept: list[Attachment]
) -> list[Attachment]:
    """The attachments of a message: those kept by id, then the new ones, as `described` lists them."""
    tier = channel.guild.tier if channel.guild else 0
    most = max(world.limits.upload, {2: 50, 3: 100}.get(tier, 0) * 1024 * 1024)
    if any(len(upload.content) > most for upload in uploads):
        raise refused(413, 40005, "Request entity too large")
    if len(uploads) > 10:
        form.add("attachments", "BASE_TYPE_MAX_LENGTH", "Must be 10 or fewer in length.")
    listed = [one for one in form.items("attachments", described, most=10) if isinstance(one, dict)]
    by_index = {str(one.get("id")): one for one in listed}
    if described is not None:
        wanted = set(by_index)
        kept = [one for one in kept if str(one.id) in wanted]
    made = [_attachment(world, channel, upload, by_index.get(str(upload.index), {})) for upload in uploads]
    return kept + made


def _attachment(world: World, channel: Channel, upload: Upload, described: dict[str, Any]) -> Attachment:
    name = re.sub(r"[^\w.\-]", "_", str(described.get("filename") or upload.filename)) or "unknown"
    identifier = world.ids.new()
    kind = upload.content_type
    if not kind or kind == "application/octet-stream":
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    attachment = Attachment(
        identifier,
        name,
        upload.content,
        kind,
        address(world, channel.id, identifier, name),
        description=described.get("description"),
        duration=described.get("duration_secs"),
        waveform=described.get("waveform"),
        size_of=_pixels(upload.content),
    )
    world.attachments[identifier] = attachment
    return attachment


def link_files(embeds: list[dict[str, Any]], attachments: list[Attachment]) -> list[Attachment]:
    """Give embeds the addresses of the files they show; what is left are the files shown below the message.

    Source: docs, Reference, "Using Attachments within Embeds" (attachment://name).
    """
    by_name = {attachment.filename: attachment for attachment in attachments}
    shown: set[int] = set()
    for embed in embeds:
        for part, key in (("image", "url"), ("thumbnail", "url"), ("author", "icon_url"), ("footer", "icon_url")):
            url = embed.get(part, {}).get(key) or ""
            file = by_name.get(url.removeprefix("attachment://")) if url.startswith("attachment://") else None
            if file is not None:
                embed[part] = {**embed[part], key: file.url, f"proxy_{key}": file.payload()["proxy_url"]}
                shown.add(file.id)
    return [attachment for attachment in attachments if attachment.id not in shown]


def address(world: World, channel_id: int, attachment_id: int, name: str) -> str:
    path = f"/attachments/{channel_id}/{attachment_id}/{name}"
    issued = int(world.clock.now())
    until = issued + KEPT
    return f"https://cdn.discordapp.com{path}?ex={until:x}&is={issued:x}&hm={signature(world, path, until, issued)}&"


def signature(world: World, path: str, until: int, issued: int) -> str:
    return hmac.new(world.cdn_key, f"{path}|{until}|{issued}".encode(), hashlib.sha256).hexdigest()


def _pixels(content: bytes) -> tuple[int, int] | None:
    """Width and height of a PNG."""
    if content[:8] == b"\x89PNG\r\n\x1a\n" and len(content) >= 24:
        return int.from_bytes(content[16:20], "big"), int.from_bytes(content[20:24], "big")
    return None
