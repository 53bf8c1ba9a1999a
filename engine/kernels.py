"""The detector's live kernels: drain every ring to its end, write what was seen to `steps`, decide.

Order of the rings in a drain is part of the contract with replay: control, terms, reports, what
paper orders had, then each feed's changes. A `steps` entry is written before the intents it leads
to. Kinds of entries on `steps`: K_STEP (below), and rows taken from slots, whole: K_TAKEN (QUOTE),
K_INSTRUMENT, K_PAIR, K_PARAMETERS, K_STRATEGY, K_TERMS, K_MARKET (MARKET_TERMS), K_ACCOUNT
(REPORT), K_HAD, K_INTENT (an intent of a dead predecessor that still reserves).
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

import numpy as np
from numba import njit

from engine import cells as c
from engine import memory as m
from engine.accounts import apply_instrument, apply_report, pause_flights, reserve
from engine.decide import decide_touched
from engine.had import apply_had
from engine.house import forget_trades, tell_stakes
from engine.market import (
    apply_market_terms,
    apply_pair,
    apply_parameters,
    apply_quote,
    apply_spot,
    apply_terms,
    fire_timers,
    timer_is_due,
    touch_all,
    touch_pairs_of,
)
from engine.stakes import apply_strategy, stake
from shm_layout import (
    BODY,
    CURSORS,
    DETECTOR,
    EMPTY,
    FEEDS_MAX,
    GATEWAY,
    HISTOGRAMS_MAX,
    INSTRUMENTS_MAX,
    K_ACCOUNT,
    K_HAD,
    K_INDEX,
    K_INSTRUMENT,
    K_INTENT,
    K_LEG,
    K_MARKET,
    K_PAIR,
    K_PARAMETERS,
    K_QUOTE,
    K_SPOT,
    K_STEP,
    K_STRATEGY,
    K_TAKEN,
    K_TERMINAL,
    K_TERMS,
    KIND_MODEL,
    LAPPED,
    LAYOUT_HASH,
    MAIN,
    READ,
    ROLE,
    ROLE_CELLS,
    ROLES_AT,
    Words,
    bell_ring,
    cell,
    feed_alive,
    histogram_add,
    now_ns,
    ring_append,
    ring_read,
    ring_tail,
    rings_wait,
    run_epoch_ns,
    slot_load,
    state_of,
    store_relaxed,
)

RING_NAMES = (
    *(f"changes_{i}" for i in range(FEEDS_MAX)),
    "control_ring",
    "terms_ring",
    "reports",
    "had_ring",
)
RINGS_COUNT = len(RING_NAMES)
CONTROL, TERMS_RING, REPORTS, HAD_RING = range(FEEDS_MAX, FEEDS_MAX + 4)
RINGS = np.array([MAIN.at[name] for name in RING_NAMES], np.int64)
ENTRIES = np.array([MAIN.blocks[name].count for name in RING_NAMES], np.int64)
ORDER = np.array([CONTROL, TERMS_RING, REPORTS, HAD_RING, *range(FEEDS_MAX)], np.int64)
STEPS_RING, STEPS_ENTRIES = MAIN.at["steps"], MAIN.blocks["steps"].count
QUOTES_AT, SLOT_CELLS = MAIN.at["quotes"], MAIN.blocks["quotes"].cells_each
# entries one call reads: below a millisecond; the rest is read by the next call, then decided
DRAIN_MAX = 4096

STEP_START, STEP_DECIDE, STEP_DRAIN, STEP_LAP = range(1, 5)  # STEP.kind
TIMER_FIRED, STATE_CHANGED = 1, 2  # bits of STEP.timer

COUNTERS_AT = ROLES_AT + DETECTOR * ROLE_CELLS + cell(ROLE, "counters")
HISTOGRAM_AT = (
    MAIN.at["histograms"] + DETECTOR * HISTOGRAMS_MAX * MAIN.blocks["histograms"].cells_each
)
HISTOGRAM_EACH = MAIN.blocks["histograms"].cells_each
GATEWAY_BELL = MAIN.at["bells"] + GATEWAY * MAIN.blocks["bells"].cells_each
DETECTOR_BELL = MAIN.at["bells"] + DETECTOR * MAIN.blocks["bells"].cells_each
COUNTERS_USED = len(m.COUNTER_NAMES)


@njit(cache=True)
def layout_hash() -> int:
    """The layout this module's kernels were compiled for."""
    return LAYOUT_HASH


@njit(cache=True)
def apply_entry(mem: Words, ring: int, kind: int, row: Words) -> None:
    """Take in one entry; `ring` is the place of its ring in RING_NAMES, -1 for a row taken from a
    slot.
    """
    if kind in (K_QUOTE, K_TAKEN):
        apply_quote(mem, row, ring)
    elif kind in (K_LEG, K_TERMINAL, K_ACCOUNT):
        apply_report(mem, row, kind)
    elif kind == K_INSTRUMENT:
        apply_instrument(mem, row)
    elif kind == K_PAIR:
        apply_pair(mem, row)
    elif kind == K_PARAMETERS:
        apply_parameters(mem, row)
    elif kind == K_TERMS:
        apply_terms(mem, row)
    elif kind == K_STRATEGY:
        apply_strategy(mem, row)
        touch_all(mem)
    elif kind == K_INTENT:
        if reserve(mem, row) and row[c.N_KIND] == KIND_MODEL:
            leg = c.N_LEG
            stake(mem, row[leg + c.L_INSTRUMENT], row[c.BET_STRATEGY], row[leg + c.L_CASH])
    elif kind in (K_SPOT, K_INDEX):
        apply_spot(mem, row, ring, kind)
    elif kind == K_MARKET:
        apply_market_terms(mem, row)
    elif kind == K_HAD and apply_had(mem, row):
        touch_pairs_of(mem, row[c.D_INSTRUMENT], m.i64(m.TOUCHED_TIMER))


@njit(cache=True)
def write_step(
    words: Words,
    mem: Words,
    row: Words,
    kind: int,
    timer: int,
    drained: int,
    lap_ring: int,
    lap_to: int,
) -> None:
    """What this step saw beside the entries."""
    mem[m.META + m.M_STEP] += 1
    for i in range(BODY):
        row[i] = 0
    row[c.S_NUMBER], row[c.S_KIND], row[c.S_TIMER] = mem[m.META + m.M_STEP], kind, timer
    row[c.S_DRAINED], row[c.S_LAP_RING], row[c.S_LAP_TO] = drained, lap_ring, lap_to
    row[c.S_NOW], row[c.S_RUN] = mem[m.META + m.M_NOW], mem[m.META + m.M_RUN]
    row[c.S_STATE], row[c.S_ALIVE] = mem[m.META + m.M_STATE], mem[m.META + m.M_ALIVE]
    row[c.S_COUNTER], row[c.S_EPOCH] = mem[m.META + m.M_COUNTER], mem[m.META + m.M_EPOCH]
    for i in range(CURSORS):
        row[c.S_CURSORS + i] = mem[m.CURSORS_AT + i]
    ring_append(words, STEPS_RING, STEPS_ENTRIES, K_STEP, row, BODY)
    mem[m.COUNTS + m.C_STEPS] += 1


@njit(cache=True)
def write_taken(words: Words, mem: Words, kind: int, row: Words) -> None:
    """A row taken from a slot: to `steps`, whole, then in as if it had come on a ring."""
    ring_append(words, STEPS_RING, STEPS_ENTRIES, kind, row, BODY)
    apply_entry(mem, m.i64(-1), kind, row)


@njit(cache=True)
def take_quotes(words: Words, mem: Words, row: Words, feed: int) -> int:
    """Take the quotes of a feed's instruments from their slots (`feed` < 0: of all). Returns how
    many.
    """
    taken = 0
    for i in range(INSTRUMENTS_MAX):
        if feed >= 0 and mem[m.INSTRUMENT_AT + i * BODY + c.I_FEED] != feed:
            continue
        found = slot_load(words, QUOTES_AT + i * SLOT_CELLS, row, BODY)
        if found < 0:
            mem[m.COUNTS + m.C_SLOT_BUSY] += (
                1  # a writer died in it: its quote is untradable anyway
            )
        if found > 0:
            write_taken(words, mem, m.i64(K_TAKEN), row)
            taken += 1
    return taken


@njit(cache=True)
def drain_ring(
    words: Words, mem: Words, entry: Words, row: Words, ring: int, budget: int
) -> tuple[int, int]:
    """Read one ring to its end, at most `budget` entries. (entries read, READ or LAPPED)."""
    done = 0
    while done < budget:
        position = mem[m.CURSORS_AT + ring]
        found = ring_read(words, RINGS[ring], ENTRIES[ring], position, entry, BODY)
        if found == EMPTY:
            break
        if found == LAPPED:
            return done, LAPPED
        mem[m.CURSORS_AT + ring] = position + 1
        apply_entry(mem, ring, entry[0], row)
        done += 1
    return done, READ


@njit(cache=True)
def drain(words: Words, mem: Words, entry: Words, row: Words) -> tuple[int, int]:
    """Read every ring to its end. (entries read, the ring that lapped us or -1)."""
    drained = 0
    for i in range(RINGS_COUNT):
        done, how = drain_ring(words, mem, entry, row, ORDER[i], DRAIN_MAX - drained)
        drained += done
        if how == LAPPED:
            return drained, ORDER[i]
    return drained, -1


@njit(cache=True)
def after_lap(mem: Words, ring: int, to: int) -> None:
    """Go on at entry `to` of a ring that lapped us. Reports lost may have been ends: whatever is in
    flight keeps
    its reservation and stops its pair, until the detector or the operator looks again."""
    mem[m.COUNTS + m.C_LAPS] += 1
    mem[m.COUNTS + m.C_LOST] += to - mem[m.CURSORS_AT + ring]
    mem[m.CURSORS_AT + ring] = to
    if ring == REPORTS:
        pause_flights(mem)
    if ring < FEEDS_MAX:
        forget_trades(mem, ring)


@njit(cache=True)
def skip_lap(words: Words, mem: Words, row: Words, ring: int, drained: int) -> None:
    """We were lapped on a ring: say so on `steps` and go on at its newest entry. The caller takes
    the slots.
    """
    tail = ring_tail(words, RINGS[ring])
    write_step(words, mem, row, m.i64(STEP_LAP), m.i64(0), drained, ring, tail)
    after_lap(mem, ring, tail)


@njit(cache=True)
def alive_bits(words: Words, mem: Words, now: int) -> int:
    """A bit for each feed whose heart beats and whose live epoch is that of its newest quote."""
    bits = 0
    for feed in range(FEEDS_MAX):
        epoch = mem[m.FEED_EPOCH + feed]
        if epoch != 0 and feed_alive(words, feed, now, mem[c.A_BEAT]) == epoch:
            bits |= 1 << feed
    return bits


@njit(cache=True)
def wake(mem: Words) -> int:
    """Touch what a timer or a change of state, alive bits decides anew. Returns bits for
    STEP.timer.
    """
    bits = 0
    if mem[m.META + m.M_SEEN_STATE] != mem[m.META + m.M_STATE] or (
        mem[m.META + m.M_SEEN_ALIVE] != mem[m.META + m.M_ALIVE]
    ):
        mem[m.META + m.M_SEEN_STATE] = mem[m.META + m.M_STATE]
        mem[m.META + m.M_SEEN_ALIVE] = mem[m.META + m.M_ALIVE]
        touch_all(mem)
        bits |= STATE_CHANGED
    if timer_is_due(mem):
        fire_timers(mem)
        mem[m.COUNTS + m.C_TIMERS] += 1
        bits |= TIMER_FIRED
    return bits


@njit(cache=True)
def measure(words: Words, mem: Words, began: int, decided: int, ended: int) -> None:
    """Counters to this role's row, durations to its histograms."""
    for i in range(COUNTERS_USED):
        store_relaxed(words, COUNTERS_AT + i, mem[m.COUNTS + i])
    tell_stakes(words, mem)
    newest = mem[m.META + m.M_PUBLISH]
    if newest > 0:
        histogram_add(words, HISTOGRAM_AT, max(decided - newest, 0))
        mem[m.META + m.M_PUBLISH] = 0
    histogram_add(words, HISTOGRAM_AT + HISTOGRAM_EACH, ended - decided)
    histogram_add(words, HISTOGRAM_AT + 2 * HISTOGRAM_EACH, ended - began)


@njit(cache=True, nogil=True)
def live_step(words: Words, mem: Words, entry: Words, row: Words, now: int, eventfd: int) -> int:
    """Drain, write the step, decide. `row` is the body of `entry`. Returns entries read plus
    intents; -1 − ring: lapped there (take its slots).
    """
    began = now_ns()
    mem[m.META + m.M_NOW] = now
    run = run_epoch_ns(words, now)
    if run >= 0:  # torn: the last known run time
        mem[m.META + m.M_RUN] = run
    drained, lapped = drain(words, mem, entry, row)
    mem[m.COUNTS + m.C_ENTRIES] += drained
    mem[m.META + m.M_STATE] = state_of(words)
    mem[m.META + m.M_ALIVE] = alive_bits(words, mem, now)
    if lapped >= 0:
        skip_lap(words, mem, row, lapped, drained)
        return -1 - lapped
    if drained >= DRAIN_MAX:
        write_step(words, mem, row, m.i64(STEP_DRAIN), m.i64(0), drained, m.i64(0), m.i64(0))
        mem[m.COUNTS + m.C_OVERFLOW] += 1
        return drained
    timer = wake(mem)
    if drained == 0 and timer == 0:
        return 0
    write_step(words, mem, row, m.i64(STEP_DECIDE), timer, drained, m.i64(0), m.i64(0))
    decided = now_ns()
    opened = decide_touched(words, mem, row)
    if opened:
        bell_ring(words, GATEWAY_BELL, eventfd)
    measure(words, mem, began, decided, now_ns())
    return drained + opened


@njit(cache=True, nogil=True)
def wait_step(
    words: Words,
    mem: Words,
    entry: Words,
    row: Words,
    cursors: Words,
    spin_ns: int,
    block_ns: int,
    eventfd: int,
) -> int:
    """Wait for an entry and decide on it without going back to Python. 0: none came, else as
    `live_step`. `cursors` are those in `mem`."""
    if not rings_wait(
        words, RINGS, ENTRIES, cursors, RINGS_COUNT, DETECTOR_BELL, spin_ns, block_ns
    ):
        return 0
    return live_step(words, mem, entry, row, now_ns(), eventfd)


@njit(cache=True)
def catch_up(words: Words, mem: Words, entry: Words, row: Words) -> int:
    """At start: the control ring to its end, before anything is taken from slots. -1: lapped there
    meanwhile.
    """
    write_step(words, mem, row, m.i64(STEP_START), m.i64(0), m.i64(0), m.i64(0), m.i64(0))
    drained, how = drain_ring(words, mem, entry, row, m.i64(CONTROL), ENTRIES[CONTROL])
    if how == LAPPED:
        skip_lap(words, mem, row, m.i64(CONTROL), drained)
        return -1
    write_step(words, mem, row, m.i64(STEP_DRAIN), m.i64(0), drained, m.i64(0), m.i64(0))
    return drained
