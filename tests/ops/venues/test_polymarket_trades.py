"""The life of a match, and that nothing comes from nowhere: cash, fees and pairs over random
orders.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops.venues.polymarket_supply import Move, is_complement
from ops.venues.polymarket_trades import LIVES
from ops.venues.script import StatusChange
from ops.venues.spec import PolymarketTerms
from tests.ops.venues.polymarket_office import MS, SECOND, Office
from tests.ops.venues.rig import TOKEN_NO, TOKEN_YES, e6, levels

BUY = {"buy": True, "maker": "5", "taker": "10"}


def _statuses(office: Office, heard: Any) -> list[str]:
    return [one["status"] for one in heard.frames() if one["event_type"] == "trade"]


@pytest.mark.parametrize("fate", LIVES)
def test_a_trade_lives_through_its_states_on_the_channel_and_in_reads(fate: str) -> None:
    office = Office()
    office.quote("0.40", "0.50")
    user = office.user()
    office.venue.desk.trades.decide(fate)
    _, answer = office.post(**BUY)
    assert "transactionsHashes" not in answer
    office.advance(60 * SECOND)
    assert _statuses(office, user) == ["MATCHED", *LIVES[fate]]
    _, page = office.call("GET", "/data/trades", query={"id": answer["tradeIDs"][0]})
    assert page["data"][0]["status"] == LIVES[fate][-1]
    assert bool(page["data"][0]["transaction_hash"]) == (fate != "FAILED")


@pytest.mark.parametrize("buy", [True, False])
def test_a_failed_trade_gives_back_what_it_moved(buy: bool) -> None:
    office = Office()
    office.quote("0.40", "0.50")
    assert office.post(**BUY)[0] == 200
    office.advance(60 * SECOND)
    before = (office.account.cash_e6, dict(office.account.tokens_e6), office.account.fees_e6)
    office.venue.desk.trades.decide("FAILED")
    order = BUY if buy else {"buy": False, "maker": "10", "taker": "4"}
    assert office.post(**order)[1]["status"] == "matched"
    assert office.account.cash_e6 != before[0]
    office.advance(60 * SECOND)
    account = office.account
    assert (account.cash_e6, account.tokens_e6, account.fees_e6) == before
    assert office.log.counts["polymarket"]["trades_failed"] == 1


def test_a_trade_whose_tokens_are_sold_is_mined_at_the_second_try() -> None:
    office = Office()
    office.quote("0.40", "0.50")
    office.venue.desk.trades.decide("FAILED")
    office.post(**BUY)
    assert office.post(buy=False, maker="10", taker="4")[0] == 200
    office.advance(60 * SECOND)
    assert [row["status"] for row in office.account.trades.values()] == ["CONFIRMED"] * 2
    assert office.log.counts["polymarket"]["trades_kept"] == 1


def test_chance_is_seeded() -> None:
    def ends(seed: int) -> list[str]:
        terms = PolymarketTerms(failed_e6=300_000, retrying_e6=300_000, seed=seed)
        office = Office(terms=terms)
        office.quote("0.40", "0.50")
        user = office.user()
        for _ in range(20):
            office.post(buy=True, maker="1", taker="2")
            office.advance(60 * SECOND)
        return _statuses(office, user)

    assert ends(1) == ends(1) != ends(2)
    assert {"RETRYING", "FAILED", "CONFIRMED"} <= set(ends(1))


def test_the_three_kinds_of_match_name_their_makers_truly() -> None:
    office = Office()
    seen = {}
    for price in ("0.50", "0.52"):  # of which one stands on the opposite token
        for token, side in ((TOKEN_YES, True), (TOKEN_YES, False)):
            office.quote(price, price if side else "0.99")
            if side:
                office.book((), levels((price, "1000")))
            money, shares = str(10 * float(price)), "10"
            maker, taker = (money, shares) if side else (shares, money)
            _, answer = office.post(buy=side, maker=maker, taker=taker, token=token)
            row = office.account.trades[answer["tradeIDs"][0]]
            (party,) = row["maker_orders"]
            kind = "direct"
            if party["asset_id"] != row["asset_id"]:
                kind = "mint" if side else "merge"
                assert party["side"] == row["side"]
                assert e6(party["price"]) == 1_000_000 - e6(price)
            else:
                assert party["side"] != row["side"]
                assert party["price"] == price.rstrip("0")
            seen[kind] = price
    assert set(seen) == {"direct", "mint", "merge"}
    assert seen["mint"] == seen["merge"] == "0.52"
    assert is_complement(e6("0.52"), 10_000) and not is_complement(e6("0.50"), 10_000)


# ---- conservation


def total_e6(office: Office) -> int:
    """All pUSD there is."""
    supply = office.venue.supply
    return office.account.cash_e6 + supply.cash_e6 + supply.fees_e6 + supply.locked_e6


def check_conserved(office: Office, whole_e6: int) -> None:
    """Nothing came from nowhere, nothing is bound twice or owed."""
    supply, account = office.venue.supply, office.account
    assert total_e6(office) == whole_e6
    for token, issued_e6 in supply.issued_e6.items():
        assert supply.tokens_e6[token] + account.tokens_e6.get(token, 0) == issued_e6, token
    assert account.fees_e6 == supply.fees_e6
    assert min(account.tokens_e6.values(), default=0) >= 0
    assert account.cash_e6 >= 0


_ORDER = st.tuples(
    st.booleans(),  # buy
    st.sampled_from((TOKEN_YES, TOKEN_NO)),
    st.integers(30, 70),  # price in cents
    st.integers(1, 12),  # tens of shares
    st.sampled_from(("GTC", "FAK", "FOK")),
)
_MOVE = st.one_of(
    _ORDER,
    st.tuples(st.just("quote"), st.integers(35, 60), st.integers(1, 8)),
    st.tuples(st.just("print"), st.integers(35, 65), st.booleans()),
    st.tuples(st.just("fate"), st.sampled_from(tuple(LIVES))),
    st.tuples(st.just("wait"), st.integers(1, 5000)),
    st.tuples(st.just("cancel")),
)


def _play(office: Office, move: tuple[Any, ...]) -> None:
    if move[0] == "quote":
        bid, ask = f"0.{move[1]}", f"0.{move[1] + move[2]}"
        office.book(levels((bid, "25")), levels((ask, "25"), ("0.80", "100")))
    elif move[0] == "print":
        office.printed(f"0.{move[1]}", "15", side=int(move[2]))
    elif move[0] == "fate":
        office.venue.desk.trades.decide(move[1])
    elif move[0] == "wait":
        office.advance(move[1] * MS)
    elif move[0] == "cancel":
        office.call("DELETE", "/cancel-all")
    else:
        buy, token, cents, tens, order_type = move
        shares, money = str(tens * 10), f"{tens * cents // 10}.{tens * cents % 10}"
        maker, taker = (money, shares) if buy else (shares, money)
        status, _ = office.post(
            buy=buy, token=token, maker=maker, taker=taker, order_type=order_type
        )
        assert status in (200, 400)


@settings(max_examples=40, deadline=None)
@given(st.lists(_MOVE, min_size=5, max_size=40), st.sampled_from((0, 500_000, 1_000_000)))
def test_cash_and_shares_are_conserved(moves: list[tuple[Any, ...]], value_e6: int) -> None:
    office = Office(cash_polymarket_e6=e6("200"))
    office.quote("0.45", "0.55", "40")
    whole_e6 = total_e6(office)
    for move in moves:
        _play(office, move)
        check_conserved(office, whole_e6)
    office.apply(StatusChange(office.now_ns, 0, "finalized", value_e6))
    check_conserved(office, whole_e6)
    office.advance(60 * SECOND)
    check_conserved(office, whole_e6)


def test_money_from_nowhere_is_seen() -> None:
    office = Office()
    whole_e6 = total_e6(office)
    move = Move(token=TOKEN_YES, other=TOKEN_NO, shares_e6=10, cash_e6=-5)
    office.venue.supply.book(move, 0)
    with pytest.raises(AssertionError):
        check_conserved(office, whole_e6)
