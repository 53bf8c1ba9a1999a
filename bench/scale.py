"""Scale: a thousand markets on each venue run whole: all quotes trusted soon, little CPU, no waste.

Topology: the real thing, `arb-supervisor start --markets 1000`: supervisor, simulated venues, eight
feeds, detector, gateway, signer and canceller, on sockets with TLS. This process only looks: at the
segment while it starts, at /proc afterwards. "Trusted" counts markets that are open; the world has
a few windows that open later.
Cores: 2 at least; no verdict, the figures are this machine's. The simulated venues take a good part
of it.
What would make it lie: a cold cache of kernels (it is warmed first, outside the count); load from
others; own memory (USS) is what a process would give back, PSS shares what several map.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil

import shm_layout as shm
from ops import cache, control

MARKETS, QUICK_MARKETS = 1_000, 40
STEADY_S, QUICK_S = 30.0, 3.0
SETTLE_S = 5.0  # the pool of signed orders fills after the start
START_MAX_S = 120.0
LOOK_S = 0.02
MIB = 1 << 20
ROOT = Path(shm.__file__).parent
SHM = Path("/dev/shm")
COUNTED = ("frames", "published")
VENUES = ("kalshi", "polymarket")


@dataclass(frozen=True, slots=True)
class Books:
    """How many markets of a venue are open, and how many of those may be traded on."""

    is_open: int
    trusted: int


def books(segment: shm.Segment, venue: str) -> Books:
    """Counted from the quotes as they are now, a word at a time."""
    words, first = segment.words, shm.LINE
    rows = np.arange(shm.INSTRUMENTS_MAX) * shm.ENTRY + first
    identities, quotes = rows + segment.at("instruments"), rows + segment.at("quotes")
    ours = words[identities + shm.cell(shm.INSTRUMENT, "live")] == 1
    feed = shm.VENUES.index(venue)
    ours &= words[identities + shm.cell(shm.INSTRUMENT, "feed")] == feed
    is_open = ours & (words[quotes + shm.cell(shm.QUOTE, "status")] == shm.ST_ACTIVE)
    is_open &= words[quotes + shm.cell(shm.QUOTE, "number")] > 0
    trusted = is_open & (words[quotes + shm.cell(shm.QUOTE, "trust")] == 0)
    return Books(int(is_open.sum()), int(trusted.sum()))


def all_trusted(segment: shm.Segment, markets: int) -> bool:
    """Every open market of both venues, and no fewer than asked for."""
    found = [books(segment, venue) for venue in VENUES]
    return all(one.is_open == one.trusted >= markets for one in found)


@dataclass(slots=True)
class Running:
    """An engine of its own name in a folder of its own."""

    folder: Path
    name: str
    process: subprocess.Popen[str]
    began: float

    def until(self, holds: Callable[[], bool], what: str) -> float:
        """Seconds since the start when it held. Raises AssertionError if it never does."""
        while not holds():
            spent = time.monotonic() - self.began
            assert self.process.poll() is None, f"{what}: ended: {self.process.communicate()}"
            assert spent < START_MAX_S, f"{what}: not within {START_MAX_S:g} s"
            time.sleep(LOOK_S)
        return round(time.monotonic() - self.began, 2)

    def segment(self) -> shm.Segment:
        """Once it is there."""
        self.until(lambda: (SHM / self.name).exists() and self._has_header(), "a segment")
        return shm.Segment.attach(self.name)

    def _has_header(self) -> bool:
        with (SHM / self.name).open("rb") as file:
            return int.from_bytes(file.read(8), "little") == shm.MAGIC

    def leftovers(self) -> list[str]:
        """Segments and sockets that still have its name."""
        found = [str(path) for path in SHM.iterdir() if path.name.startswith(self.name)]
        socket = self.folder / control.SOCKET
        return found + ([str(socket)] if socket.exists() else [])


@contextmanager
def running(markets: int) -> Iterator[Running]:
    """A started engine; it is gone afterwards."""
    kernels = cache.use()
    if not cache.is_warm(kernels):
        cache.start_warming(kernels).communicate()
    with tempfile.TemporaryDirectory(prefix="arb-bench-") as text:
        folder, name = Path(text), f"arb-bench-{os.getpid()}"
        (folder / "kernels").symlink_to(kernels.parent)
        (folder / "tmp").mkdir(mode=0o700)
        environment = os.environ | {
            "ARB_STATE_DIR": text, "ARB_NAME": name, "XDG_RUNTIME_DIR": str(folder / "tmp"),
        }  # fmt: skip
        command = [sys.executable, "-m", "ops.supervisor_cli", "start", "--markets", str(markets)]
        process = subprocess.Popen(
            [*command, "--json"], cwd=ROOT, env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        made = Running(folder, name, process, time.monotonic())
        try:
            yield made
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(30)


def processes(status: dict[str, Any]) -> dict[str, psutil.Process]:
    """By name, of those that live."""
    return {row["name"]: psutil.Process(row["pid"]) for row in status["processes"] if row["pid"]}


def counters(segment: shm.Segment) -> dict[str, dict[str, int]]:
    """COUNTED of each feed that runs."""
    table, names = segment.table("roles"), shm.COUNTERS["feed"]
    return {
        venue: {
            name: int(table[shm.FEED_ROLE + feed]["counters"][names.index(name)])
            for name in COUNTED
        }
        for feed, venue in enumerate(shm.VENUES)
        if table[shm.FEED_ROLE + feed]["pid"]
    }


def steady(
    segment: shm.Segment, found: dict[str, psutil.Process], seconds: float
) -> dict[str, Any]:
    """CPU and memory of each process, and the feeds' rates, over so many seconds."""
    before, began = counters(segment), time.monotonic()
    spent = {name: sum(one.cpu_times()[:2]) for name, one in found.items()}
    time.sleep(seconds)
    span, after = time.monotonic() - began, counters(segment)
    used: dict[str, dict[str, float]] = {}
    for name, one in found.items():
        memory = one.memory_full_info()
        share = (sum(one.cpu_times()[:2]) - spent[name]) / span
        used[name] = {
            "cpu_percent": round(100 * share, 1),
            "rss_mib": round(memory.rss / MIB, 1),
            "pss_mib": round(memory.pss / MIB, 1),
            "own_mib": round(memory.uss / MIB, 1),
        }
    rates = {
        venue: {f"{name}_per_s": round((after[venue][name] - before[venue][name]) / span, 1)
                for name in COUNTED}
        for venue in after
    }  # fmt: skip
    whole = {key: round(sum(one[key] for one in used.values()), 1) for key in used["venues"]}
    return {"processes": used, "all": whole, "feeds": rates}


def measure(markets: int, seconds: float) -> dict[str, Any]:
    """Start, steady state and end of one run. Asserts that everything is trusted and nothing is
    left."""
    with running(markets) as made:
        segment = made.segment()
        started = {"segment_s": round(time.monotonic() - made.began, 2)}
        state = segment.at("control") + shm.cell(shm.CONTROL, "trading_state")
        words = segment.words
        started["trading_s"] = made.until(
            lambda: int(shm.word_load(words, state)) == shm.ACTIVE, "trading"
        )
        started["all_trusted_s"] = made.until(lambda: all_trusted(segment, markets), "trust")
        time.sleep(min(SETTLE_S, seconds))
        status = control.ask(made.folder, "status")
        made.until(lambda: all_trusted(segment, markets), "trust again")
        shown = {venue: books(segment, venue).trusted for venue in VENUES}
        found = steady(segment, processes(status), seconds)
        everyone = psutil.Process(made.process.pid).children(recursive=True)
        control.ask(made.folder, "stop")
        out, _ = made.process.communicate(timeout=60)
        ended = json.loads(out)
        assert made.process.returncode == 0, f"exit code {made.process.returncode}"
        _, alive = psutil.wait_procs(everyone, timeout=5)
        assert not alive and not made.leftovers(), (alive, made.leftovers())
    started["first_order_s"] = ended["first_order_s"]
    kept = ("edges", "intents", "orders", "fills", "one_legged")
    gaps = {venue: ended["venues"][venue]["gaps"] for venue in VENUES}
    return {
        "markets": markets, "start": started, "trusted": shown, **found,
        "trading": {name: ended[name] for name in kept}, "gaps": gaps,
    }  # fmt: skip


def run(quick: bool) -> dict[str, object]:
    """The figures of one run."""
    return measure(QUICK_MARKETS if quick else MARKETS, QUICK_S if quick else STEADY_S)
