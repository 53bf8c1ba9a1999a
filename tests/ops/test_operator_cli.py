"""`resume` says which trading state it came to, not the one that stood when it was asked, and fails
where nothing is traded."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from typing import Any

import pytest

from ops import clock, control, operator_cli

LIFTED = {"state": "ACTIVE", "supervisor": "ACTIVE (operator)", "gate": "ACTIVE (done)"}
HALTED = {"state": "HALTED", "supervisor": "ACTIVE (operator)", "gate": "HALTED (one_legged)"}


class Engine:
    """A control socket whose gate is lifted after so many questions. Time passes in sleep alone."""

    def __init__(self, lifted_after: int) -> None:
        self.asked: list[str] = []
        self.now_ns = 0
        self._lifted_after = lifted_after

    def ask(self, _folder: object, word: str) -> dict[str, Any]:
        self.asked.append(word)
        return LIFTED if len(self.asked) > self._lifted_after else HALTED

    def sleep_ns(self, span_ns: int) -> None:
        self.now_ns += span_ns


@pytest.fixture
def engine_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Engine]:
    def made(lifted_after: int) -> Engine:
        engine = Engine(lifted_after)
        monkeypatch.setattr(control, "ask", engine.ask)
        monkeypatch.setattr(clock, "sleep_ns", engine.sleep_ns)
        monkeypatch.setattr(clock, "mono_ns", lambda: engine.now_ns)
        return engine

    return made


def resume(*, halted: bool = False, as_json: bool = False) -> int:
    return operator_cli.resume(argparse.Namespace(halted=halted, json=as_json))


@pytest.mark.parametrize("lifted_after", [0, 3])
def test_resume_waits_for_the_gate(
    engine_of: Callable[[int], Engine], lifted_after: int, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = engine_of(lifted_after)
    assert resume(as_json=True) == operator_cli.DONE
    assert json.loads(capsys.readouterr().out) == LIFTED
    assert engine.asked == ["resume"] + ["status"] * lifted_after


def test_a_gate_that_stays_down_is_told_after_a_while(
    engine_of: Callable[[int], Engine], capsys: pytest.CaptureFixture[str]
) -> None:
    engine = engine_of(10**9)
    assert resume() == operator_cli.NOT_CONFIRMED
    assert engine.now_ns == operator_cli.RESUME_NS and set(engine.asked[1:]) == {"status"}
    told = capsys.readouterr()
    assert "HALTED: supervisor ACTIVE (operator), gate HALTED (one_legged)" in told.out
    assert told.err.startswith("arb-supervisor: resume: not trading")


def test_the_kill_word_is_lifted_without_waiting_to_trade(
    engine_of: Callable[[int], Engine],
) -> None:
    engine = engine_of(10**9)
    assert resume(halted=True) == operator_cli.DONE
    assert engine.asked == ["lift"] and engine.now_ns == 0
