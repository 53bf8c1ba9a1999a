"""The alarm rings once per setting, after its stamp."""

from __future__ import annotations

import asyncio
import time

import pytest
import uvloop

from ops.venues.pacing import Alarm


@pytest.mark.parametrize("has_timerfd", [True, False])
def test_the_alarm_never_rings_early(has_timerfd: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    async def body() -> list[int]:
        rung: asyncio.Queue[int] = asyncio.Queue()
        alarm = Alarm(
            asyncio.get_running_loop(),
            lambda: rung.put_nowait(time.monotonic_ns()),
            time.monotonic_ns,
        )
        assert (alarm._fd >= 0) == has_timerfd
        late = []
        for delay_ns in (300_000, 1_700_000, 12_345_678, -5):
            due_ns = time.monotonic_ns() + delay_ns
            alarm.set(time.monotonic_ns() + 3_600_000_000_000)
            alarm.set(due_ns)
            late.append(await asyncio.wait_for(rung.get(), 60) - due_ns)
        assert rung.empty()
        alarm.close()
        return late

    if not has_timerfd:
        monkeypatch.setattr(Alarm, "has_timerfd", False)
    assert min(uvloop.run(body())) >= 0
