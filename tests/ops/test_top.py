"""The live screen, headless: what it shows at 80×24 and at 160×48, and what its keys do."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from textual.pilot import Pilot

import shm_layout as shm
from ops.inspector import Inspector
from ops.inspector_view import View
from ops.top import Pane, Top
from tests.ops import top_scene as scene

NOW_NS = 5_000_000_000_000
SMALL, LARGE = (80, 24), (160, 48)
Script = Callable[[Pilot[int]], Awaitable[None]]


@pytest.fixture
def segment() -> Iterator[shm.Segment]:
    made = shm.Segment.create(f"arb-top-{uuid.uuid4().hex[:10]}", run_id=42)
    scene.fill(made, NOW_NS, extra=60)
    yield made
    made.unlink()


def run(name: str, size: tuple[int, int], script: Script, chosen: str = "") -> Top:
    """The app under a pilot; no timer fires during it."""
    app = Top(Inspector(name, lambda: NOW_NS).look, name, interval_s=3600, chosen=chosen)

    async def body() -> None:
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            await script(pilot)

    asyncio.run(body())
    return app


def screen(pilot: Pilot[int]) -> list[str]:
    """The lines of the screen as plain text."""
    strips = pilot.app.screen._compositor.render_strips()
    return ["".join(segment.text for segment in strip) for strip in strips]


def shown(pilot: Pilot[int]) -> str:
    return "\n".join(screen(pilot))


async def press(pilot: Pilot[int], *keys: str) -> str:
    for key in keys:
        await pilot.press(key)
    await pilot.pause()
    return shown(pilot)


def test_80_by_24_shows_one_pane_and_the_keys_reach_the_others(segment: shm.Segment) -> None:
    async def script(pilot: Pilot[int]) -> None:
        wanted = {
            "1": ["KXBTC15M", "0.5100", "0.5200", "gap, link_silent"],
            "2": ["KXBTC15M", "btc-updown", "+5.05c", "20"],
            "3": ["gateway", "late", "dead", "830 us"],
            "4": ["BUY", "20/20", "partial", "0.5200"],
            "5": ["-15", "cash, account 1", "989.25"],
            "6": ["tick_to_order", "1000", "p99.9"],
            "9": ["momentum", "model_edge", "stops at"],
        }
        for key, texts in wanted.items():
            text = await press(pilot, key)
            for part in texts:
                assert part in text, (key, part, text)
            lines = text.splitlines()
            assert len(lines) == 24 and all(len(line) == 80 for line in lines)
            assert sum("╭─" in line for line in lines) == 1

    run(segment.name, SMALL, script)


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_a_view_that_was_asked_for_is_the_one_that_is_shown(
    segment: shm.Segment, size: tuple[int, int]
) -> None:
    async def script(pilot: Pilot[int]) -> None:
        text = await press(pilot)
        assert "stops at" in text and "p99.9" not in text
        if size == LARGE:
            assert "p99.9" in await press(pilot, "z")

    run(segment.name, size, script, "strategies")


def test_160_by_48_shows_all_panes_at_once_and_zooms_to_one(segment: shm.Segment) -> None:
    async def script(pilot: Pilot[int]) -> None:
        text = shown(pilot)
        for name in ("quotes", "pairs", "processes", "orders", "positions", "latency", "edges",
                     "fair", "strategies"):  # fmt: skip
            assert f"─ {name}" in text
        assert "tick_to_order" in text and "0.5100" in text and "+5.05c" in text
        text = await press(pilot, "z")
        assert "─ quotes ─" in text and "─ pairs" not in text
        text = await press(pilot, "z", "tab")
        assert "─ latency ─" in text
        assert pilot.app.focused is pilot.app.query_one("#pairs")

    run(segment.name, LARGE, script)


def test_the_head_says_state_trust_and_who_is_ill(segment: shm.Segment) -> None:
    async def script(pilot: Pilot[int]) -> None:
        head = screen(pilot)[0]
        assert "ACTIVE · sim" in head and "trusted 63/64" in head and "paying 1/2" in head
        assert "ill: gateway, feed coinbase" in head

    run(segment.name, SMALL, script)


def test_a_title_cannot_inject_escape_codes_or_markup(segment: shm.Segment) -> None:
    async def script(pilot: Pilot[int]) -> None:
        text = await press(pilot, "z", "1")
        assert "\x1b" not in text and "\u202e" not in text and "\x07" not in text
        assert "[bold]x[/]" in text  # shown as it is, not obeyed

    run(segment.name, (200, 50), script)


def test_sort_turns_and_goes_round_to_the_table_s_own_order(segment: shm.Segment) -> None:
    async def script(pilot: Pilot[int]) -> None:
        pane = pilot.app.query_one("#quotes", Pane)
        own = [row.index for row in pane._rows]
        await press(pilot, "s", "s")
        assert [row.venue for row in pane._rows] == sorted(row.venue for row in pane._rows)
        assert "venue▲" in shown(pilot)
        await press(pilot, "r")
        assert "venue▼" in shown(pilot) and pane._rows[0].venue == "polymarket"
        await press(pilot, "r", *["s"] * (len(pane.table.columns) - 1))
        assert [row.index for row in pane._rows] == own
        await press(pilot, "S")
        assert pane.wish.sort == len(pane.table.columns) - 1

    run(segment.name, SMALL, script)


def test_every_column_of_every_pane_can_be_sorted_by(segment: shm.Segment) -> None:
    async def script(pilot: Pilot[int]) -> None:
        for pane in pilot.app.query(Pane):
            for _ in range(len(pane.table.columns) + 1):
                pane.sort_by(1)
                pane.turn()

    run(segment.name, SMALL, script)


def test_a_filter_keeps_what_holds_its_text_until_escape(segment: shm.Segment) -> None:
    async def script(pilot: Pilot[int]) -> None:
        text = await press(pilot, "slash", *"quiet-001")
        assert "T-0010" in text and "KXBTC15M" not in text
        pane = pilot.app.query_one("#quotes", Pane)
        assert len(pane._rows) == 10
        text = await press(pilot, "enter")
        assert "filter 'quiet-001'" in screen(pilot)[0]
        await press(pilot, "escape")
        assert len(pane._rows) == 64
        text = await press(pilot, "slash", *"no such thing", "enter")
        assert "nothing here with that text" in text

    run(segment.name, SMALL, script)


def test_a_paused_picture_stays_while_the_engine_goes_on(segment: shm.Segment) -> None:
    async def script(pilot: Pilot[int]) -> None:
        app: Any = pilot.app
        text = await press(pilot, "space")
        assert "PAUSED" in text
        scene.quote(segment, 0, 110_000, 120_000, NOW_NS)
        app.take()
        await pilot.pause()
        assert "0.5100" in shown(pilot) and "0.1100" not in shown(pilot)
        text = await press(pilot, "space")
        assert "0.1100" in text and "PAUSED" not in text

    run(segment.name, SMALL, script)


def test_scrolling_stays_within_the_rows(segment: shm.Segment) -> None:
    async def script(pilot: Pilot[int]) -> None:
        pane = pilot.app.query_one("#quotes", Pane)
        await press(pilot, "pagedown", "down")
        assert pane.offset_rows == pane.shown_rows + 1
        text = await press(pilot, "end")
        assert f"of {len(pane._rows)}" in text and "0.4630" in text  # the last quote
        assert pane.offset_rows == len(pane._rows) - pane.shown_rows
        await press(pilot, "home", "up")
        assert pane.offset_rows == 0

    run(segment.name, SMALL, script)


def test_without_an_engine_it_says_so_and_attaches_when_one_comes() -> None:
    name = f"arb-top-{uuid.uuid4().hex[:10]}"
    made: list[shm.Segment] = []

    async def script(pilot: Pilot[int]) -> None:
        app: Any = pilot.app
        assert f"no engine named '{name}' is running; waiting" in screen(pilot)[0]
        made.append(shm.Segment.create(name, run_id=1))
        scene.fill(made[0], NOW_NS)
        app.take()
        await pilot.pause()
        assert "ACTIVE" in screen(pilot)[0] and "KXBTC15M" in shown(pilot)
        made[0].unlink()
        app.take()
        await pilot.pause()
        assert "waiting" in screen(pilot)[0] and "KXBTC15M" in shown(pilot)  # its last state
        made.append(shm.Segment.create(name, run_id=2))
        app.take()
        await pilot.pause()
        assert "HALTED" in screen(pilot)[0] and "KXBTC15M" not in shown(pilot)

    try:
        run(name, SMALL, script)
    finally:
        for segment in made:
            segment.unlink()


def test_a_refused_segment_is_a_line_not_a_crash() -> None:
    def refuse() -> View:
        raise shm.LayoutError("/dev/shm/arb: layout_hash: found 1, wanted 2")

    async def body() -> None:
        app = Top(refuse, "arb", interval_s=3600)
        async with app.run_test(size=SMALL) as pilot:
            await pilot.pause()
            assert "refused: /dev/shm/arb: layout_hash: found 1" in screen(pilot)[0]

    asyncio.run(body())


def test_help_lists_the_keys_and_q_leaves_with_0(segment: shm.Segment) -> None:
    async def script(pilot: Pilot[int]) -> None:
        text = await press(pilot, "question_mark")
        assert "keep rows that hold a text" in text
        await press(pilot, "question_mark", "q")

    assert run(segment.name, SMALL, script).return_value == 0


def test_no_color_takes_colour_away_and_no_meaning(
    segment: shm.Segment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    async def script(pilot: Pilot[int]) -> None:
        assert "gap, link_silent" in shown(pilot)
        text = await press(pilot, "3")
        assert "dead" in text and "late" in text

    app = run(segment.name, SMALL, script)
    assert app.no_color
