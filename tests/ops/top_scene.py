"""A segment filled by hand: quotes, two pairs, processes, orders, positions, latency."""

from __future__ import annotations

import numpy as np

import shm_layout as shm

E6 = shm.E6
EVIL = "\x1b[31mRED\x1b[0m [bold]x[/] \x07\u202e"
TICKERS = ("KXBTC15M-26NOV211215-00", "btc-updown-15m-1763727300", "KXNBAMVP-26-NJOK", "nba-mvp")


def body(record: np.dtype[np.void], **values: object) -> shm.Words:
    """A slot's body."""
    cells = np.zeros(shm.BODY, np.int64)
    row = cells.view(record)[0]
    for name, value in values.items():
        row[name] = value
    return cells


def levels(first_e6: int, step_e6: int, size_e6: int, count: int = 3) -> list[int]:
    """(price, size) pairs, the rest absent."""
    absent = shm.NO_ASK_E6 if step_e6 > 0 else shm.NO_BID_E6
    found: list[int] = []
    for i in range(shm.LEVELS):
        found += [first_e6 + i * step_e6, size_e6 * (i + 1)] if i < count else [absent, 0]
    return found


def instrument(segment: shm.Segment, index: int, venue: int, ticker: str, title: str) -> None:
    """Who is who."""
    segment.write(
        "instruments", index,
        body(shm.INSTRUMENT, index=index, generation=1, venue=venue, feed=venue, live=1,
             account=venue, ticker=shm.text_to_cells(ticker, 8),
             title=shm.text_to_cells(title, 8)),
    )  # fmt: skip


def quote(
    segment: shm.Segment, index: int, bid_e6: int, ask_e6: int, now_ns: int, **more: object
) -> None:
    """A trusted quote of epoch 1 with Kalshi's facts (index even) or Polymarket's."""
    is_kalshi = index % 2 == 0
    values: dict[str, object] = {
        "instrument": index, "generation": 1, "number": 7, "epoch": 1, "status": shm.ST_ACTIVE,
        "recv_ns": now_ns - 12_000_000, "publish_ns": now_ns - 12_000_000,
        "size_min_e6": 10_000, "size_step_e6": 10_000, "fee_kind": shm.FEE_QUADRATIC,
        "fee_rate_e6": 70_000 if is_kalshi else 50_000, "fee_exponent": 1,
        "fee_unit_e6": 100 if is_kalshi else 10,
        "fee_mode": shm.ROUND_UP if is_kalshi else shm.ROUND_DOWN,
        "notional_min_e6": 0 if is_kalshi else E6,
        "notional_step_e6": 0 if is_kalshi else 10_000, "grid": [E6, 10_000, 0, 0, 0, 0],
        "bids": levels(bid_e6, -10_000, 40 * E6), "asks": levels(ask_e6, 10_000, 25 * E6),
        "taker_delay_ns": 0,
    }  # fmt: skip
    segment.write("quotes", index, body(shm.QUOTE, **values | more))


def process(segment: shm.Segment, role: int, name: str, now_ns: int, **more: int) -> None:
    """A role's line; epoch 1 granted unless `live` says otherwise."""
    at, values = segment.at("roles", role), {
        "pid": 4000 + role, "epoch": 1, "core": -1, "started_ns": now_ns - 90 * 10**9,
        "ready_ns": now_ns - 80 * 10**9, "beat_ns": now_ns - 20_000_000, "loops": 123_456,
        "worst_loop_ns": 830_000, "connected": 1,
    } | {k: v for k, v in more.items() if k != "live"}  # fmt: skip
    for i, cell in enumerate(shm.text_to_cells(name, 4)):
        shm.word_store(segment.words, at + i, cell)
    for field, value in values.items():
        shm.word_store(segment.words, at + shm.cell(shm.ROLE, field), value)
    shm.word_store(segment.words, shm.LIVE_EPOCH_AT + role, more.get("live", 1))


def fill(segment: shm.Segment, now_ns: int, extra: int = 0) -> None:
    """An engine that trades: pair 0 pays by buying at Kalshi and selling at Polymarket, pair 1
    does not; the third venue's feed is dead. `extra` more instruments, quiet ones."""
    for index, ticker in enumerate(TICKERS):
        title = EVIL if index == 3 else "Bitcoin up or down, 12:15?"
        instrument(segment, index, index % 2, ticker, title)
    quote(segment, 0, 510_000, 520_000, now_ns)
    quote(segment, 1, 600_000, 610_000, now_ns)
    quote(segment, 2, 230_000, 240_000, now_ns, trust=shm.GAP | shm.LINK_SILENT)
    quote(segment, 3, 250_000, 260_000, now_ns, bids=levels(0, -1, 0, 0))
    for index in range(4, 4 + extra):
        instrument(segment, index, index % 2, f"KXQUIET-{index:04d}", f"Quiet market {index}")
        quote(segment, index, 400_000 + index * 1000, 600_000, now_ns - index * 10**9)
    for index, (a, b) in enumerate([(0, 1), (2, 3)]):
        row = body(shm.PAIR, index=index, generation=1, a=a, b=b, a_generation=1, b_generation=1,
                   same=1, approved=1 - index, delay_max_ns=10**9)  # fmt: skip
        segment.write("pairs", index, row)
    segment.write(
        "parameters", 0,
        body(shm.PARAMETERS, number=1, edge_min_e6=5_000, size_max_e6=20 * E6, delay_max_ns=10**9,
             price_high_e6=E6, spread_max_e6=E6),
    )  # fmt: skip
    process(segment, shm.SUPERVISOR, "supervisor", now_ns, live=0)
    process(segment, shm.DETECTOR, "detector", now_ns, core=1)
    process(segment, shm.GATEWAY, "gateway", now_ns, beat_ns=now_ns - 900_000_000)
    process(segment, shm.FEED_ROLE, "feed kalshi", now_ns)
    process(segment, shm.FEED_ROLE + 1, "feed polymarket", now_ns, restarts=2)
    process(segment, shm.FEED_ROLE + 3, "feed coinbase", now_ns, live=0)
    at = segment.at("roles", shm.DETECTOR) + shm.cell(shm.ROLE, "counters")
    shm.word_store(segment.words, at + shm.COUNTERS["detector"].index("intents"), 17)
    for leg, (number, venue) in enumerate([(0, 0), (1, 1)]):
        report = body(shm.REPORT, kind=shm.K_LEG, intent=shm.intent_id(1, 1, 9), leg=leg,
                      venue=venue, instrument=number, side=leg, placed=shm.P_DONE,
                      settled=shm.S_MATCHED, asked_e6=20 * E6, filled_e6=(20 - 5 * leg) * E6,
                      limit_e6=520_000 + 80_000 * leg, fee_e6=349_500, reason=leg,
                      send_ns=now_ns - 3 * 10**9, ack_ns=now_ns - 3 * 10**9 + 800_000,
                      report_ns=now_ns - 2 * 10**9)  # fmt: skip
        segment.write("orders", leg, report)
        held = body(
            shm.POSITION,
            instrument=number,
            generation=1,
            position_e6=(20 - 35 * leg) * E6,
            cost_e6=10_400_000,
            fees_e6=349_500,
        )
        segment.write("positions", number, held)
        cash = body(shm.CASH, account=leg, venue=venue, cash_e6=989_250_500, start_e6=1000 * E6,
                    reserved_e6=5 * E6, used=1)  # fmt: skip
        segment.write("cash", leg, cash)
    for i in range(1, 1001):
        shm.histogram_add(segment.words, segment.at("histograms", shm.GATEWAY * 6 + 2), i * 1000)
    for block in ("control", "gate"):
        shm.word_store(segment.words, segment.at(block), shm.ACTIVE)
