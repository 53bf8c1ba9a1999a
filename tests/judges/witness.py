"""What a judge's script writes down: each call of a client and what came back.

Runs under the client's own Python beside the client, so it needs the standard library only. What is
not one of the named errors ends the script with its traceback: the client could not work at all.
"""

from __future__ import annotations

import dataclasses
import enum
import json
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

UNTIL_MAX_S = 10.0
PAUSE_S = 0.05


def plain(value: Any) -> Any:
    """`value` as JSON can carry it: models and dataclasses by field, numbers that are not ints as
    text.
    """
    if value is None or isinstance(value, bool | int | str):
        return value.value if isinstance(value, enum.Enum) else value
    if hasattr(value, "model_dump"):
        return plain(value.model_dump())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value)]
        return {name: plain(getattr(value, name)) for name in names}
    if isinstance(value, Mapping):
        return {str(plain(key)): plain(found) for key, found in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(one) for one in value]
    return plain(value.value) if isinstance(value, enum.Enum) else str(value)


class Witness:
    """The list of calls. `errors`: what the client raises when the venue refuses."""

    def __init__(self, *errors: type[BaseException]) -> None:
        self._errors = errors
        self.calls: list[dict[str, Any]] = []

    def call(self, label: str, function: Callable[..., Any], /, *args: Any, **named: Any) -> Any:
        """Call it and note the answer, or the refusal; the client's own value (None: refused)."""
        try:
            answer = function(*args, **named)
        except self._errors as error:
            names = [kind.__name__ for kind in type(error).__mro__]
            told = {key: plain(found) for key, found in vars(error).items() if key != "headers"}
            self.calls.append({"call": label, "error": names, "text": str(error), "fields": told})
            return None
        self.note(label, answer)
        return answer

    def until(
        self, label: str, is_enough: Callable[[Any], bool], function: Callable[..., Any], /,
        *args: Any, **named: Any,
    ) -> Any:  # fmt: skip
        """Call it again until the answer is enough, UNTIL_MAX_S at most; the last one is noted."""
        pause = threading.Event()
        for _ in range(round(UNTIL_MAX_S / PAUSE_S)):
            before = len(self.calls)
            answer = self.call(label, function, *args, **named)
            if answer is not None and is_enough(answer):
                return answer
            del self.calls[before:]
            pause.wait(PAUSE_S)
        return self.call(label, function, *args, **named)

    def note(self, label: str, answer: Any) -> None:
        """Something the client said that no call asked for."""
        self.calls.append({"call": label, "answer": plain(answer)})

    def tell(self) -> None:
        """Write the list as JSON to standard output; call it last."""
        json.dump(self.calls, sys.stdout)
        sys.stdout.flush()


def told() -> dict[str, Any]:
    """What the test wrote to standard input."""
    given: dict[str, Any] = json.load(sys.stdin)
    return given
