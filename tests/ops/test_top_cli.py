"""`arb-top` as a command: --once, --json, wrong usage, and what it says when nothing runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

import shm_layout as shm
from ops import clock
from tests.ops import top_scene as scene

ROOT = Path(shm.__file__).parent


@pytest.fixture
def segment() -> Iterator[shm.Segment]:
    made = shm.Segment.create(f"arb-topc-{uuid.uuid4().hex[:10]}", run_id=42)
    scene.fill(made, clock.mono_ns() + 600 * clock.SECOND_NS)  # no beat grows old meanwhile
    yield made
    made.unlink()


def top(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ops.top_cli", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=280, check=False, env=os.environ,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip


def test_once_prints_every_table_as_plain_text(segment: shm.Segment) -> None:
    done = top("--name", segment.name, "--once")
    assert done.returncode == 0 and done.stderr == ""
    assert "\x1b" not in done.stdout
    for part in (
        "ACTIVE",
        "quotes (4)",
        "pairs (2): edge",
        "+5.05c",
        "positions (4)",
        "tick_to_order",
    ):
        assert part in done.stdout, part


def test_json_prints_one_object_with_every_key(segment: shm.Segment) -> None:
    done = top("--name", segment.name, "--json")
    assert done.returncode == 0
    found = json.loads(done.stdout)
    assert found["state"] == "ACTIVE" and found["run_id"] == 42
    assert found["pairs"][0]["ways"][0]["edge_e6"] == 50_528
    assert len(found["quotes"]) == 4 and found["quotes"][2]["trust"] == ["gap", "link_silent"]
    assert set(found) >= {"processes", "orders", "positions", "cash", "latencies"}
    assert "\\u001b" not in done.stdout


def test_view_filter_and_sort_narrow_what_is_printed(segment: shm.Segment) -> None:
    done = top("--name", segment.name, "--once", "--view", "quotes", "--filter", "KXNBA")
    assert "quotes (1)" in done.stdout and "pairs (" not in done.stdout
    done = top("--name", segment.name, "--once", "--sort", "bid", "--reverse")
    rows = [line for line in done.stdout.splitlines() if "  0." in line]
    assert "0.6000" in rows[0] and "bid▼" in done.stdout
    only = json.loads(top("--name", segment.name, "--json", "--view", "latency").stdout)
    assert "latencies" in only and "quotes" not in only and "cash" not in only


@pytest.mark.parametrize("how", ["--once", "--json"])
def test_no_engine_is_one_line_and_exit_4(how: str) -> None:
    done = top("--name", "arb-no-such-engine", how)
    assert done.returncode == 4
    assert done.stderr == "arb-top: no engine named 'arb-no-such-engine' is running\n"
    if how == "--json":
        assert json.loads(done.stdout)["error"].startswith("no engine named")


def test_a_foreign_segment_is_one_line_and_exit_3() -> None:
    name = f"arb-topc-{uuid.uuid4().hex[:10]}"
    path = Path("/dev/shm") / name
    path.write_bytes(b"x" * 4096)
    path.chmod(0o600)
    try:
        done = top("--name", name, "--once")
        assert done.returncode == 3
        text = f"size: found 4096, wanted {shm.MAIN.bytes}"
        assert done.stderr == f"arb-top: /dev/shm/{name}: {text}\n"
    finally:
        path.unlink()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--wat"], "unrecognized arguments: --wat"),
        (["--view", "prices"], "invalid choice: 'prices'"),
        (["--interval", "0"], "found '0', wanted 0.1 to 60 seconds"),
        ([], "not all a terminal: use --once or --json"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(arguments: list[str], said: str) -> None:
    done = top(*arguments)
    assert done.returncode == 2 and done.stdout == ""
    assert said in done.stderr and done.stderr.count("\n") == 1


def test_an_unknown_column_lists_the_known_ones(segment: shm.Segment) -> None:
    done = top("--name", segment.name, "--once", "--sort", "colour")
    assert done.returncode == 2 and "wanted one of:" in done.stderr and "trust" in done.stderr


def test_help_has_an_example_and_the_exit_codes() -> None:
    done = top("--help")
    assert done.returncode == 0
    assert "arb-top --once --view pairs" in done.stdout and "4  no engine" in done.stdout
