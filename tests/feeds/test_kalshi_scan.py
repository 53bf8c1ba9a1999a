"""A scanned delta leaves what typed decoding leaves: the same quotes, counters and words to the
venue, whatever is in the frame and whatever number it has.
"""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feeds import kalshi_scan
from feeds.kalshi_scan import NOTHING, OUT_LOCAL, Subscription
from feeds.levels import IDLE, UNSTAMPED
from feeds.scan import FALL
from shm_layout import QUOTE
from tests.conftest import reference
from tests.feeds.kalshi_line import BOOK, Line, line

CELLS = [name for name in (QUOTE.names or ()) if name != "publish_ns"]
COUNTED = ("frames", "changes", "published", "snapshots", "gaps", "duplicates", "negative",
           "crossed", "bad_frames", "resyncs", "drifts", "drifted_fields")  # fmt: skip


class Pair:
    """Two lines of the same markets: one is given views, which are scanned, one bytes."""

    def __init__(self) -> None:
        self.scanned, self.decoded = line("A", "B"), line("A", "B")
        for made in (self.scanned, self.decoded):
            made.snapshot("A", [["0.4700", "3.00"], ["0.4600", "2.50"]], [["0.5200", "1.00"]])
            made.snapshot("B")

    def give(self, raw: bytes, *, last: bool) -> None:
        for made, payload in ((self.scanned, memoryview(raw)), (self.decoded, raw)):
            made.recv_ns += 1
            made.kalshi.frame(payload, made.recv_ns, last)

    def tick(self) -> None:
        for made in (self.scanned, self.decoded):
            made.recv_ns += 400_000_000
            made.kalshi.tick(made.recv_ns)


def left(made: Line) -> dict[str, Any]:
    """Everything a frame can have changed."""
    return {
        "quotes": [[made.rig.quote(i)[name].tolist() for name in CELLS] for i in range(2)],
        "counters": {name: made.rig.counted(name) for name in COUNTED},
        "sent": made.sent(),
        "wants": (made.kalshi.wants_facts, made.kalshi.must_reconnect),
    }


PRICES = st.sampled_from([
    "0.4700", "0.4600", "0.47", "0.5200", "0.5300", "0.47005", "0", "1.0000", "-0.1", "x", "1e-1",
    "0.4700000", "12345678901", " 0.47",
])  # fmt: skip
CHANGES = st.sampled_from([
    "1.00", "-1.00", "-3.00", "2.5", "0.00", "-0", "-0.000001", "0.0000001", "+1", "", "-", "--1",
    "999999999", "9999999999", "-9.5",
])  # fmt: skip
STAMPS = st.sampled_from([1_000, 0, 1_790_877_850_658, 10**14, 1.5, "1", None])
MESSAGES = st.fixed_dictionaries(
    {"market_ticker": st.sampled_from(["A", "A", "A", "B", "C", ""]), "price_dollars": PRICES,
     "delta_fp": CHANGES, "side": st.sampled_from(["yes", "no", "yes", "no", "YES"])},
    optional={"ts_ms": STAMPS, "ts": st.sampled_from(["t", 5]), "market_id": st.just("x"),
              "client_order_id": st.just("id"), "subaccount": st.sampled_from([1, None]),
              "odd": st.just("x")},
)  # fmt: skip
# How far its number lies from the one that would be next, and whether it is said again.
STEPS = st.sampled_from([0, 0, 0, 0, 0, 0, 0, 1, -1, -3])
DAMAGES = st.sampled_from(["none"] * 6 + ["cut", "byte", "spaces", "twice"])


@st.composite
def frames(draw: Any) -> tuple[dict[str, Any], int, str, int]:
    """A frame without its number, the step of its number, what is damaged and where."""
    content = {
        "type": draw(st.sampled_from(["orderbook_delta"] * 9 + ["new"])),
        "sid": draw(st.sampled_from([BOOK] * 9 + [BOOK + 7])),
        "seq": 0,
        "msg": draw(MESSAGES),
    }
    if draw(st.integers(0, 9)) == 0:
        content["sending_ts_ms"] = 5
    keys = draw(st.permutations(list(content))) if draw(st.booleans()) else list(content)
    message = content["msg"]
    content["msg"] = {key: message[key] for key in draw(st.permutations(list(message)))}
    made = {key: content[key] for key in keys}
    return made, draw(STEPS), draw(DAMAGES), draw(st.integers(0, 400))


def damaged(raw: bytes, how: str, where: int) -> bytes:
    at = where % len(raw)
    if how == "cut":
        return raw[:at]
    if how == "byte":
        return raw[:at] + bytes([where * 7 % 256]) + raw[at + 1 :]
    if how == "spaces":
        return raw.replace(b",", b" ,\n ").replace(b":", b" : ") + b"\r\n"
    if how == "twice":
        return raw[:-1] + b',"seq":1}'
    return raw


Step = tuple[tuple[dict[str, Any], int, str, int], bool, bool]


def played(run: list[Step]) -> Pair:
    """A run of frames, each with the number that the decoded line would want next."""
    pair = Pair()
    for (content, step, how, where), is_again, last in run:
        content["seq"] = pair.decoded.kalshi._stream.seq + 1 + step
        raw = damaged(orjson.dumps(content), how, where)
        for _ in range(2 if is_again else 1):
            pair.give(raw, last=last)
    pair.tick()
    return pair


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(frames(), st.booleans(), st.booleans()), min_size=1, max_size=6))
def test_scanned_and_decoded_frames_leave_the_same(run: list[Step]) -> None:
    pair = played(run)
    assert left(pair.scanned) == left(pair.decoded), run


DELTA = {
    "type": "orderbook_delta", "sid": BOOK, "seq": 3,
    "msg": {"market_ticker": "A", "market_id": "x", "price_dollars": "0.4700", "delta_fp": "1.00",
            "side": "yes", "ts": "2026-09-06T13:50:00.000000Z", "ts_ms": 1_000},
}  # fmt: skip


def altered(**changes: Any) -> dict[str, Any]:
    """The delta with other members in its message; None takes one out."""
    message = {**DELTA["msg"], **changes}  # type: ignore[dict-item]
    return {**DELTA, "msg": {key: value for key, value in message.items() if value is not None}}


def code(frame: Any, made: Line) -> int:
    """What the scanner says."""
    raw = frame if isinstance(frame, bytes) else orjson.dumps(frame) + b"\n"
    words, state, memory = made.kalshi._words, made.kalshi._state, made.kalshi._memory
    return int(kalshi_scan.scan(words, state, memory, memoryview(raw), 5, True))


@pytest.mark.parametrize(
    ("frame", "told"),
    [
        (DELTA, 0),
        (altered(delta_fp="-1.00", side="no", price_dollars="0.5200"), 0),
        (altered(client_order_id="mine", subaccount=0), 0),
        (altered(delta_fp="0.00"), IDLE),
        (altered(ts_ms=None, ts=None), UNSTAMPED),
        (altered(market_ticker="OTHER"), NOTHING),
        (dict(reversed(DELTA.items())), 0),
    ],
)
def test_what_the_venue_sends_today_is_taken(frame: Any, told: int) -> None:
    made = Pair().scanned
    assert code(frame, made) == told
    assert made.kalshi._stream.seq == 3
    assert told or made.kalshi._memory[OUT_LOCAL] == 0


@pytest.mark.parametrize(
    "frame",
    [
        {**DELTA, "new": 1},
        altered(new=1),
        altered(side=None),
        altered(side="maybe"),
        altered(market_ticker=""),
        altered(price_dollars=0.47),
        altered(delta_fp="one"),
        {**DELTA, "type": "orderbook_delt"},
        {**DELTA, "seq": 2},
        {**DELTA, "seq": 4},
        {**DELTA, "sid": BOOK + 1},
        altered(market_id="x" * kalshi_scan.SIZE_MAX),
        orjson.dumps(DELTA).replace(b"0.4700", b"0.47\\u00300"),
        orjson.dumps(DELTA)[:-1],
        orjson.dumps(DELTA) + b"x",
        b"",
    ],
)
def test_what_is_not_known_whole_is_left_to_the_types_untouched(frame: Any) -> None:
    made = Pair().scanned
    before = made.kalshi._state.copy()
    assert code(frame, made) == FALL
    assert (made.kalshi._state == before).all() and made.kalshi._stream.seq == 2


def test_a_scanned_frame_said_again_is_a_repeat_and_one_altered_a_hole() -> None:
    made = line()
    made.snapshot()
    made.delta("yes", "0.4700", "1.00", seq=2)
    made.delta("yes", "0.4700", "1.00", seq=2)
    assert (made.rig.counted("duplicates"), made.rig.counted("gaps")) == (1, 0)
    made.delta("yes", "0.4700", "2.00", seq=2)
    assert (made.rig.counted("duplicates"), made.rig.counted("gaps")) == (1, 1)


def test_a_subscription_forgets_with_its_connection() -> None:
    kept = Subscription({"A": 0})
    kept.sid = 5
    kept.forget()
    assert (kept.sid, kept.seq) == (0, -1)


def test_another_side_would_be_seen() -> None:
    """Negative control: the comparison has teeth."""
    one, other = Pair().scanned, Pair().scanned
    one.give(DELTA)
    other.give(altered(side="no", price_dollars="0.5200"))
    assert left(one) != left(other)


@pytest.mark.parametrize("file", ["book_demo_yes_scale_prices", "book_prod_kxbtc15m_no_leg_prices"])
def test_every_delta_of_the_reference_is_scanned(file: str) -> None:
    lines = reference(f"fixtures/kalshi/ws/{file}.jsonl").read_text().splitlines()
    deltas = [each for each in map(orjson.loads, lines) if each["type"] == "orderbook_delta"]
    codes = set()
    for frame in deltas:
        made = line()
        made.kalshi._stream.sid = frame["sid"]
        made.kalshi._memory[kalshi_scan.SEQ] = frame["seq"] - 1
        codes.add(code(frame, made))
    assert codes == {NOTHING}  # of markets that are not ours
