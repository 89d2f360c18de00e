"""Files: attachments under signed addresses, and pictures of users and guilds.

Source: docs, Reference, "Signed Attachment CDN URLs" (an address without a valid, unexpired signature is refused) and
"CDN Endpoints".
"""

from __future__ import annotations

import hmac
import re
import struct
import zlib

from aiohttp import web

from antiphon.sim.discord.rules.uploads import signature
from antiphon.sim.discord.world.world import World

_ATTACHMENT = re.compile(r"^/attachments/(\d+)/(\d+)/([^/]+)$")
_PICTURE = re.compile(r"^/(?:embed/)?(?:avatars|icons|banners|splashes|guilds|role-icons|emojis|app-icons)/[\w/.\-]+$")
_RANGE = re.compile(r"^bytes=(\d+)-(\d*)$")


def serve(world: World, request: web.Request) -> web.Response:
    """Whatever cdn.discordapp.com and media.discordapp.net are asked for."""
    if request.method not in ("GET", "HEAD"):
        return web.Response(status=405)
    if matched := _ATTACHMENT.match(request.path):
        return _attachment(world, request, int(matched.group(2)))
    if _PICTURE.match(request.path):
        shade = zlib.crc32(request.path.encode()) & 0xFFFFFF
        return web.Response(body=_square(shade.to_bytes(3, "big")), content_type="image/png")
    return web.Response(status=404, text="")


def _attachment(world: World, request: web.Request, attachment_id: int) -> web.Response:
    attachment = world.attachments.get(attachment_id)
    if attachment is None:
        return web.Response(status=404, text="This content is no longer available.")
    try:
        until, issued = (int(request.query.get(name, ""), 16) for name in ("ex", "is"))
    except ValueError:
        until = issued = 0
    wanted = signature(world, request.path, until, issued)
    if not hmac.compare_digest(wanted, request.query.get("hm", "")) or until < world.clock.now():
        return web.Response(status=404, text="This content is no longer available.")
    headers = {"Content-Type": attachment.content_type, "Accept-Ranges": "bytes"}
    if part := _RANGE.match(request.headers.get("Range", "")):
        first, size = int(part.group(1)), len(attachment.content)
        last = min(int(part.group(2) or size - 1), size - 1)
        if first > last:
            return web.Response(status=416, headers={"Content-Range": f"bytes */{size}"})
        headers["Content-Range"] = f"bytes {first}-{last}/{size}"
        return web.Response(body=attachment.content[first : last + 1], status=206, headers=headers)
    return web.Response(body=attachment.content, headers=headers)


def _square(colour: bytes, side: int = 64) -> bytes:
    """A PNG of one colour."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\0" + colour * side) * side
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
