"""What a process marks for people reaches them once, and its samples are kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops.alerts import Alerts, empty_samples, samples_of, tell


def log_of(tmp_path: Path) -> Path:
    log = tmp_path / "engine.log"
    log.write_bytes(b"alert: feed kalshi: of a run before\n")
    empty_samples(log)
    return log


def append(log: Path, text: bytes) -> None:
    with log.open("ab") as file:
        file.write(text)


def test_only_marked_whole_new_lines_are_alerts_each_once(tmp_path: Path) -> None:
    log = log_of(tmp_path)
    alerts = Alerts(log)
    assert alerts.new() == []
    append(log, b"feed kalshi: GET /markets: 500\nalert: feed kalshi: drift\nalert: feed ")
    assert alerts.new() == ["feed kalshi: drift"]
    append(log, b"polymarket: a second\nsupervisor: says alert: no\n")
    assert alerts.new() == ["feed polymarket: a second"]
    assert alerts.new() == []
    alerts.close()


def test_lines_are_marked_and_samples_kept_until_the_next_run(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    log = log_of(tmp_path)
    tell("feed kalshi", ["kalshi: price missing"], [("01-x.json", b"{}")], log)
    said = capfd.readouterr().err
    assert said.startswith("alert: feed kalshi: price missing\n") and "01-x.json" in said
    assert (samples_of(log) / "01-x.json").read_bytes() == b"{}"
    empty_samples(log)
    assert list(samples_of(log).iterdir()) == []


def test_a_sample_that_cannot_be_written_is_told(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    tell("feed kalshi", [], [("01-x.json", b"{}")], tmp_path / "nowhere" / "engine.log")
    assert "No such file or directory" in capfd.readouterr().err
