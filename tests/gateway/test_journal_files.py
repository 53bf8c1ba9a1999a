"""Every byte of a journal: cut there, or changed there, it is read as a valid prefix or refused.

A hundred records: orders as cells, answers as text, as a gateway writes them.
"""

from __future__ import annotations

import random
import struct
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway import journal as j
from gateway import journal_files as files
from gateway import order_record as o
from gateway.frame import check_of
from tests.twins.frame import check_of as plain_check_of

pytestmark = pytest.mark.timeout(300)  # every byte, on a busy machine

RECORDS = 100
SEED = 4
PATH = Path("journal-000001.bin")
SIZE = 2 * j.RECORD_MAX_BYTES
REOPENED = 61  # each so many bytes the journal is also gone on with


def payload(number: int) -> bytes:
    """A record: every ninth an order of one or two legs, the last one too: it ends in zeros."""
    if number % 9:
        return orjson.dumps({"k": "end", "key": f"{number:x}", "why": 7})
    legs = 1 + number % 2
    cells = [o.ORDER_RECORD, 77, number, legs, *range(len(o.INTENT_HEAD))]
    for leg in range(legs):
        cells += [leg + 1] * (o.LEG_ROW - o.HASH_CELLS) + [0] * o.HASH_CELLS
    return struct.pack(f"<{len(cells)}q", *cells)


def whole() -> tuple[bytes, list[dict[str, Any]], int]:
    """A file's bytes, its records, where it ends. Made with the plain twin of the check."""
    chain = files.FIRST.chain
    found = bytearray(j.HEAD.pack(files.MAGIC, 1, 1, SIZE, chain).ljust(j.HEAD_BYTES, b"\0"))
    for number in range(RECORDS):
        content = payload(number)
        body = struct.pack("<Q16s", number + 1, chain) + content
        frame = struct.pack("<II", len(content), 0) + body + bytes(-len(content) % 8)
        frame = struct.pack("<II", len(content), plain_check_of(frame)) + frame[8:]
        assert len(frame) == files.padded(len(content))
        found += frame
        chain = files.link(chain, content)
    end = len(found)
    records = files.parse(bytes(found).ljust(SIZE, b"\0"), PATH).records
    assert len(records) == RECORDS
    return bytes(found).ljust(SIZE, b"\0"), records, end


@pytest.fixture(scope="module")
def journal() -> tuple[bytes, list[dict[str, Any]], int]:
    return whole()


def judge(raw: bytes, records: list[dict[str, Any]], least: int) -> files.Recovered:
    """What was read is a prefix, and no shorter than what stands before the change."""
    found = files.parse(raw, PATH, files.FIRST)
    assert least <= len(found.records) <= len(records)
    assert found.records == records[: len(found.records)]
    return found


def ends(raw: bytes) -> list[int]:
    """Where each frame ends."""
    at, found = j.HEAD_BYTES, []
    while length := int.from_bytes(raw[at : at + 4], "little"):
        at += files.padded(length)
        found.append(at)
    return found


def go_on(folder: Path, raw: bytes, told: files.Recovered) -> None:
    """A gateway opens it: it goes on behind the prefix, or takes nothing."""
    folder.mkdir()
    (folder / PATH).write_bytes(raw)
    journal = j.Journal(folder)
    assert journal.recovered == told.records
    assert journal.append({"next": 1}) == (not told.damage)
    journal.close()
    again = files.walk(folder)[-1][1]
    if told.damage:
        assert (folder / PATH).read_bytes() == raw and journal.failed
    else:
        assert again.records == [*told.records, {"next": 1}]
        assert not again.damage and not again.torn_bytes


def test_cut_at_every_byte_it_is_a_prefix_that_refuses(
    journal: tuple[bytes, list[dict[str, Any]], int], tmp_path: Path
) -> None:
    """A file that is shorter than its head says has lost what nobody can know."""
    raw, records, end = journal
    edges = ends(raw)
    for cut in range(end):
        least = sum(edge <= cut for edge in edges) if cut >= j.HEAD_BYTES else 0
        found = judge(raw[:cut], records, least)
        assert found.damage and len(found.records) <= least + 1, "one may have lost zeros only"
        if cut % REOPENED == 0:
            go_on(tmp_path / str(cut), raw[:cut], found)
    assert len(judge(raw[: end + 1], records, RECORDS).records) == RECORDS


def test_emptied_from_every_byte_on_it_is_a_prefix(
    journal: tuple[bytes, list[dict[str, Any]], int], tmp_path: Path
) -> None:
    """What never reached a preallocated file is zeros. A death leaves whole sectors, or a frame
    without its first cell: those are ends. Of the others none is read as more than there was.
    """
    raw, records, end = journal
    edges = ends(raw)
    ended = 0
    for cut in (*range(j.HEAD_BYTES, end, 5), *edges):
        cut_raw = raw[:cut].ljust(SIZE, b"\0")
        least = sum(edge <= cut for edge in edges)
        found = judge(cut_raw, records, least)
        if cut % files.SECTOR == 0 or cut in edges or cut == j.HEAD_BYTES:
            assert not found.damage, cut
        ended += not found.damage
        if cut % REOPENED == 0 and cut not in edges:
            go_on(tmp_path / str(cut), cut_raw, found)
    assert ended > RECORDS


def test_without_its_first_cell_the_last_frame_is_an_end_whatever_else_is_there(
    journal: tuple[bytes, list[dict[str, Any]], int], tmp_path: Path
) -> None:
    """A process that dies in the middle of a store leaves this, at whichever byte."""
    raw, records, _ = journal
    *_, start, last = ends(raw)
    for cut in range(start + 8, last + 1):
        torn = (raw[:start] + bytes(8) + raw[start + 8 : cut]).ljust(SIZE, b"\0")
        found = judge(torn, records, RECORDS - 1)
        assert not found.damage and len(found.records) == RECORDS - 1
        if cut % 7 == 0:
            go_on(tmp_path / str(cut), torn, found)


def test_one_bit_flipped_at_every_byte_it_is_a_prefix_that_says_so(
    journal: tuple[bytes, list[dict[str, Any]], int], tmp_path: Path
) -> None:
    raw, records, end = journal
    edges = ends(raw)
    chance = random.Random(SEED)
    torn = 0
    for at in range(end + 64):
        changed = bytearray(raw)
        changed[at] ^= 1 << chance.randrange(8)
        least = sum(edge <= at for edge in edges) if at >= j.HEAD_BYTES else 0
        found = judge(bytes(changed), records, least)
        if at < edges[-2]:
            assert found.damage, f"byte {at}, seed {SEED}"
        if j.HEAD_BYTES <= at < edges[-2]:
            others = RECORDS - least - 1  # all but the one that was hit
            said = len(found.records), found.behind
            assert said == (least, others), f"byte {at}, seed {SEED}"
        torn += not found.damage
        if at % REOPENED == 0:
            go_on(tmp_path / str(at), bytes(changed), found)
    assert torn < 128, "of the last frame, and of the zeros behind it"


def test_a_zeroed_sector_before_whole_frames_is_damage(
    journal: tuple[bytes, list[dict[str, Any]], int],
) -> None:
    """The negative control of "torn is the end": frames behind the hole show that it is none."""
    raw, records, end = journal
    for at in range(files.SECTOR, end - 2 * files.SECTOR, files.SECTOR):
        holed = raw[:at] + bytes(files.SECTOR) + raw[at + files.SECTOR :]
        found = judge(holed, records, 0)
        assert found.damage and found.behind, at


def test_the_frames_of_this_test_are_those_the_kernels_write(tmp_path: Path) -> None:
    """The file above was made without the compiled check; the compiled one agrees."""
    import numpy as np

    raw, _, _ = whole()
    cells = np.frombuffer(raw, np.int64)
    length, check, _, _ = j.FRAME.unpack_from(raw, j.HEAD_BYTES)
    assert check_of(cells, j.HEAD_BYTES // 8, length) == check
