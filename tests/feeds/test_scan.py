"""Scanned frames are what typed decoding makes of them, or are left to it untouched."""

from __future__ import annotations

import datetime
import subprocess
import sys
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feeds import scan, scan_object
from feeds.scan import FALL
from feeds.update import FeedError, epoch_ns_of
from shm_layout import LayoutError, text_to_int
from tests.ops.rig import ROOT

PLAIN = st.text(st.characters(min_codepoint=32, max_codepoint=127), max_size=40)


KEPT: list[object] = []  # a scanner gets addresses: what lies there must live


def view(text: str | bytes) -> int:
    raw = np.frombuffer((text.encode() if isinstance(text, str) else text) + bytes(8), np.uint8)
    KEPT[:] = [raw]
    return int(raw.ctypes.data)


@settings(max_examples=300, deadline=None)
@given(st.text("0123456789.-+eE ", max_size=24), st.sampled_from([0, 6, 8]))
def test_a_decimal_is_the_exact_one_or_left_alone(text: str, decimals: int) -> None:
    found = scan.decimal(view(text + "x"), 0, len(text), decimals)
    try:
        wanted = text_to_int(text, decimals)
    except LayoutError:
        assert found == FALL
    else:
        assert found in (wanted, FALL)


@pytest.mark.parametrize(
    ("text", "decimals", "wanted"),
    [
        ("0.47", 6, 470_000), ("1", 6, 1_000_000), ("686.31", 6, 686_310_000),
        ("76650.00000000", 8, 7_665_000_000_000), ("0.5000000000", 6, 500_000),
        ("0.0000001", 6, FALL), ("-1", 6, FALL), (".5", 6, FALL), ("5.", 6, FALL), ("", 6, FALL),
        ("1e3", 6, FALL), ("1234567890", 6, FALL),
    ],
)  # fmt: skip
def test_the_numbers_of_the_venues_are_taken(text: str, decimals: int, wanted: int) -> None:
    assert scan.decimal(view(text + "x"), 0, len(text), decimals) == wanted


@settings(max_examples=300, deadline=None)
@given(
    st.datetimes(
        min_value=datetime.datetime(1970, 1, 1),
        max_value=datetime.datetime(2099, 12, 31),
    ),
    st.integers(0, 9),
)
def test_a_time_is_the_one_python_reads(moment: Any, places: int) -> None:
    text = moment.strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")
    text += "." + f"{moment.microsecond:06}789"[:places] if places else ""
    text += "Z"
    assert scan.iso_ns(view(text), 0, len(text)) == epoch_ns_of(text)


@pytest.mark.parametrize(
    "text",
    [
        "2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z",
        "2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z", "2026-01-01T00:00:60Z",
        "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00.1234567890Z", "2026-01-01 00:00:00Z",
        "2026-01-01T00:00:00+00", "0001-01-01T00:00:00Z", "2026-01-01T00:00:0xZ",
    ],
)  # fmt: skip
def test_what_is_no_time_is_left_alone(text: str) -> None:
    assert scan.iso_ns(view(text), 0, len(text)) == FALL


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=40))
def test_a_string_ends_at_its_quote_if_it_is_plain(raw: bytes) -> None:
    """Against the rule, byte by byte: whatever the eight bytes at a time make of it."""
    wanted = FALL
    for place, byte in enumerate(raw):
        if byte == 34:
            wanted = place
            break
        if byte < 32 or byte == 92 or byte > 127:
            break
    assert scan.string_end(view(raw), 0, len(raw)) == wanted


def test_every_byte_that_is_not_plain_is_seen_at_every_place_of_eight() -> None:
    for place in range(16):
        for byte in (0, 31, 92, 128, 255):
            raw = bytearray(b"a" * 20 + b'"')
            raw[place] = byte
            assert scan.string_end(view(bytes(raw)), 0, len(raw)) == FALL, (place, byte)
        raw = bytearray(b"\x7f ~" * 7)
        raw[place] = 34
        assert scan.string_end(view(bytes(raw)), 0, len(raw)) == place


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20), PLAIN)
def test_a_key_is_itself_and_no_other(text: str, behind: str) -> None:
    raw = (text + behind).encode()
    found = scan.name(view(raw), 0, len(text), len(raw))
    for known in ("a", "size", "asset_id", "price_changes", "last_trade_price"):
        assert scan.is_key(found, scan.key(known)) is (text == known)
    if len(text) <= 16:
        assert scan.is_key(found, scan.key(text))


def test_names_are_found_whole_and_nothing_else_is() -> None:
    texts = [str(10**76 + 7919 * i) for i in range(1_000)] + ["BTC-USD", "B"]
    table = scan.names_of({text: value for value, text in enumerate(texts)})

    def found(text: str) -> int:
        raw = text.encode()
        return int(scan.find(table.ctypes.data, 0, view(raw), 0, len(raw), len(raw)))

    assert [found(text) for text in texts] == list(range(len(texts)))
    assert found(str(10**76 + 1)) == FALL
    assert found("BTC-US") == found("BTC-USDT") == found("") == found("9" * 81) == FALL


@settings(max_examples=300, deadline=None)
@given(st.text("0123456789.eE-+ ", min_size=1, max_size=20))
def test_a_whole_number_is_one_of_json_or_left_alone(text: str) -> None:
    raw = text.encode() + b","
    value, end = scan.whole(view(raw), 0, len(raw))
    if value != FALL:
        assert orjson.loads(raw[:end]) == value and raw[end : end + 1] not in b".eE0123456789"


@pytest.mark.parametrize("text", ["true", "false", "null"])
def test_literals_are_passed_over(text: str) -> None:
    assert scan_object.skip_literal(view(text + ","), 0, len(text) + 1) == len(text)
    assert scan_object.skip_literal(view(text[:-1] + ","), 0, len(text)) == FALL


def test_a_name_that_stands_twice_is_our_mistake() -> None:
    with pytest.raises(AssertionError):
        scan.names_of({"": 1})


def test_times_are_read_by_two_rules_that_differ_on_nonsense() -> None:
    """Negative control: the reader beside it refuses the same texts."""
    with pytest.raises(FeedError):
        epoch_ns_of("2026-02-29T00:00:00Z")


GUARDED = """
import ctypes, mmap
from feeds import scan
page = mmap.PAGESIZE
held = mmap.mmap(-1, 2 * page)
at = ctypes.addressof(ctypes.c_char.from_buffer(held)) + page
assert ctypes.CDLL(None).mprotect(ctypes.c_void_p(at), page, 0) == 0
assert scan.whole(at - 8, 8, 8) == (-1, -1)  # the frame ends where its number would begin
"""


def test_a_frame_that_ends_before_its_number_is_not_read_beyond_its_end() -> None:
    """What lies behind it here may not be read: the process would be killed."""
    code = "from ops import cache; cache.use()" + GUARDED
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, timeout=240)
    assert found.returncode == 0, found.stderr.decode()
