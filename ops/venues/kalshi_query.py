"""Query parameters of Kalshi's REST, and pages of rows.

A parameter out of bounds is a 400 in the `{"msg": …}` shape (demo, 2026-06-11: `limit=1001`); a
garbage cursor is page 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ops.venues.numerals import SECOND_NS, iso_us
from ops.venues.rest import Answer, Call

PAGE = 100
PAGE_MAX = 1000
EVENTS_MAX = 200


class BadQuery(Exception):
    """A query parameter is not what it should be: 400 with this body."""

    def __init__(self, operation: str, name: str, tag: str) -> None:
        key = f"{operation}Params.{name}"
        self.body = {
            "msg": f"Parameter validation failed for {operation}: Key: '{key}' "
            f"Error:Field validation for '{name}' failed on the '{tag}' tag"
        }
        super().__init__(self.body["msg"])


def _field(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def whole(call: Call, name: str, operation: str) -> int | None:
    """A parameter that is an integer, None: not given."""
    text = call.query.get(name, "")
    if not text:
        return None
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) < 19):
        raise BadQuery(operation, _field(name), "number")
    return int(text)


def needed(call: Call, name: str, operation: str) -> int:
    """A parameter that must be given, an integer."""
    found = whole(call, name, operation)
    if found is None:
        raise BadQuery(operation, _field(name), "required")
    return found


def listed(call: Call, name: str, operation: str, most: int) -> set[str] | None:
    """Names joined by commas, None: not given."""
    names = {text for text in call.query.get(name, "").split(",") if text}
    if len(names) > most:
        raise BadQuery(operation, _field(name), "max")
    return names or None


def one_of(call: Call, name: str, operation: str, words: Iterable[str]) -> str | None:
    """A word of a list, None: not given."""
    word = call.query.get(name, "")
    if word and word not in words:
        raise BadQuery(operation, _field(name), "oneof")
    return word or None


def between(call: Call, what: str, operation: str) -> Callable[[int], bool]:
    """Whether a stamp in ns lies within `min_WHAT` and `max_WHAT`, unix seconds, both included."""
    since_s, until_s = whole(call, f"min_{what}", operation), whole(call, f"max_{what}", operation)
    since_ns = None if since_s is None else since_s * SECOND_NS
    until_ns = None if until_s is None else until_s * SECOND_NS

    def is_between(stamp_ns: int) -> bool:
        if since_ns is not None and stamp_ns < since_ns:
            return False
        return until_ns is None or stamp_ns <= until_ns

    return is_between


def told_between(call: Call, operation: str) -> Callable[[str], bool]:
    """`between` min_ts and max_ts for a stamp as `iso_us` writes it: such texts sort as their
    times.
    """
    since_s, until_s = whole(call, "min_ts", operation), whole(call, "max_ts", operation)
    since = "" if since_s is None else iso_us(since_s * SECOND_NS)
    until = "9" if until_s is None else iso_us(until_s * SECOND_NS)
    return lambda stamp: since <= stamp <= until


def page(
    call: Call, name: str, rows: Iterable[Any], operation: str, most: int = PAGE_MAX
) -> Answer:
    """One page; the cursor is the offset of the next, "" on the last."""
    cut, cursor = cut_page(call, list(rows), operation, most)
    return Answer(200, {"cursor": cursor, name: cut})


def cut_page(
    call: Call, rows: list[Any], operation: str, most: int = PAGE_MAX, default: int = PAGE
) -> tuple[list[Any], str]:
    """The rows of this page, and the next cursor."""
    limit = whole(call, "limit", operation) or min(default, most)
    if limit > most:
        raise BadQuery(operation, "Limit", "lte")
    if limit < 1:
        raise BadQuery(operation, "Limit", "gte")
    text = call.query.get("cursor", "")
    begin = int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
    end = begin + limit
    return rows[begin:end], str(end) if end < len(rows) else ""
