"""The simulated session as a stranger runs it: real processes, sockets, signatures, orders."""

from __future__ import annotations

import json
import os
import pickle
import stat
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ops import control
from ops.config import load
from ops.session import Request, SessionError
from ops.sim import SimSession
from ops.venues.faults import Fault
from shm_layout import CANCELLER, CATALOG, DETECTOR, FEED_ROLE, GATEWAY, MODEL, SIGNER, VENUES
from tests.conftest import recorded
from tests.ops.rig import REAL, Engine, alive, engine, one_object, until

PORTS = {
    "kalshi": {"rest": 1, "ws": 2},
    "polymarket": {"rest": 3, "ws": 4},
    "coinbase": {"ws": 5},
    "binance": {"rest": 6, "ws": 7},
    "kraken": {"ws": 8},
    "coingecko": {"rest": 9},
    "polybolt": {"ws": 10},
}
FEEDS = (*PORTS, "cfbenchmarks")  # which comes over Kalshi's socket


def request(tmp_path: Path, **more: Any) -> Request:
    return Request(settings=load("testing"), name="arb", state_dir=tmp_path, **more)


def test_a_session_plans_every_process_of_the_design_in_its_row(tmp_path: Path) -> None:
    session = SimSession(request(tmp_path, seed=3), tmp_path)
    rows = {plan.name: plan.role for plan in session.plans({"venues": PORTS}, "arb")}
    assert rows == {
        "signer": SIGNER, "canceller": CANCELLER, "gateway": GATEWAY, "detector": DETECTOR,
        "model": MODEL, "catalog": CATALOG,
        **{f"feed {name}": FEED_ROLE + VENUES.index(name) for name in FEEDS},
    }  # fmt: skip
    channels = ("gateway", "canceller", "kalshi", "cfbenchmarks")
    assert session.channels == tuple(f"sign-{name}" for name in channels)
    plans = session.plans({"venues": PORTS}, "arb")
    assert [plan.name for plan in plans if plan.does_outlive] == ["canceller"]


def test_faults_reach_the_venues_and_a_stranger_among_them_is_refused(tmp_path: Path) -> None:
    plan = (Fault(venue="kalshi", kind="gap"),)
    params = SimSession(request(tmp_path, faults=plan, seed=5), tmp_path).venues.params
    assert (params.spec.faults, params.spec.faults_seed) == (plan, 5)
    wrong = (Fault(venue="kalshi", kind="gap", market="KXNONE"),)
    with pytest.raises(SessionError, match="--faults: fault 1: market: found 'KXNONE'"):
        SimSession(request(tmp_path, faults=wrong), tmp_path)


def test_private_halves_are_private_files_and_print_nowhere(tmp_path: Path) -> None:
    session = SimSession(request(tmp_path), tmp_path)
    secret = (tmp_path / "polymarket.key").read_text()
    api = json.loads((tmp_path / "polymarket.api").read_text())
    for name in ("kalshi.pem", "polymarket.key", "polymarket.api", "key.pem"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    told = pickle.dumps((session.venues, session.plans({"venues": PORTS}, "arb")))
    shown = repr(session.venues) + repr(session.plans({"venues": PORTS}, "arb"))
    for text in (secret, api["secret"], api["passphrase"], api["api_key"]):
        assert text not in shown
        assert text.encode() not in told, "no process is told a secret: it reads its own file"


def test_one_seed_is_one_script_and_keys_are_never_the_same(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in "abc"]
    for folder in folders:
        folder.mkdir()
    first, second, other = (
        SimSession(request(tmp_path, seed=seed), folder)
        for seed, folder in zip((3, 3, 4), folders, strict=True)
    )
    assert first.script_hash == second.script_hash != other.script_hash
    assert first._keys.polymarket_address != second._keys.polymarket_address


def test_a_recording_has_no_seed_and_only_the_feeds_it_has_data_for(tmp_path: Path) -> None:
    path = recorded("dual_nba_mvp_l2")
    session = SimSession(request(tmp_path, replay=(path,)), tmp_path)
    assert session.seed is None
    names = {plan.name for plan in session.plans({"venues": PORTS}, "arb") if plan.kind == "feed"}
    assert names == {"feed kalshi", "feed polymarket"}
    assert session.end_epoch_ns is not None


def test_no_recording_is_an_error_in_words(tmp_path: Path) -> None:
    with pytest.raises(SessionError, match="--replay: "):
        SimSession(request(tmp_path, replay=(tmp_path / "nowhere",)), tmp_path)


def test_a_simulated_session_trades_and_leaves_nothing(tmp_path: Path) -> None:
    with engine(tmp_path, command=list(REAL)) as made:
        made.start("--json")
        made.wait_until_trading()
        everyone = made.everyone()
        until(lambda: _has_shown_all(made.status()), 120, "a fill, and venues that are trusted")
        assert control.ask(tmp_path, "stop")
        code, out, err = made.end()
        assert code == 0, err
        found = one_object(out)
        bets, refused = found["bets"], sum(_by_gateway(found))  # a bet is one order
        hedged = found["intents"] - bets["intents"]
        assert found["orders"] - bets["orders"] >= 2 * (hedged - refused)
        assert found["intents"] > 0
        assert found["fills"] > 0
        pool = found["pool"]
        sent = [pool[name] for name in ("hits", "misses", "walking")]
        assert 0 < sum(sent) <= found["orders"] + refused, "each order of a set has its own"
        assert pool["hit_ratio"] is None or 0 <= pool["hit_ratio"] <= 1
        assert found["fees_e6"] > 0
        assert found["tick_to_order_ns"]["count"] <= found["intents"]
        assert found["first_order_s"] > 0
        assert set(found["venues"]) == set(FEEDS)
        fallback = found["venues"].pop("coingecko")
        assert (fallback["frames"], fallback["trusted_ratio"]) == (0, 0), "no stream was down"
        for venue in found["venues"].values():
            assert venue["frames"] > 0
            assert venue["gaps"] == 0
            assert 0.5 < venue["trusted_ratio"] <= 1
        for name in ("kalshi.recv_to_publish", "detector.decide", "gateway.send_to_ack"):
            assert found["stages_ns"][name]["count"] > 0
        assert alive(everyone) == []
        assert made.leftovers() == []


def _has_shown_all(status: dict[str, Any]) -> bool:
    """What the summary is asked for below, so far."""
    rows = [row for name, row in status["feeds"].items() if name != "coingecko"]
    return status["fills"] > 0 and all((row["trusted_ratio"] or 0) > 0.6 for row in rows)


def _by_gateway(found: dict[str, Any]) -> list[int]:
    return [count for name, count in found["refusals"].items() if not name.startswith("detector")]


def test_dead_venues_end_the_run(tmp_path: Path) -> None:
    with engine(tmp_path, command=list(REAL)) as made:
        made.start()
        made.wait_until_trading()
        made.kill("venues")
        code, out, _ = made.end()
        assert code == 5
        assert "venues died: a simulated world cannot be resumed" in out
        assert made.leftovers() == []


IS_SHORT = bool(os.environ.get("ARB_TEST_SHORT"))
KILLED = {  # process -> the trading state its death leads to
    "feed kalshi": "ACTIVE", "feed polymarket": "ACTIVE", "feed coinbase": "ACTIVE",
    "feed binance": "ACTIVE", "feed kraken": "ACTIVE", "model": "ACTIVE",
    "detector": "REDUCING", "signer": "REDUCING", "canceller": "ACTIVE", "gateway": "HALTED",
}  # fmt: skip


def _is_dead(made: Engine, name: str) -> bool:
    return made.pid(name) == 0


def _is_back(made: Engine, name: str) -> bool:
    status = made.status()
    row = next(row for row in status["processes"] if row["name"] == name)
    return bool(row["ready"] and status["supervisor"].startswith("ACTIVE"))


def _is_trusted(made: Engine, name: str) -> bool:
    return bool(made.status()["feeds"][name.removeprefix("feed ")]["trusted"])


@pytest.mark.kill
@pytest.mark.skipif(IS_SHORT, reason="tests/session/test_deaths.py kills each of them too")
@pytest.mark.timeout(900)
def test_each_process_killed_under_load_comes_back_and_status_tells(tmp_path: Path) -> None:
    settings = {"ARB_PROCESSES_BACKOFF_MS": "300"}
    with engine(tmp_path, command=list(REAL), settings=settings) as made:
        made.start()
        made.wait_until_trading()
        for name, state in KILLED.items():
            made.kill(name)
            until(partial(_is_dead, made, name), 2, f"{name} seen dead")
            assert control.ask(tmp_path, "status")["supervisor"].startswith(state)
            if name.startswith("feed"):
                until(partial(_is_trusted, made, name), 2, f"{name} trusted again")
            until(partial(_is_back, made, name), 10, f"{name} back")
        texts = [event["text"] for event in made.status()["events"]]
        for name in KILLED:
            assert any(text.startswith(f"{name} died (killed by SIGKILL)") for text in texts)
        control.ask(tmp_path, "stop")
        code, _, _ = made.end()
        assert code == 0
        assert made.leftovers() == []


def chosen(tmp_path: Path, **environment: str) -> set[str]:
    """Coins and lengths of the windows of a session."""
    told = request(tmp_path)
    settings = load("testing", None, environment)
    script = SimSession.make_script(replace(told, settings=settings))
    found = [m.ticker.split("-")[0] for m in script.markets if m.index and m.venue == "kalshi"]
    found += ["-".join(m.ticker.split("-")[:3]) for m in script.markets if m.twap_ns]
    return set(found)


def test_asset_and_interval_choose_the_windows_of_the_world(tmp_path: Path) -> None:
    assert chosen(tmp_path) == {"KXBTC15M", "btc-updown-15m", "btc-updown-5m"}
    assert chosen(tmp_path, ASSET="ether", INTERVAL="15m") == {"KXETH15M", "eth-updown-15m"}
    assert chosen(tmp_path, ASSET="btc,eth", INTERVAL="5m") == {"btc-updown-5m", "eth-updown-5m"}
    assert chosen(tmp_path, INTERVAL="4h") == {"btc-updown-4h"}
    with pytest.raises(SessionError, match=r"updown.assets: found sol, the simulated world plays"):
        chosen(tmp_path, ASSET="sol")
    with pytest.raises(SessionError, match=r"updown.intervals: found 1h, the simulated world"):
        chosen(tmp_path, INTERVAL="1h,5m")
