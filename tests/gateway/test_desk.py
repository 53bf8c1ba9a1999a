"""The whole gateway over real TLS sockets against scripted venues: what goes where, in which
order, and what follows.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import orjson
import pytest
import uvloop

from gateway import journal as j
from gateway.desk import Desk, DeskParams, VenueLine
from gateway.kalshi import CREATE, KalshiVenue
from gateway.polymarket import PolymarketVenue
from gateway.ports import Venue
from gateway.throttle import Bucket
from gateway.transport import Address, Pool
from ops.venues.tls import make_tls
from shm_layout import (
    ACTIVE,
    BUY,
    FLAG_UNWIND,
    GATE,
    HALTED,
    K_LEG,
    K_TERMINAL,
    KILL,
    P_DONE,
    P_REJECTED,
    P_SENT,
    P_UNKNOWN,
    REASONS,
    SELL,
    cell,
    cells_to_text,
    word_load,
    word_store,
)
from tests.gateway.scene import KALSHI, POLY, SECRETS, Scene, Signer, fee, legal_size, plan
from tests.gateway.venue_double import GARBAGE, HALF, HOLD, RESET, SILENT, Double, Reply, Seen

BALANCE = "/trade-api/v2/portfolio/balance"
POSITIONS, ORDERS = "/trade-api/v2/portfolio/positions", "/trade-api/v2/portfolio/orders"
FILLS = "/trade-api/v2/portfolio/fills"
SIZE = 10_000_000
PARAMS = DeskParams(dust_e6=100_000, query_gap_ns=1_000_000, delay_grace_ns=1_000_000)


def kalshi_filled(count: str, price: str = "0.4200") -> Callable[[Seen], Reply]:
    """201 with this many contracts filled."""

    def reply(seen: Seen) -> Reply:
        found: dict[str, object] = {
            "order_id": f"v-{seen.json['client_order_id']}",
            "client_order_id": seen.json["client_order_id"],
            "fill_count": count,
            "remaining_count": "0.00",
        }
        if float(count):
            found |= {"average_fill_price": price, "average_fee_paid": "0.0170"}
        return 201, found

    return reply


def poly_filled(making: str, taking: str) -> Callable[[Seen], Reply]:
    """200 matched with these amounts."""

    def reply(seen: Seen) -> Reply:
        return 200, {
            "success": True,
            "errorMsg": "",
            "orderID": seen.json["hash"],
            "status": "matched",
            "makingAmount": making,
            "takingAmount": taking,
            "tradeIDs": ["t"],
        }

    return reply


FAK_NONE: Reply = (400, {"error": "no orders found to match with FAK order."})


class Rig:
    """A running desk, its two venues and its scene."""

    def __init__(self, tmp_path: Path) -> None:
        self.scene, self.signer = Scene(), Signer()
        tls = make_tls(tmp_path)
        served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        served.load_cert_chain(tls.cert, tls.key)
        self._trusted = ssl.create_default_context(cafile=str(tls.ca))
        self.kalshi, self.poly = Double(served), Double(served)
        empty = (200, {"cursor": "", "orders": [], "market_positions": [], "fills": []})
        self.kalshi.reads = {
            BALANCE: (200, {"balance_breakdown": [{"exchange_index": 2, "balance": "500.0000"}]}),
            POSITIONS: empty,
            ORDERS: empty,
            FILLS: empty,
        }
        self.poly.reads = {
            "/balance-allowance": (200, {"balance": "0"}),
            "/data/orders": (200, {"data": [], "next_cursor": "LTE="}),
            "/data/trades": (200, {"data": [], "next_cursor": "LTE="}),
        }
        self.folder = tmp_path / "journal"
        self.eventfd = os.eventfd(0, os.EFD_NONBLOCK)
        self.desk: Desk

    def build(self, params: DeskParams = PARAMS) -> Desk:
        """A desk on the scene's segment and the doubles' ports."""
        clock = self.scene.clock
        venues: tuple[tuple[int, Venue, Double], ...] = (
            (KALSHI, KalshiVenue(self.signer, "localhost"), self.kalshi),
            (
                POLY,
                PolymarketVenue(
                    self.signer, "localhost", SECRETS, signature_type=0, wall_s=lambda: 1
                ),
                self.poly,
            ),
        )
        lines = {}
        for number, venue, double in venues:
            address = Address(host="localhost", port=double.port, context=self._trusted)
            pool = Pool(address, clock, size=3, warm=venue.warm())
            bucket = Bucket(rate=1_000, burst=1_000, reserve=10)
            lines[number] = VenueLine(venue=venue, pool=pool, bucket=bucket)
        self.desk = Desk(
            self.scene.segment,
            params,
            eventfd=self.eventfd,
            clock=clock,
            journal=j.Journal(self.folder),
            lines=lines,
            pump=lambda _now: 0,
            fee=fee,
            legal_size=legal_size,
            plan_unwind=plan,
        )
        return self.desk

    @property
    def gate(self) -> tuple[int, str]:
        at = self.scene.segment.at("gate")
        state = word_load(self.scene.segment.words, at + cell(GATE, "state"))
        why = word_load(self.scene.segment.words, at + cell(GATE, "reason"))
        return state, REASONS[why]

    async def until(self, holds: Callable[[], bool]) -> None:
        """Let everything run until this holds; fails after five seconds."""
        loop = asyncio.get_running_loop()
        end = loop.time() + 5.0
        while not holds():
            assert loop.time() < end, f"it never held; reports: {self.reported()}"
            await asyncio.sleep(0)

    async def ready(self) -> None:
        """Reconciled, with every order connection open."""
        lines = self.desk.lines.values()
        await self.until(
            lambda: self.gate[0] == ACTIVE and all(x.pool.free_count == 3 for x in lines)
        )

    def fire(self, *, buy_e6: int = 420_000, sell_e6: int = 500_000, size_e6: int = SIZE) -> int:
        """BUY at Kalshi, SELL at Polymarket."""
        self.scene.beat()
        legs = (
            self.scene.leg(KALSHI, BUY, buy_e6, size_e6),
            self.scene.leg(POLY, SELL, sell_e6, size_e6),
        )
        number = self.scene.intent(*legs)
        self.scene.ring(self.eventfd)
        return number

    def ended(self, number: int) -> list[np.void]:
        """The terminal reports of an intent."""
        return [
            r for r in self.scene.reports() if r["kind"] == K_TERMINAL and r["intent"] == number
        ]

    def legs(self, number: int) -> list[np.void]:
        """The leg reports of an intent."""
        return [r for r in self.scene.reports() if r["kind"] == K_LEG and r["intent"] == number]

    def children(self, number: int) -> list[np.void]:
        """Leg reports of what names this intent as its parent."""
        return [r for r in self.scene.reports() if r["kind"] == K_LEG and r["parent"] == number]

    def reported(self) -> list[tuple[int, int, str, int, int]]:
        return [
            (
                int(r["kind"]),
                int(r["leg"]),
                REASONS[r["reason"]],
                int(r["placed"]),
                int(r["filled_e6"]),
            )
            for r in self.scene.reports()
        ]

    async def end_of(self, number: int) -> np.void:
        await self.until(lambda: bool(self.ended(number)))
        return self.ended(number)[0]


@asynccontextmanager
async def running(tmp_path: Path, params: DeskParams = PARAMS) -> AsyncIterator[Rig]:
    """A reconciled gateway; stopped and closed at the end."""
    rig = Rig(tmp_path)
    await rig.kalshi.start()
    await rig.poly.start()
    rig.poly.reads["/balance-allowance"] = (200, {"balance": "0"})
    task = asyncio.create_task(rig.build(params).main())
    try:
        await rig.ready()
        rig.desk.accounts.cash[POLY].cash_e6 = 500_000_000
        yield rig
    finally:
        rig.desk.stop()
        await task
        await rig.kalshi.stop()
        await rig.poly.stop()
        os.close(rig.eventfd)


def play(story: Callable[[Path], Awaitable[None]], tmp_path: Path) -> None:
    async def whole() -> None:
        await story(tmp_path)

    uvloop.run(whole())


def test_both_legs_are_sent_before_either_answers_and_the_journal_has_them_first(
    tmp_path: Path,
) -> None:
    async def story(path: Path) -> None:
        async with running(path) as rig:
            journalled: list[list[str]] = []

            def look(seen: Seen) -> None:
                records = j.read(j.files(rig.folder)[-1]).records
                orders = [order for r in records if r["k"] == "order" for order in r["orders"]]
                journalled.append([order["key"] for order in orders])

            rig.kalshi.on_order = rig.poly.on_order = look
            rig.kalshi.script, rig.poly.script = [HOLD, (500, {})], [HOLD, (500, {})]
            number = rig.fire()
            await rig.until(lambda: bool(rig.kalshi.orders and rig.poly.orders))
            assert not rig.ended(number)
            order, other = rig.kalshi.orders[0], rig.poly.orders[0]
            assert (order.path, other.path) == (CREATE, "/order")
            keys = {str(order.json["client_order_id"]), str(other.json["hash"])}
            assert len(journalled) == 2 and all(set(found) == keys for found in journalled)
            sent = rig.legs(number)
            assert [(r["venue"], r["side"], r["placed"]) for r in sent] == [
                (KALSHI, BUY, P_SENT),
                (POLY, SELL, P_SENT),
            ]
            assert all(r["recv_ns"] < r["decide_ns"] <= r["taken_ns"] <= r["send_ns"] for r in sent)

    play(story, tmp_path)


def test_a_filled_pair_is_done_with_exact_positions_cash_and_one_last_word(tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        async with running(path) as rig:
            rig.kalshi.script = [kalshi_filled("10.00")]
            rig.poly.script = [poly_filled("5", "10")]
            number = rig.fire()
            end = await rig.end_of(number)
            assert (REASONS[end["reason"]], end["filled_e6"], end["worst_e6"]) == ("done", SIZE, 0)
            assert rig.kalshi.orders[0].json == {
                "ticker": "KX-1",
                "time_in_force": "immediate_or_cancel",
                "exchange_index": 2,
                "self_trade_prevention_type": "taker_at_cross",
                "side": "bid",
                "count": "10.00",
                "price": "0.4200",
                "client_order_id": f"{7:016x}-{number:016x}-0",
            }
            wanted = {"token": 1, "side": BUY, "price": 500_000, "size": SIZE}
            assert rig.poly.orders[0].json.items() >= wanted.items(), "nothing held: buy NO at 1-p"
            kalshi, poly = (rig.desk.accounts.position(i) for i in (KALSHI, POLY))
            assert (kalshi.yes_e6, poly.no_e6) == (SIZE, SIZE)
            cash = rig.desk.accounts.cash
            assert cash[KALSHI].cash_e6 == 500_000_000 - 4_200_000 - 170_000
            assert cash[POLY].cash_e6 == 500_000_000 - 5_000_000 - 125_000
            row = rig.scene.segment.read("positions", POLY)
            assert row is not None and (row["position_e6"], row["no_e6"]) == (-SIZE, SIZE)
            last = rig.legs(number)[-1]
            assert last["placed"] == P_DONE and last["ack_ns"] > last["send_ns"]
            key = cells_to_text(rig.legs(number)[0]["order_key"].tolist())
            assert key == f"{7:016x}-{number:016x}-0"
            assert rig.signer.used == [(1).to_bytes(32, "big")], (
                "a filled order's signature is spent"
            )
            at = rig.scene.segment.at("gate") + cell(GATE, "answered_through")
            assert word_load(rig.scene.segment.words, at) == number
            assert len(rig.ended(number)) == 1

    play(story, tmp_path)


@pytest.mark.parametrize("missed", [KALSHI, POLY])
def test_what_one_leg_missed_goes_back_to_the_venue_market_and_side_that_was_filled(
    tmp_path: Path, missed: int
) -> None:
    async def story(path: Path) -> None:
        async with running(path) as rig:
            if missed == POLY:
                rig.kalshi.script = [kalshi_filled("10.00"), kalshi_filled("10.00", "0.4000")]
                rig.poly.script = [FAK_NONE]
            else:
                rig.kalshi.script = [kalshi_filled("0.00")]
                rig.poly.script = [poly_filled("5", "10"), poly_filled("10", "4.8")]
            number = rig.fire()
            end = await rig.end_of(number)
            assert (REASONS[end["reason"]], end["filled_e6"]) == ("one_legged", 0)
            double = rig.poly if missed == KALSHI else rig.kalshi
            await rig.until(lambda: not rig.desk.unwinder.cases)
            assert len(rig.kalshi.orders) + len(rig.poly.orders) == 3 and len(double.orders) == 2
            again = double.orders[1].json
            if missed == POLY:
                assert (again["side"], again["ticker"], again["count"], again["price"]) == (
                    "ask",
                    "KX-1",
                    "10.00",
                    "0.4000",
                )
            else:
                wanted = {"token": 1, "side": SELL, "price": 480_000, "size": SIZE}
                assert again.items() >= wanted.items(), "the NO that was bought is sold"
            child = rig.children(number)[-1]
            assert child["flags"] & FLAG_UNWIND and child["placed"] == P_DONE
            assert len(rig.ended(int(child["intent"]))) == 1
            for instrument in (KALSHI, POLY):
                position = rig.desk.accounts.position(instrument)
                assert (position.yes_e6, position.no_e6) == (0, 0)
            assert rig.desk.accounts.day_loss_e6 > 0
            assert rig.gate == (ACTIVE, "done"), "within its caps nothing halts"

    play(story, tmp_path)


def test_a_partial_leg_gives_back_only_the_difference(tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        async with running(path) as rig:
            rig.kalshi.script = [kalshi_filled("10.00"), kalshi_filled("6.00", "0.4000")]
            rig.poly.script = [poly_filled("2", "4")]
            number = rig.fire()
            end = await rig.end_of(number)
            assert (REASONS[end["reason"]], end["filled_e6"]) == ("one_legged", 4_000_000)
            assert end["worst_e6"] > 0
            await rig.until(lambda: not rig.desk.unwinder.cases)
            assert rig.kalshi.orders[1].json["count"] == "6.00"
            kalshi, poly = (rig.desk.accounts.position(i) for i in (KALSHI, POLY))
            assert (kalshi.yes_e6, poly.no_e6) == (4_000_000, 4_000_000)

    play(story, tmp_path)


@pytest.mark.parametrize(
    "how",
    [RESET, HALF, GARBAGE, SILENT, (500, {}), (201, {}), (409, {"code": "order_already_exists"})],
)
def test_a_lost_answer_is_unknown_counts_as_filled_and_is_never_sent_again(
    tmp_path: Path, how: Reply
) -> None:
    async def story(path: Path) -> None:
        params = replace(PARAMS, query_gap_ns=10**12)
        async with running(path, params) as rig:
            rig.kalshi.script = [how]
            rig.poly.script = [poly_filled("5", "10")]
            number = rig.fire()
            await rig.until(lambda: len(rig.legs(number)) >= 3)
            if how == SILENT:
                rig.scene.skew_ns += 2_100_000_000
            await rig.until(lambda: any(r["placed"] == P_UNKNOWN for r in rig.legs(number)))
            assert not rig.ended(number), "an unknown leg ends nothing"
            row = rig.scene.segment.read("positions", KALSHI)
            assert row is not None and row["unknown_e6"] == SIZE
            accounts = rig.desk.accounts
            assert accounts.cash_told(KALSHI) < 500_000_000 - 4_200_000 + 1
            again = rig.fire(buy_e6=420_000, sell_e6=490_000)
            assert REASONS[(await rig.end_of(again))["reason"]] == "paused_pair"
            assert len(rig.kalshi.orders) == 1 and len(rig.poly.orders) == 1

    play(story, tmp_path)


def test_a_lost_order_is_found_by_its_id_and_its_fill_is_booked(tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        async with running(path) as rig:
            rig.kalshi.script, rig.poly.script = [RESET], [poly_filled("5", "10")]
            number = rig.fire()
            await rig.until(lambda: any(r["placed"] == P_UNKNOWN for r in rig.legs(number)))
            row = {
                "order_id": "o1",
                "client_order_id": f"{7:016x}-{number:016x}-0",
                "status": "executed",
                "fill_count_fp": "10.00",
                "book_side": "bid",
                "taker_fill_cost_dollars": "4.200000",
                "taker_fees_dollars": "0.170600",
            }
            rig.kalshi.reads[ORDERS] = (200, {"orders": [row], "cursor": ""})
            rig.scene.skew_ns += 1_600_000_000
            end = await rig.end_of(number)
            assert (REASONS[end["reason"]], end["filled_e6"]) == ("done", SIZE)
            assert rig.desk.accounts.cash[KALSHI].cash_e6 == 500_000_000 - 4_200_000 - 170_600
            assert len(rig.kalshi.orders) == 1

    play(story, tmp_path)


def test_an_order_in_no_list_twice_never_arrived_and_the_other_leg_goes_back(
    tmp_path: Path,
) -> None:
    async def story(path: Path) -> None:
        async with running(path) as rig:
            rig.kalshi.script = [RESET]
            rig.poly.script = [poly_filled("5", "10"), poly_filled("10", "4.8")]
            number = rig.fire()
            await rig.until(lambda: any(r["placed"] == P_UNKNOWN for r in rig.legs(number)))
            rig.scene.skew_ns += 1_600_000_000
            end = await rig.end_of(number)
            assert REASONS[end["reason"]] == "one_legged"
            await rig.until(lambda: not rig.desk.unwinder.cases)
            assert [len(rig.kalshi.orders), len(rig.poly.orders)] == [1, 2]
            assert any(r["placed"] == P_REJECTED for r in rig.legs(number))

    play(story, tmp_path)


def test_refusals_with_200_and_400_end_the_intent_with_their_reason(tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        async with running(path) as rig:
            rig.kalshi.script = [(400, {"error": {"code": "insufficient_balance"}})]
            refused = {"success": True, "errorMsg": "invalid amounts", "orderID": "", "status": ""}
            rig.poly.script = [(200, refused)]
            end = await rig.end_of(rig.fire())
            assert REASONS[end["reason"]] == "cash" and end["filled_e6"] == 0
            assert not rig.signer.used, "a refused order is not spent: it may still be cash"

    play(story, tmp_path)


def test_a_slow_answer_holds_nothing_else_up(tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        async with running(path) as rig:
            rig.kalshi.script = [HOLD, kalshi_filled("10.00")]
            rig.poly.script = [poly_filled("5", "10"), poly_filled("4.9", "9.8")]
            first = rig.fire()
            await rig.until(lambda: len(rig.kalshi.orders) == 1)
            rig.kalshi.script = [(400, {"code": "invalid_price"}), *rig.kalshi.script]
            rig.kalshi.script.insert(0, kalshi_filled("10.00"))
            second = rig.fire(sell_e6=490_000, size_e6=10_000_000)
            await rig.until(lambda: len(rig.legs(second)) >= 3)
            assert not rig.ended(first)
            rig.kalshi.release.set()

    play(story, tmp_path)


def test_no_bid_left_within_the_time_cap_halts_naming_leg_size_and_cost(tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        async with running(path) as rig:
            rig.kalshi.script, rig.poly.script = [kalshi_filled("10.00")], [FAK_NONE]
            number = rig.fire()
            rig.scene.quote(KALSHI, bid=0, ask=420_000)
            await rig.end_of(number)
            rig.scene.skew_ns += PARAMS.time_cap_ns + 1
            await rig.until(lambda: rig.gate == (HALTED, "one_legged"))
            named = [
                r for r in rig.scene.reports() if r["kind"] == K_TERMINAL and r["parent"] == number
            ]
            assert [(r["instrument"], r["side"], r["asked_e6"], r["worst_e6"]) for r in named] == [
                (KALSHI, BUY, SIZE, 4_200_000)
            ]
            rig.scene.beat()
            assert REASONS[(await rig.end_of(rig.fire(sell_e6=490_000)))["reason"]] == "halted"

    play(story, tmp_path)


def test_the_kill_word_stops_intents_and_unwinds_alike(tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        async with running(path) as rig:
            words, at = rig.scene.segment.words, rig.scene.segment.at("kill") + cell(KILL, "word")
            rig.kalshi.script, rig.poly.script = [HOLD, (400, {})], [poly_filled("5", "10")]
            number = rig.fire()
            await rig.until(lambda: bool(rig.kalshi.orders and rig.poly.orders))
            word_store(words, at, 1)
            rig.kalshi.release.set()
            await rig.end_of(number)
            await rig.until(lambda: not rig.desk.unwinder.cases)
            assert [len(rig.kalshi.orders), len(rig.poly.orders)] == [1, 1]
            again = rig.fire(sell_e6=490_000)
            assert REASONS[(await rig.end_of(again))["reason"]] == "killed"

    play(story, tmp_path)


def test_an_order_that_is_not_signed_yet_waits_and_is_judged_anew(tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        async with running(path) as rig:
            rig.signer.is_empty = True
            number = rig.scene.intent(
                rig.scene.leg(KALSHI, BUY, 420_000),
                rig.scene.leg(POLY, SELL, 500_000),
                age_ns=10**10,
            )
            rig.scene.ring(rig.eventfd)
            await rig.until(lambda: bool(rig.desk.reception.waiting))
            assert not rig.ended(number) and not rig.kalshi.orders
            rig.kalshi.script, rig.poly.script = [kalshi_filled("10.00")], [poly_filled("5", "10")]
            rig.scene.beat()
            rig.signer.is_empty = False
            rig.scene.ring(rig.eventfd)
            assert REASONS[(await rig.end_of(number))["reason"]] == "done"

    play(story, tmp_path)


def test_lapped_ids_get_their_last_word(tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        async with running(path) as rig:
            rig.kalshi.script, rig.poly.script = (
                [kalshi_filled("10.00")] * 2,
                [poly_filled("5", "10")] * 2,
            )
            first = rig.fire()
            await rig.end_of(first)
            rig.scene.counter += 2
            last = rig.fire(sell_e6=490_000)
            await rig.end_of(last)
            for lost in (first + 1, first + 2):
                assert [REASONS[r["reason"]] for r in rig.ended(lost)] == ["lapped"]

    play(story, tmp_path)


def test_a_damaged_journal_never_trades(tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        old = j.Journal(path / "journal")
        old.append({"k": "order", "run": 1})
        old.append({"k": "end", "intent": 1, "why": 0})
        old.close()
        raw = bytearray(old.path.read_bytes())
        raw[j.HEAD_BYTES + j.FRAME.size + 2] ^= 1
        old.path.write_bytes(raw)
        rig = Rig(path)
        await rig.kalshi.start()
        await rig.poly.start()
        task = asyncio.create_task(rig.build().main())
        await rig.until(lambda: rig.desk._is_reconciled)
        assert rig.gate == (HALTED, "journal")
        assert REASONS[(await rig.end_of(rig.fire()))["reason"]] == "halted"
        rig.desk.stop()
        await task
        await rig.kalshi.stop()
        await rig.poly.stop()
        os.close(rig.eventfd)

    play(story, tmp_path)


def test_a_successor_finds_what_its_predecessor_had_on_the_wire(tmp_path: Path) -> None:
    """The first gateway dies (is dropped, not closed) with both orders unanswered."""

    async def story(path: Path) -> None:
        rig = Rig(path)
        await rig.kalshi.start()
        await rig.poly.start()
        first = rig.build()
        task = asyncio.create_task(first.main())
        await rig.ready()
        first.accounts.cash[POLY].cash_e6 = 500_000_000
        rig.kalshi.script, rig.poly.script = [SILENT], [SILENT]
        number = rig.fire()
        await rig.until(lambda: bool(rig.kalshi.orders and rig.poly.orders))
        before = rig.scene.counter
        first.stop()
        await task
        lost = rig.fire(sell_e6=490_000)
        assert rig.scene.counter == before + 1
        row = {
            "order_id": "o1",
            "client_order_id": f"{7:016x}-{number:016x}-0",
            "status": "executed",
            "fill_count_fp": "10.00",
            "book_side": "bid",
            "taker_fill_cost_dollars": "4.200000",
            "taker_fees_dollars": "0.170600",
        }
        rig.kalshi.reads[ORDERS] = (200, {"orders": [row], "cursor": ""})
        held = {"ticker": "KX-1", "position_fp": "10.00"}
        rig.kalshi.reads[POSITIONS] = (200, {"market_positions": [held], "cursor": ""})
        rig.kalshi.script = [kalshi_filled("10.00", "0.4000")]
        task = asyncio.create_task(rig.build().main())
        end = await rig.end_of(number)
        assert REASONS[end["reason"]] == "one_legged", "Polymarket knows neither hash nor trade"
        await rig.until(lambda: rig.gate[0] == ACTIVE and not rig.desk.unwinder.cases)
        assert [len(rig.kalshi.orders), len(rig.poly.orders)] == [2, 1]
        assert rig.kalshi.orders[1].json["side"] == "ask"
        assert [REASONS[r["reason"]] for r in rig.ended(lost)] == ["stale"]
        rig.desk.stop()
        await task
        await rig.kalshi.stop()
        await rig.poly.stop()
        os.close(rig.eventfd)

    play(story, tmp_path)


def test_without_its_journal_record_no_byte_leaves(tmp_path: Path) -> None:
    """The negative control of "journal first": a record that cannot be written stops both legs."""

    async def story(path: Path) -> None:
        async with running(path) as rig:
            journal = rig.desk.dispatcher.journal

            def full(_record: dict[str, object]) -> bool:
                journal.failed = "no room"
                return False

            journal.append = full  # type: ignore[method-assign]
            end = await rig.end_of(rig.fire())
            assert REASONS[end["reason"]] == "journal" and rig.gate == (HALTED, "journal")
            await rig.until(lambda: rig.desk.lines[KALSHI].pool.free_count == 3)
            assert not rig.kalshi.orders and not rig.poly.orders
            assert not rig.desk.accounts.flights

    play(story, tmp_path)


def test_an_operators_resume_lifts_what_the_gateway_raised(tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        async with running(path) as rig:
            rig.desk.halt(REASONS.index("one_legged"), "a test")
            assert rig.gate == (HALTED, "one_legged")
            rig.scene.resume()
            await rig.until(lambda: rig.gate == (ACTIVE, "done"))

    play(story, tmp_path)


def test_connections_come_back_after_a_cut_and_meanwhile_nothing_is_sent(tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        async with running(path) as rig:
            rig.poly.cut()
            await rig.until(lambda: rig.desk.lines[POLY].pool.free_count == 0)
            assert REASONS[(await rig.end_of(rig.fire()))["reason"]] == "no_connection"
            assert not rig.kalshi.orders, "both or none"
            rig.scene.skew_ns += 10**9
            await rig.ready()
            rig.kalshi.script, rig.poly.script = (
                [kalshi_filled("10.00")],
                [poly_filled("5", "10")],
            )
            rig.scene.quote(KALSHI, bid=400_000, ask=420_000)
            rig.scene.quote(POLY, bid=500_000, ask=520_000)
            assert REASONS[(await rig.end_of(rig.fire()))["reason"]] == "done"

    play(story, tmp_path)


def test_user_frames_before_the_answer_are_folded_once(tmp_path: Path) -> None:
    async def story(path: Path) -> None:
        async with running(path) as rig:
            rig.kalshi.script = [HOLD, kalshi_filled("10.00")(_seen_later())]
            rig.poly.script = [poly_filled("5", "10")]
            number = rig.fire()
            await rig.until(lambda: bool(rig.kalshi.orders))
            fill = {
                "trade_id": "t1",
                "order_id": "v",
                "client_order_id": f"{7:016x}-{number:016x}-0",
                "count_fp": "10.00",
                "yes_price_dollars": "0.4100",
                "fee_cost": "0.169400",
            }
            frame = orjson.dumps({"type": "fill", "sid": 1, "msg": fill})
            for _ in range(3):
                rig.desk.dispatcher.take_frame(KALSHI, frame)
            end = await rig.end_of(number)
            assert REASONS[end["reason"]] == "done"
            rig.kalshi.release.set()
            await rig.until(lambda: rig.legs(number)[-1]["ack_ns"] > 0)
            cash = rig.desk.accounts.cash[KALSHI].cash_e6
            assert cash == 500_000_000 - 4_100_000 - 169_400, "exact fills outweigh averages"
            assert rig.desk.accounts.position(KALSHI).yes_e6 == SIZE
            rig.desk.dispatcher.take_frame(KALSHI, b"not json")
            assert rig.desk.reports.counted("bad_replies") >= 1

    play(story, tmp_path)


def _seen_later() -> Seen:
    """A request whose answer does not depend on it."""
    return Seen("POST", CREATE, "", "", b'{"client_order_id":""}', 0.0)


def test_a_delayed_order_is_live_until_its_delay_is_over_then_zero_if_nobody_knows_it(
    tmp_path: Path,
) -> None:
    async def story(path: Path) -> None:
        async with running(path) as rig:
            delay = {"taker_delay_ns": 150_000_000}
            rig.scene.quote(POLY, bid=500_000, ask=520_000, **delay)
            rig.kalshi.script = [kalshi_filled("10.00"), kalshi_filled("10.00", "0.4000")]

            def delayed(seen: Seen) -> Reply:
                found = {
                    "success": True,
                    "errorMsg": "",
                    "orderID": seen.json["hash"],
                    "status": "delayed",
                }
                return 200, found

            rig.poly.script = [delayed]
            number = rig.fire()
            await rig.until(lambda: len(rig.legs(number)) >= 4)
            reads = [seen.path for seen in rig.poly.seen if seen.path.startswith("/data/order/")]
            assert not rig.ended(number) and not reads
            rig.scene.skew_ns += 200_000_000
            end = await rig.end_of(number)
            assert REASONS[end["reason"]] == "one_legged"
            await rig.until(lambda: not rig.desk.unwinder.cases)
            assert len(rig.kalshi.orders) == 2 and len(rig.poly.orders) == 1

    play(story, tmp_path)
