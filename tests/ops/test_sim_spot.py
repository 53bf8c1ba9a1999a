"""Which spot exchanges a run has, and what their feeds are told."""

from __future__ import annotations

import stat
from pathlib import Path

from ops import sim_spot
from ops.config import Spot, load
from ops.session import Request
from ops.sim import SimSession
from ops.venues.exchanges import LISTED
from shm_layout import VENUES
from tests.conftest import recorded
from tests.ops.fakes import FakeScript

COINBASE, BINANCE, KRAKEN = (VENUES.index(name) for name in ("coinbase", "binance", "kraken"))


class Script(FakeScript):
    products = ("BTC-USD", "ETH-USD", "DOGE-USD")


def spot(tmp_path: Path, **keys: int) -> Spot:
    path = tmp_path / "spot.toml"
    path.write_text("[spot]\n" + "".join(f"{key} = {value}\n" for key, value in keys.items()))
    return load("testing", path).spot


def test_each_exchange_has_its_own_names_and_what_it_does_not_list_it_has_not(
    tmp_path: Path,
) -> None:
    found = sim_spot.played(Script(), spot(tmp_path))
    assert sim_spot.products(found) == {
        "binance": ("BTCUSDT", "ETHUSDT"),
        "kraken": ("BTC/USD", "ETH/USD"),
        "coingecko": ("bitcoin", "ethereum"),
    }


def test_an_exchange_that_is_switched_off_has_no_venue_and_no_feed(tmp_path: Path) -> None:
    found = sim_spot.played(Script(), spot(tmp_path, binance=0, coingecko=0))
    assert [one.venue for one in found] == ["kraken"]
    assert sim_spot.options(found, spot(tmp_path), tmp_path) == {}


def test_the_fallback_knows_the_streams_of_each_product_and_its_plan(tmp_path: Path) -> None:
    settings = spot(tmp_path, coingecko_ttl_ms=3_000)
    found = sim_spot.played(Script(), settings)
    streams = f"{COINBASE} {BINANCE} {KRAKEN}"
    assert sim_spot.options(found, settings, tmp_path)["coingecko"] == {
        "plan": "demo", "key_file": "", "ttl_ms": 3_000, "slow_ms": 10_000,
        "streams": f"bitcoin {streams}, ethereum {streams}",
    }  # fmt: skip


def test_the_key_of_a_paid_plan_is_a_private_file(tmp_path: Path) -> None:
    settings = spot(tmp_path, coingecko_paid=1)
    told = sim_spot.options(sim_spot.played(Script(), settings), settings, tmp_path)["coingecko"]
    assert told["plan"] == "basic"
    assert stat.S_IMODE(Path(str(told["key_file"])).stat().st_mode) == 0o600


def test_a_recording_is_played_where_it_happened_alone(tmp_path: Path) -> None:
    path = recorded("dual_nba_mvp_l2")
    request = Request(settings=load("testing"), name="arb", state_dir=tmp_path, replay=(path,))
    session = SimSession(request, tmp_path)
    assert session.venues.params.spec.exchanges == ()
    assert session.identity.products.keys().isdisjoint(LISTED)
