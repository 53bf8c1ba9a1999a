"""Each captured answer of Gamma is one the simulated venue gives, and what it tells by query."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ops.venues.script import StatusChange
from tests.ops.venues.differences import differences, fixture_rows
from tests.ops.venues.polymarket_office import Office, epoch_ns, window
from tests.ops.venues.rig import e6, levels

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


@pytest.mark.skipif(not GAMMA, reason="the reference is not on this machine (set ARB_REFERENCE)")
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
