"""What Kalshi answers to a write, with the word the log keeps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ops.venues.kalshi_auth import error_body

NOT_FOUND = error_body("not_found", "not found")
INVALID_ORDER = "invalid_order"


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer. `key`: the order it is about, by its client id or its own."""

    status: int
    body: dict[str, Any] | None
    outcome: str
    key: str = ""


def refuse(status: int, code: str, *, details: str = "", key: str = "") -> Reply:
    """A refusal in the nested shape; the message is the code in plain words."""
    return Reply(status, error_body(code, code.replace("_", " "), details), code, key)


def missing(key: str, outcome: str = "not_found") -> Reply:
    """The one 404: cancelled, executed, unknown and wrong-shard orders look alike (demo,
    2026-06-11). `outcome` tells the log which it was.
    """
    return Reply(404, NOT_FOUND, outcome, key)
