"""Fetching models into the one models folder: what is there is kept, what broke off goes on, what is wrong is refused.

Called by `antiphon speech download`. The hub tells the checksum of every file (SHA-256 of large ones, git's own of
small ones) before it is fetched; a file takes its name only once it fits. A hub redirects to wherever its files lie:
the transport that is given decides which addresses that may be.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, cast
from urllib.parse import quote

import httpx2

from antiphon.domain.errors import Conflict, Forbidden, NotFound, Unavailable
from antiphon.speech.engine import Download

_TIMEOUT = httpx2.Timeout(30.0, connect=10.0)
_PIECE = 256 * 1024
_MOST_PAGES = 50
_MOST_REDIRECTS = 5
_MOST_LISTING = 16 * 1024 * 1024
"""Bytes of a page of the list of files."""
_ROOM_BYTES = 256 * 1024 * 1024
"""Room on the disk that a download leaves."""


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file as the hub lists it. `sha256` or `git` (the id of its blob) says what it must be."""

    url: str
    target: Path
    size: int
    sha256: str = ""
    git: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a download is, in bytes of all files together."""

    name: str
    done: int
    total: int


async def fetch(
    downloads: Sequence[Download],
    *,
    hub: str,
    models: Path,
    transport: httpx2.AsyncBaseTransport,
    progress: Callable[[Progress], None] = lambda progress: None,
) -> Sequence[Path]:
    """Fetch all of them; returns the files. A second call after a failure goes on where it broke off.

    `transport` raises `Forbidden` for an address that may not be asked. Raises that, `Unavailable` without a connection
    or room, `NotFound` where the hub has nothing of it, and `Conflict` when a file is not what the hub said.
    """
    client = httpx2.AsyncClient(
        timeout=_TIMEOUT, follow_redirects=True, max_redirects=_MOST_REDIRECTS, transport=transport
    )
    async with client:
        try:
            files = [file for one in downloads for file in await _listed(client, one, hub.rstrip("/"), models)]
            done, total = 0, sum(file.size for file in files)
            _check_room(models, total - sum(_held(file) for file in files))
            for file in files:

                def tell(count: int, name: str = file.target.name, before: int = done) -> None:
                    progress(Progress(name, before + count, total))

                await _fetch(client, file, tell)
                done += file.size
        except Forbidden as error:
            raise Forbidden(
                f"The hub {hub} leads elsewhere: {error.message}. Nothing was fetched from there. Only the server that "
                "speech.hub_url names may lie in a network of yours, so a mirror has to send its files itself."
            ) from error
        except httpx2.HTTPError as error:
            raise Unavailable(
                f"The hub {hub} cannot be reached or broke off ({type(error).__name__}). Nothing that came is lost: "
                "the same command goes on with it. Without internet here, fetch the files on another machine and "
                f"copy them into {models}."
            ) from error
    return [file.target for file in files]


async def _listed(client: httpx2.AsyncClient, wanted: Download, hub: str, models: Path) -> Sequence[HubFile]:
    """The files of a download, with their checksums."""
    folder = f"/{quote(wanted.below)}" if wanted.below else ""
    url: str | None = f"{hub}/api/models/{wanted.repository}/tree/main{folder}?recursive=true"
    found: list[HubFile] = []
    for _ in range(_MOST_PAGES):
        if url is None:
            break
        async with client.stream("GET", url) as answer:
            if answer.status_code in (401, 403, 404):
                raise NotFound(f"{hub} has no model {wanted.repository}, or it is not for everybody.")
            answer.raise_for_status()
            listing = await _all_of(answer)
        try:
            rows = cast("list[dict[str, Any]]", json.loads(listing))
            found += [_file(row, wanted, hub, models) for row in rows if _fits(row, wanted)]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Unavailable(f"{hub} does not answer as a hub does; see speech.hub_url.") from error
        url = answer.links.get("next", {}).get("url")
    if not found:
        raise NotFound(f"The model {wanted.repository} has no file like {', '.join(wanted.patterns)}.")
    return found


async def _all_of(answer: httpx2.Response) -> bytes:
    whole = bytearray()
    async for piece in answer.aiter_bytes(_PIECE):
        whole += piece
        if len(whole) > _MOST_LISTING:
            raise Unavailable("The hub's list of files is too long to be one; see speech.hub_url.")
    return bytes(whole)


def _fits(row: dict[str, Any], wanted: Download) -> bool:
    path = str(row["path"])
    return row["type"] == "file" and any(fnmatch.fnmatchcase(path, pattern) for pattern in wanted.patterns)


def _file(row: dict[str, Any], wanted: Download, hub: str, models: Path) -> HubFile:
    path = PurePosixPath(str(row["path"]))
    if path.is_absolute() or ".." in path.parts:
        raise ValueError("a path that leads out")
    place = path.relative_to(wanted.below) if wanted.below else path
    large: dict[str, Any] = row.get("lfs") or {}
    return HubFile(
        url=f"{hub}/{wanted.repository}/resolve/main/{quote(str(path))}",
        target=models / wanted.into / place,
        size=int(row["size"]),
        sha256=str(large.get("oid", "")),
        git="" if large else str(row.get("oid", "")),
    )


def _held(file: HubFile) -> int:
    """Bytes of a file that are there already."""
    for path in (file.target, _part(file)):
        if path.is_file():
            return min(path.stat().st_size, file.size)
    return 0


def _part(file: HubFile) -> Path:
    return file.target.with_name(file.target.name + ".part")


def _check_room(models: Path, needed: int) -> None:
    folder = next(path for path in (models, *models.absolute().parents) if path.exists())
    free = shutil.disk_usage(folder).free
    if needed + _ROOM_BYTES > free:
        raise Unavailable(
            f"There is not enough room in {models}: {needed // 1_000_000} MB are needed, {free // 1_000_000} MB are "
            "free."
        )


async def _fetch(client: httpx2.AsyncClient, file: HubFile, tell: Callable[[int], None]) -> None:
    if file.target.is_file() and file.target.stat().st_size == file.size and _is_right(file, file.target):
        tell(file.size)
        return
    file.target.parent.mkdir(parents=True, exist_ok=True)
    part = _part(file)
    have = part.stat().st_size if part.is_file() else 0
    if have > file.size:
        part.unlink()
        have = 0
    if have < file.size or not part.exists():
        await _download(client, file, part, have, tell)
    if part.stat().st_size != file.size:
        raise Unavailable(f"{file.target.name} broke off; the same command goes on with it.")
    if not _is_right(file, part):
        part.unlink()
        raise Conflict(f"{file.target.name} is not what the hub says it is, and was thrown away. Try again.")
    part.replace(file.target)


async def _download(
    client: httpx2.AsyncClient, file: HubFile, part: Path, have: int, tell: Callable[[int], None]
) -> None:
    headers = {"Range": f"bytes={have}-"} if have else {}
    async with client.stream("GET", file.url, headers=headers) as answer:
        answer.raise_for_status()
        if have and answer.status_code != 206:
            have = 0  # it does not know ranges, and sends all of it
        with part.open("ab" if have else "wb") as out:
            async for piece in answer.aiter_bytes(_PIECE):
                have += len(piece)
                if have > file.size:
                    raise Conflict(f"{file.target.name} is longer than the hub says.")
                out.write(piece)
                tell(have)


def _is_right(file: HubFile, path: Path) -> bool:
    """Whether the content fits the checksum."""
    digest = hashlib.sha256() if file.sha256 else hashlib.sha1(usedforsecurity=False)
    if not file.sha256:
        digest.update(f"blob {path.stat().st_size}\0".encode())
    with path.open("rb") as source:
        while piece := source.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest() == (file.sha256 or file.git)
