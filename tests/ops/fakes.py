# ruff: noqa: E402, I001  (the kernel cache comes before numba)
"""A session of small fake processes, so that supervising is tested without any room.

`python -m tests.ops.fakes start --for 1` is `arb-supervisor` with this session. A feed publishes
trusted quotes of its epoch; the gateway reports itself reconciled; the canceller outlives the
supervisor by half a second. What a role is told to do wrong stands in ARB_TEST_FAKE ("name=fault").
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ops import cache, clock

cache.use()

from ops.config import Settings
from ops.identity import Identity, identify, row
from ops.process import RoleSpec
from ops.run_folder import is_alive
from ops.session import Plan, Request, SessionError
from ops.venues.script import MarketSpec, PairSpec, SetSpec, Timeline
from shm_layout import (
    ACTIVE,
    BODY,
    CANCELLER,
    DETECTOR,
    FEED_ROLE,
    GATE,
    GATEWAY,
    K_QUOTE,
    QUOTE,
    Segment,
    cell,
    ring_append,
    word_store,
)

MARKETS = tuple(
    MarketSpec(
        venue=venue, ticker=f"{venue}-1", title="a fake", event="fake", token_yes="1", token_no="2"
    )
    for venue in ("kalshi", "polymarket")
)
PAIR = PairSpec(
    a_venue="kalshi", a_ticker="kalshi-1", b_venue="polymarket", b_ticker="polymarket-1"
)


class FakeScript:
    """Two markets, one pair, no events."""

    markets = MARKETS
    pairs = (PAIR,)
    sets: tuple[SetSpec, ...] = ()
    products: tuple[str, ...] = ()
    indices: tuple[str, ...] = ()
    timeline = Timeline(begin_epoch_ns=1_000_000_000)
    digest = "fake"
    counts: dict[str, int] = {}  # noqa: RUF012
    end_epoch_ns = None

    def events(self) -> Any:
        """None."""
        return iter(())


class FakeSession:
    """Feeds, detector, gateway and canceller that do next to nothing."""

    mode = "sim"
    channels: tuple[str, ...] = ("sign-gateway",)
    early: tuple[Plan, ...] = ()
    end_epoch_ns: int | None = None
    timeline = FakeScript.timeline

    def __init__(self, request: Request, folder: Path) -> None:
        if request.replay:
            raise SessionError(f"{request.replay[0]}: found nothing, wanted a recording")
        (folder / "secret").write_text("as a key would lie here")
        self.seed: int | None = request.seed
        self.script_hash = "fake"
        self.identity: Identity = identify(FakeScript(), _settings(request))

    def plans(self, ports: Mapping[str, Any], segment: str) -> tuple[Plan, ...]:
        """Every process of it."""
        told = os.environ.get("ARB_TEST_FAKE", "").split(",")
        faults = dict(part.split("=") for part in told if part)

        def plan(name: str, kind: str, role: int, **more: Any) -> Plan:
            return Plan(name=name, kind=kind, role=role, build="tests.ops.fakes:build",
                        params=faults.get(name, ""), **more)  # fmt: skip

        return (
            plan("canceller", "canceller", CANCELLER, does_outlive=True),
            plan("gateway", "gateway", GATEWAY, fds=("gateway",)),
            plan("feed kalshi", "feed", FEED_ROLE),
            plan("feed polymarket", "feed", FEED_ROLE + 1),
            plan("detector", "detector", DETECTOR, is_hot=True, fds=("gateway",)),
        )


def _settings(request: Request) -> Settings:
    return request.settings


class Beater:
    """Beats and waits."""

    def __init__(self, spec: RoleSpec, segment: Segment) -> None:
        self.spec, self.segment = spec, segment

    def step(self, now_ns: int) -> int:
        """A fault as told, else nothing."""
        if self.spec.params == "crash" and self.spec.epoch == 1:
            raise AssertionError("told to crash")
        if self.spec.params == "crash-always":
            os._exit(9)
        while self.spec.params == "hang" and self.spec.epoch == 1:
            clock.sleep_ns(clock.SECOND_NS)
        return 0

    def idle(self) -> None:
        """One bounded wait."""
        clock.sleep_ns(5 * clock.MS_NS)

    def close(self) -> None:
        """Nothing is held."""


class Feed(Beater):
    """One trusted quote, republished with the epoch granted to it."""

    def step(self, now_ns: int) -> int:
        """Publish once."""
        super().step(now_ns)
        instrument = self.spec.role - FEED_ROLE
        body = row(
            QUOTE, instrument=instrument, generation=1, number=1, epoch=self.spec.epoch, trust=0
        )
        self.segment.write("quotes", instrument, body)
        ring = f"changes_{instrument}"
        at, entries = self.segment.at(ring), self.segment.entries(ring)
        ring_append(self.segment.words, at, entries, K_QUOTE, body, BODY)
        return 0


class Gateway(Beater):
    """Reconciled at once."""

    def __init__(self, spec: RoleSpec, segment: Segment) -> None:
        super().__init__(spec, segment)
        os.fstat(spec.fds["gateway"].fd)
        word_store(segment.words, segment.at("gate") + cell(GATE, "reconciled_ns"), clock.mono_ns())
        word_store(segment.words, segment.at("gate") + cell(GATE, "state"), ACTIVE)


class Canceller(Beater):
    """Outlives the supervisor by half a second."""

    def __init__(self, spec: RoleSpec, segment: Segment) -> None:
        super().__init__(spec, segment)
        self.gone_ns = 0

    def step(self, now_ns: int) -> int:
        """Leave half a second after the supervisor's death."""
        if not is_alive(self.spec.supervisor_pid):
            self.gone_ns = self.gone_ns or now_ns
            if now_ns - self.gone_ns > clock.SECOND_NS // 2:
                os.kill(os.getpid(), 15)
        return 0


def build(spec: RoleSpec, segment: Segment) -> Beater:
    """The role of a spec."""
    kind = spec.name.split()[0]
    return {"feed": Feed, "gateway": Gateway, "canceller": Canceller}.get(kind, Beater)(
        spec, segment
    )


if __name__ == "__main__":
    from ops.supervisor_cli import main

    sys.exit(main(sys.argv[1:], FakeSession))
