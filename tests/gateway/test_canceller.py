"""The canceller cancels at both venues when killed or orphaned, and gives up in time."""

from __future__ import annotations

import select
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.canceller import Canceller, CancellerParams
from gateway.policy import CANCELLER_RIGHTS
from ops.venues.signatures import KalshiVerifier, is_l2_valid
from ops.venues.tls import make_tls
from shm_layout import (
    CANCELLER,
    CHANNEL,
    COUNTERS,
    HEADER,
    KILL,
    KILL_AT,
    ROLE,
    Segment,
    cell,
    word_load,
    word_store,
    word_wake,
)
from tests.gateway.signing_kit import (
    KALSHI_ID,
    MS_NS,
    ORDERS_PATH,
    SECOND_NS,
    WALL_NS,
    Desk,
    write_private,
)

WAIT_S = 60
SECRETS = {
    "api_key": "key-1", "secret": "yMnKy8zNzs_Q0dLT1NXW19jZ2tvc3d7f4OHi4-Tl5uc=",
    "passphrase": "pass-1", "address": "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
}  # fmt: skip


class Venue:
    """A TLS server that notes requests; `script` holds statuses to answer, the last for ever."""

    def __init__(self, folder: Path) -> None:
        tls = make_tls(folder)
        self.ca = str(tls.ca)
        self.script = [204]
        self.seen: list[tuple[str, str, dict[str, str]]] = []
        self.called = threading.Semaphore(0)
        venue = self

        class Handler(BaseHTTPRequestHandler):
            def do_DELETE(self) -> None:
                venue.seen.append((self.command, self.path, dict(self.headers)))
                status = venue.script.pop(0) if len(venue.script) > 1 else venue.script[0]
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()
                venue.called.release()

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls.cert, tls.key)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture(name="venue")
def _venue(tmp_path: Path) -> Iterator[Venue]:
    venue = Venue(tmp_path)
    yield venue
    venue.close()


class Patient(CancellerParams):
    """Waits as long as a busy machine needs, which the role may not."""

    def __post_init__(self) -> None:
        """Nothing is refused."""


class Room:
    """A signer, a canceller and its venues in one process, on clocks that stand."""

    def __init__(self, folder: Path, venue: Venue, **changes: Any) -> None:
        (folder / "keys").mkdir()
        self.desk = Desk(folder / "keys", rights=CANCELLER_RIGHTS)
        secrets = write_private(folder / "api.json", orjson.dumps(SECRETS))
        settings: dict[str, Any] = {
            "kalshi_host": "localhost", "kalshi_port": venue.port, "kalshi_key_id": KALSHI_ID,
            "polymarket_host": "localhost", "polymarket_port": venue.port,
            "secrets_file": secrets, "ca_file": venue.ca, "try_s": WAIT_S, "limit_s": WAIT_S,
        }  # fmt: skip
        self.canceller = Canceller(
            self.desk.main, self.desk.channel, Patient(**(settings | changes)), 1,
            self.desk.clock, lambda: self.desk.now_ns,
        )  # fmt: skip
        self.stock()

    def stock(self) -> None:
        """Header sets come in."""
        for _ in range(2):
            self.turn()
            self.desk.signer.step(self.desk.now_ns)

    def turn(self) -> bool:
        """One look of the canceller."""
        return self.canceller.turn(self.desk.now_ns)

    def kill(self, word: int = 1) -> None:
        word_store(self.desk.main.words, KILL_AT, word)

    def counter(self, name: str) -> int:
        at = cell(ROLE, "counters") + COUNTERS["canceller"].index(name)
        return int(word_load(self.desk.main.words, self.desk.main.at("roles", CANCELLER) + at))


@pytest.fixture(name="room")
def _room(tmp_path: Path, venue: Venue) -> Iterator[Room]:
    room = Room(tmp_path, venue)
    yield room
    room.canceller.close()


def by_path(venue: Venue) -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = {}
    for _, path, headers in venue.seen:
        found.setdefault(path, []).append(headers)
    return found


def test_the_kill_word_cancels_once_at_both_venues_with_valid_signatures(
    room: Room, venue: Venue
) -> None:
    assert room.turn() and venue.seen == []
    room.kill()
    assert room.turn()
    assert room.turn()
    assert room.canceller.results == {"kalshi": 204, "polymarket": 204}
    seen = by_path(venue)
    assert {path: len(rows) for path, rows in seen.items()} == {ORDERS_PATH: 1, "/cancel-all": 1}
    kalshi, polymarket = seen[ORDERS_PATH][0], seen["/cancel-all"][0]
    assert room.desk.signer._kalshi is not None
    verifier = KalshiVerifier(room.desk.signer._kalshi.public_pem())
    text, stamp = kalshi["KALSHI-ACCESS-SIGNATURE"], kalshi["KALSHI-ACCESS-TIMESTAMP"]
    assert verifier.is_valid(text, stamp, "DELETE", ORDERS_PATH)
    assert 0 <= int(stamp) - WALL_NS // MS_NS < 4, "each of four sets has a millisecond"
    assert kalshi["KALSHI-ACCESS-KEY"] == KALSHI_ID
    stamp, given = polymarket["POLY_TIMESTAMP"], polymarket["POLY_SIGNATURE"]
    assert is_l2_valid(SECRETS["secret"], stamp, "DELETE", "/cancel-all", b"", given)
    assert polymarket["POLY_ADDRESS"] == SECRETS["address"]
    assert (room.counter("kills"), room.counter("cancels"), room.counter("failures")) == (1, 2, 0)


def test_a_cleared_and_set_again_kill_word_cancels_again(room: Room, venue: Venue) -> None:
    for word in (1, 1, 0, 2):
        room.kill(word)
        room.stock()
    assert len(venue.seen) == 4


def test_a_kill_word_that_is_set_once_more_cancels_once_more(room: Room, venue: Venue) -> None:
    for set_ns in (5, 5, 6):
        word_store(room.desk.main.words, KILL_AT + cell(KILL, "set_ns"), set_ns)
        room.kill()
        room.stock()
    assert len(venue.seen) == 4


def test_it_tries_again_with_another_signature_until_the_venue_says_yes(
    tmp_path: Path, venue: Venue
) -> None:
    room = Room(tmp_path, venue, polymarket_host="", secrets_file=None)
    venue.script = [500, 503, 204]
    room.kill()
    room.turn()
    rows = by_path(venue)[ORDERS_PATH]
    assert len(rows) == 3 and len({row["KALSHI-ACCESS-TIMESTAMP"] for row in rows}) == 3
    assert room.canceller.results == {"kalshi": 204}
    room.canceller.close()


def test_a_venue_that_never_says_yes_is_given_up(room: Room, venue: Venue) -> None:
    venue.script = [500]
    room.kill()
    room.turn()
    assert len(venue.seen) == 6  # three tries at each
    assert room.canceller.results == {"kalshi": 500, "polymarket": 500}
    assert (room.counter("cancels"), room.counter("failures")) == (0, 2)


def test_a_venue_that_does_not_answer_ends_within_the_limit(tmp_path: Path, venue: Venue) -> None:
    dead = socket.create_server(("127.0.0.1", 0))  # accepts, then says nothing
    room = Room(tmp_path, venue, kalshi_port=dead.getsockname()[1])

    end_ns = room.desk.now_ns + WAIT_S * SECOND_NS

    def mono() -> int:
        """Stands until one venue has answered and the other one was asked; then time is up."""
        was_asked = bool(select.select([dead], [], [], 0)[0])
        is_late = was_asked and room.canceller.results.get("polymarket") == 204
        return end_ns if is_late else room.desk.now_ns

    room.canceller._mono = mono
    room.kill()
    room.turn()
    assert room.canceller.results == {"kalshi": 0, "polymarket": 204}
    link, _ = dead.accept()
    link.setblocking(False)
    with pytest.raises(BlockingIOError):  # not closed: its thread would wait still
        while link.recv(65_536):
            continue
    room.canceller._mono = lambda: end_ns
    link.close()
    dead.close()
    room.canceller.close()


def test_another_authority_is_not_spoken_to(tmp_path: Path, venue: Venue) -> None:
    (tmp_path / "other").mkdir()
    room = Room(tmp_path, venue, ca_file=str(make_tls(tmp_path / "other").ca))
    room.kill()
    room.turn()
    assert venue.seen == [] and room.canceller.results == {"kalshi": 0, "polymarket": 0}
    room.canceller.close()


def test_a_dead_signer_leaves_headers_for_the_cancel(room: Room, venue: Venue) -> None:
    room.desk.signer.close()
    room.kill()
    room.turn()
    assert room.canceller.results == {"kalshi": 204, "polymarket": 204}


def test_nothing_secret_prints(room: Room) -> None:
    shown = repr(room.canceller) + repr(room.canceller._targets)
    assert SECRETS["secret"] not in shown and "pass-1" not in shown


@pytest.mark.parametrize(
    "wrong",
    [{"tries": 0}, {"tries": 9}, {"limit_s": 4.5}, {"try_s": 3.0, "limit_s": 2.0},
     {"polymarket_host": "x"}],
)  # fmt: skip
def test_params_that_would_outlive_five_seconds_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="canceller"):
        CancellerParams(**wrong)


def a_supervisor(segment: Segment) -> subprocess.Popen[bytes]:
    """A process that only lives, entered in the header as the segment's creator."""
    process = subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE)
    with open(f"/proc/{process.pid}/stat", encoding="ascii") as file:
        started = int(file.read().rsplit(")", 1)[1].split()[19])
    for name, value in (("creator_pid", process.pid), ("creator_start", started)):
        word_store(segment.words, segment.at("header") + cell(HEADER, name), value)
    return process


def test_it_wakes_for_the_kill_word_and_ends_with_its_supervisor(
    tmp_path: Path, venue: Venue
) -> None:
    segment = Segment.private()
    supervisor = a_supervisor(segment)
    params = Patient(
        polymarket_host="localhost", polymarket_port=venue.port, ca_file=venue.ca,
        try_s=WAIT_S, limit_s=WAIT_S,
        secrets_file=write_private(tmp_path / "api.json", orjson.dumps(SECRETS)),
    )  # fmt: skip
    canceller = Canceller(
        segment, Segment.private(CHANNEL), params, 1, time.time_ns, time.monotonic_ns
    )
    thread = threading.Thread(target=canceller.run, daemon=True)
    thread.start()
    assert not canceller.is_orphan() and venue.seen == []
    word_store(segment.words, KILL_AT, 1)
    word_wake(segment.words, KILL_AT)
    assert venue.called.acquire(timeout=WAIT_S)
    supervisor.kill()
    supervisor.communicate()
    assert venue.called.acquire(timeout=WAIT_S)  # once more, for what went out since
    thread.join(WAIT_S)
    assert not thread.is_alive() and canceller.results == {"polymarket": 204}
    assert len(venue.seen) == 2
    canceller.close()


def test_it_stops_when_told(room: Room) -> None:
    thread = threading.Thread(target=room.canceller.run, daemon=True)
    thread.start()
    room.canceller.stop()
    thread.join(WAIT_S)
    assert not thread.is_alive()


def test_a_creator_whose_pid_is_now_anothers_is_gone(tmp_path: Path) -> None:
    segment = Segment.private()
    at = segment.at("header") + cell(HEADER, "creator_start")
    word_store(segment.words, at, word_load(segment.words, at) - 1)
    canceller = Canceller(
        segment, Segment.private(CHANNEL), CancellerParams(), 1, time.time_ns, time.monotonic_ns
    )
    assert canceller.is_orphan()
