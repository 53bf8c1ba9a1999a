"""Ways to break a simulated venue from outside, so that a judge can be seen to go red."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from ops.venues.rest import Answer, Call, Handler, Routes
from ops.venues.wire import Link


def rename(monkeypatch: pytest.MonkeyPatch, path: str, key: str, wrong: str) -> None:
    """Every answer of `path` says `wrong` where it should say `key`."""
    find = Routes.find

    def found(self: Routes, method: str, wanted: str) -> tuple[Handler, Mapping[str, str]] | None:
        right = find(self, method, wanted)
        if right is None or wanted != path:
            return right
        handler, params = right

        def changed(call: Call) -> Answer:
            answer = handler(call)
            assert isinstance(answer.body, dict)
            answer.body = {wrong if name == key else name: v for name, v in answer.body.items()}
            return answer

        return changed, params

    monkeypatch.setattr(Routes, "find", found)


def rename_in_frames(monkeypatch: pytest.MonkeyPatch, key: str, wrong: str) -> None:
    """Every frame of every socket says `wrong` where it should say `key`."""
    queue = Link.queue

    def changed(self: Link, text: bytes) -> None:
        queue(self, text.replace(f'"{key}"'.encode(), f'"{wrong}"'.encode()))

    monkeypatch.setattr(Link, "queue", changed)


def code_of(body: str) -> str:
    """The code in one of Kalshi's error bodies; "" has none."""
    try:
        told: Any = json.loads(body)
    except ValueError:
        return ""
    error = told.get("error") if isinstance(told, dict) else None
    found = (error if isinstance(error, dict) else told).get("code", "")
    return str(found)
