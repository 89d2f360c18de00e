"""Limits of embeds.

Source: docs, Message, "Embed Limits": lengths per field, 25 fields, 6000 characters over all embeds of a message;
"Create Message": up to 10 embeds.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from antiphon.sim.discord.errors import Form

MOST, IN_ALL = 10, 6000
_TEXTS = {"title": 256, "description": 4096}
_KNOWN = (
    "title",
    "type",
    "description",
    "url",
    "timestamp",
    "color",
    "footer",
    "image",
    "thumbnail",
    "author",
    "fields",
)


def check_embeds(form: Form, path: str, value: Any, files: set[str]) -> list[dict[str, Any]]:
    """The embeds as they will be shown; what is wrong is noted in `form`."""
    embeds = form.items(path, value, most=MOST)
    shown: list[dict[str, Any]] = []
    total = 0
    for index, embed in enumerate(embeds):
        at = f"{path}.{index}"
        if not isinstance(embed, dict):
            form.add(at, "DICT_TYPE_CONVERT", "Only dictionaries may be used in a DictType")
            continue
        total += _check(form, at, embed, files)
        shown.append({"type": "rich", **{key: embed[key] for key in _KNOWN if embed.get(key) is not None}, "flags": 0})
    if total > IN_ALL:
        form.add(path, "MAX_EMBED_SIZE_EXCEEDED", f"Embed size exceeds maximum size of {IN_ALL}")
    return shown


def _check(form: Form, at: str, embed: dict[str, Any], files: set[str]) -> int:
    """Returns how many characters count towards the total."""
    size = 0
    for name, most in _TEXTS.items():
        size += len(form.text(f"{at}.{name}", embed.get(name), most=most) or "")
    form.number(f"{at}.color", embed.get("color"), least=0, most=0xFFFFFF)
    _url(form, f"{at}.url", embed.get("url"), ("http", "https"), files)
    footer, author = _part(embed, "footer"), _part(embed, "author")
    if embed.get("footer") is not None:
        size += len(form.text(f"{at}.footer.text", footer.get("text"), most=2048, none=False) or "")
        _url(form, f"{at}.footer.icon_url", footer.get("icon_url"), ("http", "https", "attachment"), files)
    if embed.get("author") is not None:
        size += len(form.text(f"{at}.author.name", author.get("name"), least=1, most=256, none=False) or "")
        _url(form, f"{at}.author.url", author.get("url"), ("http", "https"), files)
        _url(form, f"{at}.author.icon_url", author.get("icon_url"), ("http", "https", "attachment"), files)
    for name in ("image", "thumbnail"):
        if embed.get(name) is not None:
            _url(form, f"{at}.{name}.url", _part(embed, name).get("url"), ("http", "https", "attachment"), files)
    fields = form.items(f"{at}.fields", embed.get("fields"), most=25)
    for index, field in enumerate(fields):
        field = field if isinstance(field, dict) else {}
        size += len(form.text(f"{at}.fields.{index}.name", field.get("name"), least=1, most=256, none=False) or "")
        size += len(form.text(f"{at}.fields.{index}.value", field.get("value"), least=1, most=1024, none=False) or "")
    return size


def _part(embed: dict[str, Any], name: str) -> dict[str, Any]:
    part = embed.get(name)
    return part if isinstance(part, dict) else {}


def _url(form: Form, at: str, value: Any, schemes: tuple[str, ...], files: set[str]) -> None:
    if value is None:
        return
    text = form.text(at, value, most=2048) or ""
    parts = urlsplit(text)
    if parts.scheme not in schemes or not parts.netloc:
        listed = ", ".join(f"'{scheme}'" for scheme in schemes)
        form.add(at, "URL_TYPE_INVALID_SCHEME", f'"{parts.scheme}": Scheme "{parts.scheme}" is not one of ({listed}).')
    elif parts.scheme == "attachment" and parts.netloc not in files:
        # An image of a file that was not uploaded is not shown; Discord does not refuse it.
        return


def is_empty(embed: dict[str, Any]) -> bool:
    """An embed that shows nothing does not count as content (50006)."""
    return not any(
        embed.get(key) for key in ("title", "description", "fields", "author", "footer", "image", "thumbnail")
    )
