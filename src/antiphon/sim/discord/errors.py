"""Refusals as Discord words them: an HTTP status, a numeric code, a message and, for forms, one entry per field.

Source: docs, Opcodes and Status Codes, "JSON Error Codes" and "HTTP Response Codes"; Reference, "Error Messages"
(the shape of `errors` for objects, arrays and whole requests).
"""

from __future__ import annotations

from typing import Any


class Refused(Exception):
    """A request that Discord answers with an error."""

    def __init__(self, status: int, code: int, message: str, **extra: Any) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.extra = status, code, message, extra

    def body(self) -> dict[str, Any]:
        return {"message": self.message, "code": self.code, **self.extra}


_UNKNOWN = {
    "account": 10001,
    "application": 10002,
    "channel": 10003,
    "guild": 10004,
    "integration": 10005,
    "invite": 10006,
    "member": 10007,
    "message": 10008,
    "overwrite": 10009,
    "role": 10011,
    "token": 10012,
    "user": 10013,
    "emoji": 10014,
    "webhook": 10015,
    "session": 10020,
    "ban": 10026,
    "interaction": 10062,
    "application command": 10063,
    "voice state": 10065,
}


def unknown(what: str) -> Refused:
    return Refused(404, _UNKNOWN[what], f"Unknown {what.title() if what != 'interaction' else what}")


def unauthorized() -> Refused:
    return Refused(401, 0, "401: Unauthorized")


def missing_access() -> Refused:
    return Refused(403, 50001, "Missing Access")


def missing_permissions() -> Refused:
    return Refused(403, 50013, "Missing Permissions")


def refused(status: int, code: int, message: str) -> Refused:
    return Refused(status, code, message)


class Form:
    """Collects what is wrong with a request, then refuses it once with everything."""

    def __init__(self) -> None:
        self._errors: dict[str, Any] = {}

    def add(self, path: str, code: str, message: str) -> None:
        """`path` is dotted, arrays by index: `embeds.0.title`. An empty one means the whole request."""
        node = self._errors
        for part in path.split(".") if path else []:
            node = node.setdefault(part, {})
        node.setdefault("_errors", []).append({"code": code, "message": message})

    def check(self) -> None:
        if self._errors:
            raise Refused(400, 50035, "Invalid Form Body", errors=self._errors)

    def required(self, path: str) -> None:
        self.add(path, "BASE_TYPE_REQUIRED", "This field is required")

    def text(self, path: str, value: Any, *, least: int = 0, most: int, none: bool = True) -> str | None:
        """A string of bounded length, or None; anything else is noted as wrong."""
        if value is None:
            if not none:
                self.required(path)
            return None
        if not isinstance(value, str):
            self.add(path, "STRING_TYPE_CONVERT", "Could not interpret value as string.")
            return None
        if len(value) > most:
            if least:
                self.add(path, "BASE_TYPE_BAD_LENGTH", f"Must be between {least} and {most} in length.")
            else:
                self.add(path, "BASE_TYPE_MAX_LENGTH", f"Must be {most} or fewer in length.")
        elif len(value) < least:
            if value:
                self.add(path, "BASE_TYPE_BAD_LENGTH", f"Must be between {least} and {most} in length.")
            else:
                self.required(path)
        return value

    def number(self, path: str, value: Any, *, least: int, most: int) -> int | None:
        if value is None:
            return None
        try:
            number = int(value)
        except (TypeError, ValueError):
            self.add(path, "NUMBER_TYPE_COERCE", f'Value "{value}" is not int.')
            return None
        if number < least:
            self.add(path, "NUMBER_TYPE_MIN", f"int value should be greater than or equal to {least}.")
        elif number > most:
            self.add(path, "NUMBER_TYPE_MAX", f"int value should be less than or equal to {most}.")
        return number

    def choice(self, path: str, value: Any, values: set[Any] | frozenset[Any]) -> Any:
        if value is not None and value not in values:
            listed = ", ".join(str(one) for one in sorted(values, key=str))
            self.add(path, "BASE_TYPE_CHOICES", f"Value must be one of {{{listed}}}.")
        return value

    def items(self, path: str, value: Any, *, most: int) -> list[Any]:
        if value is None:
            return []
        if not isinstance(value, list):
            self.add(path, "LIST_TYPE_CONVERT", "Only iterables may be used in a ListType")
            return []
        if len(value) > most:
            self.add(path, "BASE_TYPE_MAX_LENGTH", f"Must be {most} or fewer in length.")
        return value

    def snowflake(self, path: str, value: Any) -> int | None:
        if value is None:
            return None
        try:
            number = int(value)
        except (TypeError, ValueError):
            number = -1
        if isinstance(value, bool) or not 0 <= number < 1 << 64:
            self.add(path, "NUMBER_TYPE_COERCE", f'Value "{value}" is not snowflake.')
            return None
        return number
