"""The table: golden offsets, alignment, one writer each; units, text, words that mean one thing."""

from __future__ import annotations

import re
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import shm_layout as shm
from tests.twins import shm as twin

GOLDEN = {  # block: (first cell, writer, kind, count, cells each); a change here is a new layout
    "header": (0, "supervisor", "cells", 1, 16),
    "run_clock": (32, "supervisor", "slots", 1, 64),
    "control": (112, "supervisor", "cells", 1, 48),
    "kill": (176, "anyone", "cells", 1, 8),
    "gate": (208, "gateway", "cells", 1, 8),
    "bells": (240, "consumer", "cells", 24, 16),
    "roles": (640, "each its own", "cells", 24, 96),
    "histograms": (2960, "each its own", "cells", 144, 1200),
    "instruments": (175776, "supervisor", "slots", 2048, 64),
    "pairs": (306864, "supervisor", "slots", 1024, 64),
    "parameters": (372416, "supervisor", "slots", 1, 64),
    "strategies": (372496, "supervisor", "slots", 16, 64),
    "quotes": (373536, "feed", "slots", 2048, 64),
    "spot": (504624, "feed", "slots", 32, 64),
    "terms": (506688, "model", "slots", 1024, 64),
    "market_terms": (572240, "model", "slots", 2048, 64),
    "positions": (703328, "gateway", "slots", 2048, 64),
    "cash": (834416, "gateway", "slots", 32, 64),
    "orders": (836480, "gateway", "slots", 256, 64),
    "had": (852880, "paper", "slots", 2048, 64),
    **{f"changes_{i}": (983968 + i * 131104, "feed", "ring", 2048, 64) for i in range(12)},
    "control_ring": (2557216, "supervisor", "ring", 4096, 64),
    "terms_ring": (2819392, "model", "ring", 1024, 64),
    "steps": (2884960, "detector", "ring", 4096, 64),
    "intents": (3147136, "detector", "ring", 1024, 64),
    "reports": (3212704, "gateway", "ring", 2048, 64),
    "had_ring": (3343808, "paper", "ring", 1024, 64),
    "refusals": (3409376, "detector", "cells", 1024, 16),
    "tallies": (3425776, "detector", "cells", 16, 48),
}
GOLDEN_CELLS = {  # some fields' places in their records: the first, the last, and what kernels name
    ("header", "magic"): 0, ("header", "run_id"): 5, ("header", "generation"): 15,
    ("control", "live_epoch"): 5, ("role", "pid"): 4, ("role", "beat_ns"): 10,
    ("role", "counters"): 16, ("instrument", "ticker"): 25, ("quote", "trust"): 4,
    ("quote", "grid"): 24, ("quote", "bids"): 30, ("quote", "asks"): 40, ("intent", "venue_0"): 16,
    ("intent", "tick_epoch_3"): 55, ("report", "order_key"): 33, ("signed", "signature"): 9,
    ("run_clock", "speed_e6"): 2, ("histogram", "most"): 3, ("bell", "armed"): 0,
    ("strategy", "values"): 2, ("tally", "orders"): 32, ("refusal", "gates"): 5,
    ("had", "bids"): 2, ("had", "asks"): 28,
}  # fmt: skip
E6 = shm.E6
LAYOUTS = [shm.MAIN, shm.CHANNEL]


# ------------------------------------------------------------------------------------ the table


def test_every_block_lies_at_its_golden_offset() -> None:
    found = {
        b.name: (shm.MAIN.at[b.name], b.writer, b.kind, b.count, b.cells_each)
        for b in shm.MAIN.blocks.values()
    }
    assert found == GOLDEN
    assert list(found) == list(GOLDEN)
    assert shm.MAIN.bytes == 27_412_480
    assert shm.CHANNEL.at == {"header": 0, "requests": 32, "replies": 32832}


def test_named_fields_lie_at_their_golden_cells() -> None:
    found = {(r, f): shm.cell(shm.RECORDS[r], f) for r, f in GOLDEN_CELLS}
    assert found == GOLDEN_CELLS


@pytest.mark.parametrize("name", shm.RECORDS)
def test_a_record_is_int64_cells_without_holes_in_whole_lines(name: str) -> None:
    record = shm.RECORDS[name]
    assert record.fields is not None and record.names is not None
    place = 0
    for field in record.names:
        kind, at = record.fields[field][:2]
        assert at == place, f"{name}.{field} at byte {at}, expected {place}"
        assert kind.base == np.dtype(np.int64), f"{name}.{field} is {kind}"
        place += kind.itemsize
    whole = shm.BODY * 8 if name in guarded() else 64
    assert record.itemsize == place and place % 64 == 0 and place % whole == 0


def guarded() -> set[str]:
    """Records that live in a slot or a ring."""
    blocks = [b for layout in LAYOUTS for b in layout.blocks.values() if b.kind != "cells"]
    return {name for name, r in shm.RECORDS.items() if any(b.record is r for b in blocks)}


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_blocks_are_128_bytes_apart_and_start_on_such_a_boundary(layout: shm.Layout) -> None:
    ends = 0
    for block in layout.blocks.values():
        start = layout.at[block.name] * 8
        assert start % 128 == 0, block.name
        assert block.name == "header" or start - ends >= 128, block.name
        ends = start + block.cells * 8
    assert ends <= layout.bytes


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
def test_records_of_different_writers_never_share_128_bytes(layout: shm.Layout) -> None:
    for block in layout.blocks.values():
        if block.count > 1 and block.kind != "ring":  # each may have a writer of its own
            assert block.cells_each * 8 % 128 == 0, block.name
        assert block.record.itemsize <= block.cells_each * 8, block.name
        assert block.writer, block.name


def test_a_ring_holds_a_power_of_two_of_entries_that_are_whole_lines() -> None:
    for block in (b for layout in LAYOUTS for b in layout.blocks.values() if b.kind == "ring"):
        assert block.count & (block.count - 1) == 0 and block.cells_each == shm.ENTRY == 64
        assert block.record.itemsize == shm.BODY * 8


def test_the_head_of_the_module_draws_the_segment() -> None:
    assert shm.__doc__ is not None
    assert "\n" + shm.MAIN.drawing() + "\n" in shm.__doc__


def test_the_layout_hash_moves_with_an_offset_a_name_and_a_count() -> None:
    def layout(first: str = "a", writer: str = "w", count: int = 1, fields: str = "x y") -> int:
        record = shm.record(fields.split(), 8)
        blocks = (shm.Block(first, writer, "cells", count, record, 8),)
        return shm.Layout("small", blocks).hash

    hashes = [layout(), layout(first="b"), layout(writer="v"), layout(count=2)]
    hashes += [layout(fields="y x"), layout(fields="x y z")]
    assert len(set(hashes)) == len(hashes)
    assert all(0 <= value < 1 << 63 for value in hashes)
    assert layout() == layout()


def test_a_record_that_does_not_fit_its_cells_is_refused() -> None:
    with pytest.raises(AssertionError, match="9 cells do not fit 8"):
        shm.record(["a*9"], 8)


def test_counters_and_histograms_fit_their_lines_and_have_distinct_names() -> None:
    for kind, names in shm.COUNTERS.items():
        assert len(names) <= shm.COUNTERS_MAX and len(set(names)) == len(names), kind
    for kind, names in shm.HISTOGRAMS.items():
        assert len(names) <= shm.HISTOGRAMS_MAX and len(set(names)) == len(names), kind
    kinds = {shm.kind_of_role(role) for role in range(shm.ROLES_MAX)}
    assert shm.COUNTERS.keys() <= kinds and shm.HISTOGRAMS.keys() <= kinds
    assert shm.MAIN.blocks["histograms"].cells_each >= shm.HISTOGRAM_CELLS


def test_numbers_and_names_of_the_vocabulary_agree() -> None:
    assert shm.ROLES[shm.GATEWAY] == "gateway" and shm.ROLES[shm.VENUES_ROLE] == "venues"
    assert [shm.kind_of_role(r) for r in (shm.DETECTOR, 12, 23)] == ["detector", "feed", "feed"]
    bits = {name.upper(): 1 << i for i, name in enumerate(shm.TRUST)}
    assert bits == {name: getattr(shm, name) for name in bits}
    for prefix, names in (("ST_", shm.MARKET_STATUS), ("P_", shm.PLACED), ("S_", shm.SETTLED_AXIS)):
        assert [getattr(shm, prefix + name.upper()) for name in names] == list(range(len(names)))
    assert shm.REASONS[shm.reason("lapped")] == "lapped" and shm.reason("done") == 0
    with pytest.raises(ValueError):
        shm.reason("because")


@given(st.integers(1, 7), st.integers(0, 2**20 - 1), st.integers(0, 2**40 - 1))
def test_an_intent_id_is_one_cell_and_comes_apart_again(o: int, epoch: int, counter: int) -> None:
    cell = shm.intent_id(o, epoch, counter)
    assert 0 < cell < 1 << 63
    assert shm.intent_parts(cell) == (o, epoch, counter)


# ------------------------------------------------------------------------------- units and text


@given(st.integers(-(2**63) + 1, 2**63 - 1), st.sampled_from([0, 2, 4, 6, 8]))
def test_an_int_becomes_text_and_comes_back_exactly(value: int, decimals: int) -> None:
    text = shm.int_to_text(value, decimals)
    assert Decimal(text) == Decimal(value).scaleb(-decimals)
    if abs(value) < 10 ** (12 + decimals):
        assert shm.text_to_int(text, decimals) == value


@given(st.decimals(-999999, 999999, places=6), st.integers(0, 20))
def test_zeros_beyond_the_unit_change_nothing(number: Decimal, zeros: int) -> None:
    assert shm.text_to_int(f"{number:f}" + "0" * zeros, 6) == int(number.scaleb(6))


@pytest.mark.parametrize(
    ("text", "value"),
    [("0", 0), ("-0", 0), ("0.29", 290_000), ("0.57", 570_000), ("1", E6), ("007.5", 7_500_000),
     ("-1.000001", -1_000_001), ("0.5000000000", 500_000), ("999999999999", 999_999_999_999 * E6)],
)  # fmt: skip
def test_a_plain_decimal_is_exact(text: str, value: int) -> None:
    assert shm.text_to_int(text, 6) == value


@pytest.mark.parametrize(
    "text",
    ["", " 1", "1 ", "1\n", "\n1", "nan", "NaN", "inf", "-inf", "1e5", "1E5", "1_000", "+1", "--1",
     "1.", ".5", "1.2.3", "0x10", "\uff11", "\uff11\uff12.\uff15", "\u0663", "1,000",
     "0.0000001", "1" * 13, "1\x00", "0." + "0" * 31, "Infinity", "1e999", "\u00bd"],
)  # fmt: skip
def test_anything_else_is_refused_and_shown(text: str) -> None:
    with pytest.raises(shm.LayoutError, match="number: found"):
        shm.text_to_int(text, 6)


@given(st.text(max_size=20))
def test_a_text_is_an_exact_decimal_or_refused(text: str) -> None:
    try:
        value = shm.text_to_int(text, 6)
    except shm.LayoutError:
        assert not re.fullmatch(r"-?[0-9]{1,12}(\.[0-9]{1,6})?", text, re.ASCII)
    else:
        assert Decimal(value).scaleb(-6) == Decimal(text)


def test_a_number_that_does_not_fit_a_cell_is_refused() -> None:
    assert shm.text_to_int("92233720368.54775807", 8) == 2**63 - 1
    with pytest.raises(shm.LayoutError, match=r"less than 2\*\*63"):
        shm.text_to_int("92233720368.54775808", 8)


def test_text_never_drops_a_digit() -> None:
    assert shm.int_to_text(520_000, 6, 2) == "0.52"
    assert shm.int_to_text(-520_000, 6, 4) == "-0.5200"
    assert shm.int_to_text(3, 0) == "3" and shm.int_to_text(3_000_000, 6, 0) == "3"
    assert shm.int_to_text(5, 1, 3) == "0.500"
    with pytest.raises(shm.LayoutError, match="does not fit 2 places"):
        shm.int_to_text(523_000, 6, 2)


@given(st.text(max_size=16))
def test_a_title_goes_through_cells(text: str) -> None:
    cells = shm.text_to_cells(text.replace("\x00", ""), 8)
    assert len(cells) == 8 and all(-(2**63) <= cell < 2**63 for cell in cells)
    assert shm.cells_to_text(cells) == text.replace("\x00", "")


def test_a_text_too_long_is_refused_and_broken_bytes_are_shown_as_such() -> None:
    with pytest.raises(shm.LayoutError, match=r"text: found 9 bytes, wanted 8"):
        shm.text_to_cells("x" * 9, 1)
    with pytest.raises(shm.LayoutError, match="text: found 10 bytes"):
        shm.text_to_cells("é" * 5, 1)
    assert shm.cells_to_text([int.from_bytes(b"ab\xff\0\0\0\0\0", "little", signed=True)]) == "ab�"
    assert shm.cells_to_text(shm.text_to_cells("a\ud800", 1)) == "a?"  # no UTF-8 for half a pair


@given(st.integers(0, 2**256 - 1))
def test_a_token_id_goes_through_four_cells(value: int) -> None:
    cells = shm.uint256_to_cells(value)
    assert len(cells) == 4 and all(-(2**63) <= cell < 2**63 for cell in cells)
    assert shm.cells_to_uint256(cells) == value


@pytest.mark.parametrize("value", [-1, 2**256, -(2**255)])
def test_a_token_id_beyond_256_bits_is_refused(value: int) -> None:
    with pytest.raises(shm.LayoutError, match="uint256: found"):
        shm.uint256_to_cells(value)


# ---------------------------------------------------------------------- words that mean one thing


def test_kernels_were_compiled_for_this_layout() -> None:
    assert shm.layout_hash() == shm.LAYOUT_HASH == shm.MAIN.hash ^ shm.CHANNEL.hash


@pytest.mark.parametrize("control", [shm.HALTED, shm.REDUCING, shm.ACTIVE])
@pytest.mark.parametrize("gate", [shm.HALTED, shm.REDUCING, shm.ACTIVE])
@pytest.mark.parametrize("kill", [0, 1, -5])
def test_the_worst_of_three_words_is_the_state(control: int, gate: int, kill: int) -> None:
    words = shm.Segment.private().words
    shm.word_store(words, shm.CONTROL_AT, control)
    shm.word_store(words, shm.GATE_AT, gate)
    shm.word_store(words, shm.KILL_AT, kill)
    assert shm.state_of(words) == (-1 if kill else min(control, gate))


def test_a_new_segment_is_halted() -> None:
    assert shm.state_of(shm.Segment.private().words) == shm.HALTED


@pytest.mark.parametrize(("age", "alive"), [(0, 7), (250, 7), (251, 0), (10**18, 0), (-5, 7)])
def test_a_feed_is_alive_while_its_beat_is_young(age: int, alive: int) -> None:
    segment = shm.Segment.private()
    shm.word_store(segment.words, shm.LIVE_EPOCH_AT + shm.FEED_ROLE + 3, 7)
    beat = segment.at("roles", shm.FEED_ROLE + 3) + shm.BEAT_CELL
    shm.word_store(segment.words, beat, 10**18)
    assert shm.feed_alive(segment.words, 3, 10**18 + age, 250) == alive
    assert shm.feed_alive(segment.words, 2, 10**18, 10**18) == 0  # nobody granted it an epoch


def test_a_feed_whose_end_was_seen_is_dead_however_young_its_beat() -> None:
    segment = shm.Segment.private()
    beat = segment.at("roles", shm.FEED_ROLE) + shm.BEAT_CELL
    shm.word_store(segment.words, beat, 100)
    shm.word_store(segment.words, shm.LIVE_EPOCH_AT + shm.FEED_ROLE, 0)
    assert shm.feed_alive(segment.words, 0, 100, 250) == 0


@settings(deadline=None)  # the first call may compile
@given(
    st.integers(0, 4 * 10**18), st.integers(0, 10**15), st.integers(0, 5_000 * 10**6),
    st.integers(-(10**12), 7 * 86_400 * 10**9),
)  # fmt: skip
def test_run_time_is_the_twin_s(begin: int, base: int, speed: int, elapsed: int) -> None:
    segment, body = _SEGMENT, np.zeros(shm.BODY, np.int64)
    body[:3] = begin, base, speed
    segment.write("run_clock", 0, body)
    now = base + elapsed
    wanted = twin.run_epoch_ns(begin, base, speed, now)
    assert shm.run_epoch_ns(segment.words, now) == wanted
    if base and speed == 10**6:
        assert wanted == begin + elapsed


def test_a_run_clock_left_torn_by_a_dead_writer_says_so() -> None:
    segment = shm.Segment.private()
    shm.word_store(segment.words, shm.RUN_CLOCK_AT, 1)
    assert shm.run_epoch_ns(segment.words, 5) == -1


_SEGMENT = shm.Segment.private()


# ---------------------------------------------------------------------------- the segment's API


def test_a_slot_never_written_reads_as_none_and_a_written_one_as_its_record() -> None:
    segment = shm.Segment.private()
    assert segment.read("cash", 3) is None
    body = np.zeros(shm.BODY, np.int64)
    body[shm.cell(shm.CASH, "cash_e6")] = -5
    segment.write("cash", 3, body)
    row = segment.read("cash", 3)
    assert row is not None and row["cash_e6"] == -5
    assert segment.read("cash", 2) is None


def test_a_slot_left_odd_reads_as_none_within_its_tries() -> None:
    segment = shm.Segment.private()
    shm.word_store(segment.words, segment.at("cash", 3), 5)
    assert segment.read("cash", 3) is None


def test_a_table_is_a_read_only_view_of_live_words() -> None:
    segment = shm.Segment.private()
    table = segment.table("roles")
    assert len(table) == shm.ROLES_MAX
    at = segment.at("roles", shm.SIGNER) + shm.cell(shm.ROLE, "pid")
    shm.word_store(segment.words, at, 4242)
    assert table[shm.SIGNER]["pid"] == 4242
    with pytest.raises(ValueError):
        table["pid"] = 1


def test_a_place_outside_its_block_is_a_bug_and_stops() -> None:
    segment = shm.Segment.private()
    for block, index in (("cash", shm.ACCOUNTS_MAX), ("cash", -1)):
        with pytest.raises(AssertionError):
            segment.at(block, index)
