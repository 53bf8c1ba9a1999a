"""Evidence that comes when everything seemed over, and last words that are spoken once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from gateway import ledger as ledger_module
from gateway.accounts import Accounts
from gateway.intent import Intent
from gateway.ledger import Ledger, Work
from gateway.order import E_ACK, E_FINISH, E_SEND, Order
from gateway.ports import NO, Facts, Fill, Outcome, Placing
from shm_layout import (
    ACTIVE,
    BUY,
    GATE,
    REASONS,
    ROUND_DOWN,
    S_CONFIRMED,
    S_FAILED,
    S_MATCHED,
    SELL,
    cell,
    word_store,
)
from tests.gateway.rig import SIZE, kalshi_filled, play, poly_filled, running
from tests.gateway.scene import POLY, fee_of
from tests.gateway.test_accounts import MARKETS
from tests.gateway.test_desk_successor import lives
from tests.gateway.venue_double import SILENT, Reply, Seen

FACTS = Facts(50_000, 1, 2, 10, ROUND_DOWN, 10_000, 10_000, 0, 0, (1_000_000, 10_000, 0, 0, 0, 0))


class Quiet:
    """Reports and a journal that keep nothing."""

    def __getattr__(self, name: str) -> object:
        return lambda *_args, **_more: True


def ledger() -> Ledger:
    accounts = Accounts(MARKETS, {"kalshi": True, "polymarket": False})
    accounts.start({0: 10**9, 1: 10**9}, [], {})
    quiet = Quiet()
    return Ledger(
        accounts, quiet, quiet, fee_of, lambda: 1, 1,  # type: ignore[arg-type]
        lambda *_: None, lambda: None, lambda _order: None, lambda *_: None,
    )  # fmt: skip


def sent(book: Ledger, number: int, legs: Sequence[int] = (1,)) -> Work:
    """An intent of one leg a market, on its way: BUY ten NO tokens at 0.50."""
    orders = [
        Order(number, place, instrument, instrument, 1, SELL, 500_000, SIZE,
              Placing(NO, BUY, 500_000), key=f"{number}-{place}")
        for place, instrument in enumerate(legs)
    ]  # fmt: skip
    for order in orders:
        order.move(E_SEND)
    intent = Intent(number, 0, 1, 0, 0, 0, 0, 0, 0, -1, 0, 0, 0, ())
    work = Work(intent, orders, [SIZE] * len(legs), [FACTS] * len(legs), 1)
    book.add(work)
    return work


@pytest.mark.parametrize("gone", [(1,), (1, 2), (2,)])
def test_a_trade_that_fails_after_its_number_is_another_markets_is_told_and_never_traded_on(
    gone: tuple[int, ...],
) -> None:
    """It took tokens from the market that has the number now, and its partner was given back
    there."""
    book, told, alone = ledger(), list[tuple[int, int]](), list[object]()
    book.on_gone = lambda order, more_e6: told.append((order.instrument, more_e6))
    book.on_lone = lambda *found: alone.append(found)
    work = sent(book, 1, (1, 2))
    for order in work.orders:
        book.trade(Fill(order.key, f"t{order.leg}", SIZE, SIZE // 2, 0, S_MATCHED))
    assert work.ended and book.accounts.position(1).no_e6 == SIZE and not told
    for number in gone:
        book.accounts.settle(number, 0)  # NO pays
        market = book.accounts.markets[number]
        book.accounts.add_market(replace(market, generation=2))
    cash_e6 = book.accounts.cash[1].cash_e6
    first = work.orders[0]
    book.trade(Fill(first.key, "t0", SIZE, SIZE // 2, 0, S_FAILED))
    assert not alone and not work.is_lone
    assert told == ([(1, -SIZE)] if 1 in gone else []) + ([(2, SIZE)] if 2 not in gone else [])
    if 1 in gone:
        assert book.accounts.position(1).net_e6 == 0, "the new market holds nothing"
        assert book.accounts.cash[1].cash_e6 == cash_e6, "what comes back counts when it is there"


def test_one_that_comes_so_late_costs_what_it_cost() -> None:
    book = ledger()
    work = sent(book, 1)
    market = book.accounts.markets[1]
    book.learn(work, work.orders[0], Outcome(E_FINISH, 0, 0, 0, 0, True))
    book.accounts.add_market(replace(market, generation=2))
    cash_e6, told = book.accounts.cash[1].cash_e6, list[int]()
    book.on_gone = lambda _order, more_e6: told.append(more_e6)
    book.trade(Fill(work.orders[0].key, "t", SIZE, SIZE // 2, 7, S_MATCHED))
    assert book.accounts.cash[1].cash_e6 == cash_e6 - SIZE // 2 - 7 and told == [SIZE]
    assert book.accounts.position(1).net_e6 == 0


def test_an_unwind_whose_trade_fails_is_alone_again(tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        async with running(path) as rig:

            def sold(price: str) -> Callable[[Seen], Reply]:
                def reply(seen: Seen) -> Reply:
                    return 200, {
                        "success": True, "errorMsg": "", "orderID": seen.json["hash"],
                        "status": "matched", "makingAmount": "10", "takingAmount": price,
                        "tradeIDs": ["u"],
                    }  # fmt: skip

                return reply

            rig.kalshi.script = [kalshi_filled("0.00")]
            rig.poly.script = [poly_filled("5", "10"), sold("4.8"), sold("4.7")]
            await rig.end_of(rig.fire())
            await rig.until(lambda: not rig.desk.unwinder.cases)
            assert rig.desk.accounts.position(POLY).no_e6 == 0
            row = {
                "event_type": "trade", "id": "u", "status": "FAILED", "size": "10",
                "taker_order_id": rig.poly.orders[-1].json["hash"], "price": "0.48",
                "side": "SELL", "asset_id": "222", "maker_orders": [],
            }  # fmt: skip
            rig.scene.beat()
            for _ in range(2):
                rig.desk.dispatcher.take_frame(POLY, orjson.dumps(row))
            assert rig.desk.accounts.position(POLY).no_e6 == SIZE
            assert [case.left_e6 for case in rig.desk.unwinder.cases] == [SIZE]
            assert rig.desk.ledger.is_paused(0)
            await rig.until(lambda: not rig.desk.unwinder.cases)
            assert rig.desk.accounts.position(POLY).no_e6 == 0
            assert len(rig.poly.orders) == 3 and rig.gate[0] == ACTIVE

    play(story, tmp_path)


def test_a_sent_intent_gets_no_second_last_word(tmp_path: Path) -> None:
    """Killed between the bytes and `answered_through`: the successor's next intent shows no gap."""

    async def story(path: Path) -> None:
        async with lives(path) as (rig, replace):
            rig.kalshi.script, rig.poly.script = [SILENT], [SILENT]
            number = rig.fire()
            await rig.until(lambda: bool(rig.kalshi.orders and rig.poly.orders))
            refused = rig.fire(size_e6=0)
            await rig.end_of(refused)
            segment = rig.scene.segment
            at = segment.at("gate") + cell(GATE, "answered_through")
            word_store(segment.words, at, number - 1)
            await replace()
            rig.scene.skew_ns += 5 * 10**9
            await rig.end_of(number)
            await rig.until(lambda: rig.gate[0] == ACTIVE)
            rig.desk.accounts.cash[POLY].cash_e6 = 500_000_000
            rig.kalshi.script, rig.poly.script = [kalshi_filled("10.00")], [poly_filled("5", "10")]
            await rig.end_of(rig.fire())
            assert [REASONS[r["reason"]] for r in rig.ended(number)] == ["nothing_filled"]
            assert len(rig.ended(refused)) == 1

    play(story, tmp_path)


def test_a_fill_whose_answer_names_no_amounts_is_booked_with_a_fee() -> None:
    book = ledger()
    work = sent(book, 1)
    book.learn(work, work.orders[0], Outcome(E_ACK, 0, SIZE))
    assert work.orders[0].folded.fee_e6 == fee_of(SIZE // 2, SIZE, FACTS) > 0


@pytest.mark.parametrize(("settled", "kept"), [(S_MATCHED, True), (S_CONFIRMED, False)])
def test_what_may_still_fail_is_kept_and_what_is_under_way_stops_no_forgetting(
    settled: int, kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_module, "KEPT_MAX", 4)
    book = ledger()
    under_way = sent(book, 1)
    for number in range(2, 12):
        work = sent(book, number)
        order = work.orders[0]
        book.trade(Fill(order.key, f"t{number}", SIZE, 5_000_000, 0, settled))
        assert work.ended
    book.forget()
    assert under_way.intent.id in book.works
    assert len(book.works) == (11 if kept else 4)
    assert (book.find("2-0") is not None) == kept
    monkeypatch.setattr(ledger_module, "EVIDENCE_MAX", 8)
    book.forget()
    assert len(book.works) == 4, "never without end"
