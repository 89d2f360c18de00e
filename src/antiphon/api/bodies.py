"""Reading request bodies: strict JSON with the place of a mistake, and serializers that take nothing for granted."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, ClassVar

from django.http import HttpRequest
from rest_framework import serializers
from rest_framework.exceptions import UnsupportedMediaType

from antiphon.domain.errors import InvalidInput, MalformedInput

MAX_DEPTH = 64


def json_body(request: HttpRequest) -> Any:
    """The JSON document of a request; `{}` when there is no body at all.

    Raises `MalformedInput` with line and column, `UnsupportedMediaType` when it is not declared as JSON.
    """
    raw = request.body
    if not raw and not request.content_type:
        return {}
    require_json(request)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedInput(f"The body is not UTF-8: byte {error.start + 1}.") from None
    try:
        document = json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise MalformedInput(f"The body is not JSON: {error.msg}, line {error.lineno}, column {error.colno}.") from None
    except RecursionError:
        raise MalformedInput("The body is nested too deeply.") from None
    except ValueError as error:
        raise MalformedInput(f"The body is not JSON: {error}.") from None
    if _too_deep(document):
        raise MalformedInput(f"The body is nested too deeply: at most {MAX_DEPTH} levels are taken.")
    return document


def require_json(request: HttpRequest) -> None:
    """Raises `UnsupportedMediaType` when the body is not declared as JSON in UTF-8."""
    charset = (request.content_params or {}).get("charset", "utf-8").lower()
    if request.content_type != "application/json" or charset not in ("utf-8", "utf8"):
        raise UnsupportedMediaType(request.content_type or "")


class _NoSuchNumber(ValueError):
    """JSON knows no NaN and no infinity."""


def _refuse_constant(name: str) -> None:
    raise _NoSuchNumber(f"{name} is not a JSON number")


def _too_deep(document: Any) -> bool:
    level = [document]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in _children(node)]
        if not level:
            return False
    return True


def _children(node: Any) -> list[Any]:
    if isinstance(node, dict):
        return list(node.values())
    return node if isinstance(node, list) else []


class StrictText(serializers.CharField):
    """Text as it was sent: no number is taken for text, nothing is trimmed; NUL and lone surrogates are refused."""

    default_error_messages: ClassVar[dict[str, str]] = {"invalid": "must be text"}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(trim_whitespace=False, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class Instant(StrictText):
    """A moment: ISO 8601 with its offset from UTC, without which nobody knows when it is."""

    default_error_messages: ClassVar[dict[str, str]] = {"instant": "must be a time such as 2030-01-31T09:00:00Z"}

    def to_internal_value(self, data: Any) -> Any:
        try:
            moment = datetime.fromisoformat(super().to_internal_value(data))
            return moment.astimezone(UTC) if moment.utcoffset() is not None else self.fail("instant")
        except (ValueError, OverflowError):
            self.fail("instant")


class Body(serializers.Serializer):
    """Base of every request body: a JSON object without unknown fields."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict):
            unknown = {_shown(name): ["unknown field"] for name in data if name not in self.fields}
            if unknown:
                raise serializers.ValidationError(unknown)
        return super().to_internal_value(data)


def checked(body: type[serializers.Serializer], data: Any) -> dict[str, Any]:
    """The validated fields, or `InvalidInput` naming each wrong one."""
    if not isinstance(data, dict):
        raise InvalidInput("The body must be a JSON object.", fields={"body": "not an object"})
    serializer = body(data=data)
    if not serializer.is_valid():
        fields = {name: _first(problem) for name, problem in serializer.errors.items()}
        raise InvalidInput("Some fields are not right: " + ", ".join(fields) + ".", fields=fields)
    return dict(serializer.validated_data)


def _first(problem: Any) -> str:
    while isinstance(problem, list | tuple) and problem:
        problem = problem[0]
    if isinstance(problem, dict):
        return _first(next(iter(problem.values()), "not allowed"))
    return str(problem)


def _shown(name: str) -> str:
    """A field name that came from outside, short and printable."""
    return "".join(c if c.isprintable() else "?" for c in name[:64]).encode("utf-8", "replace").decode()
