"""A scanned frame leaves what typed decoding leaves: the same quote, counters and words to the
venue, whatever is in the frame.
"""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feeds import polymarket_scan
from feeds.polymarket_scan import BOOK, NOTHING, PLAIN
from feeds.scan import FALL
from shm_layout import E6, GAP, QUOTE
from tests.conftest import reference
from tests.feeds.rig import Market, Rig, rig
from tests.feeds.test_polymarket import NO, SNAPSHOT, YES, Line, changes, row
from tests.feeds.test_polymarket import book as whole

OTHER_YES, OTHER_NO = "333", "444"
STAMPS = {"publish_ns"}
CELLS = [name for name in (QUOTE.names or ()) if name not in STAMPS]


def line() -> Line:
    made = Line(
        Market("m", token_yes=int(YES), token_no=int(NO)),
        Market("n", token_yes=int(OTHER_YES), token_no=int(OTHER_NO)),
    )
    made.give(SNAPSHOT)
    made.give([whole([("0.40", "7")], [("0.60", "7")], asset=OTHER_YES)])
    return made


def left(made: Line) -> dict[str, Any]:
    """Everything a frame can have changed."""
    quotes = [[made.rig.quote(index)[name].tolist() for name in CELLS] for index in range(2)]
    counters = {
        name: made.rig.counted(name)
        for name in ("changes", "published", "snapshots", "mismatch", "crossed", "negative",
                     "bad_frames", "resyncs", "tick_changes")
    }  # fmt: skip
    return {"quotes": quotes, "counters": counters, "sent": made.sent()}


def both(*frames: tuple[bytes, bool]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a run of frames leaves if it is scanned, and if it is decoded."""
    scanned, decoded = line(), line()
    for raw, last in frames:
        for made, payload in ((scanned, memoryview(raw)), (decoded, raw)):
            made.recv_ns += 1
            made.venue.frame(payload, made.recv_ns, last)
    for made in (scanned, decoded):
        made.tick(400_000_000)
    return left(scanned), left(decoded)


TEXTS = st.sampled_from([
    "0.45", "0.46", "0.5", "0.55", "0.56", "0", "1", "10", "171", "5.25", "0.455", "0.00001", "-1",
    "1e2", "", " 1", "1.", "99999999999", "x", "0.4600000", "205.1",
])  # fmt: skip
ASSETS = st.sampled_from([YES, YES, YES, NO, OTHER_YES, OTHER_NO, "555", ""])
ROWS = st.fixed_dictionaries(
    {"asset_id": ASSETS, "price": TEXTS, "size": TEXTS, "best_bid": TEXTS, "best_ask": TEXTS,
     "side": st.sampled_from(["BUY", "SELL", "BUY", "SELL", "buy"])},
    optional={"hash": st.just("h"), "odd": st.just("x"), "price_": st.just(5)},
)  # fmt: skip
LEVELS = st.lists(st.fixed_dictionaries({"price": TEXTS, "size": TEXTS}), max_size=4)
STAMP = st.sampled_from(["1790877850658", "1790877850659", "", "99999999999999999", "now"])
CHANGES = st.fixed_dictionaries(
    {"price_changes": st.lists(ROWS, max_size=4), "event_type": st.just("price_change"),
     "timestamp": STAMP},
    optional={"market": st.just("0x1"), "new": st.just([1]), "asset_id": ASSETS},
)  # fmt: skip
BOOKS = st.fixed_dictionaries(
    {"asset_id": ASSETS, "bids": LEVELS, "asks": LEVELS, "event_type": st.just("book"),
     "timestamp": STAMP},
    optional={"market": st.just("0x1"), "hash": st.just("h"), "last_trade_price": TEXTS,
              "tick_size": st.sampled_from(["0.01", "0.001", "", "2", "x"]),
              "neg_risk": st.booleans()},
)  # fmt: skip


@st.composite
def frames(draw: Any) -> bytes:
    """A frame: as the venue sends it, or damaged."""
    content = draw(st.one_of(CHANGES, BOOKS))
    keys = draw(st.permutations(list(content)))
    raw = orjson.dumps({key: content[key] for key in keys})
    damage = draw(st.sampled_from(["none", "none", "none", "cut", "byte", "spaces", "twice"]))
    if damage == "cut":
        raw = raw[: draw(st.integers(0, len(raw)))]
    elif damage == "byte":
        at = draw(st.integers(0, len(raw) - 1))
        raw = raw[:at] + bytes([draw(st.integers(0, 255))]) + raw[at + 1 :]
    elif damage == "spaces":
        raw = raw.replace(b",", b" ,\n ").replace(b":", b" : ") + b"\r\n"
    elif damage == "twice":
        raw = raw[:-1] + b',"timestamp":"1"}'
    return raw


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(frames(), st.booleans()), min_size=1, max_size=4))
def test_scanned_and_decoded_frames_leave_the_same(run: list[tuple[bytes, bool]]) -> None:
    scanned, decoded = both(*run)
    assert scanned == decoded, run


GOOD = whole([("0.45", "3")], [("0.56", "4")], tick_size="0.01")
DRESSED = changes(row("BUY", "0.46", "9", "0.46", "0.55"))
BARE = changes(row("BUY", "0.44", "9", "", ""))
ELSEWHERE = changes(row("BUY", "0.46", "9", "0.46", "0.56"),
                    row("SELL", "0.58", "5", "0.40", "0.58", asset=OTHER_NO))  # fmt: skip


@pytest.mark.parametrize(
    "run",
    [
        pytest.param([changes(row("BUY", "0.4655", "9", "0.46", "0.55")), BARE, BARE, BARE],
                     id="a price off the scale has a touch all the same"),
        pytest.param([GOOD, BARE, BARE, BARE], id="a book says nothing of what changes have"),
        pytest.param([DRESSED, {**GOOD, "timestamp": DRESSED["timestamp"]}, BARE, BARE, BARE],
                     id="nor takes it from them"),
        pytest.param([DRESSED, GOOD], id="a book of before is asked for anew once"),
        pytest.param([ELSEWHERE], id="rows of another market's NO token alone"),
    ],
)  # fmt: skip
def test_what_a_drawn_run_seldom_has_leaves_the_same(run: list[Any]) -> None:
    scanned, decoded = both(*((orjson.dumps(frame), True) for frame in run))
    assert scanned == decoded


@pytest.mark.parametrize("count", [1, 3])
def test_rows_of_another_markets_no_token_are_taken(count: int) -> None:
    """Beside one row of a YES token, and beside more of them than of the other's."""
    made = line()
    first, other = ELSEWHERE["price_changes"]
    made.give({**ELSEWHERE, "price_changes": [*(first for _ in range(count)), other]})
    quotes = [made.rig.quote(index)["bids"].tolist()[:2] for index in range(2)]
    assert quotes == [[460_000, 9 * E6], [420_000, 5 * E6]]


def code(frame: Any, made: Rig | None = None) -> int:
    made = made or rig(Market("m", token_yes=int(YES), token_no=int(NO)))
    mem = polymarket_scan.memory_of({0: (YES, NO)})
    raw = frame if isinstance(frame, bytes) else orjson.dumps(frame)
    words, state = made.publisher.words, made.publisher.state
    return int(polymarket_scan.scan(words, state, mem, memoryview(raw), 5, True))


CHANGE = changes(
    row("SELL", "0.54", "9", "0.44", "0.54", asset=NO), row("BUY", "0.46", "9", "0.46", "0.55")
)


def test_what_the_venue_sends_today_is_taken() -> None:
    assert code(CHANGE) >= 0 and code(SNAPSHOT[0]) & BOOK and code(SNAPSHOT[1]) == NOTHING


def test_only_a_good_book_of_a_market_that_was_well_needs_no_look() -> None:
    made = line().rig
    assert code(GOOD, made) == PLAIN and made.quote(0)["bids"].tolist()[:2] == [450_000, 3 * E6]
    assert code({**GOOD, "tick_size": "0.001"}, made) & BOOK
    assert code(whole([("0.45", "3")], [("0.45", "4")]), made) & BOOK
    assert code(GOOD, made) == PLAIN
    made.publisher.mark(0, raised=GAP, now_ns=5)
    assert code(GOOD, made) & BOOK


@pytest.mark.parametrize(
    "frame",
    [
        {**CHANGE, "new_key": "1"},
        {**CHANGE, "asset_id": YES},
        {**CHANGE, "event_type": "price_chang"},
        {k: v for k, v in CHANGE.items() if k != "timestamp"},
        {**CHANGE, "price_changes": [{**CHANGE["price_changes"][1], "extra": "1"}]},
        {**CHANGE, "price_changes": [{**CHANGE["price_changes"][1], "size": 9}]},
        {**CHANGE, "price_changes": [row("BUY", "0.46", "9")]},
        orjson.dumps(CHANGE).replace(b"0.46", b"0.4\\u0036", 1),
        orjson.dumps(CHANGE)[:-1],
        orjson.dumps(CHANGE) + b"x",
        b"PONG",
        b"[" + orjson.dumps(CHANGE) + b"]",
        b"",
    ],
)
def test_what_is_not_known_whole_is_left_to_the_types_untouched(frame: Any) -> None:
    made = rig(Market("m", token_yes=int(YES), token_no=int(NO)))
    before = made.publisher.state.copy()
    assert code(frame, made) == FALL
    assert (made.publisher.state == before).all()


def test_a_row_applied_to_the_wrong_side_would_be_seen() -> None:
    """Negative control: the comparison has teeth."""
    raw = orjson.dumps(changes(row("BUY", "0.46", "9", "0.46", "0.55")))
    scanned, _ = both((raw, True))
    _, decoded = both((raw.replace(b"BUY", b"SELL"), True))
    assert scanned != decoded


def test_the_frames_of_the_reference_are_scanned_where_they_are_of_a_book() -> None:
    lines = reference("fixtures/polymarket/ws_market.jsonl").read_text().splitlines()
    real = [each for each in map(orjson.loads, lines) if each["kind"] == "real" and "frame" in each]
    codes = {
        frame["frame"]["event_type"]: code(frame["frame"])
        for frame in real
        if frame["frame"].get("event_type") in ("book", "price_change")
        and "price" not in frame["frame"]
    }
    assert codes == {"book": NOTHING, "price_change": NOTHING}  # of tokens that are not ours
