# mypy: disable-error-code="no-untyped-def, no-untyped-call"
"""Shared words: fenced loads and stores, and what stands on them: slot, ring, doorbell, histogram.

The only code that touches shared words. `words` is an int64 array over a segment, a place an index
of it; which place is what only `shm_layout.py` knows, which rooms import instead of this file.
Plain indexing of shared words is not allowed: LLVM hoists plain loads and merges plain stores.

Slot (a seqlock): sequence, 7 spare words, body. Ring: tail, 15 spare words, then entries of stamp,
kind, 6 spare words, body; entry `position` is complete at stamp 2·position + 2. Correctness rests
on the fences of Boehm, "Can seqlocks get along with programming language memory models?" (MSPC
2012, fig. 6) and P1478; each fence below names its partner. Not covered: two writers of one slot or
ring (the table of blocks forbids it), and a reader that never gives up (every read is bounded).
"""

from __future__ import annotations

import inspect
import os
from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

__all__ = [  # what rooms get through shm_layout
    "BODY", "BUCKETS", "EMPTY", "ENTRY", "HISTOGRAM_CELLS", "LAPPED", "LINE", "READ",
    "RING_ENTRIES", "SUB", "TRIES", "Words", "bell_arm", "bell_disarm", "bell_ring", "bucket_of",
    "fence_acquire", "fence_full", "fence_release", "histogram_add", "load_acquire", "load_relaxed",
    "now_ns", "pause", "percentile", "ring_adopt", "ring_append", "ring_read", "ring_tail",
    "rings_pending", "rings_wait", "slot_load", "slot_store", "store_relaxed", "store_release",
    "word_add", "word_load", "word_store", "word_wait", "word_wake",
]  # fmt: skip

Words = npt.NDArray[np.int64]

LINE = 8  # cells in a 64-byte line
BODY = 56  # cells of a guarded body; with its line of guard words a slot or ring entry is
ENTRY = LINE + BODY  # 64 cells, 512 bytes
RING_ENTRIES = 2 * LINE  # from a ring's start to its first entry
TRIES = 64  # a reader of a slot gives up after so many; giving up is a normal, counted result
READ, EMPTY, LAPPED = 1, 0, -1
SUB = 32  # sub-buckets of a histogram per octave: 3 % wide
BUCKETS = SUB * 37  # up to 2**41 ns, 36 minutes; the last bucket takes what is longer
HISTOGRAM_CELLS = LINE + BUCKETS  # count, total, least, most, 4 spare words, buckets

_I64, _I32 = ir.IntType(64), ir.IntType(32)
_ARM = os.uname().machine == "aarch64"
_FUTEX = ir.Constant(_I64, {"x86_64": 202, "aarch64": 98}.get(os.uname().machine, 0))
_ZERO, _ONE, _BILLION = (ir.Constant(_I64, value) for value in (0, 1, 10**9))


def _primitive(emit: Any, returns: Any, params: str = "") -> Any:
    """An intrinsic on int64s whose LLVM code `emit(builder, *args)` writes; a leading "words index"
    reaches it as one pointer."""
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


def _store(ordering: str) -> Any:
    def emit(builder: Any, at: Any, value: Any) -> Any:
        return builder.store_atomic(value, at, ordering, 8)

    return _primitive(emit, types.void, "words index value")


def _fence(ordering: str) -> Any:
    return _primitive(lambda b: b.fence(ordering), types.void)


def _emit_pause(builder: Any) -> Any:
    if _ARM:
        return _call(builder, "llvm.aarch64.hint", ir.VoidType(), ir.Constant(_I32, 1))
    return _call(builder, "llvm.x86.sse2.pause", ir.VoidType())


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


def _emit_write_one(builder: Any, fd: Any) -> Any:
    one = cgutils.alloca_once_value(builder, _ONE)
    return _call(builder, "write", _I64, builder.trunc(fd, _I32), one, ir.Constant(_I64, 8))


load_acquire, load_relaxed = _load("acquire"), _load("monotonic")
store_release, store_relaxed = _store("release"), _store("monotonic")
fence_acquire, fence_release, fence_full = _fence("acquire"), _fence("release"), _fence("seq_cst")
pause = _primitive(_emit_pause, types.void)  # the processor's hint for a spinning loop
now_ns = _primitive(_emit_now, types.int64)  # CLOCK_MONOTONIC, as `time.monotonic_ns`
_futex_wait = _primitive(_emit_futex_wait, types.int64, "words index expected timeout_ns")
_futex_wake = _primitive(
    lambda b, at: _emit_futex(b, at, 1, _ONE, _ZERO), types.int64, "words index"
)
_write_one = _primitive(_emit_write_one, types.int64, "fd")


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
    """Copy entry `position`: kind to `out[0]`, body from `out[LINE]` on. READ, EMPTY (not there
    yet) or LAPPED (overwritten: go on nearer to the tail and count what lies between)."""
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
    """Producer, after publishing: wake the consumer if it armed. `eventfd` < 0: it waits on the
    word (futex). A producer killed between store and wake costs the consumer one `block_ns`."""
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
    """Wait for an entry: spin `spin_ns`, then block on the bell's futex, at most `block_ns`
    (0: never). True if one is there."""
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
