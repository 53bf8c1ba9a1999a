"""The simulated CoinGecko by the shapes of its recorded answers, and its plan."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import orjson
import pytest

from ops.history import sigma_of
from ops.venues.coingecko import Coin
from ops.venues.exchanges import Exchange, Past
from ops.venues.script import BID, ExchangeTrade, SpotTrade
from ops.venues.tls import TlsPaths
from tests.conftest import reference
from tests.ops.venues import rig
from tests.ops.venues.rig import BEGIN_NS, KalshiKey, shape
from tests.ops.venues.spot_client import get

KEY = KalshiKey()
TRADE = SpotTrade(BEGIN_NS, "BTC-USD", 7_947_126_000_000, 12_345_000, BID, 100)
SCRIPT = rig.ToyScript(made=(TRADE,), markets=())
EXCHANGE = Exchange(venue="coingecko", listed={"BTC-USD": ("bitcoin", 1)})
ALL = "".join(
    f"&include_{name}=true" for name in ("market_cap", "24hr_vol", "24hr_change", "last_updated_at")
)


def recorded(name: str) -> Any:
    found = orjson.loads(reference("fixtures/spot/coingecko.json").read_bytes())
    return next(row["body"] for row in found if row["id"] == name)


def answers(tls: TlsPaths, *asked: tuple[str, dict[str, str]], **options: Any) -> list[Any]:
    """(status, body, headers) of each request in turn, once the script has ended."""
    session = rig.session(tls, KEY, SCRIPT, exchanges=(EXCHANGE,), **options)
    try:
        session.start()
        session.expect("end")
        return [get(session, "coingecko", f"/api/v3/{path}", **keys) for path, keys in asked]
    finally:
        session.stop()


def test_prices_have_the_recorded_shape_and_unknown_ids_are_absent(tls: TlsPaths) -> None:
    (found,) = answers(tls, (f"simple/price?ids=bitcoin,nosuchcoin&vs_currencies=usd{ALL}", {}))
    status, body, _ = found
    assert status == 200 and set(body) == {"bitcoin"}
    assert set(body["bitcoin"]) == set(recorded("cg-simple-2025")["bitcoin"])
    assert body["bitcoin"]["usd"] == 79_471.26
    assert body["bitcoin"]["last_updated_at"] == BEGIN_NS // 10**9


def test_a_chart_has_the_recorded_shape_and_its_last_point_is_off_the_grid(tls: TlsPaths) -> None:
    (found,) = answers(tls, ("coins/bitcoin/market_chart?vs_currency=usd&days=1", {}))
    assert set(found[1]) == set(recorded("cg-chart"))
    assert shape(found[1]["prices"][0]) == shape(recorded("cg-chart")["prices"][0])


@pytest.mark.parametrize(("year_e6", "name"), [(500_000, "bitcoin"), (700_000, "ethereum")])
def test_a_coin_of_the_seeded_world_has_a_month_that_moved_as_it_does(
    tls: TlsPaths, year_e6: int, name: str
) -> None:
    """Told before anything was traded: who starts asks then."""
    past = Past(BEGIN_NS, 90_000 * 10**8, year_e6)
    exchange = replace(EXCHANGE, listed={"ETH-USD": (name, 1)}, past={"ETH-USD": past})
    session = rig.session(tls, KEY, SCRIPT, exchanges=(exchange,))
    try:
        session.start()
        session.expect("end")
        path = f"/api/v3/coins/{name}/market_chart?vs_currency=usd&days=30"
        status, body, _ = get(session, "coingecko", path)
    finally:
        session.stop()
    points = [(at, price) for at, price in body["prices"]]
    assert status == 200 and len(points) == 721 and points[-1] == (BEGIN_NS // 10**6, 90_000)
    assert {later[0] - before[0] for before, later in pairwise(points[:-1])} == {3_600_000}
    assert sigma_of(points) == pytest.approx(year_e6 / 1e6, rel=0.08)


def test_of_a_recording_s_month_nothing_is_told() -> None:
    coin = Coin("bitcoin", "BTC-USD")
    coin.traded(ExchangeTrade(BEGIN_NS, "coingecko", "bitcoin", 90_000 * 10**8, 10**8, BID, 1))
    assert coin.past == () and len(coin.chart) == 1


def test_markets_and_what_is_not_there(tls: TlsPaths) -> None:
    (_, (row,), _), missing, chart = answers(
        tls,
        ("coins/markets?vs_currency=usd&ids=bitcoin,x&per_page=5", {}),
        ("simple/price?ids=bitcoin", {}),
        ("coins/x/market_chart?vs_currency=usd&days=1", {}),
    )
    assert (row["id"], row["symbol"], row["current_price"]) == ("bitcoin", "btc", 79_471.26)
    assert (missing[0], chart[0]) == (422, 404)


def test_the_call_beyond_the_plan_is_429_and_says_when_to_come_back(tls: TlsPaths) -> None:
    found = answers(tls, *[("ping", {})] * 31)
    assert [status for status, _, _ in found] == [200] * 30 + [429]
    _, body, headers = found[-1]
    assert shape(body) == shape(recorded("cg-429")) and headers["retry-after"] == "60"


@pytest.mark.parametrize(
    ("plan", "keys", "status"),
    [
        ("demo", {}, 200),
        ("demo", {"x-cg-demo-api-key": "k"}, 200),
        ("demo", {"x-cg-demo-api-key": "other"}, 401),
        ("demo", {"x-cg-pro-api-key": "k"}, 400),
        ("basic", {"x-cg-pro-api-key": "k"}, 200),
        ("basic", {"x-cg-demo-api-key": "k"}, 400),
        ("basic", {}, 401),
    ],
)
def test_key_and_host_belong_together(
    tls: TlsPaths, plan: str, keys: dict[str, str], status: int
) -> None:
    (found,) = answers(tls, ("ping", keys), coingecko_plan=plan, coingecko_key="k")
    assert found[0] == status
    if status != 200:
        assert shape(found[1]) == shape(recorded("cg-429"))
