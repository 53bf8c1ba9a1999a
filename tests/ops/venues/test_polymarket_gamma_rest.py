"""Each captured answer of Gamma is one the simulated venue gives, and what it tells by query."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ops.venues.script import StatusChange
from tests.ops.venues.differences import differences, fixture_rows
from tests.ops.venues.polymarket_office import SECOND, Office, epoch_ns, office_of, window
from tests.ops.venues.rig import (
    CONDITION,
    TOKEN_NO,
    TOKEN_YES,
    e6,
    levels,
)

GAMMA = fixture_rows("gamma.json")


def _gamma(row: dict[str, Any]) -> tuple[int, Any, dict[str, Any]]:
    """(status, body, wanted) of the request a fixture names."""
    wanted = row["body"]
    market = wanted["markets"][0] if "markets" in wanted else wanted
    tokens = json.loads(market["clobTokenIds"])
    closed = market["closed"]
    spec = window(
        market["conditionId"], market["slug"], (tokens[0], tokens[1]),
        title=market.get("question", ""),
        price_ranges=((0, 1_000_000, e6(str(market["orderPriceMinTickSize"]))),),
        open_epoch_ns=epoch_ns(market.get("acceptingOrdersTimestamp", "2026-08-15T05:08:42Z")),
        close_epoch_ns=epoch_ns(market["endDate"]),
    )  # fmt: skip
    office = Office(spec)
    if closed:
        metadata = wanted["eventMetadata"]
        office.apply(
            StatusChange(
                epoch_ns(wanted["closedTime"]), 0, "finalized", e6("1"),
                strike_e8=round(metadata["priceToBeat"] * 10**8),
                final_e8=round(metadata["finalPrice"] * 10**8),
            )
        )  # fmt: skip
        office.now_ns = epoch_ns(wanted["closedTime"])
        office.book(levels(("0.999", "10")), ())
        office.printed("0.999")
        office.apply(StatusChange(office.now_ns, 0, "finalized"))
    else:
        office.quote("0.5", "0.51")
    if "markets" not in wanted:
        query = {"condition_ids": spec.condition_id}
        status, rows = office.call("GET", "/markets", query=query, headers={}, gamma=True)
        return status, rows[0], wanted
    path = row["request"].removeprefix("GET ")
    status, body = office.call("GET", path, headers={}, gamma=True)
    for key in ("finalPrice", "priceToBeat"):  # the index carries eight decimals
        assert body["eventMetadata"][key] == pytest.approx(wanted["eventMetadata"][key], abs=1e-8)
        body["eventMetadata"][key] = wanted["eventMetadata"][key]
    return status, body, wanted


@pytest.mark.skipif(not GAMMA, reason="the reference is not here (set ARB_TEST_REFERENCE)")
@pytest.mark.parametrize("row", GAMMA, ids=[row["request"] for row in GAMMA])
def test_each_recorded_answer_of_gamma_can_be_had(row: dict[str, Any]) -> None:
    status, body, wanted = _gamma(row)
    assert status == 200
    assert not differences(wanted, body, "gamma", extra=True)


def test_a_wrong_value_key_or_id_is_seen() -> None:
    wanted = {"error": "order 0x<order hash> is invalid. Duplicated.", "n": [1]}
    good = {"error": f"order 0x{'a' * 64} is invalid. Duplicated.", "n": [1]}
    assert not differences(wanted, good)
    assert differences(wanted, {**good, "n": [2]})
    assert differences(wanted, {**good, "more": 1})
    assert differences(wanted, {"n": [1]})
    assert differences(wanted, {**good, "error": "order 0x12 is invalid. Duplicated."})


def test_gamma_filters_and_closed_rows_vanish_unless_asked_for() -> None:
    office = office_of(30)
    office.apply(StatusChange(office.now_ns, 7, "finalized", 0))
    assert len(office.gamma("/markets")) == 20
    assert len(office.gamma("/markets", limit="500")) == 29, "100 is the most"
    assert [one["slug"] for one in office.gamma("/markets", limit="5", offset="27")] == [
        "m28",
        "m29",
    ]
    assert [one["slug"] for one in office.gamma("/markets", slug="m3")] == ["m3"]
    assert office.gamma("/markets", condition_ids=f"0x{7:064x}") == []
    (closed,) = office.gamma("/markets", condition_ids=f"0x{7:064x}", closed="true")
    assert json.loads(closed["outcomePrices"]) == ["0", "1"]
    assert len(closed["closedTime"].split(" ")) == 2, "the other form of time"
    asked = ",".join(f"0x{at:064x}" for at in range(25))
    assert len(office.gamma("/markets", condition_ids=asked)) == 24
    status, _ = office.call("GET", "/markets", query={"offset": "2001"}, headers={}, gamma=True)
    assert status == 422
    for query, kind in (({}, dict), ({"limit": "1"}, list)):
        _, shared = office.call("GET", "/markets", query=query, headers={})
        assert isinstance(shared, kind), "the CLOB's own list where both share a port"


def test_gammas_keyset_goes_through_everything_once() -> None:
    office = office_of(45)
    for path, name in (("/markets/keyset", "markets"), ("/events/keyset", "events")):
        query: dict[str, str] = {"limit": "20"}
        seen: list[str] = []
        while True:
            page = office.gamma(path, **query)
            seen += [row["id"] for row in page[name]]
            if "next_cursor" not in page:
                break
            query["after_cursor"] = page["next_cursor"]
        assert len(set(seen)) == len(seen) == 45


def test_a_window_has_its_series_and_shows_the_price_to_beat_a_minute_late() -> None:
    start_ns = epoch_ns("2026-09-21T15:00:00Z")
    spec = window(
        CONDITION, f"btc-updown-15m-{start_ns // SECOND}", (TOKEN_YES, TOKEN_NO),
        open_epoch_ns=start_ns - 86_400 * SECOND, close_epoch_ns=start_ns + 900 * SECOND,
    )  # fmt: skip
    office = Office(spec)
    office.advance(start_ns - office.now_ns)
    office.apply(StatusChange(office.now_ns, 0, "active", strike_e8=8_390_000_000_000))
    (event,) = office.gamma("/events", slug=spec.ticker)
    assert event["eventMetadata"] == {}
    assert event["series"][0]["id"] == "10192"
    office.advance(60 * SECOND)
    event = office.gamma(f"/events/slug/{spec.ticker}")
    assert event["eventMetadata"] == {"priceToBeat": 83900.0}
    assert office.gamma("/events", series_id="10192")[0]["id"] == event["id"]
    (series,) = office.gamma("/series", slug="btc-up-or-down-15m")
    whole = office.gamma(f"/series/{series['id']}")
    assert [one["slug"] for one in whole["events"]] == [spec.ticker]
    assert office.gamma(f"/markets/slug/{spec.ticker}")["cryptoMarketConfig"]["duration"] == "15m"
