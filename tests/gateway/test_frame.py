"""Frames of the journal: the compiled check is the plain one and sees every changed bit; an order's
record says what was judged.
"""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from gateway import journal as j
from gateway.frame import FRAME_CELLS, R_JOURNAL, R_KILLED, check_of
from gateway.intent import from_cells
from gateway.memory import INTENT_AT, K_HASH, LOOK_CELLS, LOOKS_AT, Memory
from gateway.order_record import (
    ID_BYTES,
    ID_CELLS,
    INTENT_HEAD,
    order_id,
    order_record,
    put_id,
)
from ops.last_look import take
from shm_layout import BODY, BUY, KILL, SELL, cell, word_store
from tests.gateway.scene import KALSHI, POLY, RUN, Scene
from tests.twins import frame as twin

SEED = 7


def test_the_check_is_the_plain_one() -> None:
    chance = random.Random(SEED)
    for length in [*range(1, 40), 480, 4_099]:
        raw = bytearray(chance.randbytes(8 * FRAME_CELLS + (length + 7) // 8 * 8))
        raw[:4] = length.to_bytes(4, "little")
        file = np.frombuffer(bytes(64) + bytes(raw), np.int64)
        assert check_of(file, 8, length) == twin.check_of(bytes(raw)), f"seed {SEED}, {length}"


def test_every_flipped_bit_of_a_frame_is_seen(tmp_path: Path) -> None:
    journal = j.Journal(tmp_path, file_bytes=2 * j.RECORD_MAX_BYTES)
    assert journal.append({"text": "two words"})
    journal.close()
    whole = journal.path.read_bytes()
    end = j.read(journal.path).end
    for bit in range(8 * j.HEAD_BYTES, 8 * end):
        raw = bytearray(whole)
        raw[bit // 8] ^= 1 << bit % 8
        journal.path.write_bytes(raw)
        found = j.read(journal.path)
        assert not found.records and found.damage, f"bit {bit}"


def test_the_compiled_id_is_the_plain_one() -> None:
    chance = random.Random(SEED)
    top = 2**63 - 1
    cells = np.full(ID_CELLS + 2, -1, np.int64)
    for run, intent in [(0, 0), (top, top), *((chance.getrandbits(63),) * 2 for _ in range(500))]:
        for leg in range(4):
            put_id(cells, 1, run, intent ^ leg, leg)
            found = cells[1:-1].tobytes()
            assert found[:ID_BYTES].decode() == order_id(run, intent ^ leg, leg)
            assert not any(found[ID_BYTES:]) and cells[0] == cells[-1] == -1, "nothing beside it"


def judged() -> tuple[Scene, Memory]:
    """An intent of two legs that may go, as the last look leaves it."""
    scene = Scene()
    memory = Memory()
    memory.run(RUN)
    scene.tell(memory)
    scene.intent(
        scene.leg(KALSHI, BUY, 420_000), scene.leg(POLY, SELL, 500_000), parent=5, edge_e6=77
    )
    assert take(scene.segment.words, memory.words, scene.clock()) == 0
    return scene, memory


def test_an_order_record_says_what_was_judged(tmp_path: Path) -> None:
    scene, memory = judged()
    digest = bytes(range(32))
    at = 8 * (LOOKS_AT + LOOK_CELLS + K_HASH)  # of the second leg
    memory.raw[at : at + 32] = digest
    journal = j.Journal(tmp_path)
    assert journal.append({"before": 1})
    assert journal.put_order(scene.segment.words, memory.words, 123) == 0
    assert journal.append({"after": 1})
    journal.close()
    before, record, after = j.read(journal.path).records
    intent = from_cells(memory.cells[INTENT_AT : INTENT_AT + BODY].tolist())
    one, other = intent.legs
    assert (before, after) == ({"before": 1}, {"after": 1})
    assert record == {
        "k": "order",
        "run": RUN,
        "taken_ns": 123,
        "intent": list(intent[: len(INTENT_HEAD)]),
        "orders": [
            [0, KALSHI, KALSHI, 1, BUY, 420_000, one.size_e6, order_id(RUN, intent.id, 0)],
            [1, POLY, POLY, 1, SELL, 500_000, other.size_e6, "0x" + digest.hex()],
        ],
        "placings": [[0, BUY, 420_000], [1, BUY, 500_000]],
        "costs": [4_200_000 + 170_700, 5_000_000 + 250_010],
    }


def test_under_the_kill_word_the_record_stands_and_nothing_may_leave(tmp_path: Path) -> None:
    scene, memory = judged()
    journal = j.Journal(tmp_path)
    word_store(scene.segment.words, scene.segment.at("kill") + cell(KILL, "word"), 1)
    assert journal.put_order(scene.segment.words, memory.words, 1) == R_KILLED
    journal.close()
    assert [record["k"] for record in j.read(journal.path).records] == ["order"]


def test_a_failed_journal_takes_no_order(tmp_path: Path) -> None:
    scene, memory = judged()
    journal = j.Journal(tmp_path)
    journal.failed = "a test"
    assert journal.put_order(scene.segment.words, memory.words, 1) == R_JOURNAL
    journal.close()
    assert not j.read(journal.path).records


def test_orders_go_on_in_the_next_file(tmp_path: Path) -> None:
    scene, memory = judged()
    journal = j.Journal(tmp_path, file_bytes=2 * j.RECORD_MAX_BYTES)
    for taken in range(600):
        assert journal.put_order(scene.segment.words, memory.words, taken) == 0
    journal.close()
    again = j.Journal(tmp_path, file_bytes=2 * j.RECORD_MAX_BYTES)
    assert len(j.files(tmp_path)) > 1 and not again.damage
    assert [record["taken_ns"] for record in again.recovered] == list(range(600))
    again.close()


@pytest.mark.parametrize("payload", [b"", b"\x02" + bytes(7), b"\x01" + bytes(31), bytes(400)])
def test_what_is_no_order_record_is_not_read_as_one(payload: bytes) -> None:
    with pytest.raises(ValueError, match="order record"):
        order_record(payload)
