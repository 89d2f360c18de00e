"""Limits of message components, classic rows and the second version.

Source: docs, Component Reference: "Action Row" (5 buttons or one select; 5 rows), "Button", "String Select" (25
options), "Text Input", "Legacy Message Component Behavior"; Using Message Components (40 with
IS_COMPONENTS_V2).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from antiphon.sim.discord.errors import Form

ROW, BUTTON, STRING_SELECT, TEXT_INPUT = 1, 2, 3, 4
SELECTS = frozenset({3, 5, 6, 7, 8})
SECTION, TEXT_DISPLAY, THUMBNAIL, GALLERY, FILE, SEPARATOR, CONTAINER, LABEL = 9, 10, 11, 12, 13, 14, 17, 18
_LAYOUT = frozenset({ROW, SECTION, TEXT_DISPLAY, GALLERY, FILE, SEPARATOR, CONTAINER})


def check_components(form: Form, path: str, value: Any, *, second_version: bool) -> list[dict[str, Any]]:
    """The components with their ids; what is wrong is noted in `form`."""
    components = form.items(path, value, most=40 if second_version else 5)
    components = [one for one in components if isinstance(one, dict)]
    seen: set[str] = set()
    texts = 0
    everything = list(walk(components, path))
    if second_version and len(everything) > 40:
        form.add(path, "BASE_TYPE_MAX_LENGTH", "Must be 40 or fewer in length.")
    for at, component in everything:
        kind = component.get("type")
        if kind == ROW:
            _row(form, at, component)
        elif kind == BUTTON:
            _button(form, at, component)
        elif kind in SELECTS:
            _select(form, at, component)
        elif kind == TEXT_DISPLAY:
            texts += len(form.text(f"{at}.content", component.get("content"), least=1, most=4000, none=False) or "")
        elif kind not in _LAYOUT | {THUMBNAIL}:
            form.choice(f"{at}.type", kind, set(_LAYOUT | SELECTS | {BUTTON, THUMBNAIL}))
        if kind in _LAYOUT - {ROW} and not second_version:
            form.add(f"{at}.type", "UNION_TYPE_CHOICES", 'Value of field "type" must be one of (1,).')
        if custom := component.get("custom_id"):
            if custom in seen:
                form.add(
                    f"{at}.custom_id", "COMPONENT_CUSTOM_ID_DUPLICATED", "Component custom id cannot be duplicated"
                )
            seen.add(custom)
    if texts > 4000:
        form.add(path, "BASE_TYPE_MAX_LENGTH", "The combined text of all components must be 4000 or fewer in length.")
    for index, component in enumerate(components):
        if not second_version and component.get("type") != ROW:
            form.add(f"{path}.{index}.type", "UNION_TYPE_CHOICES", 'Value of field "type" must be one of (1,).')
    _number(components)
    return components


def walk(components: list[dict[str, Any]], path: str = "components") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every component with its place, outer ones first."""
    for index, component in enumerate(components):
        at = f"{path}.{index}"
        yield at, component
        inner = component.get("components")
        if isinstance(inner, list):
            yield from walk([one for one in inner if isinstance(one, dict)], f"{at}.components")
        for name in ("accessory", "component"):
            if isinstance(component.get(name), dict):
                yield f"{at}.{name}", component[name]


def find(components: list[dict[str, Any]], custom_id: str) -> dict[str, Any] | None:
    return next((one for _, one in walk(components) if one.get("custom_id") == custom_id), None)


def _row(form: Form, at: str, row: dict[str, Any]) -> None:
    inner = form.items(f"{at}.components", row.get("components"), most=5)
    if not inner:
        form.add(f"{at}.components", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 5 in length.")
    kinds = [one.get("type") for one in inner if isinstance(one, dict)]
    if any(kind in SELECTS for kind in kinds) and len(kinds) > 1:
        form.add(f"{at}.components", "COMPONENT_LAYOUT_WIDTH_EXCEEDED", "A row holds one select and nothing else")


def _button(form: Form, at: str, button: dict[str, Any]) -> None:
    style = form.choice(f"{at}.style", button.get("style"), {1, 2, 3, 4, 5, 6})
    if style is None:
        form.required(f"{at}.style")
    label = form.text(f"{at}.label", button.get("label"), most=80)
    if style == 5:
        if not button.get("url"):
            form.add(f"{at}.url", "BUTTON_COMPONENT_URL_REQUIRED", "A link button must have a url")
        if button.get("custom_id"):
            form.add(
                f"{at}.custom_id",
                "BUTTON_COMPONENT_CUSTOM_ID_URL_MUTUALLY_EXCLUSIVE",
                "A custom id and url cannot both be specified",
            )
    elif style != 6:
        form.text(f"{at}.custom_id", button.get("custom_id"), least=1, most=100, none=False)
    if not label and not button.get("emoji") and style != 6:
        form.add(at, "BUTTON_COMPONENT_LABEL_OR_EMOJI_REQUIRED", "A button needs a label or an emoji")


def _select(form: Form, at: str, select: dict[str, Any]) -> None:
    form.text(f"{at}.custom_id", select.get("custom_id"), least=1, most=100, none=False)
    form.text(f"{at}.placeholder", select.get("placeholder"), most=150)
    form.number(f"{at}.min_values", select.get("min_values"), least=0, most=25)
    form.number(f"{at}.max_values", select.get("max_values"), least=1, most=25)
    if select.get("type") != STRING_SELECT:
        return
    options = form.items(f"{at}.options", select.get("options"), most=25)
    if not options:
        form.add(f"{at}.options", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 25 in length.")
    values: set[Any] = set()
    for index, option in enumerate(options):
        option = option if isinstance(option, dict) else {}
        form.text(f"{at}.options.{index}.label", option.get("label"), least=1, most=100, none=False)
        value = form.text(f"{at}.options.{index}.value", option.get("value"), least=1, most=100, none=False)
        form.text(f"{at}.options.{index}.description", option.get("description"), most=100)
        if value in values:
            form.add(
                f"{at}.options.{index}.value",
                "SELECT_COMPONENT_OPTION_VALUE_DUPLICATED",
                "The specified option value is already used",
            )
        values.add(value)


def _number(components: list[dict[str, Any]]) -> None:
    """Source: docs, Component Reference, "Anatomy of a Component": ids are generated in sequence when absent."""
    taken = {one["id"] for _, one in walk(components) if one.get("id")}
    following = 1
    for _, component in walk(components):
        if not component.get("id"):
            while following in taken:
                following += 1
            component["id"] = following
            taken.add(following)


def check_modal(form: Form, data: dict[str, Any]) -> None:
    """Source: docs, Receiving and Responding, "Modal": title of 45, custom id of 100, 1 to 5 components."""
    form.text("data.title", data.get("title"), least=1, most=45, none=False)
    form.text("data.custom_id", data.get("custom_id"), least=1, most=100, none=False)
    components = form.items("data.components", data.get("components"), most=5)
    if not components:
        form.add("data.components", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 5 in length.")
    for at, component in walk([one for one in components if isinstance(one, dict)], "data.components"):
        if component.get("type") == TEXT_INPUT:
            form.text(f"{at}.custom_id", component.get("custom_id"), least=1, most=100, none=False)
            form.choice(f"{at}.style", component.get("style"), {1, 2})
            form.text(f"{at}.label", component.get("label"), most=45)
            form.text(f"{at}.value", component.get("value"), most=4000)
            form.text(f"{at}.placeholder", component.get("placeholder"), most=100)
