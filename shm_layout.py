"""The shared segment: every record, block, offset and unit, and the only code that touches shared words.

Layout of the main segment (rendered from the table by `MAIN.drawing()`, checked by a test):

DRAWING

One line per block: offset in cells, name, its one writer, count x record. A cell is an aligned 8-byte signed int; a
record is whole 64-byte lines; blocks of different writers lie 128 bytes apart. Readers, inspector, recorder and replay
derive every place from this table.

Correctness of the slot (a seqlock) and the ring rests on the fences of Boehm, "Can seqlocks get along with programming
language memory models?" (MSPC 2012, fig. 6) and P1478. Each fence below names its partner. What it does not cover: two
writers of one slot (the table forbids it), and a reader that never gives up (every read here is bounded).
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import mmap
import os
import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from multiprocessing import shared_memory
from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

Words = npt.NDArray[np.int64]


class LayoutError(Exception):
    """A segment, a number text or a layout is not what it must be. The message names the field, what was found, what was wanted."""


# ---------------------------------------------------------------------------------------------- units and money text

E6 = 1_000_000  # dollars, contract prices and sizes: pUSD's own base unit
E8 = 100_000_000  # index and spot prices
NO_ASK_E6 = 10**15  # an absent ask is dearer than any price, an absent bid cheaper: forgetting to check yields no trade
NO_BID_E6 = -(10**15)
NONE_NS = -1  # an absent time or value cell where 0 would be a value
_NUMBER = re.compile(r"(-?)([0-9]{1,12})(?:\.([0-9]{1,30}))?", re.ASCII)


def text_to_int(text: str, decimals: int) -> int:
    """Exact `text` × 10**decimals, no float on the way. Raises LayoutError on anything else than a plain decimal that fits.

    Zeros beyond `decimals` are allowed ("0.5000000" in 1e-6), other digits are not: a price is never rounded in silence.
    """
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise LayoutError(f"number: found {text[:40]!r}, wanted a decimal such as 0.52")
    sign, whole, fraction = match.group(1), match.group(2), match.group(3) or ""
    kept, rest = fraction[:decimals], fraction[decimals:]
    if rest.strip("0"):
        raise LayoutError(f"number: found {text[:40]!r}, wanted at most {decimals} decimals")
    value = int(whole + kept.ljust(decimals, "0"))
    return -value if sign else value


def int_to_text(value: int, decimals: int, places: int | None = None) -> str:
    """Exact decimal text of `value` / 10**decimals with `places` digits after the point (None: `decimals`).

    Raises LayoutError if `places` would drop a digit that is not zero.
    """
    places = decimals if places is None else places
    whole, fraction = divmod(abs(value), 10**decimals)
    digits = f"{fraction:0{decimals}d}" if decimals else ""
    if digits[places:].strip("0"):
        raise LayoutError(f"number: {value} in 1e-{decimals} does not fit {places} places")
    digits = digits[:places].ljust(places, "0")
    return ("-" if value < 0 else "") + str(whole) + ("." + digits if places else "")


def text_to_cells(text: str, cells: int) -> list[int]:
    """UTF-8 bytes, eight to a cell, zero padded. Raises LayoutError if it does not fit."""
    raw = text.encode()
    if len(raw) > cells * 8:
        raise LayoutError(f"text: found {len(raw)} bytes in {text[:40]!r}, wanted at most {cells * 8}")
    raw = raw.ljust(cells * 8, b"\0")
    return [int.from_bytes(raw[i : i + 8], "little", signed=True) for i in range(0, len(raw), 8)]


def cells_to_text(cells: Iterable[int]) -> str:
    """Inverse of `text_to_cells`; bytes that are not UTF-8 become U+FFFD."""
    raw = b"".join(int(cell).to_bytes(8, "little", signed=True) for cell in cells)
    return raw.rstrip(b"\0").decode(errors="replace")


def uint256_to_cells(value: int) -> list[int]:
    """A 256-bit unsigned integer (token id, condition id) as four cells, lowest first."""
    raw = value.to_bytes(32, "little")
    return [int.from_bytes(raw[i : i + 8], "little", signed=True) for i in range(0, 32, 8)]


def cells_to_uint256(cells: Iterable[int]) -> int:
    """Inverse of `uint256_to_cells`."""
    raw = b"".join(int(cell).to_bytes(8, "little", signed=True) for cell in cells)
    return int.from_bytes(raw, "little")


# ------------------------------------------------------------------------------------------------------- vocabulary

VENUES = (  # number of a venue = its place here; a feed's index is its venue's number unless it is a shard
    "kalshi", "polymarket", "polymarket_us", "coinbase", "binance", "kraken", "index", "coingecko",
)  # fmt: skip
FEEDS_MAX = 12
ROLES = (  # row of a process in the roles block; feeds follow from FEED_ROLE on
    "supervisor", "nursery", "detector", "gateway", "signer", "canceller",
    "model", "catalog", "recorder", "exporter", "venues", "spare",
)  # fmt: skip
SUPERVISOR, NURSERY, DETECTOR, GATEWAY, SIGNER, CANCELLER, MODEL, CATALOG, RECORDER, EXPORTER, VENUES_ROLE = range(11)
FEED_ROLE = 12
ROLES_MAX = FEED_ROLE + FEEDS_MAX

HALTED, REDUCING, ACTIVE = 0, 1, 2  # trading state; the lower one wins
BUY, SELL = 0, 1  # a leg, always in YES terms
BID, ASK = 0, 1

TRUST = (  # bit i of the trust word is TRUST[i]; 0 = trade on it
    "no_snapshot", "gap", "link_silent", "crossed", "rest_mismatch", "tick_epoch", "not_open",
    "time_skew", "drift", "polled", "outlier",
)  # fmt: skip
(NO_SNAPSHOT, GAP, LINK_SILENT, CROSSED, REST_MISMATCH, TICK_EPOCH, NOT_OPEN, TIME_SKEW, DRIFT, POLLED, OUTLIER) = (
    1 << i for i in range(11)
)

MARKET_STATUS = ("unknown", "initialized", "active", "inactive", "closed", "determined", "settled")
ST_UNKNOWN, ST_INITIALIZED, ST_ACTIVE, ST_INACTIVE, ST_CLOSED, ST_DETERMINED, ST_SETTLED = range(7)

FEE_KINDS = ("unknown", "none", "quadratic")  # fee of C contracts at p: rate·C·(p·(1−p))^exponent, rounded
FEE_UNKNOWN, FEE_NONE, FEE_QUADRATIC = range(3)
ROUND_UP, ROUND_DOWN, ROUND_HALF_EVEN = range(3)

# kind of a ring entry
K_QUOTE, K_SPOT, K_INDEX, K_TERMS, K_INSTRUMENT, K_PAIR, K_PARAMETERS, K_COMMAND = range(1, 9)
K_STEP, K_TAKEN, K_INTENT, K_LEG, K_TERMINAL, K_ACCOUNT, K_SIGN, K_SIGNED, K_GONE = range(9, 18)

ORIGIN_DETECTOR, ORIGIN_DESK, ORIGIN_OPERATOR = 1, 2, 3

PLACED = ("new", "sent", "acked", "live", "delayed", "done", "rejected", "unknown")  # the placed axis of an order
P_NEW, P_SENT, P_ACKED, P_LIVE, P_DELAYED, P_DONE, P_REJECTED, P_UNKNOWN = range(8)
SETTLED_AXIS = ("none", "matched", "mined", "confirmed", "failed")
S_NONE, S_MATCHED, S_MINED, S_CONFIRMED, S_FAILED = range(5)

REASONS = (  # why an intent or a leg ended as it did; 0 = done as wanted
    "done", "partial", "nothing_filled", "one_legged", "stale", "lapped", "halted", "killed", "untrusted", "moved",
    "epoch", "edge_gone", "tick", "lot", "minimum", "band", "cash", "limit_order", "limit_market", "limit_event",
    "limit_venue", "limit_total", "limit_day", "limit_unhedged", "limit_rate", "duplicate", "no_signature",
    "no_connection", "journal", "venue_rejected", "unknown_outcome", "reduce_only", "paused_pair", "generation",
)  # fmt: skip

COUNTERS = {  # names of a role's counter cells, by kind of role; cell i of `counters` is name i
    "feed": (
        "frames", "changes", "published", "snapshots", "gaps", "duplicates", "negative", "crossed", "mismatch",
        "reconnects", "bad_frames", "unknown_keys", "oversize", "tickers_checked", "tickers_agreed", "trades",
        "resyncs", "link_silent", "trusted_ns", "instrument_ns", "dropped", "status_changes", "tick_changes", "rest_errors",
    ),
    "detector": (
        "entries", "quotes", "spots", "laps", "lost", "decisions", "intents", "edges", "refused_cash", "refused_limit",
        "refused_state", "refused_trust", "refused_size", "debounced", "cooldown", "slot_busy", "steps", "reports",
        "taken", "overflow", "in_flight", "refused_alive", "refused_delay", "refused_band", "refused_rate", "paused",
        "timers", "orphans",
    ),
    "gateway": (
        "intents", "orders", "fills", "partial", "rejected", "unknown", "one_legged", "unwinds", "refused", "stale",
        "lapped", "pool_hits", "pool_misses", "journal_records", "reconnects", "replies", "user_frames", "bad_replies",
        "late", "sent_bytes", "fsyncs", "halts", "no_signature", "rate_limited",
    ),
    "signer": ("requests", "orders", "headers", "refused", "bad", "headers_fresh", "outstanding_e6", "laps"),
    "canceller": ("refreshes", "cancels", "failures", "kills"),
    "supervisor": ("restarts", "deaths", "commands"),
    "venues": ("frames", "orders", "fills", "rejects"),
}  # fmt: skip
HISTOGRAMS = {  # names of a role's latency histograms, ns
    "feed": ("recv_to_publish", "message_age", "turn"),
    "detector": ("publish_to_decide", "decide", "step"),
    "gateway": ("decide_to_take", "take_to_send", "tick_to_order", "send_to_ack", "recv_to_publish", "publish_to_decide"),
    "signer": ("sign",),
}


def kind_of_role(role: int) -> str:
    """Key of a role row in COUNTERS and HISTOGRAMS."""
    return "feed" if role >= FEED_ROLE else ROLES[role]


def reason(name: str) -> int:
    """The number of a reason; raises ValueError for an unknown name."""
    return REASONS.index(name)


def intent_id(origin: int, epoch: int, counter: int) -> int:
    """One cell that names an intent in a run: 3 bits origin, 20 bits the origin's epoch, 40 bits counter."""
    assert 0 < origin < 8 and 0 <= epoch < 1 << 20 and 0 <= counter < 1 << 40
    return origin << 60 | epoch << 40 | counter


def intent_parts(cell: int) -> tuple[int, int, int]:
    """(origin, epoch, counter) of an intent id."""
    return cell >> 60, cell >> 40 & 0xFFFFF, cell & (1 << 40) - 1


# ---------------------------------------------------------------------------------------------------------- records

LINE = 8  # cells in a 64-byte line
LEVELS = 5  # levels a side in a quote
BODY = 56  # cells of a guarded body; with its line of guard words a slot or ring entry is 64 cells (512 bytes)
ENTRY = LINE + BODY
LEGS_MAX = 4
CURSORS = 20  # rings whose cursors a step can hold


def record(*fields: str | tuple[str, int], cells: int | None = None) -> np.dtype[np.void]:
    """A record of int64 cells in the given order, padded with `spare` to `cells` (None: to whole lines)."""
    pairs = [(f, 1) if isinstance(f, str) else f for f in fields]
    used = sum(n for _, n in pairs)
    size = -(-used // LINE) * LINE if cells is None else cells
    assert used <= size, f"{used} cells do not fit {size}"
    if size > used:
        pairs.append(("spare", size - used))
    return np.dtype([(name, np.int64) if n == 1 else (name, np.int64, (n,)) for name, n in pairs])


HEADER = record(
    "magic", "layout_version", "layout_hash", "segment_bytes", "boot_id", "run_id", "creator_pid", "creator_start",
    "config_hash", "code_version", "mode", "created_epoch_ns", "feeds", "instruments", "pairs", "generation",
)  # fmt: skip
RUN_CLOCK = record("begin_epoch_ns", "mono_base_ns", "speed_e6", cells=BODY)  # mono_base_ns 0: run time stands still
CONTROL = record("trading_state", "state_reason", "state_ns", "operator_counter", "live_epoch_spare",
                 ("live_epoch", ROLES_MAX), cells=48)  # fmt: skip
KILL = record("word", "set_ns", "set_pid")  # word 0 = may trade, else a reason; anyone sets it, the supervisor clears it
GATE = record("state", "reason", "since_ns", "answered_through", "reconciled_ns")  # the gateway's own trading state
BELL = record("armed", "wakes", cells=16)
ROLE = record(
    ("name", 4), "pid", "epoch", "core", "exit_code",
    "started_ns", "ready_ns", "beat_ns", "loops", "worst_loop_ns", "busy_ns", "connected", "restarts",
    ("counters", 48), cells=64,
)  # fmt: skip
COUNTERS_MAX = 48
HISTOGRAMS_MAX = 6
SUB = 32  # sub-buckets per octave: 3 % wide
BUCKETS = SUB * 37  # up to 2**41 ns, 36 minutes; the last bucket takes what is longer
HISTOGRAM = record("count", "total", "least", "most", cells=LINE)
HISTOGRAM_CELLS = LINE + BUCKETS  # 1192: the block gives each 1200, whole 128-byte units

INSTRUMENT = record(
    "index", "generation", "venue", "feed", "event", "live", "polarity", "asset",
    "exchange_index", "neg_risk", "domain", "settlement_rule", "account", ("condition", 4),
    ("token_yes", 4), ("token_no", 4), ("ticker", 8), ("title", 8), cells=BODY,
)  # fmt: skip
PAIR = record(
    "index", "generation", "a", "b", "a_generation", "b_generation", "same", "approved",
    "edge_min_e6", "hurdle_e6", "delay_max_ns", "event", cells=BODY,
)  # fmt: skip
QUOTE = record(
    "instrument", "generation", "number", "epoch", "trust", "status", "tick_epoch", "venue_seq",
    "event_epoch_ns", "recv_ns", "publish_ns", "close_epoch_ns", "strike_e8", "settlement_e6", "taker_delay_ns",
    "size_min_e6", "size_step_e6", "notional_min_e6", "notional_step_e6", "fee_kind", "fee_rate_e6", "fee_exponent",
    "fee_unit_e6", "fee_mode", ("grid", 6), ("bids", 2 * LEVELS), ("asks", 2 * LEVELS), cells=BODY,
)  # fmt: skip
SPOT = record(
    "product", "generation", "number", "epoch", "trust", "event_epoch_ns", "recv_ns", "publish_ns",
    "last_e8", "size_e8", "taker_side", "bid_e8", "bid_size_e8", "ask_e8", "ask_size_e8", "trade_id", cells=BODY,
)  # fmt: skip
TERMS = record("pair", "generation", "number", "valid_until_ns", "dead_zone_e6", "basis_e8", "sigma_e12",
               "settlement_sum_e8", "settlement_count", "delay_cost_e6", cells=BODY)  # fmt: skip
PARAMETERS = record(
    "number", "edge_min_e6", "hurdle_e6", "size_max_e6", "order_max_e6", "market_max_e6", "event_max_e6",
    "venue_max_e6", "total_max_e6", "day_max_e6", "unhedged_max_e6", "debounce_ns", "cooldown_ns", "beat_max_ns",
    "signal_age_max_ns", "delay_max_ns", "orders_per_second", "orders_per_minute", "orders_per_day", "price_low_e6",
    "price_high_e6", "loss_cap_e6", "time_cap_ns", "quote_age_max_ns", "switches", cells=BODY,
)  # fmt: skip
COMMAND = record("number", "command", "argument", "at_ns", ("text", 8), cells=BODY)
LEG = ("venue", "instrument", "generation", "side", "limit_e6", "size_e6", "cash_e6", "quote_number", "quote_epoch",
       "tick_epoch")  # fmt: skip
INTENT = record(
    "id", "parent", "kind", "pair", "direction", "leg_count", "flags", "trigger",
    "decide_ns", "recv_ns", "event_epoch_ns", "expires_ns", "edge_e6", "profit_e6", "fees_e6", "publish_ns",
    *((f"{name}_{leg}") for leg in range(LEGS_MAX) for name in LEG), cells=BODY,
)  # fmt: skip
REPORT = record(
    "kind", "intent", "leg", "reason", "venue", "instrument", "generation", "side",
    "placed", "settled", "asked_e6", "filled_e6", "cash_e6", "fee_e6", "limit_e6", "worst_e6",
    "decide_ns", "recv_ns", "send_ns", "ack_ns", "report_ns", "parent", "pair", "direction",
    "position_e6", "position_cost_e6", "account", "cash_free_e6", "event_epoch_ns", "flags", "intent_kind", "publish_ns",
    "taken_ns", ("order_key", 8), cells=BODY,
)  # fmt: skip
POSITION = record("instrument", "generation", "position_e6", "cost_e6", "fees_e6", "unknown_e6", "open_e6", "mark_ns",
                  "yes_e6", "no_e6", "day_loss_e6", cells=BODY)  # fmt: skip
CASH = record("account", "venue", "exchange_index", "cash_e6", "reserved_e6", "start_e6", "at_ns", "used", cells=BODY)
STEP = record(
    "number", "kind", "now_ns", "run_epoch_ns", "state", "alive", "timer", "intent_counter", "epoch", "drained",
    "lap_ring", "lap_to", ("cursors", CURSORS), cells=BODY,
)  # fmt: skip
SIGN = record(  # a request to the signer; `what` 1 Polymarket order, 2 Kalshi headers, 3 Polymarket L1 auth
    "ticket", "what", "instrument", "generation", "side", "price_e6", "size_e6", "maker_e6", "taker_e6", "salt",
    "stamp_ms", "tick_epoch", "token", "method", ("path", 16), ("market", 8), cells=BODY,
)  # fmt: skip
SIGNED = record("ticket", "what", "refused", "stamp_ms", "bytes", ("digest", 4), ("signature", 46), cells=BODY)

FLAG_REDUCE, FLAG_TIMER, FLAG_UNWIND, FLAG_TRUE_UP = 1, 2, 4, 8

RECORDS = {
    "header": HEADER, "run_clock": RUN_CLOCK, "control": CONTROL, "kill": KILL, "gate": GATE, "bell": BELL,
    "role": ROLE, "histogram": HISTOGRAM, "instrument": INSTRUMENT, "pair": PAIR, "quote": QUOTE, "spot": SPOT,
    "terms": TERMS, "parameters": PARAMETERS, "command": COMMAND, "intent": INTENT, "report": REPORT,
    "position": POSITION, "cash": CASH, "step": STEP, "sign": SIGN, "signed": SIGNED,
}  # fmt: skip


def cell(of: np.dtype[np.void], name: str) -> int:
    """Place of a field in its record, in cells."""
    assert of.fields is not None
    return of.fields[name][1] // 8


# ----------------------------------------------------------------------------------------------------------- blocks

INSTRUMENTS_MAX = 1024
PAIRS_MAX = 1024
PRODUCTS_MAX = 32
ORDERS_MAX = 256
ACCOUNTS_MAX = 32


@dataclass(frozen=True, slots=True)
class Block:
    """A run of equal records with one writer. `kind`: cells (plain words), slots (guarded), ring (tail line, then entries)."""

    name: str
    writer: str
    kind: str
    count: int
    record: np.dtype[np.void] | None = None
    cells_each: int = ENTRY

    @property
    def cells(self) -> int:
        """Cells it takes: a ring has two lines for its tail in front."""
        return self.count * self.cells_each + (2 * LINE if self.kind == "ring" else 0)


class Layout:
    """Blocks laid out one after another, each starting on a 128-byte boundary."""

    def __init__(self, name: str, blocks: tuple[Block, ...]) -> None:
        self.name = name
        self.blocks = {block.name: block for block in blocks}
        self.at: dict[str, int] = {}
        place = 0
        for block in blocks:
            assert block.cells_each % LINE == 0, block.name
            self.at[block.name] = place
            place += (-(-block.cells // (2 * LINE)) + 1) * 2 * LINE  # to a 128-byte boundary, and 128 bytes between
        self.cells = place
        self.hash = self._hash()

    @property
    def bytes(self) -> int:
        """Size of the segment."""
        return self.cells * 8

    def _hash(self) -> int:
        """63 bits over every name, offset and record: what two builds must share to share memory."""
        table = [
            [b.name, b.writer, b.kind, b.count, b.cells_each, self.at[b.name], str(b.record)]
            for b in self.blocks.values()
        ]
        names = [VENUES, ROLES, TRUST, REASONS, PLACED, SETTLED_AXIS, MARKET_STATUS, FEE_KINDS]
        records = {name: str(dtype) for name, dtype in RECORDS.items()}
        text = json.dumps([self.name, table, names, records, SUB, BUCKETS])
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1

    def drawing(self) -> str:
        """One line per block, as in this module's head."""
        return "\n".join(
            f"{self.at[b.name]:>9} {b.name:<12} {b.writer:<11} {b.count:>5} x {b.cells_each * 8:>6} B {b.kind}"
            for b in self.blocks.values()
        )


MAIN = Layout(
    "main",
    (
        Block("header", "supervisor", "cells", 1, HEADER, 16),
        Block("run_clock", "supervisor", "slots", 1, RUN_CLOCK),
        Block("control", "supervisor", "cells", 1, CONTROL, 48),
        Block("kill", "anyone", "cells", 1, KILL, 8),
        Block("gate", "gateway", "cells", 1, GATE, 8),
        Block("bells", "consumer", "cells", ROLES_MAX, BELL, 16),
        Block("roles", "each its own", "cells", ROLES_MAX, ROLE, 80),
        Block("histograms", "each its own", "cells", ROLES_MAX * HISTOGRAMS_MAX, HISTOGRAM, 1200),
        Block("instruments", "supervisor", "slots", INSTRUMENTS_MAX, INSTRUMENT),
        Block("pairs", "supervisor", "slots", PAIRS_MAX, PAIR),
        Block("parameters", "supervisor", "slots", 1, PARAMETERS),
        Block("quotes", "feed", "slots", INSTRUMENTS_MAX, QUOTE),
        Block("spot", "feed", "slots", PRODUCTS_MAX, SPOT),
        Block("terms", "model", "slots", PAIRS_MAX, TERMS),
        Block("positions", "gateway", "slots", INSTRUMENTS_MAX, POSITION),
        Block("cash", "gateway", "slots", ACCOUNTS_MAX, CASH),
        Block("orders", "gateway", "slots", ORDERS_MAX, REPORT),
        *(Block(f"changes_{i}", "feed", "ring", 2048, QUOTE) for i in range(FEEDS_MAX)),
        Block("control_ring", "supervisor", "ring", 2048, COMMAND),
        Block("terms_ring", "model", "ring", 1024, TERMS),
        Block("steps", "detector", "ring", 4096, STEP),
        Block("intents", "detector", "ring", 1024, INTENT),
        Block("reports", "gateway", "ring", 2048, REPORT),
    ),
)
CHANNEL = Layout(  # a private segment between the signer and one client
    "channel",
    (
        Block("header", "supervisor", "cells", 1, HEADER, 16),
        Block("requests", "client", "ring", 512, SIGN),
        Block("replies", "signer", "ring", 512, SIGNED),
    ),
)
LAYOUT_VERSION = 1
LAYOUT_HASH = MAIN.hash ^ CHANNEL.hash
MAGIC = int.from_bytes(b"ARBSEGM1", "little")
RING_ENTRIES = 2 * LINE  # from a ring's start to its first entry
KILL_AT, CONTROL_AT, GATE_AT = (MAIN.at[name] for name in ("kill", "control", "gate"))
ROLES_AT, RUN_CLOCK_AT = MAIN.at["roles"], MAIN.at["run_clock"]
LIVE_EPOCH_AT = CONTROL_AT + cell(CONTROL, "live_epoch")
ROLE_CELLS = MAIN.blocks["roles"].cells_each
BEAT_CELL = cell(ROLE, "beat_ns")


# ------------------------------------------------------------------------------------------------ fenced primitives
# `words` is an int64 array over the segment. Plain indexing of shared words is not allowed anywhere: LLVM hoists plain
# loads and merges plain stores.


def _pointer(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    array = context.make_array(signature.args[0])(context, builder, args[0])
    return builder.gep(array.data, [args[1]])


def _make_load(ordering: str) -> Any:
    @intrinsic
    def load(typingctx, words, index):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            return builder.load_atomic(_pointer(context, builder, signature, args), ordering=ordering, align=8)

        return types.int64(words, types.intp), codegen

    return load


def _make_store(ordering: str) -> Any:
    @intrinsic
    def store(typingctx, words, index, value):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            pointer = _pointer(context, builder, signature, args)
            builder.store_atomic(args[2], pointer, ordering=ordering, align=8)
            return context.get_dummy_value()

        return types.void(words, types.intp, types.int64), codegen

    return store


def _make_fence(ordering: str) -> Any:
    @intrinsic
    def fence(typingctx):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            builder.fence(ordering)
            return context.get_dummy_value()

        return types.void(), codegen

    return fence


load_acquire = _make_load("acquire")
load_relaxed = _make_load("monotonic")
store_release = _make_store("release")
store_relaxed = _make_store("monotonic")
fence_acquire = _make_fence("acquire")
fence_release = _make_fence("release")
fence_full = _make_fence("seq_cst")

_I64 = ir.IntType(64)
_I32 = ir.IntType(32)
_ARM = os.uname().machine == "aarch64"
_FUTEX = {"x86_64": 202, "aarch64": 98}.get(os.uname().machine, 0)


def _call(builder: Any, name: str, result: Any, args: Any, *, variadic: bool = False) -> Any:
    """Call a libc function by symbol name (a ctypes pointer cannot be cached)."""
    kinds = [arg.type for arg in args]
    function = ir.FunctionType(result, kinds[:1] if variadic else kinds, var_arg=variadic)
    return builder.call(cgutils.get_or_insert_function(builder.module, function, name), args)


@intrinsic
def pause(typingctx):  # type: ignore[no-untyped-def]
    """The processor's hint for a spinning loop."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        name, args = ("llvm.aarch64.hint", [ir.Constant(_I32, 1)]) if _ARM else ("llvm.x86.sse2.pause", [])
        _call(builder, name, ir.VoidType(), args)
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def now_ns(typingctx):  # type: ignore[no-untyped-def]
    """CLOCK_MONOTONIC in ns, comparable between processes and with `time.monotonic_ns`."""

    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        spec = cgutils.alloca_once(builder, _I64, size=2)
        _call(builder, "clock_gettime", _I32, [ir.Constant(_I32, 1), spec])
        seconds = builder.load(spec)
        part = builder.load(builder.gep(spec, [ir.Constant(_I64, 1)]))
        return builder.add(builder.mul(seconds, ir.Constant(_I64, 10**9)), part)

    return types.int64(), codegen


@intrinsic
def _futex_wait(typingctx, words, index, expected, timeout_ns):  # type: ignore[no-untyped-def]
    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        spec = cgutils.alloca_once(builder, _I64, size=2)
        billion = ir.Constant(_I64, 10**9)
        builder.store(builder.udiv(args[3], billion), spec)
        builder.store(builder.urem(args[3], billion), builder.gep(spec, [ir.Constant(_I64, 1)]))
        pointer = builder.ptrtoint(_pointer(context, builder, signature, args), _I64)
        zero = ir.Constant(_I64, 0)
        call = [ir.Constant(_I64, _FUTEX), pointer, zero, args[2], builder.ptrtoint(spec, _I64), zero, zero]
        return _call(builder, "syscall", _I64, call, variadic=True)

    return types.int64(words, types.intp, types.int64, types.int64), codegen


@intrinsic
def _futex_wake(typingctx, words, index):  # type: ignore[no-untyped-def]
    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        pointer = builder.ptrtoint(_pointer(context, builder, signature, args), _I64)
        one, zero = ir.Constant(_I64, 1), ir.Constant(_I64, 0)
        call = [ir.Constant(_I64, _FUTEX), pointer, one, one, zero, zero, zero]
        return _call(builder, "syscall", _I64, call, variadic=True)

    return types.int64(words, types.intp), codegen


@intrinsic
def _write_one(typingctx, fd):  # type: ignore[no-untyped-def]
    def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
        one = cgutils.alloca_once_value(builder, ir.Constant(_I64, 1))
        call = [builder.trunc(args[0], _I32), one, ir.Constant(_I64, 8)]
        return _call(builder, "write", _I64, call)

    return types.int64(types.int64), codegen


# ------------------------------------------------------------------------------------------ slot, ring, bell, counts

TRIES = 64  # a reader of a slot gives up after so many; giving up is a normal, counted result
READ, EMPTY, LAPPED = 1, 0, -1


@njit(cache=True)
def layout_hash() -> int:
    """The layout this module's kernels were compiled for. A cached kernel of another layout shows itself here."""
    return LAYOUT_HASH


@njit(cache=True)
def slot_store(words, at, body, cells):  # type: ignore[no-untyped-def]
    """Publish `cells` of `body` in the slot at `at`. One writer. A sequence left odd by a dead writer is taken over."""
    sequence = load_relaxed(words, at) | 1
    store_relaxed(words, at, sequence)
    fence_release()  # W2, pairs with R3 of slot_load: who reads a new cell also reads the odd or a later sequence
    for i in range(cells):
        store_relaxed(words, at + LINE + i, body[i])
    store_release(words, at, sequence + 1)  # W4, pairs with R1 of slot_load: an even sequence has its whole body


@njit(cache=True)
def slot_load(words, at, out, cells):  # type: ignore[no-untyped-def]
    """Copy the slot into `out`. Returns its even sequence (0: never written) or -1 after TRIES torn reads."""
    for _ in range(TRIES):
        sequence = load_acquire(words, at)  # R1, pairs with W4
        if sequence & 1 == 0:
            for i in range(cells):
                out[i] = load_relaxed(words, at + LINE + i)
            fence_acquire()  # R3, pairs with W2
            if load_relaxed(words, at) == sequence:
                return sequence
        pause()
    return -1


@njit(cache=True)
def ring_tail(words, ring):  # type: ignore[no-untyped-def]
    """Entries ever completed: the place of a reader that starts at the head."""
    return load_acquire(words, ring)  # pairs with the last store of ring_append


@njit(cache=True)
def ring_adopt(words, ring, entries):  # type: ignore[no-untyped-def]
    """First act of a restarted writer: count in an entry its predecessor completed without moving the tail."""
    tail = load_relaxed(words, ring)
    at = ring + RING_ENTRIES + (tail & (entries - 1)) * ENTRY
    if load_acquire(words, at) == 2 * tail + 2:
        tail += 1
        store_release(words, ring, tail)
    return tail


@njit(cache=True)
def ring_append(words, ring, entries, kind, body, cells):  # type: ignore[no-untyped-def]
    """Append one entry; never waits. `entries` is a power of two. Returns the entry's position."""
    position = load_relaxed(words, ring)
    at = ring + RING_ENTRIES + (position & (entries - 1)) * ENTRY
    store_relaxed(words, at, 2 * position + 1)
    fence_release()  # pairs with the acquire fence of ring_read, as W2 and R3 of the slot
    store_relaxed(words, at + 1, kind)
    for i in range(cells):
        store_relaxed(words, at + LINE + i, body[i])
    store_release(words, at, 2 * position + 2)  # pairs with the first load of ring_read
    store_release(words, ring, position + 1)  # pairs with ring_tail
    return position


@njit(cache=True)
def ring_read(words, ring, entries, position, out, cells):  # type: ignore[no-untyped-def]
    """Copy entry `position`: `out[0]` its kind, the body from `out[LINE]`. READ, EMPTY (not there yet) or LAPPED."""
    at = ring + RING_ENTRIES + (position & (entries - 1)) * ENTRY
    wanted = 2 * position + 2
    stamp = load_acquire(words, at)  # pairs with the stamp's release in ring_append
    if stamp < wanted:
        return EMPTY
    if stamp > wanted:
        return LAPPED
    out[0] = load_relaxed(words, at + 1)
    for i in range(cells):
        out[LINE + i] = load_relaxed(words, at + LINE + i)
    fence_acquire()  # pairs with the release fence of ring_append
    return READ if load_relaxed(words, at) == wanted else LAPPED


@njit(cache=True)
def rings_pending(words, rings, entries, cursors, count):  # type: ignore[no-untyped-def]
    """True if any of the first `count` rings holds an entry at or past its cursor."""
    for i in range(count):
        position = cursors[i]
        at = rings[i] + RING_ENTRIES + (position & (entries[i] - 1)) * ENTRY
        if load_acquire(words, at) >= 2 * position + 2:
            return True
    return False


@njit(cache=True)
def bell_arm(words, bell):  # type: ignore[no-untyped-def]
    """Consumer, before it looks a last time and blocks."""
    store_relaxed(words, bell, 1)
    fence_full()  # pairs with the full fence of bell_ring: one of the two sees the other's store


@njit(cache=True)
def bell_disarm(words, bell):  # type: ignore[no-untyped-def]
    """Consumer, once awake."""
    store_relaxed(words, bell, 0)


@njit(cache=True)
def bell_ring(words, bell, eventfd):  # type: ignore[no-untyped-def]
    """Producer, after publishing: wake the consumer if it armed. `eventfd` < 0: it waits on the word (futex)."""
    fence_full()  # pairs with the full fence of bell_arm
    if load_relaxed(words, bell) == 1:
        store_relaxed(words, bell, 0)
        if eventfd < 0:
            _futex_wake(words, bell)
        else:
            _write_one(eventfd)
        return True
    return False


@njit(cache=True, nogil=True)
def word_wait(words, at, expected, timeout_ns):  # type: ignore[no-untyped-def]
    """Block on a word while its low half equals `expected`, at most `timeout_ns`. Wakes may be spurious: look again."""
    return _futex_wait(words, at, expected, timeout_ns)


@njit(cache=True)
def word_wake(words, at):  # type: ignore[no-untyped-def]
    """Wake whoever blocks in `word_wait` on this word."""
    return _futex_wake(words, at)


@njit(cache=True, nogil=True)
def rings_wait(words, rings, entries, cursors, count, bell, spin_ns, block_ns):  # type: ignore[no-untyped-def]
    """Wait for an entry: spin `spin_ns`, then block on the bell's futex (block_ns 0: never block). True if one is there."""
    until = now_ns() + spin_ns
    while True:
        for _ in range(16):
            if rings_pending(words, rings, entries, cursors, count):
                return True
            pause()
        if now_ns() >= until:
            break
    if block_ns == 0:
        return False
    bell_arm(words, bell)
    if not rings_pending(words, rings, entries, cursors, count):
        _futex_wait(words, bell, 1, block_ns)
    bell_disarm(words, bell)
    return rings_pending(words, rings, entries, cursors, count)


@njit(cache=True)
def bucket_of(value):  # type: ignore[no-untyped-def]
    """Bucket of a duration: exact below SUB ns, then SUB buckets an octave."""
    if value < SUB:
        return max(value, 0)
    shift = 0
    while value >> shift >= 2 * SUB:
        shift += 1
    return min(SUB * shift + (value >> shift), BUCKETS - 1)


@njit(cache=True)
def histogram_add(words, at, value):  # type: ignore[no-untyped-def]
    """Count one duration in the histogram at `at`; only the owning role calls it."""
    count = load_relaxed(words, at)
    if count == 0 or value < load_relaxed(words, at + 2):
        store_relaxed(words, at + 2, value)
    if count == 0 or value > load_relaxed(words, at + 3):
        store_relaxed(words, at + 3, value)
    store_relaxed(words, at + 1, load_relaxed(words, at + 1) + value)
    place = at + LINE + bucket_of(value)
    store_relaxed(words, place, load_relaxed(words, place) + 1)
    store_relaxed(words, at, count + 1)


@njit(cache=True)
def word_add(words, at, by):  # type: ignore[no-untyped-def]
    """Add to a word that only the caller writes (a counter). Not atomic between writers."""
    store_relaxed(words, at, load_relaxed(words, at) + by)


@njit(cache=True)
def word_load(words, at):  # type: ignore[no-untyped-def]
    """One acquire load, for Python."""
    return load_acquire(words, at)


@njit(cache=True)
def word_store(words, at, value):  # type: ignore[no-untyped-def]
    """One release store, for Python."""
    store_release(words, at, value)


@njit(cache=True)
def state_of(words):  # type: ignore[no-untyped-def]
    """Effective trading state: the lower of the supervisor's and the gateway's; a set kill word makes it -1."""
    if load_acquire(words, KILL_AT) != 0:
        return -1
    return min(load_acquire(words, CONTROL_AT), load_acquire(words, GATE_AT))


@njit(cache=True)
def feed_alive(words, feed, now, beat_max_ns):  # type: ignore[no-untyped-def]
    """The live epoch of a feed, or 0 if it has none or its heartbeat is older than `beat_max_ns`."""
    epoch = load_acquire(words, LIVE_EPOCH_AT + FEED_ROLE + feed)
    beat = load_relaxed(words, ROLES_AT + (FEED_ROLE + feed) * ROLE_CELLS + BEAT_CELL)
    return epoch if now - beat <= beat_max_ns else 0


@njit(cache=True)
def run_epoch_ns(words, now):  # type: ignore[no-untyped-def]
    """Run time at machine time `now` (ns since the epoch); before the session starts, its first moment. -1: torn at every try."""
    for _ in range(TRIES):
        sequence = load_acquire(words, RUN_CLOCK_AT)  # R1 of a slot
        begin = load_relaxed(words, RUN_CLOCK_AT + LINE)
        base = load_relaxed(words, RUN_CLOCK_AT + LINE + 1)
        speed = load_relaxed(words, RUN_CLOCK_AT + LINE + 2)
        fence_acquire()  # R3
        if sequence & 1 == 0 and load_relaxed(words, RUN_CLOCK_AT) == sequence:
            if base == 0:
                return begin
            gone = now - base
            return begin + gone // 1_000_000 * speed + gone % 1_000_000 * speed // 1_000_000
        pause()
    return -1


def percentile(words: Words, at: int, per_mille: int) -> int | None:
    """Upper edge of the bucket that holds the given share of a histogram's durations, at most its maximum. None if empty."""
    cells = words[at : at + HISTOGRAM_CELLS]
    count = int(cells[0])
    if count == 0:
        return None
    rank = max(-(-count * per_mille // 1000), 1)
    index = int(np.searchsorted(np.cumsum(cells[LINE:]), rank))
    if index >= SUB:
        shift, part = (index - SUB) // SUB, (index - SUB) % SUB + SUB
        index = (part + 1 << shift) - 1
    return min(index, int(cells[3]))


# ---------------------------------------------------------------------------------------------------------- segment


def boot_id() -> int:
    """63 bits of the kernel's boot id: memory of another boot is never attached."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return int(file.read().replace("-", ""), 16) & (1 << 63) - 1


class Segment:
    """A mapped segment. `words` are its cells; only the kernels of this module may touch shared ones.

    Made by `create` (the supervisor, which alone unlinks), `attach` (everyone else) or `private` (tests, benches).
    The mapping goes when the last view of `words` goes.
    """

    def __init__(self, layout: Layout, words: Words, name: str) -> None:
        self.layout = layout
        self.words = words
        self.name = name
        self._owned: shared_memory.SharedMemory | None = None
        self._lock_fd = -1

    @classmethod
    def private(cls, layout: Layout = MAIN) -> Segment:
        """Memory of this process alone, zeroed, with a valid header."""
        segment = cls(layout, np.frombuffer(mmap.mmap(-1, layout.bytes), np.int64), "")
        segment._fill_header({})
        return segment

    @classmethod
    def create(cls, name: str, layout: Layout = MAIN, **header: int) -> Segment:
        """Make /dev/shm/`name`, reserve its memory, write the header, magic last. `header`: further HEADER cells.

        A leftover of ours whose owner is gone is removed first. Raises LayoutError if a living owner has it, if it is
        not ours, or if /dev/shm has too little room; nothing is left behind then.
        """
        reclaim(name)
        owned = shared_memory.SharedMemory(name, create=True, size=layout.bytes)
        owned.close()  # its tracker keeps the name; the mapping below is ours
        fd = os.open(f"/dev/shm/{name}", os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.posix_fallocate(fd, 0, layout.bytes)  # a full /dev/shm is an error here, not a SIGBUS later
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            words = np.frombuffer(mmap.mmap(fd, layout.bytes), np.int64)
        except OSError as error:
            os.close(fd)
            owned.unlink()
            raise LayoutError(f"/dev/shm/{name}: cannot reserve {layout.bytes} bytes: {error.strerror}") from error
        segment = cls(layout, words, name)
        segment._owned, segment._lock_fd = owned, fd
        segment._fill_header(header)
        return segment

    @classmethod
    def attach(cls, name: str, layout: Layout = MAIN, *, writable: bool = False, run_id: int | None = None) -> Segment:
        """Map an existing segment (reference: never through SharedMemory, which may unlink it). Raises LayoutError
        naming the field that is wrong; the segment is left as it was. `run_id` None: any run."""
        fd = _open(name)
        try:
            size = os.fstat(fd).st_size
            if size < layout.bytes:
                raise LayoutError(f"/dev/shm/{name}: size: found {size}, wanted {layout.bytes}")
            access = mmap.PROT_READ | (mmap.PROT_WRITE if writable else 0)
            words = np.frombuffer(mmap.mmap(fd, layout.bytes, prot=access), np.int64)
        finally:
            os.close(fd)
        segment = cls(layout, words, name)
        segment._check_header(run_id)
        return segment

    def _fill_header(self, header: dict[str, int]) -> None:
        start = int(open("/proc/self/stat", encoding="ascii").read().rsplit(")", 1)[1].split()[19])
        known = {
            "layout_version": LAYOUT_VERSION, "layout_hash": self.layout.hash, "segment_bytes": self.layout.bytes,
            "boot_id": boot_id(), "creator_pid": os.getpid(), "creator_start": start,
        }  # fmt: skip
        for name, value in (header | known).items():
            word_store(self.words, self.at("header") + cell(HEADER, name), value)
        word_store(self.words, self.at("header"), MAGIC)

    def _check_header(self, run_id: int | None) -> None:
        wanted = {"magic": MAGIC, "layout_version": LAYOUT_VERSION, "layout_hash": self.layout.hash,
                  "segment_bytes": self.layout.bytes, "boot_id": boot_id()}  # fmt: skip
        if run_id is not None:
            wanted["run_id"] = run_id
        for name, value in wanted.items():
            found = word_load(self.words, self.at("header") + cell(HEADER, name))
            if found != value:
                raise LayoutError(f"/dev/shm/{self.name}: {name}: found {found}, wanted {value}")
        if layout_hash() != LAYOUT_HASH:
            raise LayoutError(f"kernels: layout_hash: compiled for {layout_hash()}, wanted {LAYOUT_HASH}")

    def at(self, block: str, index: int = 0) -> int:
        """First cell of a block, or of its record `index` (for a ring: of the ring)."""
        spec = self.layout.blocks[block]
        assert 0 <= index < spec.count, (block, index)
        return self.layout.at[block] + index * spec.cells_each

    def entries(self, ring: str) -> int:
        """Capacity of a ring, a power of two."""
        return self.layout.blocks[ring].count

    def table(self, block: str) -> npt.NDArray[np.void]:
        """Read-only structured view of a block of plain cells, for people and tests: a row may change while it is read."""
        spec = self.layout.blocks[block]
        assert spec.kind == "cells" and spec.record is not None, block
        bytes_view = self.words.view(np.uint8)[self.at(block) * 8 :]
        view: npt.NDArray[np.void] = np.ndarray(
            (spec.count,), spec.record, bytes_view.data, strides=(spec.cells_each * 8,)
        )
        view.flags.writeable = False
        return view

    def read(self, block: str, index: int = 0) -> np.void | None:
        """One slot's body as a record. None: never written, or torn at every try."""
        spec = self.layout.blocks[block]
        assert spec.kind == "slots" and spec.record is not None, block
        out = np.empty(BODY, np.int64)
        if slot_load(self.words, self.at(block, index), out, BODY) <= 0:
            return None
        row: np.void = out.view(spec.record)[0]
        return row

    def write(self, block: str, index: int, body: Words) -> None:
        """Publish a slot's body (BODY cells); for its one writer."""
        assert self.layout.blocks[block].kind == "slots" and len(body) == BODY, block
        slot_store(self.words, self.at(block, index), body, BODY)

    def unlink(self) -> None:
        """The creator removes the name; mappings stay valid until dropped. Twice is harmless."""
        if self._owned is not None:
            self._owned.unlink()
            os.close(self._lock_fd)
            self._owned = None


def _open(name: str) -> int:
    """Open a segment's file if it is a plain private file of ours (reference lowlatency 1.1). Raises LayoutError."""
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", name):
        raise LayoutError(f"segment name: found {name[:80]!r}, wanted letters, digits, '.', '_' or '-'")
    try:
        fd = os.open(f"/dev/shm/{name}", os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise LayoutError(f"/dev/shm/{name}: cannot open: {error.strerror}") from error
    found = os.fstat(fd)
    wanted = {
        "type": (stat.S_ISREG(found.st_mode), "a regular file"),
        "owner": (found.st_uid == os.geteuid(), f"uid {os.geteuid()}, found {found.st_uid}"),
        "mode": (found.st_mode & 0o077 == 0, f"0600, found {stat.S_IMODE(found.st_mode):04o}"),
        "links": (found.st_nlink == 1, f"1, found {found.st_nlink}"),
    }
    for field, (holds, text) in wanted.items():
        if not holds:
            os.close(fd)
            raise LayoutError(f"/dev/shm/{name}: {field}: wanted {text}")
    return fd


def reclaim(name: str) -> bool:
    """Remove a leftover segment of ours whose owner is gone. False: there was none. Raises LayoutError if it lives or is foreign."""
    if not os.path.lexists(f"/dev/shm/{name}"):
        return False
    fd = _open(name)
    try:
        magic = int.from_bytes(os.pread(fd, 8, 0), "little")
        if magic not in (MAGIC, 0):
            raise LayoutError(f"/dev/shm/{name}: magic: found {magic:#x}, wanted {MAGIC:#x}: not ours, left alone")
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            pid = int.from_bytes(os.pread(fd, 8, 8 * cell(HEADER, "creator_pid")), "little")
            raise LayoutError(f"/dev/shm/{name}: in use by a running supervisor, pid {pid}") from error
        os.unlink(f"/dev/shm/{name}")
    finally:
        os.close(fd)
    return True
