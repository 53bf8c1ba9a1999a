"""Decide: what one update costs from ring entry to decision, whatever the number of pairs.

Topology: one process, one core: append a quote to its feed's ring, one `Detector.step`, again.
Every pair has two instruments of its own. `step_ns` is the whole call from Python (drain, `steps`
entry, decision, counters); `decide_ns` what the kernel itself counted for the touched pair.
`edge` updates end in an intent (written, reserved, then ended by a report that is not timed).
Cores: 1.
What would make it lie: with 1,000 pairs the quotes no longer fit the first cache, which a real run
shares with much else; an update that changes nothing would skip the walk (prices move each time);
the clock is read twice an update (25 ns each). Intents written are counted and checked.
"""

from __future__ import annotations

import numpy as np

import shm_layout as shm
from bench import fair, harness, pair, strategies
from engine.detector import Detector

COUNTS = (10, 100, 1_000)
RUN_0 = 1_767_000_000 * 10**9
DECIDE_HISTOGRAM = shm.HISTOGRAMS["detector"].index("decide")
_QUOTE = {name: shm.cell(shm.QUOTE, name) for name in shm.QUOTE.names or ()}


def _body(record: np.dtype[np.void], **fields: int) -> shm.Words:
    body = np.zeros(shm.BODY, np.int64)
    for name, value in fields.items():
        body[shm.cell(record, name)] = value
    return body


class _Rig:
    """A private segment with `count` pairs and money without end."""

    def __init__(self, count: int) -> None:
        self.segment = shm.Segment.private()
        self.words = self.segment.words
        self.now = 10**12
        self.quotes = [self._quote(instrument) for instrument in range(2 * count)]
        clock = _body(shm.RUN_CLOCK, begin_epoch_ns=RUN_0, mono_base_ns=1, speed_e6=shm.E6)
        shm.slot_store(self.words, self.segment.at("run_clock"), clock, shm.BODY)
        for at in (shm.CONTROL_AT, shm.GATE_AT):
            shm.word_store(self.words, at, shm.ACTIVE)
        for feed in (0, 1):
            shm.word_store(self.words, shm.LIVE_EPOCH_AT + shm.FEED_ROLE + feed, 1)
            cash = _body(shm.CASH, account=feed, cash_e6=10**14)
            self.segment.write("cash", feed, cash)
        for index in range(2 * count):
            row = {"index": index, "generation": 1, "venue": index % 2, "feed": index % 2}
            row |= {"live": 1, "account": index % 2, "event": index // 2}
            self._control(shm.K_INSTRUMENT, _body(shm.INSTRUMENT, **row))
        for index in range(count):
            row = {"index": index, "generation": 1, "a": 2 * index, "b": 2 * index + 1, "same": 1}
            row |= {"approved": 1, "a_generation": 1, "b_generation": 1}
            self._control(shm.K_PAIR, _body(shm.PAIR, **row))
        limits = {name: 10**14 for name in shm.PARAMETERS.names or () if name.endswith("max_e6")}
        limits |= {"edge_min_e6": 10_000, "price_high_e6": 10**6, "beat_max_ns": 10**18}
        limits |= {f"orders_per_{each}": 10**9 for each in ("second", "minute", "day", "market")}
        self._control(shm.K_PARAMETERS, _body(shm.PARAMETERS, **limits))
        self.detector = Detector(self.segment, 1, gateway_eventfd=-1)
        for instrument in range(2 * count):
            self.publish(instrument, 500_000)
        self.step()

    def _control(self, kind: int, body: shm.Words) -> None:
        self._append("control_ring", kind, body)

    def _append(self, ring: str, kind: int, body: shm.Words) -> None:
        at, entries = self.segment.at(ring), self.segment.entries(ring)
        shm.ring_append(self.words, at, entries, kind, body, shm.BODY)

    def _quote(self, instrument: int) -> shm.Words:
        polymarket = instrument % 2
        fields = {
            "instrument": instrument, "generation": 1, "epoch": 1, "status": shm.ST_ACTIVE,
            "fee_kind": shm.FEE_QUADRATIC, "fee_rate_e6": 50_000 if polymarket else 70_000,
            "fee_exponent": 1, "fee_unit_e6": 10 if polymarket else 100, "fee_mode": polymarket,
            "size_min_e6": 10_000, "size_step_e6": 10_000,
            "notional_min_e6": polymarket * 10**6, "notional_step_e6": polymarket * 10_000,
        }  # fmt: skip
        body = _body(shm.QUOTE, **fields)
        body[_QUOTE["grid"] : _QUOTE["grid"] + 2] = shm.E6, 10_000
        return body

    def publish(self, instrument: int, middle: int) -> None:
        """A new quote around `middle`, five levels a side."""
        body = self.quotes[instrument]
        body[_QUOTE["number"]] += 1
        for i in range(shm.LEVELS):
            bid, ask = _QUOTE["bids"] + 2 * i, _QUOTE["asks"] + 2 * i
            body[bid], body[bid + 1] = middle - 10_000 * (i + 1), 20_000_000 * (i + 1)
            body[ask], body[ask + 1] = middle + 10_000 * (i + 1), 20_000_000 * (i + 1)
        self._append(f"changes_{instrument % 2}", shm.K_QUOTE, body)

    def step(self) -> int:
        """One step; ns it took."""
        self.now += 1_000_000
        start = harness.now()
        self.detector.step(self.now)
        return harness.now() - start

    def end_intents(self, since: int) -> int:
        """Report every intent from position `since` on as stale; the new tail."""
        at, entries = self.segment.at("intents"), self.segment.entries("intents")
        out = np.zeros(shm.ENTRY, np.int64)
        tail = int(shm.ring_tail(self.words, at))
        for position in range(since, tail):
            found = shm.ring_read(self.words, at, entries, position, out, shm.BODY)
            assert found == shm.READ
            fields = {"intent": int(out[shm.LINE]), "reason": shm.reason("stale")}
            fields["pair"] = int(out[shm.LINE + shm.cell(shm.INTENT, "pair")])
            self._append("reports", shm.K_TERMINAL, _body(shm.REPORT, **fields))
        return tail


def _measure(count: int, updates: int, edge: bool) -> dict[str, object]:
    rig, took, tail = _Rig(count), np.zeros(updates, np.int64), 0
    histogram = rig.segment.at("histograms", shm.DETECTOR * shm.HISTOGRAMS_MAX + DECIDE_HISTOGRAM)
    for i in range(-updates // 10, updates):
        pair = i % count
        rig.publish(2 * pair, 440_000 if edge else 500_000 - 10_000 * (i % 2))
        if i == 0:
            rig.words[histogram : histogram + shm.HISTOGRAM_CELLS] = 0
        took[i] = rig.step()
        if edge:
            tail = rig.end_intents(tail)
            rig.publish(2 * pair, 500_000)
            rig.step()
    if edge:
        assert tail == updates + updates // 10, (tail, updates)
    else:
        assert rig.detector.counter("intents") == 0
    inner = {f"p{per_mille}": shm.percentile(rig.words, histogram, per_mille)
             for per_mille in (500, 990)}  # fmt: skip
    return {"step_ns": harness.spread(took), "decide_ns_informative": inner}


def run(quick: bool) -> dict[str, object]:
    """Updates without and with an edge, for each number of pairs."""
    updates = 2_000 if quick else 20_000
    figures: dict[str, object] = {}
    for count in COUNTS:
        figures[f"pairs_{count}"] = _measure(count, updates, edge=False)
        figures[f"pairs_{count}_edge"] = _measure(count, updates, edge=True)
    figures["fair_value"] = fair.run(quick)
    figures["decision"] = pair.run(quick)
    figures["all_strategies"] = strategies.run(quick)
    figures["verdict"] = "no verdict: there is no reference to hold this against"
    return figures
