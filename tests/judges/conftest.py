"""Clients are installed by the first test that wants one; what they called is shown at the end."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.environments import CLIENTS, Missing, python_of
from ops.cache import state_dir
from ops.venues.tls import TlsPaths, make_tls
from tests.judges.hearing import Heard, table

_HEARD = pytest.StashKey[list[Heard]]()
_SAID = pytest.StashKey[dict[str, str]]()

PythonOf = Callable[[str], Path]


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> TlsPaths:
    return make_tls(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="session")
def client_python(request: pytest.FixtureRequest) -> PythonOf:
    """The interpreter of a client's environment; the test is skipped where there is none."""
    config = request.config
    capture: Any = config.pluginmanager.get_plugin("capturemanager")
    found: dict[str, Path] = {}
    said = config.stash.setdefault(_SAID, {})

    def say(text: str) -> None:
        with capture.global_and_fixture_disabled():
            config.get_terminal_writer().line(f"\njudges: {text}", flush=True)

    def python(name: str) -> Path:
        if name in said:
            pytest.skip(said[name])
        if name not in found:
            try:
                found[name] = python_of(CLIENTS[name], say=say)
            except Missing as missing:
                said[name] = str(missing)
                pytest.skip(str(missing))
        return found[name]

    return python


@pytest.fixture(scope="session")
def keep(request: pytest.FixtureRequest) -> Callable[[Heard], Heard]:
    """Put what a client did on the record."""
    kept = request.config.stash.setdefault(_HEARD, [])

    def put(heard: Heard) -> Heard:
        kept.append(heard)
        return heard

    return put


def _record(kept: list[Heard]) -> dict[str, Any]:
    """By client: every (method, path, status) the venue answered with how often, and the calls."""
    names = ("method", "path", "status", "times")
    return {
        name: {
            "package": CLIENTS[name].package,
            "calls": [call["call"] for one in kept if one.client == name for call in one.calls],
            "requests": [
                dict(zip(names, row, strict=True))
                for row in table(r for one in kept if one.client == name for r in one.requests)
            ],
        }
        for name in dict.fromkeys(one.client for one in kept)
    }


def _lines(record: dict[str, Any], said: dict[str, str]) -> Iterator[str]:
    for client in record.values():
        yield f"{client['package']}: {len(client['calls'])} calls; the venue saw"
        for row in client["requests"]:
            status = row["status"] or ""
            yield f"  {row['times']:4} x {row['method']:6} {row['path']} {status}"
    yield from (f"skipped: {text}" for text in said.values())


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """The table of requests, and where it lies as JSON (ARB_TEST_JUDGES_JSON: another file)."""
    kept, said = config.stash.get(_HEARD, []), config.stash.get(_SAID, {})
    if not kept and not said:
        return
    record = _record(kept)
    terminalreporter.section("what the official clients called")
    for line in _lines(record, said):
        terminalreporter.write_line(line)
    if record:
        file = Path(os.environ.get("ARB_TEST_JUDGES_JSON", state_dir() / "judges" / "calls.json"))
        file.write_text(json.dumps(record, indent=1))
        terminalreporter.write_line(f"as JSON: {file}")
