"""Other settings for a running engine: which way is safer, what is refused, and that it holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.strategies.table import MOMENTUM, S_ON
from ops.config import ConfigError, Loaded, loaded
from ops.reload import NOT_HALTED, NOT_RUNNING, changes, mixed
from ops.setting_kinds import DOWN, EITHER, RESTART, UP
from ops.settings import SECTIONS, keys_of
from ops.strategy_settings import GROUP
from shm_layout import PARAMETERS, Segment
from tests.ops.rig import REAL, Engine, engine, one_object, until

LIMITS = '[limits]\nsize_max = "{size}"\norder_max = "{order}"\nday_loss_max = "{day}"\n'


def told(tmp_path: Path, text: str) -> Loaded:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return loaded("testing", path)


def found(
    tmp_path: Path, before: str, after: str, *, is_halted: bool = False, started: str | None = None
) -> dict[str, tuple[str, str]]:
    """Key: which way, and why not."""
    first = told(tmp_path, before if started is None else started)
    running = told(tmp_path, before)
    rows = changes(running, told(tmp_path, after), first, is_halted=is_halted)
    return {f"{c.section}.{c.key}": (c.row()["way"], c.why_not) for c in rows}


def test_every_key_that_both_processes_hear_of_has_a_safer_way_and_no_other() -> None:
    names = PARAMETERS.names or ()
    for section in SECTIONS:
        for key, entry in keys_of(section).items():
            heard = entry.name in names or key.startswith("volatility_")
            heard = heard or key == "signal_age_pinned_ms" or section.startswith(f"{GROUP}.")
            assert (entry.metadata["safer"] in (UP, DOWN, EITHER)) == heard, f"{section}.{key}"
            assert entry.metadata["safer"] in (UP, DOWN, EITHER, RESTART)


def test_what_tightens_may_and_what_loosens_may_when_halted(tmp_path: Path) -> None:
    low, high = '[limits]\nsize_max = "10"\n', '[limits]\nsize_max = "20"\n'
    assert found(tmp_path, high, low) == {"limits.size_max": ("tighter", "")}
    assert found(tmp_path, low, high) == {"limits.size_max": ("looser", NOT_HALTED)}
    assert found(tmp_path, low, high, is_halted=True) == {"limits.size_max": ("looser", "")}
    assert found(tmp_path, low, low) == {}
    up = '[edge]\nedge_min = "0.02"\n[risk]\nmarket_gap_ms = 5\nvolatility_cut = "0.5"\n'
    assert {way for way, _ in found(tmp_path, "", up).values()} == {"tighter"}
    assert {why for _, why in found(tmp_path, up, "").values()} == {NOT_HALTED}


def test_a_strategy_may_be_stopped_at_once_and_started_when_halted(tmp_path: Path) -> None:
    on, off = (f"[strategies.momentum]\non = {n}\n" for n in (1, 0))
    key = "strategies.momentum.on"
    assert found(tmp_path, on, off) == {key: ("tighter", "")}
    assert found(tmp_path, off, on) == {key: ("looser", NOT_HALTED)}
    assert found(tmp_path, off, on, is_halted=True) == {key: ("looser", "")}


def test_what_is_safer_neither_way_may_change_when_halted_only(tmp_path: Path) -> None:
    keys = ("edge.fair_every_ms", "strategies.distance_fade.scale")
    for other in ("1", "200"):
        text = f'[edge]\nfair_every_ms = {other}\n[strategies.distance_fade]\nscale = "0.{other}"\n'
        assert found(tmp_path, "", text) == dict.fromkeys(keys, ("looser", NOT_HALTED))
        assert found(tmp_path, "", text, is_halted=True) == dict.fromkeys(keys, ("looser", ""))


def test_what_needs_a_new_start_is_refused_by_name_also_when_halted(tmp_path: Path) -> None:
    text = "[feeds]\nlanes = 1\n[updown]\nassets = ['ETH']\n[limits]\nmismatches_max = 3\n"
    rows = found(tmp_path, "", text, is_halted=True)
    assert set(rows) == {"feeds.lanes", "updown.assets", "limits.mismatches_max"}
    assert {why for _, why in rows.values()} == {NOT_RUNNING}


def test_no_limit_rises_above_what_the_signer_was_started_with(tmp_path: Path) -> None:
    first, low, high = (f'[limits]\norder_max = "{n}"\n' for n in (100, 50, 101))
    rows = found(tmp_path, low, high, is_halted=True, started=first)
    ((_, why),) = rows.values()
    assert why == "wanted at most 100, with which the signer started"
    assert found(tmp_path, low, first, is_halted=True, started=first) == {
        "limits.order_max": ("looser", "")
    }


def test_a_mixture_that_contradicts_itself_changes_nothing(tmp_path: Path) -> None:
    """A tighter least price above a most price whose rise was refused."""
    running = told(tmp_path, '[edge]\nprice_low = "0.1"\nprice_high = "0.3"\n')
    after = told(tmp_path, '[edge]\nprice_low = "0.4"\nprice_high = "0.9"\n')
    rows = changes(running, after, running, is_halted=False)
    assert [each.why_not for each in rows] == ["", NOT_HALTED]
    with pytest.raises(ConfigError, match=r"edge\.price_low: found '0\.4', wanted below '0\.3'"):
        mixed(running, rows)
    rows = changes(running, after, running, is_halted=True)
    assert mixed(running, rows).settings.edge == after.settings.edge


def parameters(made: Engine) -> dict[str, int]:
    """The slot that everyone who starts later reads."""
    segment = Segment.attach(made.name)
    row = segment.read("parameters", 0)
    assert row is not None
    names = [name for name in PARAMETERS.names or () if np.ndim(row[name]) == 0]
    return {name: int(row[name]) for name in names}


def strategy(made: Engine, which: int) -> dict[str, int]:
    """Likewise of a strategy."""
    row = Segment.attach(made.name).read("strategies", which)
    assert row is not None and row["which"] == which
    return {"number": int(row["number"]), "on": int(row["values"][S_ON])}


def reloaded(made: Engine, code: int) -> dict[str, Any]:
    ended = made.run("reload", "--json")
    assert ended.returncode == code, ended.stderr
    return one_object(ended.stdout)


def test_a_running_supervisor_tightens_at_once_and_loosens_when_halted(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(LIMITS.format(size=50, order=200, day=100))
    with engine(tmp_path) as made:
        made.start("--config", str(path))
        made.wait_until_trading()
        assert parameters(made)["number"] == 1
        assert made.run("reload").stdout == "nothing differs from what runs\n"
        path.write_text(LIMITS.format(size=20, order=150, day=900) + "[feeds]\nlanes = 1\n")
        answer = reloaded(made, 3)
        assert [row["key"] for row in answer["applied"]] == ["size_max", "order_max"]
        assert [(row["key"], row["why"]) for row in answer["refused"]] == [
            ("day_loss_max", NOT_HALTED), ("lanes", NOT_RUNNING),
        ]  # fmt: skip
        row = parameters(made)
        assert (row["number"], row["size_max_e6"], row["day_max_e6"]) == (2, 20 * 10**6, 10**8)
        made.run("halt")
        assert strategy(made, MOMENTUM)["on"] == 1
        off = "[strategies.momentum]\non = 0\n"
        path.write_text(LIMITS.format(size=40, order=150, day=900) + off)
        answer = reloaded(made, 0)
        assert {row["key"]: row["way"] for row in answer["applied"]} == {
            "size_max": "looser", "day_loss_max": "looser", "on": "tighter",
        }  # fmt: skip
        assert parameters(made)["day_max_e6"] == 900 * 10**6
        assert strategy(made, MOMENTUM) == {"number": 3, "on": 0}
        path.write_text("[limits]\nsize_max = 5\nx = 1\n")
        ended = made.run("reload")
        lines = ended.stderr.splitlines()
        assert ended.returncode == 3 and len(lines) == 2
        assert lines[0].startswith(f"arb-supervisor: {path}:2: limits.size_max: found 5, wanted")
        assert parameters(made)["number"] == 3
        assert any("reload by command" in row["text"] for row in made.status()["events"])


def sizes(made: Engine) -> list[int]:
    """What the intents still in the ring ask for, oldest first."""
    from ops.tally import RingReader
    from shm_layout import INTENT

    reader = RingReader(Segment.attach(made.name), "intents")
    return [int(body.view(INTENT)[0]["size_e6_0"]) for _, body in reader.drain()]


@pytest.mark.timeout(900)
def test_the_engine_of_a_real_run_keeps_to_the_new_limits(tmp_path: Path) -> None:
    """Sizes fall with the first reload and rise again with one while halted (the gateway's side:
    tests/gateway/test_params.py)."""
    path = tmp_path / "mine.toml"
    path.write_text('[limits]\nsize_max = "100"\n')
    with engine(tmp_path, command=REAL) as made:
        made.start("--config", str(path), "--seed", "7")
        made.wait_until_trading()
        until(lambda: bool(sizes(made)), 180, "an intent")
        path.write_text('[limits]\nsize_max = "6"\n')
        reloaded(made, 0)
        before = len(sizes(made))
        until(lambda: len(sizes(made)) > before, 180, "an intent after it")
        assert max(sizes(made)[before:]) <= 6 * 10**6 < max(sizes(made)[:before])
        path.write_text('[limits]\nsize_max = "100"\n')
        assert reloaded(made, 3)["refused"]
        made.run("halt")
        reloaded(made, 0)
        made.run("resume")
        before = len(sizes(made))
        until(lambda: max(sizes(made)[before:], default=0) > 6 * 10**6, 180, "a larger intent")
