"""Answers of the cold path: bytes to objects, or the one error."""

from __future__ import annotations

from typing import Any

import orjson

from gateway.ports import Reader, VenueError


def object_of(body: bytes) -> dict[str, Any] | None:
    """A JSON object, or None for anything else."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None


async def get_object(reader: Reader, path: str, query: str) -> dict[str, Any]:
    """The object of a 200. Raises VenueError on anything else."""
    reply = await reader.get(path, query)
    answer = object_of(reply.body) if not reply.error and reply.status == 200 else None
    if answer is None:
        found = reply.error or f"{reply.status} {reply.body[:120]!r}"
        raise VenueError(f"GET {path}: found {found}, wanted 200 and an object")
    return answer
