"""The simulated venues beside a bench: their process on a core of its own, with keys and
certificates made for this run.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from ops.simkeys import SimKeys, make_keys
from ops.venues.script import Script
from ops.venues.spec import Accounts, VenuesSpec
from ops.venues.tls import TlsPaths, make_tls

CASH_E6 = 900_000_000_000
UNLIMITED_PER_S = 1_000_000  # the venues' rate limits are no part of what is measured
READY_S, STOP_S = 30.0, 10.0

LogRow = tuple[str, str, int, int, str]  # venue, key, read_ns, answered_ns, outcome


def serve(conn: Connection, spec: VenuesSpec, core: int) -> None:
    """The other process. `core` < 0: anywhere."""
    from ops.venues.serve import run

    if core >= 0:
        os.sched_setaffinity(0, {core})
    run(conn, spec)


class Venues:
    """The running venues: `ports` by venue, `start` of run time, `stop` with their log."""

    def __init__(self, script: Script, folder: Path, core: int) -> None:
        self.keys: SimKeys = make_keys(folder)
        self.tls: TlsPaths = make_tls(folder)
        keys = self.keys
        accounts = Accounts(
            kalshi_key_id=keys.kalshi_key_id, kalshi_public_pem=keys.kalshi_public_pem,
            polymarket_address=keys.polymarket_address,
            polymarket_api_file=str(keys.polymarket_api_file),
            cash_kalshi_e6={0: CASH_E6}, cash_polymarket_e6=CASH_E6,
        )  # fmt: skip
        spec = VenuesSpec(
            script=script, accounts=accounts, tls_cert=str(self.tls.cert),
            tls_key=str(self.tls.key), kalshi_tokens_per_s=UNLIMITED_PER_S,
            polymarket_orders_per_s=UNLIMITED_PER_S,
        )  # fmt: skip
        self._conn, theirs = multiprocessing.Pipe()
        context = multiprocessing.get_context("spawn")
        self._process = context.Process(target=serve, args=(theirs, spec, core), daemon=True)
        self._process.start()
        theirs.close()
        self.ports: dict[str, dict[str, int]] = self._expect("ready", READY_S)[1]

    def start(self, mono_ns: int) -> None:
        """Run time begins to pass at this stamp."""
        self._conn.send(("start", mono_ns))

    def stop(self) -> tuple[list[LogRow], dict[str, dict[str, int]]]:
        """End them: every order read, and counts."""
        self._conn.send(("stop",))
        _, rows, counts = self._expect("log", STOP_S)
        self._process.join(STOP_S)
        return rows, counts

    def _expect(self, word: str, seconds: float) -> tuple[Any, ...]:
        while self._conn.poll(seconds):
            message: tuple[Any, ...] = self._conn.recv()
            if message[0] == word:
                return message
        raise TimeoutError(f"venues: nothing in {seconds} s, wanted {word!r}")

    def close(self) -> None:
        """Whatever still runs ends now."""
        self._conn.close()
        self._process.join(STOP_S)
        self._process.kill()


@contextmanager
def venues(script: Script, core: int) -> Iterator[tuple[Venues, Path]]:
    """Venues that serve `script`, and a folder of this run; both are gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="arb-bench-"))
    made: Venues | None = None
    try:
        made = Venues(script, folder, core)
        yield made, folder
    finally:
        if made is not None:
            made.close()
        shutil.rmtree(folder, ignore_errors=True)
