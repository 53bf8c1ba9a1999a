# mypy: disable-error-code="no-untyped-def, no-untyped-call"
"""The shared segment: every record, block, offset and unit, and the only code on its words.

The main segment as `MAIN.drawing()` renders it: first cell, block, its one writer, count x record.

        0 header        supervisor       1 x   128 B cells
       32 run_clock     supervisor       1 x   512 B slots
      112 control       supervisor       1 x   384 B cells
      176 kill          anyone           1 x    64 B cells
      208 gate          gateway          1 x    64 B cells
      240 bells         consumer        24 x   128 B cells
      640 roles         each its own    24 x   768 B cells
     2960 histograms    each its own   144 x  9600 B cells
   175776 instruments   supervisor    2048 x   512 B slots
   306864 pairs         supervisor    1024 x   512 B slots
   372416 parameters    supervisor       1 x   512 B slots
   372496 strategies    supervisor      16 x   512 B slots
   373536 quotes        feed          2048 x   512 B slots
   504624 spot          feed            32 x   512 B slots
   506688 terms         model         1024 x   512 B slots
   572240 market_terms  model         2048 x   512 B slots
   703328 positions     gateway       2048 x   512 B slots
   834416 cash          gateway         32 x   512 B slots
   836480 orders        gateway        256 x   512 B slots
   852880 had           paper         2048 x   512 B slots
   983968 changes_0..11 feed          2048 x   512 B ring
  2557216 control_ring  supervisor    4096 x   512 B ring
  2819392 terms_ring    model         1024 x   512 B ring
  2884960 steps         detector      4096 x   512 B ring
  3147136 intents       detector      1024 x   512 B ring
  3212704 reports       gateway       2048 x   512 B ring
  3343808 had_ring      paper         1024 x   512 B ring
  3409376 refusals      detector      1024 x   128 B cells
  3425776 tallies       detector        16 x   384 B cells

A cell is an aligned 8-byte signed int; a record is whole 64-byte lines; blocks of different writers
lie 128 bytes apart. Readers, inspector, recorder and replay derive every place from this table.

Shared words are touched only by kernels over the fenced primitives below (LLVM hoists and merges
plain ones). Slot (a seqlock): sequence, 7 spare words, body. Ring: tail, 15 spare words, entries of
stamp, kind, 6 spare words, body; entry `position` is complete at stamp 2·position + 2. Why that is
correct: Boehm, MSPC 2012, figure 6, and P1478. Not covered: two writers of one slot or ring.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import inspect
import json
import mmap
import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from multiprocessing import resource_tracker, shared_memory
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

Words = npt.NDArray[np.int64]


class LayoutError(Exception):
    """A segment, a number text or a layout is not what it must be: names the field."""


# ------------------------------------------------------------------------- units and money text

E6 = 1_000_000  # dollars, contract prices and sizes: pUSD's own base unit
E8 = 100_000_000  # index and spot prices
NO_ASK_E6 = 10**15  # an absent ask is dearer than any price, an absent bid cheaper:
NO_BID_E6 = -(10**15)  # forgetting to check yields no trade
NONE_NS = NO_INSTRUMENT = -1  # an absent time, value or second market where 0 would be one
_NUMBER = re.compile(r"(-?)([0-9]{1,12})(?:\.([0-9]{1,30}))?", re.ASCII)


def text_to_int(text: str, decimals: int) -> int:
    """Exact `text` × 10**decimals, no float on the way; zeros beyond `decimals` are allowed. Raises
    LayoutError on anything but a plain decimal that fits a cell: no price is rounded in silence."""
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise LayoutError(f"number: found {text[:40]!r}, wanted a decimal such as 0.52")
    sign, whole, fraction = match.group(1), match.group(2), match.group(3) or ""
    if fraction[decimals:].strip("0"):
        raise LayoutError(f"number: found {text[:40]!r}, wanted at most {decimals} decimals")
    value = int(whole + fraction[:decimals].ljust(decimals, "0"))
    if value >> 63:
        raise LayoutError(f"number: found {text[:40]!r}, wanted less than 2**63 in 1e-{decimals}")
    return -value if sign else value


def int_to_text(value: int, decimals: int, places: int | None = None) -> str:
    """Exact decimal text of `value` / 10**decimals with `places` digits (None: `decimals`). Raises
    LayoutError if `places` would drop a digit that is not zero."""
    places = decimals if places is None else places
    whole, fraction = divmod(abs(value), 10**decimals)
    digits = f"{fraction:0{decimals}d}" if decimals else ""
    if digits[places:].strip("0"):
        raise LayoutError(f"number: {value} in 1e-{decimals} does not fit {places} places")
    digits = digits[:places].ljust(places, "0")
    return ("-" if value < 0 else "") + str(whole) + ("." + digits if places else "")


def _to_cells(raw: bytes) -> list[int]:
    return [int.from_bytes(raw[i : i + 8], "little", signed=True) for i in range(0, len(raw), 8)]


def _from_cells(cells: Iterable[int]) -> bytes:
    return b"".join(int(cell).to_bytes(8, "little", signed=True) for cell in cells)


def text_to_cells(text: str, cells: int) -> list[int]:
    """UTF-8 bytes, eight to a cell, zero padded. Raises LayoutError if it does not fit."""
    raw = text.encode(errors="replace")
    if len(raw) > cells * 8:
        raise LayoutError(f"text: found {len(raw)} bytes, wanted {cells * 8}: {text[:40]!r}")
    return _to_cells(raw.ljust(cells * 8, b"\0"))


def cells_to_text(cells: Iterable[int]) -> str:
    """Inverse of `text_to_cells`; bytes that are not UTF-8 become U+FFFD."""
    return _from_cells(cells).rstrip(b"\0").decode(errors="replace")


def uint256_to_cells(value: int) -> list[int]:
    """A 256-bit unsigned integer as four cells, lowest first. Raises LayoutError if it is not."""
    if value >> 256:
        raise LayoutError(f"uint256: found {value}, wanted 0 up to 2**256 - 1")
    return _to_cells(value.to_bytes(32, "little"))


def cells_to_uint256(cells: Iterable[int]) -> int:
    """Inverse of `uint256_to_cells`."""
    return int.from_bytes(_from_cells(cells), "little")


# ----------------------------------------------------------------------------------- vocabulary


def _table(text: str) -> dict[str, tuple[str, ...]]:
    """Rows of "name: word word …", each over as many lines as it needs."""
    rows = re.split(r"(\w+):", text)[1:]
    return {name: tuple(row.split()) for name, row in zip(rows[::2], rows[1::2], strict=True)}


_VOCABULARY = _table("""
    venues: kalshi polymarket polymarket_us coinbase binance kraken cfbenchmarks polybolt coingecko
    roles: supervisor nursery detector gateway signer canceller model catalog recorder exporter
        venues paper   status: unknown initialized active inactive closed determined settled
    trust: no_snapshot gap link_silent crossed rest_mismatch tick_epoch not_open time_skew drift
        polled outlier   placed: new sent acked live delayed done rejected unknown
    settled: none matched mined confirmed failed   fee_kinds: unknown none quadratic quarter half
    reasons: done partial nothing_filled one_legged stale lapped halted killed untrusted moved epoch
        edge_gone tick lot minimum band cash limit_order limit_market limit_event limit_venue
        limit_total limit_day limit_unhedged limit_rate duplicate no_signature no_connection journal
        venue_rejected unknown_outcome reduce_only paused_pair generation limit_asset blocked
        circuit foreign off_model
""")
VENUES = _VOCABULARY["venues"]  # number of a venue = its place; of a feed too, unless it is a shard
ROLES = _VOCABULARY["roles"]  # row of a process in the roles block; feeds follow from FEED_ROLE on
SUPERVISOR, NURSERY, DETECTOR, GATEWAY, SIGNER, CANCELLER, MODEL, CATALOG = range(8)
RECORDER, EXPORTER, VENUES_ROLE, PAPER, FEED_ROLE, FEEDS_MAX = 8, 9, 10, 11, 12, 12
ROLES_MAX = FEED_ROLE + FEEDS_MAX
TRUST = _VOCABULARY["trust"]  # bit i of the trust word is TRUST[i]; 0 = trade on it
NO_SNAPSHOT, GAP, LINK_SILENT, CROSSED, REST_MISMATCH, TICK_EPOCH = (1 << i for i in range(6))
NOT_OPEN, TIME_SKEW, DRIFT, POLLED, OUTLIER = (1 << i for i in range(6, 11))
MARKET_STATUS = _VOCABULARY["status"]
ST_UNKNOWN, ST_INITIALIZED, ST_ACTIVE, ST_INACTIVE, ST_CLOSED, ST_DETERMINED, ST_SETTLED = range(7)
FEE_KINDS = _VOCABULARY["fee_kinds"]  # from 2: rate·C·(p·(1−p))^exponent; makers: 0, 1/4, 1/2 of it
FEE_UNKNOWN, FEE_NONE, FEE_QUADRATIC, FEE_QUARTER, FEE_HALF = range(5)
ROUND_UP, ROUND_DOWN, ROUND_HALF_EVEN = range(3)
PLACED = _VOCABULARY["placed"]  # an order's placed axis
P_NEW, P_SENT, P_ACKED, P_LIVE, P_DELAYED, P_DONE, P_REJECTED, P_UNKNOWN = range(8)
SETTLED_AXIS = _VOCABULARY["settled"]
S_NONE, S_MATCHED, S_MINED, S_CONFIRMED, S_FAILED = range(5)
REASONS = _VOCABULARY["reasons"]  # why an intent or a leg ended as it did; 0 = done as wanted

HALTED, REDUCING, ACTIVE = range(3)  # trading state; the lower one wins
BUY, SELL = BID, ASK = 0, 1  # a leg's side is always in YES terms
ORIGIN_DETECTOR, ORIGIN_DESK, ORIGIN_OPERATOR = 1, 2, 3
FLAG_REDUCE, FLAG_TIMER, FLAG_UNWIND, FLAG_TRUE_UP = 1, 2, 4, 8
KIND_CROSS_VENUE, KIND_COMPLEMENT, KIND_MODEL = 1, 2, 3  # of an intent; a model's is a `bet`
K_QUOTE, K_SPOT, K_INDEX, K_TERMS, K_INSTRUMENT, K_PAIR, K_PARAMETERS, K_COMMAND = range(1, 9)
K_STEP, K_TAKEN, K_INTENT, K_LEG, K_TERMINAL, K_ACCOUNT, K_SIGN, K_SIGNED, K_MARKET = range(9, 18)
K_STRATEGY, K_HAD = 18, 19

# cell i of a role's `counters` is name i of its kind of role
COUNTERS = _table("""
    feed: frames changes published snapshots gaps duplicates negative crossed mismatch reconnects
        bad_frames unknown_keys oversize tickers_checked tickers_agreed trades resyncs link_silent
        trusted_ns instrument_ns dropped status_changes tick_changes rest_errors laggards recycled
        polls skewed outliers drifts drifted_fields behind blocked index_ticks index_missing
    detector: entries quotes spots laps lost decisions intents edges refused_cash refused_limit
        refused_state refused_trust refused_size debounced cooldown slot_busy steps reports taken
        overflow in_flight refused_alive refused_delay refused_band refused_rate paused timers
        orphans refused_pair edges_of_pair edges_untrusted refused_terms indices market_terms fairs
        refused_spread refused_thin refused_small refused_orders refused_gap cut_order cut_market
        cut_event cut_asset cut_venue cut_total cut_day cut_unhedged cut_volatility bets model_edges
        refused_window   venues: frames orders fills rejects
    gateway: intents orders fills partial rejected unknown one_legged unwinds refused stale lapped
        pool_hits pool_misses journal_records reconnects replies user_frames bad_replies late
        sent_bytes fsyncs halts no_signature rate_limited pool_walks circuits backoffs looks
    signer: requests orders headers refused bad headers_fresh outstanding_e6 laps
    canceller: refreshes cancels failures kills   supervisor: restarts deaths commands
    model: steps spots ticks missing terms market_terms laps histories unknown composites ladders
""")
_FIGURES = "orders full partial claimed_e6 moved_e6 taken_e6 unknown_e6 gained_e6 refused_e6 got_e6"
COUNTERS |= {"paper": tuple(f"{v}_{name}" for v in VENUES[:2] for name in _FIGURES.split())}
HISTOGRAMS = _table("""  feed: recv_to_publish message_age turn   paper: kalshi polymarket held
    detector: publish_to_decide decide step   signer: sign   gateway: decide_to_take take_to_send
        tick_to_order send_to_ack recv_to_publish publish_to_decide
""")  # latencies, ns


def kind_of_role(role: int) -> str:
    """Key of a role row in COUNTERS and HISTOGRAMS."""
    return "feed" if role >= FEED_ROLE else ROLES[role]


def reason(name: str) -> int:
    """The number of a reason; raises ValueError for an unknown name."""
    return REASONS.index(name)


def intent_id(origin: int, epoch: int, counter: int) -> int:
    """One cell that names an intent in a run: 3 bits origin, 20 bits its epoch, 40 bits counter."""
    assert 0 < origin < 8 and 0 <= epoch < 1 << 20 and 0 <= counter < 1 << 40
    return origin << 60 | epoch << 40 | counter


def intent_parts(cell: int) -> tuple[int, int, int]:
    """(origin, epoch, counter) of an intent id."""
    return cell >> 60, cell >> 40 & 0xFFFFF, cell & (1 << 40) - 1


# -------------------------------------------------------------------------------------- records

LINE = 8  # cells in a 64-byte line
BODY = 56  # cells of a guarded body; with its line of guard words a slot or ring entry is
ENTRY = LINE + BODY  # 64 cells, 512 bytes
RING_ENTRIES = 2 * LINE  # from a ring's start to its first entry
SUB = 32  # sub-buckets of a histogram per octave: 3 % wide
BUCKETS = SUB * 37  # up to 2**41 ns, 36 minutes; the last bucket takes what is longer
HISTOGRAM_CELLS = LINE + BUCKETS  # count, total, least, most, 4 spare words, buckets
LEVELS, CURSORS = 5, 20  # levels a side in a quote; rings whose cursors a step can hold
COUNTERS_MAX, HISTOGRAMS_MAX, LEGS_MAX = 64, 6, 4


def record(fields: Iterable[str], cells: int | None = None) -> np.dtype[np.void]:
    """int64 cells in order, "name*3" is three; `spare` up to `cells` (None: whole lines)."""
    split = (field.partition("*") for field in fields)
    parts = [(name, int(count or 1)) for name, _, count in split]
    used = sum(count for _, count in parts)
    size = -(-used // LINE) * LINE if cells is None else cells
    assert used <= size, f"{used} cells do not fit {size}"
    parts += [("spare", size - used)] * (size > used)
    return np.dtype([(name, np.int64) if n == 1 else (name, np.int64, (n,)) for name, n in parts])


_PLAIN = _table(f"""
    header: magic layout_version layout_hash segment_bytes boot_id run_id creator_pid creator_start
        config_hash code_version mode created_epoch_ns feeds instruments pairs generation
    control: trading_state state_reason state_ns operator_counter live_epoch_spare
        live_epoch*{ROLES_MAX}   kill: word set_ns set_pid
    gate: state reason since_ns answered_through reconciled_ns circuits backoffs looked_ns
    bell: armed wakes   tally: gates*32 orders spent_e6 expected_e6
    role: name*4 pid epoch core exit_code started_ns ready_ns beat_ns loops worst_loop_ns busy_ns
        connected restarts counters*{COUNTERS_MAX}   histogram: count total least most
    refusal: edges untrusted trust best_e6 last_epoch_ns gates at_ns pays
""")  # kill word 0: may trade, else a reason (anyone sets it, the supervisor clears it)
LEG = ("venue", "instrument", "generation", "side", "limit_e6", "size_e6", "cash_e6",
       "quote_number", "quote_epoch", "tick_epoch")  # fmt: skip
_LEGS = " ".join(f"{name}_{leg}" for leg in range(LEGS_MAX) for name in LEG)
_SLOT = _table(f"""
    run_clock: begin_epoch_ns mono_base_ns speed_e6   command: number command argument at_ns text*8
    instrument: index generation venue feed event live polarity asset exchange_index neg_risk domain
        settlement_rule account condition*4 token_yes*4 token_no*4 ticker*8 title*8 open_epoch_ns
        index_slot spot_slot cap_e8
    pair: index generation a b a_generation b_generation same approved edge_min_e6 hurdle_e6
        delay_max_ns event needs_terms more c d c_generation d_generation barred
    quote: instrument generation number epoch trust status tick_epoch venue_seq event_epoch_ns
        recv_ns publish_ns close_epoch_ns strike_e8 settlement_e6 taker_delay_ns size_min_e6
        size_step_e6 notional_min_e6 notional_step_e6 fee_kind fee_rate_e6 fee_exponent fee_unit_e6
        fee_mode grid*6 bids*{2 * LEVELS} asks*{2 * LEVELS}   strategy: number which values*16
    spot: product generation number epoch trust event_epoch_ns recv_ns publish_ns last_e8 size_e8
        taker_side bid_e8 bid_size_e8 ask_e8 ask_size_e8 trade_id
    index: product generation number epoch trust event_epoch_ns recv_ns publish_ns value_e8 mean_e8
        mean_count mean_start_ns mean_end_ns close_mean_e8 relay_epoch_ns sequence source
    terms: pair generation number valid_until_ns dead_zone_e6*2 delay_cost_e6 basis_e8 basis_sd_e8
    market_terms: instrument generation number valid_until_ns strike_e8 close_epoch_ns spot_slot
        basis_e8 basis_sd_e8 sigma_e12 sum_e8 count summed_epoch_ns mean_e8 fair_e6 source ladder_e6
        slope_e6 lift_e6 market_e6 usual_e12   bet: head*16 leg*10 strategy fair_e6 sure_e6 off_e6
        spot_slot spot_number spot_epoch spot_e8   parameters: number edge_min_e6 hurdle_e6
        size_max_e6 order_max_e6 market_max_e6 event_max_e6 venue_max_e6 total_max_e6 day_max_e6
        unhedged_max_e6 debounce_ns cooldown_ns beat_max_ns signal_age_max_ns delay_max_ns
        orders_per_second orders_per_minute orders_per_day price_low_e6 price_high_e6 loss_cap_e6
        time_cap_ns quote_age_max_ns switches hurdle_year_e6 fair_move_e6 fair_every_ns asset_max_e6
        spread_max_e6 liquidity_min_e6 intent_min_e6 orders_per_market market_gap_ns sigma_high_e12
        sigma_cut_e6 sigma_factor_e6   intent: id parent kind pair direction leg_count flags trigger
        decide_ns recv_ns event_epoch_ns expires_ns edge_e6 profit_e6 fees_e6 publish_ns {_LEGS}
    report: kind intent leg reason venue instrument generation side placed settled asked_e6
        filled_e6 cash_e6 fee_e6 limit_e6 worst_e6 decide_ns recv_ns send_ns ack_ns report_ns parent
        pair direction position_e6 position_cost_e6 account cash_free_e6 event_epoch_ns flags
        intent_kind publish_ns taken_ns order_key*8
    position: instrument generation position_e6 cost_e6 fees_e6 unknown_e6 open_e6 mark_ns yes_e6
        no_e6 day_loss_e6 mismatches blocked lone_e6 lone_cost_e6 lone_intent redeem_e6 cost_no_e6
        open_fee_e6   cash: account venue exchange_index cash_e6 reserved_e6 start_e6 at_ns used
    step: number kind now_ns run_epoch_ns state alive timer intent_counter epoch drained lap_ring
        lap_to cursors*{CURSORS}   had: instrument generation bids*26 asks*26
    sign: ticket what instrument generation side price_e6 size_e6 maker_e6 taker_e6 salt stamp_ms
        tick_epoch token method path*16 market*8
    signed: ticket what refused stamp_ms bytes digest*4 signature*46
""")  # run clock: without mono_base_ns run time stands. pair: `more` legs beside a, b; bit d of
# `barred`: not direction d. quote: grid is (end_e6, step_e6), bids, asks (price_e6, size_e6), best
# first. index: in a spot slot; a mean is NONE_NS if untold. sign: 1 order, 2 headers, 3 L1 auth.
RECORDS = {name: record(fields) for name, fields in _PLAIN.items()}
RECORDS |= {name: record(fields, BODY) for name, fields in _SLOT.items()}
HEADER, CONTROL, KILL, GATE, BELL, TALLY, ROLE, HISTOGRAM, REFUSAL = (RECORDS[n] for n in _PLAIN)
(RUN_CLOCK, COMMAND, INSTRUMENT, PAIR, QUOTE, STRATEGY, SPOT, INDEX, TERMS, MARKET_TERMS, BET,
 PARAMETERS, INTENT, REPORT, POSITION, CASH, STEP, HAD, SIGN, SIGNED) = (RECORDS[n] for n in _SLOT)


def cell(of: np.dtype[np.void], name: str) -> int:
    """Place of a field in its record, in cells."""
    assert of.fields is not None
    return of.fields[name][1] // 8


# --------------------------------------------------------------------------------------- blocks

INSTRUMENTS_MAX, PAIRS_MAX = 2048, 1024
PRODUCTS_MAX, ACCOUNTS_MAX, ORDERS_MAX, STRATEGIES_MAX = 32, 32, 256, 16


@dataclass(frozen=True, slots=True)
class Block:
    """Equal records of one writer. `kind`: cells (plain words), slots (guarded), ring (entries)."""

    name: str
    writer: str
    kind: str
    count: int
    record: np.dtype[np.void]
    cells_each: int = ENTRY

    @property
    def cells(self) -> int:
        """Cells it takes: a ring has two lines for its tail in front."""
        return self.count * self.cells_each + (2 * LINE if self.kind == "ring" else 0)


class Layout:
    """Blocks one after another, each on a 128-byte boundary and 128 bytes behind the last."""

    def __init__(self, name: str, blocks: tuple[Block, ...]) -> None:
        self.name, self.blocks = name, {block.name: block for block in blocks}
        self.at: dict[str, int] = {}
        place = 0
        for block in blocks:
            assert block.cells_each % LINE == 0, block.name
            self.at[block.name] = place
            place += (-(-block.cells // (2 * LINE)) + 1) * 2 * LINE
        self.cells, self.bytes, self.hash = place, place * 8, self._hash()

    def _hash(self) -> int:
        """63 bits over every name, offset and record: what two builds must share."""
        table = [
            [b.name, b.writer, b.kind, b.count, b.cells_each, self.at[b.name], str(b.record)]
            for b in self.blocks.values()
        ]
        words = _VOCABULARY, COUNTERS, HISTOGRAMS, SUB, BUCKETS
        text = json.dumps([self.name, table, {n: str(d) for n, d in RECORDS.items()}, words])
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1

    def drawing(self) -> str:
        """One line per block, as in this module's head; the rings of all feeds share one."""
        return "\n".join(
            f"{self.at[b.name]:>9} {b.name.replace('_0', '_0..11'):<13} {b.writer:<12}"
            f" {b.count:>5} x {b.cells_each * 8:>5} B {b.kind}"
            for b in self.blocks.values()
            if not b.name.startswith("changes_") or b.name == "changes_0"
        )


MAIN = Layout("main", (
    Block("header", "supervisor", "cells", 1, HEADER, 16),
    Block("run_clock", "supervisor", "slots", 1, RUN_CLOCK),
    Block("control", "supervisor", "cells", 1, CONTROL, 48),
    Block("kill", "anyone", "cells", 1, KILL, 8),
    Block("gate", "gateway", "cells", 1, GATE, 8),
    Block("bells", "consumer", "cells", ROLES_MAX, BELL, 16),
    Block("roles", "each its own", "cells", ROLES_MAX, ROLE, 96),
    Block("histograms", "each its own", "cells", ROLES_MAX * HISTOGRAMS_MAX, HISTOGRAM, 1200),
    Block("instruments", "supervisor", "slots", INSTRUMENTS_MAX, INSTRUMENT),
    Block("pairs", "supervisor", "slots", PAIRS_MAX, PAIR),
    Block("parameters", "supervisor", "slots", 1, PARAMETERS),
    Block("strategies", "supervisor", "slots", STRATEGIES_MAX, STRATEGY),
    Block("quotes", "feed", "slots", INSTRUMENTS_MAX, QUOTE),
    Block("spot", "feed", "slots", PRODUCTS_MAX, SPOT),
    Block("terms", "model", "slots", PAIRS_MAX, TERMS),
    Block("market_terms", "model", "slots", INSTRUMENTS_MAX, MARKET_TERMS),
    Block("positions", "gateway", "slots", INSTRUMENTS_MAX, POSITION),
    Block("cash", "gateway", "slots", ACCOUNTS_MAX, CASH),
    Block("orders", "gateway", "slots", ORDERS_MAX, REPORT),
    Block("had", "paper", "slots", INSTRUMENTS_MAX, HAD),
    *(Block(f"changes_{i}", "feed", "ring", 2048, QUOTE) for i in range(FEEDS_MAX)),
    Block("control_ring", "supervisor", "ring", 4096, COMMAND),
    Block("terms_ring", "model", "ring", 1024, TERMS),
    Block("steps", "detector", "ring", 4096, STEP),
    Block("intents", "detector", "ring", 1024, INTENT),
    Block("reports", "gateway", "ring", 2048, REPORT),
    Block("had_ring", "paper", "ring", 1024, HAD),
    Block("refusals", "detector", "cells", PAIRS_MAX, REFUSAL, 16),
    Block("tallies", "detector", "cells", STRATEGIES_MAX, TALLY, 48),
))  # fmt: skip
CHANNEL = Layout("channel", (  # a private segment between the signer and one client
    Block("header", "supervisor", "cells", 1, HEADER, 16),
    Block("requests", "client", "ring", 512, SIGN),
    Block("replies", "signer", "ring", 512, SIGNED),
))  # fmt: skip
LAYOUT_VERSION, LAYOUT_HASH = 1, MAIN.hash ^ CHANNEL.hash
MAGIC = int.from_bytes(b"ARBSEGM1", "little")
MAKING = int.from_bytes(b"ARBMAKE1", "little")  # the magic word until the header is whole
KILL_AT, CONTROL_AT, GATE_AT = (MAIN.at[name] for name in ("kill", "control", "gate"))
ROLES_AT, RUN_CLOCK_AT = MAIN.at["roles"], MAIN.at["run_clock"]
LIVE_EPOCH_AT = CONTROL_AT + cell(CONTROL, "live_epoch")
ROLE_CELLS, BEAT_CELL = MAIN.blocks["roles"].cells_each, cell(ROLE, "beat_ns")


# ----------------------------------------------------------------------------- fenced primitives

_I64, _I32 = ir.IntType(64), ir.IntType(32)
_ARM = os.uname().machine == "aarch64"
_FUTEX = ir.Constant(_I64, {"x86_64": 202, "aarch64": 98}.get(os.uname().machine, 0))
_ZERO, _ONE, _BILLION = (ir.Constant(_I64, value) for value in (0, 1, 10**9))


def _primitive(emit: Any, returns: Any, params: str = "") -> Any:
    """An intrinsic on int64s, written by `emit(builder, *args)`; "words index" is one pointer."""
    names = params.split()

    def typer(typingctx, *kinds):
        def codegen(context, builder, signature, args):
            if "words" in names:
                array = context.make_array(signature.args[0])(context, builder, args[0])
                args = [builder.gep(array.data, [args[1]]), *args[2:]]
            result = emit(builder, *args)
            return context.get_dummy_value() if returns is types.void else result

        taken = zip(names, kinds, strict=True)
        return returns(*(kind if n == "words" else types.int64 for n, kind in taken)), codegen

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = [inspect.Parameter(name, kind) for name in ("typingctx", *names)]
    typer.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return intrinsic(typer)


def _call(builder: Any, name: str, returns: Any, *args: Any, fixed: int | None = None) -> Any:
    """Call a libc function by symbol name (a ctypes pointer cannot be cached)."""
    kinds = [arg.type for arg in args]
    function = ir.FunctionType(returns, kinds[:fixed], var_arg=fixed is not None)
    return builder.call(cgutils.get_or_insert_function(builder.module, function, name), args)


def _load(ordering: str) -> Any:
    return _primitive(lambda b, at: b.load_atomic(at, ordering, 8), types.int64, "words index")


def _store(order: str) -> Any:
    return _primitive(lambda b, at, v: b.store_atomic(v, at, order, 8), types.void, "words index v")


def _fence(ordering: str) -> Any:
    return _primitive(lambda b: b.fence(ordering), types.void)


def _emit_pause(builder: Any) -> Any:
    arm = "llvm.aarch64.hint", ir.VoidType(), ir.Constant(_I32, 1)
    return _call(builder, *(arm if _ARM else ("llvm.x86.sse2.pause", ir.VoidType())))


def _emit_now(builder: Any) -> Any:
    spec = cgutils.alloca_once(builder, _I64, size=2)
    _call(builder, "clock_gettime", _I32, ir.Constant(_I32, 1), spec)  # 1: CLOCK_MONOTONIC
    nanoseconds = builder.load(builder.gep(spec, [_ONE]))
    return builder.add(builder.mul(builder.load(spec), _BILLION), nanoseconds)


def _emit_futex(builder: Any, at: Any, operation: int, value: Any, timeout: Any) -> Any:
    word, operation = builder.ptrtoint(at, _I64), ir.Constant(_I64, operation)
    args = (_FUTEX, word, operation, value, timeout, _ZERO, _ZERO)
    return _call(builder, "syscall", _I64, *args, fixed=1)


def _emit_futex_wait(builder: Any, at: Any, expected: Any, timeout_ns: Any) -> Any:
    spec = cgutils.alloca_once(builder, _I64, size=2)
    builder.store(builder.udiv(timeout_ns, _BILLION), spec)
    builder.store(builder.urem(timeout_ns, _BILLION), builder.gep(spec, [_ONE]))
    return _emit_futex(builder, at, 0, expected, builder.ptrtoint(spec, _I64))


def _emit_futex_wake(builder: Any, at: Any) -> Any:
    return _emit_futex(builder, at, 1, _ONE, _ZERO)


def _emit_write_one(builder: Any, fd: Any) -> Any:
    one = cgutils.alloca_once_value(builder, _ONE)
    return _call(builder, "write", _I64, builder.trunc(fd, _I32), one, ir.Constant(_I64, 8))


load_acquire, load_relaxed = _load("acquire"), _load("monotonic")
store_release, store_relaxed = _store("release"), _store("monotonic")
fence_acquire, fence_release, fence_full = _fence("acquire"), _fence("release"), _fence("seq_cst")
pause = _primitive(_emit_pause, types.void)  # the processor's hint for a spinning loop
now_ns = _primitive(_emit_now, types.int64)  # CLOCK_MONOTONIC, as `time.monotonic_ns`
_futex_wait = _primitive(_emit_futex_wait, types.int64, "words index expected timeout_ns")
_futex_wake = _primitive(_emit_futex_wake, types.int64, "words index")
_write_one = _primitive(_emit_write_one, types.int64, "fd")


# ------------------------------------------------------------- slot, ring, doorbell, histogram

TRIES = 64  # a reader of a slot gives up after so many; giving up is a normal, counted result
READ, EMPTY, LAPPED = 1, 0, -1


@njit(cache=True)
def slot_store(words, at, body, cells):
    """Publish `cells` of `body`. One writer; a sequence left odd by a dead one is taken over."""
    sequence = load_relaxed(words, at) | 1
    store_relaxed(words, at, sequence)
    fence_release()  # W2, pairs with R3: who reads a new cell reads this or a later sequence
    for i in range(cells):
        store_relaxed(words, at + LINE + i, body[i])
    store_release(words, at, sequence + 1)  # W4, pairs with R1: an even sequence has its whole body


@njit(cache=True)
def slot_load(words, at, out, cells):
    """Copy the body to `out`. Its sequence (0: never written), or -1 after TRIES torn reads."""
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
def ring_tail(words, ring):
    """Entries ever completed: the place of a reader that starts at the head."""
    return load_acquire(words, ring)  # pairs with the last store of ring_append


@njit(cache=True)
def ring_adopt(words, ring, entries):
    """First act of a restarted writer: count in an entry completed without moving the tail."""
    tail = load_relaxed(words, ring)
    at = ring + RING_ENTRIES + (tail & (entries - 1)) * ENTRY
    if load_acquire(words, at) == 2 * tail + 2:
        tail += 1
        store_release(words, ring, tail)
    return tail


@njit(cache=True)
def ring_append(words, ring, entries, kind, body, cells):
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
def ring_read(words, ring, entries, position, out, cells):
    """Copy entry `position`: kind to `out[0]`, body from `out[LINE]` on. READ, EMPTY or LAPPED."""
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
def rings_pending(words, rings, entries, cursors, count):
    """True if any of the first `count` rings holds an entry at or past its cursor."""
    for i in range(count):
        position = cursors[i]
        at = rings[i] + RING_ENTRIES + (position & (entries[i] - 1)) * ENTRY
        if load_acquire(words, at) >= 2 * position + 2:
            return True
    return False


@njit(cache=True)
def bell_arm(words, bell):
    """Consumer, before it looks a last time and blocks."""
    store_relaxed(words, bell, 1)
    fence_full()  # pairs with the full fence of bell_ring: one of the two sees the other's store


@njit(cache=True)
def bell_disarm(words, bell):
    """Consumer, once awake."""
    store_relaxed(words, bell, 0)


@njit(cache=True)
def bell_ring(words, bell, eventfd):
    """Producer, after publishing: wake a consumer that armed; `eventfd` < 0: by futex. A producer
    killed between store and wake costs the consumer one `block_ns`."""
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
def word_wait(words, at, expected, timeout_ns):
    """Block while the word's low half equals `expected`, at most `timeout_ns`; may wake early."""
    return _futex_wait(words, at, expected, timeout_ns)


@njit(cache=True)
def word_wake(words, at):
    """Wake whoever blocks in `word_wait` on this word."""
    return _futex_wake(words, at)


@njit(cache=True, nogil=True)
def rings_wait(words, rings, entries, cursors, count, bell, spin_ns, block_ns):
    """Spin, then block on the bell's futex up to `block_ns` (0: never). True: an entry is there."""
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
def bucket_of(value):
    """Bucket of a duration: exact below SUB ns, then SUB buckets an octave."""
    if value < SUB:
        return max(value, 0)
    shift = 0
    while value >> shift >= 2 * SUB:
        shift += 1
    return min(SUB * shift + (value >> shift), BUCKETS - 1)


@njit(cache=True)
def histogram_add(words, at, value):
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
def word_add(words, at, by):
    """Add to a word that only the caller writes (a counter). Not atomic between writers."""
    store_relaxed(words, at, load_relaxed(words, at) + by)


@njit(cache=True)
def word_load(words, at):
    """One acquire load, for Python."""
    return load_acquire(words, at)


@njit(cache=True)
def word_store(words, at, value):
    """One release store, for Python."""
    store_release(words, at, value)


def percentile(words: Words, at: int, per_mille: int) -> int | None:
    """Upper edge of the bucket that holds this share, at most the maximum. None if empty."""
    cells = words[at : at + HISTOGRAM_CELLS]
    count = int(cells[0])
    if count == 0:
        return None
    rank = max(-(-count * per_mille // 1000), 1)
    index = int(np.searchsorted(np.cumsum(cells[LINE:]), rank))
    if index >= BUCKETS - 1:  # the last bucket has no upper edge
        return int(cells[3])
    if index >= SUB:
        shift, part = (index - SUB) // SUB, (index - SUB) % SUB + SUB
        index = (part + 1 << shift) - 1
    return min(index, int(cells[3]))


@njit(cache=True)
def layout_hash() -> int:
    """The layout these kernels were compiled for: a cached kernel of another shows itself."""
    return LAYOUT_HASH


@njit(cache=True)
def state_of(words):
    """Effective state: the lower of the supervisor's and the gateway's; -1: kill word set."""
    if load_acquire(words, KILL_AT) != 0:
        return -1
    return min(load_acquire(words, CONTROL_AT), load_acquire(words, GATE_AT))


@njit(cache=True)
def feed_alive(words, feed, now, beat_max_ns):
    """The live epoch of a feed; 0 if it has none or its heartbeat is older than `beat_max_ns`."""
    epoch = load_acquire(words, LIVE_EPOCH_AT + FEED_ROLE + feed)
    beat = load_relaxed(words, ROLES_AT + (FEED_ROLE + feed) * ROLE_CELLS + BEAT_CELL)
    return epoch if now - beat <= beat_max_ns else 0


@njit(cache=True)
def run_epoch_ns(words, now):
    """Run time at machine time `now`; before the start, the first moment. -1: torn every try."""
    for _ in range(TRIES):  # R1 and R3 of a slot
        sequence = load_acquire(words, RUN_CLOCK_AT)
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


# -------------------------------------------------------------------------------------- segment

_SHM = Path("/dev/shm")


def boot_id() -> int:
    """63 bits of the kernel's boot id: memory of another boot is never attached."""
    text = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
    return int(text.replace("-", ""), 16) & (1 << 63) - 1


class Segment:
    """A mapped segment, made by `create` (the supervisor, which alone unlinks), `attach` (everyone
    else) or `private` (tests, benches). It goes when the last view of `words`, its cells, goes."""

    def __init__(self, layout: Layout, words: Words, name: str) -> None:
        self.layout, self.words, self.name = layout, words, name
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
        """Make /dev/shm/`name`, reserve its memory, write the header (`header`: further HEADER
        cells), magic last. A leftover of ours is removed first. Raises LayoutError, and leaves
        nothing, if a living owner has it, if it is not ours, or if /dev/shm is full."""
        with _one_maker_at_a_time():
            reclaim(name)
            try:
                owned = shared_memory.SharedMemory(name, create=True, size=layout.bytes)
            except OSError as error:
                raise LayoutError(f"{_SHM / name}: cannot create: {error.strerror}") from error
            owned.close()  # its tracker keeps the name; the mapping below is ours
            fd = os.open(_SHM / name, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                os.pwrite(fd, MAKING.to_bytes(8, "little"), 0)
                os.posix_fallocate(fd, 0, layout.bytes)  # full: an error here, no SIGBUS later
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                words = np.frombuffer(mmap.mmap(fd, layout.bytes), np.int64)
            except OSError as error:
                os.close(fd)
                owned.unlink()
                found = f"cannot reserve {layout.bytes} bytes: {error.strerror}"
                raise LayoutError(f"{_SHM / name}: {found}") from error
        segment = cls(layout, words, name)
        segment._owned, segment._lock_fd = owned, fd
        segment._fill_header(header)
        return segment

    @classmethod
    def attach(
        cls, name: str, layout: Layout = MAIN, *, writable: bool = False, run_id: int | None = None
    ) -> Segment:
        """Map an existing segment of run `run_id` (None: of any); SharedMemory would unlink it.
        Raises LayoutError naming the field that is wrong; the segment is left as it was."""
        fd = _open(name, os.O_RDWR if writable else os.O_RDONLY)
        try:
            size = os.fstat(fd).st_size
            if size < layout.bytes:
                raise LayoutError(f"{_SHM / name}: size: found {size}, wanted {layout.bytes}")
            access = mmap.PROT_READ | (mmap.PROT_WRITE if writable else 0)
            words = np.frombuffer(mmap.mmap(fd, layout.bytes, prot=access), np.int64)
        finally:
            os.close(fd)
        segment = cls(layout, words, name)
        segment._check_header(run_id)
        return segment

    def _known(self) -> dict[str, int]:
        return {"magic": MAGIC, "layout_version": LAYOUT_VERSION, "layout_hash": self.layout.hash,
                "segment_bytes": self.layout.bytes, "boot_id": boot_id()}  # fmt: skip

    def _fill_header(self, header: dict[str, int]) -> None:
        """Every cell, then the magic word: an attacher that sees it sees the rest."""
        started = Path("/proc/self/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[19]
        maker = {"creator_pid": os.getpid(), "creator_start": int(started)}
        cells = header | maker | self._known()
        for name in [*(cells.keys() - {"magic"}), "magic"]:
            word_store(self.words, self.at("header") + cell(HEADER, name), cells[name])

    def _check_header(self, run_id: int | None) -> None:
        wanted = self._known() | ({} if run_id is None else {"run_id": run_id})
        for name, value in wanted.items():
            found = word_load(self.words, self.at("header") + cell(HEADER, name))
            if found != value:
                raise LayoutError(f"{_SHM / self.name}: {name}: found {found}, wanted {value}")
        if (found := layout_hash()) != LAYOUT_HASH:
            raise LayoutError(f"kernels: layout_hash: found {found}, wanted {LAYOUT_HASH}")

    def at(self, block: str, index: int = 0) -> int:
        """First cell of a block, or of its record `index` (for a ring: of the ring)."""
        spec = self.layout.blocks[block]
        assert 0 <= index < spec.count, (block, index)
        return self.layout.at[block] + index * spec.cells_each

    def entries(self, ring: str) -> int:
        """Capacity of a ring, a power of two."""
        return self.layout.blocks[ring].count

    def table(self, block: str) -> npt.NDArray[np.void]:
        """Read-only structured view of plain cells; a row may change while it is read."""
        spec = self.layout.blocks[block]
        assert spec.kind == "cells", block
        start, strides = self.words[self.at(block) :].data, (spec.cells_each * 8,)
        view: npt.NDArray[np.void] = np.ndarray((spec.count,), spec.record, start, 0, strides)
        view.flags.writeable = False
        return view

    def read(self, block: str, index: int = 0) -> np.void | None:
        """One slot's body as a record. None: never written, or torn at every try."""
        spec = self.layout.blocks[block]
        assert spec.kind == "slots", block
        out = np.empty(BODY, np.int64)
        found = slot_load(self.words, self.at(block, index), out, BODY)
        return out.view(spec.record)[0] if found > 0 else None

    def write(self, block: str, index: int, body: Words) -> None:
        """Publish a slot's body (BODY cells); for its one writer."""
        assert self.layout.blocks[block].kind == "slots" and len(body) == BODY, block
        slot_store(self.words, self.at(block, index), body, BODY)

    def unlink(self) -> None:
        """The creator removes the name; mappings stay valid until dropped. Twice is harmless."""
        if self._owned is not None:
            try:
                self._owned.unlink()
            except FileNotFoundError:  # someone removed it: then our tracker must forget it too
                resource_tracker.unregister(f"/{self.name}", "shared_memory")
            os.close(self._lock_fd)
            self._owned = None


@contextlib.contextmanager
def _one_maker_at_a_time() -> Iterator[None]:
    """Between two supervisors that start at once: neither may reclaim what the other is making."""
    fd = os.open(_SHM, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _open(name: str, access: int) -> int:
    """Open a segment's file if it is a plain private file of ours. Raises LayoutError."""
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", name):
        raise LayoutError(f"segment name: found {name[:80]!r}, wanted [A-Za-z0-9_.-]")
    try:
        fd = os.open(_SHM / name, access | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise LayoutError(f"{_SHM / name}: cannot open: {error.strerror}") from error
    found = os.fstat(fd)
    wanted_of = {
        "type": (stat.S_ISREG(found.st_mode), "a regular file"),
        "owner": (found.st_uid == os.geteuid(), f"uid {os.geteuid()}, found {found.st_uid}"),
        "mode": (found.st_mode & 0o077 == 0, f"0600, found {stat.S_IMODE(found.st_mode):04o}"),
        "links": (found.st_nlink == 1, f"1, found {found.st_nlink}"),
    }
    for field, (holds, text) in wanted_of.items():
        if not holds:
            os.close(fd)
            raise LayoutError(f"{_SHM / name}: {field}: wanted {text}")
    return fd


def reclaim(name: str) -> bool:
    """Remove a leftover segment of ours whose owner is gone. False: there was none. Raises
    LayoutError if its owner lives or it is foreign."""
    if not os.path.lexists(_SHM / name):
        return False
    fd = _open(name, os.O_RDONLY)
    try:
        magic = int.from_bytes(os.pread(fd, 8, 0), "little")
        if magic not in (MAGIC, MAKING):
            found = f"magic: found {magic:#x}, wanted {MAGIC:#x}: not ours, left alone"
            raise LayoutError(f"{_SHM / name}: {found}")
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            pid = int.from_bytes(os.pread(fd, 8, 8 * cell(HEADER, "creator_pid")), "little")
            text = f"in use by a running supervisor, pid {pid}"
            raise LayoutError(f"{_SHM / name}: owner: {text}") from error
        (_SHM / name).unlink()
    finally:
        os.close(fd)
    return True
