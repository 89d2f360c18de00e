"""The console's static files, held in memory and served under an address that holds the hash of their content.

One hash names the whole set, so a script's relative imports inherit it: every file may be cached for ever, and a new
release is seen at once. Only files found at start can be asked for, so no request can name another path.
"""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from pathlib import Path

from flask import Response, request

from antiphon.console.assets import COPIES
from antiphon.domain.errors import ConfigError

PREFIX = "/static/console"
_PACKED = {".css", ".js", ".svg"}
_MEDIA_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".LICENSE": "text/plain"}


@dataclass(frozen=True, slots=True)
class _File:
    body: bytes
    packed: bytes | None
    media_type: str


class StaticFiles:
    """Every file below `root`. Raises `ConfigError` when the vendor files were never fetched."""

    def __init__(self, root: Path) -> None:
        missing = [name for name in COPIES.values() if not (root / "vendor" / name).is_file()]
        if missing:
            raise ConfigError(
                source="console",
                key=f"static/vendor/{missing[0]}",
                problem="the front-end files are not there",
                remedy="run: npm ci --ignore-scripts && python -m antiphon.console.assets",
            )
        digest = hashlib.sha256()
        self._files: dict[str, _File] = {}
        for path in sorted(entry for entry in root.rglob("*") if entry.is_file()):
            name = path.relative_to(root).as_posix()
            body = path.read_bytes()
            digest.update(name.encode() + b"\0" + hashlib.sha256(body).digest())
            packed = gzip.compress(body, 6, mtime=0) if path.suffix in _PACKED else None
            media_type = _MEDIA_TYPES.get(path.suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
            self._files[name] = _File(body, packed, media_type)
        self.version = digest.hexdigest()[:12]

    def url(self, name: str) -> str:
        """The address of a file. A name that is not there is a mistake in a template: `KeyError`."""
        self._files[name]
        return f"{PREFIX}/{self.version}/{name}"

    def respond(self, version: str, name: str) -> Response | None:
        """The answer to a request for a file, or None when it does not exist in this version."""
        file = self._files.get(name) if version == self.version else None
        if file is None:
            return None
        packed = file.packed if "gzip" in request.accept_encodings else None
        response = Response(file.body if packed is None else packed, mimetype=file.media_type)
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        if file.packed is not None:
            response.headers["Vary"] = "Accept-Encoding"
        if packed is not None:
            response.headers["Content-Encoding"] = "gzip"
        return response
