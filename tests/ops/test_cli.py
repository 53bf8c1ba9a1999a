"""The command line: wrong input is one line, a documented exit code, and nothing left behind."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ops import supervisor_cli
from tests.conftest import recorded
from tests.ops.rig import REAL, ROOT, engine

IN_PROCESS = {  # flags -> exit code, what the line says
    "unknown flag": (["start", "--fast"], 2, "unrecognized arguments: --fast"),
    "unknown command": (["begin"], 2, "invalid choice: 'begin'"),
    "no command": ([], 2, "required: COMMAND"),
    "unknown mode": (["start", "--mode", "demo"], 2, "invalid choice: 'demo'"),
    "paper faults": (["start", "--mode", "paper", "--faults", "all"], 2,
                     "--faults is for --mode sim"),
    "live": (["start", "--mode", "live"], 2, "--mode live is not built yet"),
    "forced live": (
        ["start", "--mode", "live", "--force-approve"],
        2,
        "--force-approve is for simulated venues only: found --mode live",
    ),
    "forced paper": (
        ["start", "--force-approve", "--mode", "paper"],
        2,
        "--force-approve is for simulated venues only: found --mode paper",
    ),
    "seconds": (["start", "--for", "soon"], 2, "found 'soon', wanted seconds from 0.1"),
    "negative seconds": (["start", "--for=-1"], 2, "found '-1', wanted seconds"),
    "speed": (["start", "--speed", "0"], 2, "found '0', wanted a factor from 0.01 to 1000"),
    "seed": (["start", "--seed", "x"], 2, "found 'x', wanted a whole number"),
    "seed of a replay": (["start", "--replay", ".", "--seed", "5"], 2, "not of --replay"),
    "long": (["start", "--for", "99999999"], 2, "from 0.1 to 10000000"),
    "time": (["start", "--replay", ".", "--from", "noon"], 2, "wanted a time such as 2026-01-03T"),
    "zone": (["start", "--replay", ".", "--from", "2026-01-03T20:40"], 2, "without a zone"),
    "gap without replay": (["start", "--gap-max", "5"], 2, "are for --replay"),
    "markets": (["start", "--markets", "6"], 2, "found '6', wanted a whole number from 7 to 1000"),
    "markets of a replay": (["start", "--replay", ".", "--markets", "9"], 2, "not of --replay"),
    "missing config": (["start", "--config", "none.toml"], 3, "none.toml: cannot be read"),
    "missing faults": (["start", "--faults", "none.toml"], 3, "none.toml: cannot be read"),
    "a file named all": (["start", "--faults", "./all"], 3, "all: cannot be read"),
    "explain nothing": (["explain"], 3, "found no journal, wanted one"),
    "explain two things": (["explain", "5", "--all"], 2, "wanted one of them"),
    "explain elsewhere": (["explain", "--journal", "none"], 3, "none: cannot be read"),
    "unknown profile": (["start", "--profile", "x"], 3, "profile: found 'x', wanted one of"),
    "nothing runs: status": (["status"], 4, "no engine is running in"),
    "nothing runs: stop": (["stop"], 4, "no engine is running in"),
    "nothing runs: halt": (["halt"], 4, "no engine is running in"),
    "nothing runs: resume": (["resume"], 4, "no engine is running in"),
    "nothing runs: resume halted": (["resume", "--halted"], 4, "no engine is running in"),
    "nothing runs: kill": (["kill"], 4, "no engine is running in"),
    "nothing runs: flatten": (["flatten", "--yes"], 4, "no engine is running in"),
    "nothing runs: reconcile": (["reconcile"], 4, "no engine is running in"),
    "flatten as JSON asks nobody": (["flatten", "--json"], 2, "wanted --yes or --plan beside it"),
}


@pytest.mark.parametrize("case", sorted(IN_PROCESS))
def test_wrong_input_is_one_line_and_a_code(
    case: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    flags, code, text = IN_PROCESS[case]
    monkeypatch.setenv("ARB_STATE_DIR", str(tmp_path))
    try:
        found = supervisor_cli.main(flags)
    except SystemExit as ended:
        found = int(str(ended.code))
    out, err = capsys.readouterr()
    assert found == code
    assert text in err
    assert err.count("\n") == 1
    assert out == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", sorted(supervisor_cli.EXAMPLES))
def test_help_has_an_example_and_the_exit_codes(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        supervisor_cli.main([command, "--help"])
    out, _ = capsys.readouterr()
    assert ended.value.code == 0
    assert f"example:\n  arb-supervisor {command}" in out
    assert supervisor_cli.EXITS in out


def test_every_kind_of_fault_has_a_name() -> None:
    from ops.venues import faults

    asked = supervisor_cli.parser().parse_args(["start", "--faults", "all"])
    assert asked.faults == faults.EVERY_KIND and faults.load(asked.faults)


def test_json_without_an_engine_is_one_object_and_a_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ARB_STATE_DIR", str(tmp_path))
    assert supervisor_cli.main(["status", "--json"]) == 4
    out, _ = capsys.readouterr()
    assert json.loads(out)["running"] is False


def test_status_imports_neither_numba_nor_numpy(tmp_path: Path) -> None:
    code = (
        "import sys; from ops.supervisor_cli import main; main(['status']);"
        "sys.exit(bool({'numba', 'numpy', 'psutil', 'rich'} & set(sys.modules)))"
    )
    environment = os.environ | {"ARB_STATE_DIR": str(tmp_path)}
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, check=False,
                          capture_output=True).returncode == 0  # fmt: skip


def test_a_wrong_config_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    config = tmp_path / "mine.toml"
    config.write_text('[limits]\nsize_max = "many"\n')
    with engine(tmp_path, command=REAL) as made:
        ended = made.run("start", "--config", str(config))
        assert ended.returncode == 3
        assert ended.stderr.startswith(f"arb-supervisor: {config}:2: limits.size_max: found 'many'")
        assert ended.stderr.count("\n") == 1
        assert made.leftovers() == []


def test_a_missing_recording_and_one_cut_mid_line_are_refused(tmp_path: Path) -> None:
    source = recorded("kalshi_btc15m_ws_coinbase/20260511T121730Z")
    cut = tmp_path / "20260511T121730Z"
    cut.mkdir()
    for file in source.iterdir():
        shutil.copyfile(file, cut / file.name)
    victim = max(cut.glob("*.gz"), key=lambda file: file.stat().st_size)
    victim.write_bytes(victim.read_bytes()[:-100_000])
    with engine(tmp_path, command=REAL) as made:
        for path in (tmp_path / "nowhere", cut):
            ended = made.run("start", "--replay", str(path), "--json")
            assert ended.returncode == 3, ended.stderr
            last = ended.stderr.splitlines()[-1]
            assert last.startswith("arb-supervisor: --replay: ")
            assert str(path) in last
            assert "Traceback" not in ended.stderr
            assert ended.stdout == ""
            assert made.leftovers() == []


def test_a_foreign_segment_of_the_same_name_is_refused_and_left_alone(tmp_path: Path) -> None:
    with engine(tmp_path) as made:
        foreign = Path("/dev/shm") / made.name
        foreign.write_bytes(b"somebody else's" * 100)
        foreign.chmod(0o600)
        try:
            ended = made.run("start", "--for", "1")
            assert ended.returncode == 3
            assert f"/dev/shm/{made.name}: magic: found" in ended.stderr
            assert "Traceback" not in ended.stderr
            assert foreign.read_bytes() == b"somebody else's" * 100
            assert made.leftovers() == [str(foreign)]
        finally:
            foreign.unlink()


def test_a_full_shared_memory_is_one_line_and_75(tmp_path: Path) -> None:
    small = [
        "unshare",
        "-rm",
        "sh",
        "-c",
        'mount -t tmpfs -o size=1m none /dev/shm && exec "$@"',
        "sh",
    ]
    if subprocess.run([*small, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("this machine allows no mount namespace")
    with engine(tmp_path) as made:
        made.command = [*small, *made.command]
        ended = made.run("start", "--for", "1")
        assert ended.returncode == 75, ended.stderr
        assert "/dev/shm is full" in ended.stderr.splitlines()[-1]
        assert "Traceback" not in ended.stderr
        assert made.leftovers() == []
