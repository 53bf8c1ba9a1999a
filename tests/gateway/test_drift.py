"""What is ours and what is not, by the venues' figures while it trades: a foreign order or fill,
and a difference that stands, halt and are named; what is only on its way, or late, does not.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest

from gateway.commands import RECONCILE
from gateway.drift import AGAIN_MAX
from shm_layout import ACTIVE, HALTED, REASONS, ST_SETTLED, int_to_text
from tests.gateway.rig import (
    BALANCE,
    FILLS,
    ORDERS,
    PARAMS,
    POSITIONS,
    SIZE,
    Rig,
    kalshi_filled,
    play,
    poly_filled,
    running,
)
from tests.gateway.scene import KALSHI, POLY
from tests.gateway.venue_double import RESET, Read, Seen

EVERY_NS, SECOND_NS = 30_000_000_000, 1_000_000_000
FOREIGN_ORDER: dict[str, object] = {
    "order_id": "v-9", "client_order_id": "theirs", "ticker": "KX-1", "book_side": "bid",
    "remaining_count_fp": "5.00", "yes_price_dollars": "0.1000", "status": "resting",
}  # fmt: skip
FOREIGN_FILL: dict[str, object] = {
    "fill_id": "f-9", "trade_id": "f-9", "order_id": "v-9", "ticker": "KX-1", "book_side": "ask",
    "count_fp": "3.00", "yes_price_dollars": "0.4000", "fee_cost": "0.01",
}  # fmt: skip
POLY_TRADE: dict[str, object] = {
    "id": "t-9", "taker_order_id": "0x99", "asset_id": "111", "side": "BUY", "size": "4",
    "price": "0.5", "outcome": "Yes", "trader_side": "TAKER", "status": "CONFIRMED",
    "maker_orders": [],
}  # fmt: skip


class Look:
    """The rig, its venues' figures kept equal to its books but for what a test adds."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.cash_e6 = self.contracts_e6 = 0  # what Kalshi has beyond our books
        self.poly_e6, self.tokens_e6 = 0, (0, 0)  # the same of Polymarket; YES and NO tokens
        self.now_ns = 0
        rig.kalshi.reads[BALANCE] = self._balance
        rig.kalshi.reads[POSITIONS] = self._positions
        rig.poly.reads["/balance-allowance"] = self._tokens

    def _balance(self, _: Seen) -> Read:
        cash_e6 = self.rig.desk.accounts.cash[KALSHI].cash_e6 + self.cash_e6
        row = {"exchange_index": 2, "balance": int_to_text(cash_e6, 6, 6)}
        return 200, {"balance_breakdown": [row]}

    def _positions(self, _: Seen) -> Read:
        net_e6 = self.rig.desk.accounts.position(KALSHI).net_e6 + self.contracts_e6
        row = {"ticker": "KX-1", "position_fp": int_to_text(net_e6, 6, 6)}
        return 200, {"market_positions": [row], "cursor": ""}

    def _tokens(self, seen: Seen) -> Read:
        accounts = self.rig.desk.accounts
        position = accounts.position(POLY)
        if "token_id=111" in seen.query:
            return 200, {"balance": str(position.yes_e6 + self.tokens_e6[0])}
        if "token_id=222" in seen.query:
            return 200, {"balance": str(position.no_e6 + self.tokens_e6[1])}
        return 200, {"balance": str(accounts.cash[POLY].cash_e6 + self.poly_e6)}

    async def look(self) -> None:
        """Until one more look is over."""
        done = self.rig.desk.reports.counted("looks")
        self.rig.scene.skew_ns += EVERY_NS + 1_000_000
        self.rig.scene.beat()
        await self.rig.until(lambda: self.rig.desk.reports.counted("looks") > done)
        await self.rig.until(lambda: not self.rig.desk.drift.is_looking)

    async def twice(self) -> None:
        """Two looks further apart than the read lag."""
        await self.look()
        await self.look()

    def stand(self) -> None:
        """The clock of what is booked and asked stands: `now_ns`, moved by hand."""
        self.now_ns = self.rig.scene.clock()
        self.rig.desk.drift.clock = self.rig.desk.ledger.clock = lambda: self.now_ns

    async def trade(self, name: str) -> None:
        """Ten contracts bought at Kalshi and sold at Polymarket, and the fill told."""
        rig = self.rig
        rig.scene.quote(KALSHI, bid=400_000, ask=420_000)
        rig.scene.quote(POLY, bid=500_000, ask=520_000)
        rig.kalshi.script, rig.poly.script = [kalshi_filled("10.00")], [poly_filled("5", "10")]
        assert REASONS[(await rig.end_of(rig.fire()))["reason"]] == "done"
        key = str(rig.kalshi.orders[-1].json["client_order_id"])
        fill = FOREIGN_FILL | {
            "trade_id": name, "order_id": f"v-{key}", "client_order_id": key, "book_side": "bid",
            "count_fp": "10.00", "yes_price_dollars": "0.4200",
        }  # fmt: skip
        rig.desk.dispatcher.take_frame(KALSHI, orjson.dumps({"type": "fill", "msg": fill}))


@asynccontextmanager
async def looking(path: Path) -> AsyncIterator[Look]:
    """A desk that looks every 30 s of a clock moved by hand."""
    params = dataclasses.replace(PARAMS, drift_ns=EVERY_NS, query_tries_max=10**6)
    async with running(path, params) as rig:
        look = Look(rig)
        await rig.until(lambda: rig.desk.drift.since_ns > 0)
        yield look


def rows(name: str, *found: dict[str, object]) -> Read:
    return 200, {name: list(found), "cursor": ""}


def unknown(seen: Seen) -> Read:
    """No answer about an order; no open ones."""
    return (503, {}) if "ticker=" in seen.query else rows("orders")


def named(caplog: pytest.LogCaptureFixture) -> str:
    return "\n".join(line for line in caplog.messages if "HALT" in line)


def test_books_that_agree_let_it_trade_and_our_own_fills_are_ours(tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        async with looking(path) as look:
            rig = look.rig
            rig.kalshi.script, rig.poly.script = [kalshi_filled("10.00")], [poly_filled("5", "10")]
            number = rig.fire()
            assert REASONS[(await rig.end_of(number))["reason"]] == "done"
            key = str(rig.kalshi.orders[0].json["client_order_id"])
            rig.kalshi.reads[FILLS] = rows("fills", FOREIGN_FILL | {"order_id": f"v-{key}"})
            rig.poly.reads["/data/trades"] = 200, {
                "data": [POLY_TRADE | {"taker_order_id": rig.poly.orders[0].json["hash"]}],
                "next_cursor": "LTE=",
            }
            for _ in range(3):
                await look.twice()
            assert rig.gate == (ACTIVE, "done")

    play(story, tmp_path)


@pytest.mark.parametrize("venue", ["order at kalshi", "fill at kalshi", "fill at polymarket"])
def test_what_we_never_sent_halts_and_is_named_and_who_resumes_has_seen_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, venue: str
) -> None:
    async def story(path: Path) -> None:
        async with looking(path) as look:
            rig = look.rig
            match venue:
                case "order at kalshi":
                    rig.kalshi.reads[ORDERS] = rows("orders", FOREIGN_ORDER)
                    words = ("KX-1", "bid 5.00 at 0.1000", "theirs / v-9")
                case "fill at kalshi":
                    rig.kalshi.reads[FILLS] = rows("fills", FOREIGN_FILL)
                    words = ("KX-1", "ask 3.00 at 0.4000", "v-9")
                case _:
                    trades = {"data": [POLY_TRADE], "next_cursor": "LTE="}
                    rig.poly.reads["/data/trades"] = (200, trades)
                    words = ("slug-1", "BUY 4 at 0.5", "0x99")
            await look.look()
            assert rig.gate == (ACTIVE, "done"), "one look is none"
            with caplog.at_level(logging.ERROR, "gateway"):
                await look.look()
            assert rig.gate == (HALTED, "foreign")
            assert f"foreign {venue}" in named(caplog)
            assert all(word in named(caplog) for word in words)
            rig.scene.resume()
            await rig.until(lambda: rig.gate[0] == ACTIVE)
            await look.twice()
            assert rig.gate == (ACTIVE, "done"), "it was named once"

    play(story, tmp_path)


@pytest.mark.parametrize("what", ["cash", "contracts"])
def test_a_difference_that_stands_halts_and_is_ours_once_an_operator_resumes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, what: str
) -> None:
    async def story(path: Path) -> None:
        async with looking(path) as look:
            rig, accounts = look.rig, look.rig.desk.accounts
            before_e6 = accounts.cash[KALSHI].cash_e6, accounts.position(KALSHI).net_e6
            setattr(look, f"{what}_e6", -2_000_000)
            with caplog.at_level(logging.ERROR, "gateway"):
                await look.twice()
            assert rig.gate == (HALTED, "unknown_outcome")
            assert "-2000000e-6" in named(caplog) or "(0, 2000000)e-6" in named(caplog)
            rig.desk.drift.is_looking = True  # no look before the operator's word
            setattr(look, f"{what}_e6", 0)
            rig.scene.resume()
            await rig.until(lambda: rig.gate[0] == ACTIVE)
            rig.desk.drift.is_looking = False
            after_e6 = accounts.cash[KALSHI].cash_e6, accounts.position(KALSHI).net_e6
            moved = tuple(new - old for new, old in zip(after_e6, before_e6, strict=True))
            assert moved == ((-2_000_000, 0) if what == "cash" else (0, -2_000_000))
            await look.twice()
            assert rig.gate == (ACTIVE, "done")

    play(story, tmp_path)


def test_figures_that_are_only_late_halt_nothing(tmp_path: Path) -> None:
    """They differ at each look, but never the same."""

    async def story(path: Path) -> None:
        async with looking(path) as look:
            for late_e6 in (3_000_000, 5_000_000, 0, 3_000_000, -1_000_000, 0):
                look.contracts_e6 = late_e6
                look.cash_e6 = -late_e6
                await look.look()
            assert look.rig.gate == (ACTIVE, "done")

    play(story, tmp_path)


def test_a_fill_of_an_order_whose_only_answer_was_its_fill_is_ours(tmp_path: Path) -> None:
    # a read names the venue's id alone; the reply that would have told it was lost
    async def story(path: Path) -> None:
        async with looking(path) as look:
            rig = look.rig
            rig.kalshi.reads[ORDERS] = unknown
            rig.kalshi.script, rig.poly.script = [RESET], [poly_filled("5", "10")]
            number = rig.fire()
            await rig.until(lambda: len(rig.desk.accounts.flights) == 1)
            key = str(rig.kalshi.orders[0].json["client_order_id"])
            fill = FOREIGN_FILL | {"client_order_id": key, "book_side": "bid", "count_fp": "10.00"}
            frame = orjson.dumps({"type": "fill", "sid": 1, "msg": fill})
            rig.desk.dispatcher.take_frame(KALSHI, frame)
            assert REASONS[(await rig.end_of(number))["reason"]] == "done"
            rig.kalshi.reads[FILLS] = rows("fills", FOREIGN_FILL)
            await look.twice()
            assert rig.gate == (ACTIVE, "done")

    play(story, tmp_path)


def test_what_an_order_under_way_explains_is_not_judged(tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        async with looking(path) as look:
            rig = look.rig
            rig.kalshi.reads[ORDERS] = unknown  # what became of it
            rig.kalshi.script, rig.poly.script = [RESET], [poly_filled("5", "10")]
            rig.fire()
            await rig.until(lambda: len(rig.desk.accounts.flights) == 1)
            look.contracts_e6, look.cash_e6 = 10_000_000, -4_370_000
            rig.kalshi.reads[FILLS] = rows("fills", FOREIGN_FILL)
            await look.twice()
            assert rig.gate == (ACTIVE, "done")

    play(story, tmp_path)


def test_a_market_that_is_not_open_is_not_judged(tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        async with looking(path) as look:
            look.rig.scene.quote(KALSHI, bid=400_000, ask=420_000, status=4)
            look.contracts_e6 = 10_000_000
            await look.twice()
            assert look.rig.gate == (ACTIVE, "done")

    play(story, tmp_path)


@pytest.mark.parametrize("late_s", [0, 5])
def test_two_orders_of_one_size_that_a_venue_does_not_show_yet_are_no_difference(
    tmp_path: Path, late_s: int
) -> None:
    """Each was booked just before a look, so the venue was behind by the same twice (a HALT seen
    on 2026-11-21). What it does not show for longer than its lag is a difference."""

    async def story(path: Path) -> None:
        async with looking(path) as look:
            look.stand()
            for name in ("t-1", "t-2"):
                await look.trade(name)
                look.contracts_e6, look.cash_e6 = -10_000_000, 4_217_000
                look.now_ns += late_s * SECOND_NS
                await look.look()
                look.now_ns += 5 * SECOND_NS  # by now the venue shows it, but another one came
            assert look.rig.gate == ((HALTED, "unknown_outcome") if late_s else (ACTIVE, "done"))

    play(story, tmp_path)


@pytest.mark.parametrize("late_s", [0, 5])
def test_what_a_settled_market_has_just_paid_is_not_missed_yet(tmp_path: Path, late_s: int) -> None:
    async def story(path: Path) -> None:
        async with looking(path) as look:
            look.stand()
            look.cash_e6 = -10_000_000
            for _ in range(2):
                look.rig.desk.accounts.cash[KALSHI].paid_ns = look.now_ns
                look.now_ns += late_s * SECOND_NS
                await look.look()
            assert look.rig.gate == ((HALTED, "unknown_outcome") if late_s else (ACTIVE, "done"))

    play(story, tmp_path)


def settled(look: Look, value_e6: int) -> None:
    """Ten NO tokens at Polymarket: their market has settled, and what it pays is not fetched."""
    accounts = look.rig.desk.accounts
    accounts.position(POLY).no_e6 = accounts.position(POLY).cost_no_e6 = SIZE
    accounts.refresh(POLY)
    facts = {"status": ST_SETTLED, "settlement_e6": value_e6}
    look.rig.scene.quote(POLY, bid=0, ask=0, **facts)
    accounts.settle(POLY, value_e6)
    look.tokens_e6, look.poly_e6 = (0, SIZE), -SIZE * (1_000_000 - value_e6) // 1_000_000


@pytest.mark.parametrize("value_e6", [0, 250_000, 1_000_000])
@pytest.mark.parametrize("beyond_e6", [0, 3_000_000, -3_000_000])
def test_cash_is_judged_while_a_payout_waits_to_be_fetched(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, beyond_e6: int, value_e6: int
) -> None:
    """Either it is in, and the tokens are gone, or it is not: no other amount is explained."""

    async def story(path: Path) -> None:
        async with looking(path) as look:
            rig, cash = look.rig, look.rig.desk.accounts.cash[POLY]
            settled(look, value_e6)
            had_e6 = cash.cash_e6
            look.poly_e6 += beyond_e6
            with caplog.at_level(logging.ERROR, "gateway"):
                await look.twice()
            assert rig.gate == ((HALTED, "unknown_outcome") if beyond_e6 else (ACTIVE, "done"))
            if beyond_e6:
                assert f"{beyond_e6}e-6 dollars" in named(caplog)
                rig.scene.resume()
                await rig.until(lambda: rig.gate[0] == ACTIVE)
                assert cash.cash_e6 == had_e6 + beyond_e6, "what waits is still ours"
                look.poly_e6 -= beyond_e6
            await look.twice()
            look.tokens_e6, look.poly_e6 = (0, 0), 0  # fetched
            for _ in range(3):
                await look.twice()
            assert rig.gate == (ACTIVE, "done")

    play(story, tmp_path)


@pytest.mark.parametrize("is_there", [False, True])
def test_a_payout_and_its_tokens_need_not_move_in_one_moment(
    tmp_path: Path, is_there: bool
) -> None:
    """Cash is read first: the tokens may go in between; or they are shown a moment too long."""

    async def story(path: Path) -> None:
        async with looking(path) as look:
            settled(look, 0)
            await look.look()
            if is_there:
                look.poly_e6 = 0
            else:
                look.tokens_e6 = (0, 0)
            await look.look()
            look.tokens_e6, look.poly_e6 = (0, 0), 0
            await look.twice()
            assert look.rig.gate == (ACTIVE, "done")
            look.poly_e6 = -3_000_000
            for _ in range(2):
                await look.twice()
            assert look.rig.gate == (HALTED, "unknown_outcome"), "it is judged again"

    play(story, tmp_path)


def test_a_market_that_is_shut_and_not_settled_leaves_the_cash_unjudged(tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        async with looking(path) as look:
            position = look.rig.desk.accounts.position(POLY)
            position.no_e6 = position.cost_no_e6 = SIZE
            look.rig.scene.quote(POLY, bid=0, ask=0, status=4)
            look.poly_e6 = 10_000_000
            await look.twice()
            assert look.rig.gate == (ACTIVE, "done")

    play(story, tmp_path)


def test_a_difference_that_could_not_be_judged_again_is_looked_at_again_soon(
    tmp_path: Path,
) -> None:
    """Something was booked just before the second look: it is no answer, and no reason to wait."""

    async def story(path: Path) -> None:
        async with looking(path) as look:
            look.stand()
            look.now_ns += 5 * SECOND_NS
            look.contracts_e6 = 2_000_000
            await look.look()
            look.now_ns += 5 * SECOND_NS
            await look.trade("t-1")
            await look.look()
            assert look.rig.gate == (ACTIVE, "done"), "it was not judged"
            drift = look.rig.desk.drift
            assert drift._due_ns - look.now_ns < 5 * SECOND_NS < EVERY_NS
            look.now_ns += 5 * SECOND_NS
            await look.look()
            assert look.rig.gate == (HALTED, "unknown_outcome")

    play(story, tmp_path)


def test_what_can_never_be_judged_again_is_given_up_after_some_looks(tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        async with looking(path) as look:
            look.stand()
            look.now_ns += 5 * SECOND_NS
            look.contracts_e6 = -2_000_000
            await look.look()
            drift = look.rig.desk.drift
            for count in range(AGAIN_MAX):
                look.now_ns += 5 * SECOND_NS
                await look.trade(f"t-{count}")
                assert drift._due_ns - look.now_ns < EVERY_NS / 2
                await look.look()
            assert drift._due_ns - look.now_ns == EVERY_NS
            assert look.rig.gate == (ACTIVE, "done")

    play(story, tmp_path)


@pytest.mark.parametrize("what", ["cash", "contracts", "order"])
def test_what_reconcile_finds_is_ours_after_one_resume(tmp_path: Path, what: str) -> None:
    async def story(path: Path) -> None:
        async with looking(path) as look:
            rig, accounts = look.rig, look.rig.desk.accounts
            before_e6 = accounts.cash[KALSHI].cash_e6, accounts.position(KALSHI).net_e6
            if what == "order":
                rig.kalshi.reads[ORDERS] = rows("orders", FOREIGN_ORDER)
            else:
                setattr(look, f"{what}_e6", -2_000_000)
            rig.desk.operator.take(RECONCILE, 7, rig.scene.clock(), is_open=True)
            rig.scene.skew_ns += 10 * SECOND_NS
            await rig.until(lambda: rig.gate[0] == HALTED)
            await rig.until(lambda: not rig.desk.operator.is_asking)
            rig.desk.drift.is_looking = True  # no look before the operator's word
            setattr(look, f"{what}_e6", 0)
            rig.scene.resume()
            await rig.until(lambda: rig.gate[0] == ACTIVE)
            rig.desk.drift.is_looking = False
            after_e6 = accounts.cash[KALSHI].cash_e6, accounts.position(KALSHI).net_e6
            moved = tuple(new - old for new, old in zip(after_e6, before_e6, strict=True))
            wanted = {"cash": (-2_000_000, 0), "contracts": (0, -2_000_000), "order": (0, 0)}
            assert moved == wanted[what]
            for _ in range(2):
                await look.twice()
            assert rig.gate == (ACTIVE, "done")

    play(story, tmp_path)


def test_what_reconcile_finds_of_a_payout_that_waits_is_not_taken_over(tmp_path: Path) -> None:
    """It comes yet: who took it over would miss it then."""

    async def story(path: Path) -> None:
        async with looking(path) as look:
            rig, cash = look.rig, look.rig.desk.accounts.cash[POLY]
            settled(look, 0)
            had_e6 = cash.cash_e6
            rig.desk.operator.take(RECONCILE, 7, rig.scene.clock(), is_open=True)
            rig.scene.skew_ns += 10 * SECOND_NS
            await rig.until(lambda: not rig.desk.operator.is_asking)
            rig.scene.resume()
            await rig.until(lambda: rig.gate[0] == ACTIVE)
            assert cash.cash_e6 == had_e6
            look.tokens_e6, look.poly_e6 = (0, 0), 0  # fetched
            for _ in range(3):
                await look.twice()
            assert rig.gate == (ACTIVE, "done")

    play(story, tmp_path)


@pytest.mark.parametrize("left_e6", [0, -3_000_000])
def test_who_resumes_takes_over_what_differs_then_not_what_did_when_it_halted(
    tmp_path: Path, left_e6: int
) -> None:
    async def story(path: Path) -> None:
        async with looking(path) as look:
            rig = look.rig
            look.contracts_e6 = -2_000_000
            await look.twice()
            assert rig.gate == (HALTED, "unknown_outcome")
            look.contracts_e6 = left_e6
            await look.look()
            if left_e6:  # else nothing is left to be looked at
                await look.look()
            assert rig.gate == (HALTED, "unknown_outcome"), "an operator resumes, nobody else"
            rig.desk.drift.is_looking = True  # no look before the operator's word
            rig.scene.resume()
            await rig.until(lambda: rig.gate[0] == ACTIVE)
            assert rig.desk.accounts.position(KALSHI).net_e6 == left_e6

    play(story, tmp_path)


def test_what_differs_only_while_it_is_halted_is_not_taken_over_unseen(tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        async with looking(path) as look:
            rig = look.rig
            cash = rig.desk.accounts.cash[KALSHI]
            look.contracts_e6, had_e6 = -2_000_000, cash.cash_e6
            await look.twice()
            look.cash_e6 = 5_000_000
            await look.twice()
            rig.desk.drift.is_looking = True  # no look before the operator's word
            rig.scene.resume()
            await rig.until(lambda: rig.gate[0] == ACTIVE)
            assert cash.cash_e6 == had_e6
            assert rig.desk.accounts.position(KALSHI).net_e6 == -2_000_000
            look.contracts_e6, rig.desk.drift.is_looking = 0, False
            await look.twice()
            assert rig.gate == (HALTED, "unknown_outcome"), "it is named in a HALT of its own"

    play(story, tmp_path)


def test_reconcile_reads_again_what_was_filled_while_the_read_lag_passed(tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        async with looking(path) as look:
            rig, shown = look.rig, look.rig.kalshi.reads[POSITIONS]
            assert callable(shown)

            def late(seen: Seen) -> Read:
                found = shown(seen)
                look.contracts_e6 = look.cash_e6 = 0  # the next read shows it
                return found

            rig.kalshi.reads[POSITIONS] = late
            look.stand()
            rig.desk.operator.clock = rig.desk.drift.clock
            rig.desk.operator.take(RECONCILE, 7, look.now_ns, is_open=True)
            for _ in range(10):
                await asyncio.sleep(0)  # it begins: the read lag passes
            await look.trade("t-1")
            look.contracts_e6, look.cash_e6 = -10_000_000, 4_210_000

            def is_over() -> bool:
                look.now_ns += 10_000_000
                return not rig.desk.operator.is_asking

            await rig.until(is_over)
            assert rig.gate == (ACTIVE, "done")

    play(story, tmp_path)
