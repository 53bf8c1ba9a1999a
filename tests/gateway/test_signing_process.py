"""The signer as a process of its own: real segments, real futexes, death among requests."""

from __future__ import annotations

import ctypes
import dataclasses
import multiprocessing
import os
import resource
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.header_stock import header_dict
from gateway.policy import GATEWAY_RIGHTS
from gateway.pool import OrderPool
from gateway.signer import Signer, SignerParams
from gateway.signing import LOST_NS, SigningClient
from shm_layout import BUY, CHANNEL, MAIN, Segment
from tests.gateway.signing_kit import (
    KALSHI_ID,
    MS_NS,
    ORDERS_PATH,
    POLYMARKET_KEY,
    ed25519_pem,
    pool_params,
    write_market,
    write_private,
    write_quote,
)

LIMIT_NS = 60_000 * MS_NS
PR_GET_DUMPABLE = 3
CONTEXT = multiprocessing.get_context("spawn")


def be_signer(main: str, channel: str, params: SignerParams, line: Any) -> None:
    """The role's loop, until it is killed."""
    segment = Segment.attach(main, writable=True)
    channels = [Segment.attach(channel, CHANNEL, writable=True)]
    signer = Signer(segment, channels, params, 1, time.time_ns, time.monotonic_ns)
    dumpable = ctypes.CDLL(None).prctl(PR_GET_DUMPABLE, 0, 0, 0, 0)
    line.send((dumpable, *resource.getrlimit(resource.RLIMIT_CORE)))
    while True:
        if not signer.step(time.monotonic_ns()):
            signer.idle()


class Rig:
    """Two segments, a signer process and a client here."""

    def __init__(self, folder: Path) -> None:
        stem = f"arb-test-signing-{os.getpid()}"
        self.main = Segment.create(stem, MAIN)
        self.channel = Segment.create(f"{stem}-gateway", CHANNEL)
        write_market(self.main)
        write_quote(self.main)
        self.params = SignerParams(
            clients=(dataclasses.replace(GATEWAY_RIGHTS, bell_role=3),),
            kalshi_key_file=write_private(folder / "kalshi.pem", ed25519_pem()),
            polymarket_key_file=write_private(folder / "p.key", POLYMARKET_KEY.hex().encode()),
        )
        self.client = SigningClient(
            self.channel, self.main, clock=time.time_ns, kalshi_key_id=KALSHI_ID
        )
        self.exposed: tuple[int, int, int] = (-1, -1, -1)
        self.process = self.spawn()

    def spawn(self) -> Any:
        ours, theirs = CONTEXT.Pipe()
        args = (self.main.name, self.channel.name, self.params, theirs)
        process = CONTEXT.Process(target=be_signer, args=args, daemon=True)
        process.start()
        assert ours.poll(60)
        self.exposed = ours.recv()
        return process

    def until(self, is_true: Any) -> None:
        """Turns of the client until it holds, at most a minute."""
        until_ns = time.monotonic_ns() + LIMIT_NS
        while not is_true():
            self.client.pump(time.monotonic_ns())
            assert time.monotonic_ns() < until_ns, "it never became true"
            os.sched_yield()

    def close(self) -> None:
        self.process.kill()
        self.process.join()
        self.main.unlink()
        self.channel.unlink()


@pytest.fixture(name="rig", scope="module")
def _rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    rig = Rig(tmp_path_factory.mktemp("signing"))
    yield rig
    rig.close()


def test_headers_and_orders_come_from_another_process_and_again_after_its_death(rig: Rig) -> None:
    began_ns = time.monotonic_ns()
    pool = OrderPool(rig.client, rig.main, params=pool_params(levels=0), clock=time.time_ns)
    rig.client.keep("POST", ORDERS_PATH, 4)
    lines: list[bytes] = []

    def has_headers() -> bool:
        found = rig.client.take_headers("POST", ORDERS_PATH, time.monotonic_ns())
        lines.extend([found] if found is not None else [])
        return bool(lines)

    rig.until(has_headers)
    assert header_dict(lines[0])["KALSHI-ACCESS-KEY"] == KALSHI_ID
    rig.until(lambda: pool.pump(time.monotonic_ns()) >= 0 and len(pool) > 20)

    def ask() -> Any:
        return pool.take_order(3, 0, BUY, 450_000, 10_200_000, 5, time.monotonic_ns())

    rig.process.kill()  # SIGKILL with requests on their way
    rig.process.join()
    assert ask() is None
    rig.process = rig.spawn()
    rig.until(lambda: ask() is not None)
    rig.until(lambda: rig.client.fresh(time.monotonic_ns()))
    # each request had one answer: a signature, or that it had become too old meanwhile; only what
    # took longer than a request is waited for finds nobody waiting
    assert rig.client.gaps == 0 and rig.client.unknown <= rig.client.lost
    assert rig.client.lost == 0 or time.monotonic_ns() - began_ns > LOST_NS
    assert set(rig.client.refused) <= {"stamp"}


def test_its_memory_is_closed_to_core_dumps_and_debuggers(rig: Rig) -> None:
    assert rig.exposed == (0, 0, 0)
