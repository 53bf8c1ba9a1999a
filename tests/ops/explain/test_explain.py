"""`explain`: every cent of a run is accounted for, order by order, or the difference is named."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ops import supervisor_cli
from ops.explain.past import ExplainError, read
from ops.explain.text import intent_lines
from ops.explain.whole import everything, one
from shm_layout import BUY, E6, SELL
from tests.ops.explain.scene import KALSHI, NO, POLY, SET, Leg, World

TEN = 10 * E6


def hedged(world: World) -> int:
    """Bought at 0.40 here, sold at 0.55 there: 1.50 less fees of 0.30."""
    return world.intent(
        Leg(KALSHI, BUY, 400_000, TEN, [(400_000, 4 * E6, 60_000), (400_000, 6 * E6, 110_000)]),
        Leg(POLY, SELL, 550_000, TEN, [(550_000, TEN, 130_000)]),
    )


def alone(world: World) -> tuple[int, int]:
    """Filled at one venue only, and given back two cents lower in two parts."""
    parent = world.intent(
        Leg(KALSHI, BUY, 400_000, TEN, [(400_000, TEN, 170_000)]), Leg(POLY, SELL, 550_000, TEN)
    )
    fills = [(380_000, 3 * E6, 50_000), (380_000, 7 * E6, 120_000)]
    return parent, world.intent(Leg(KALSHI, SELL, 380_000, TEN, fills), parent=parent)


def test_a_hedged_pair_is_worth_a_dollar_less_what_it_cost(tmp_path: Path) -> None:
    world = World()
    number = hedged(world)
    whole = everything(read(world.write(tmp_path)))
    assert whole["differences"] == []
    assert whole["totals"]["realised_e6"] == 1_200_000 == whole["books"]["change_e6"]
    assert whole["totals"]["fees_e6"] == 300_000 and whole["totals"]["rounding_e6"] == 0
    (intent,) = whole["intents"]
    assert (intent["intent"], intent["end"], intent["lone"]) == (number, "done", None)
    assert intent["realised_e6"] == 1_200_000
    assert intent["expected_e6"] == 1_500_000 - 168_000 - 173_300, "fees of both, exact"


def test_each_term_stage_and_change_is_told(tmp_path: Path) -> None:
    world = World()
    number = hedged(world)
    (intent,) = one(read(world.write(tmp_path)), number)["intents"]
    edge = intent["edge"]
    assert [(leg["token"], leg["price_e6"]) for leg in edge["legs"]] == [
        ("YES", 400_000), ("NO", 450_000)]  # fmt: skip
    assert (edge["size_e6"], edge["pays_e6"], edge["gross_e6"]) == (TEN, E6, 150_000)
    assert [leg["fee_e6"] for leg in edge["legs"]] == [168_000, 173_300]
    assert edge["edge_e6"] == 5_000
    assert edge["taken_off_e6"] == 150_000 - 34_130 - 5_000
    begin_ns = intent["stages"]["frame_ns"]
    assert [ns - begin_ns for ns in intent["stages"].values()] == [0, 100, 300, 400, 450]
    first, second = intent["orders"]
    assert [first["sent_ns"] - begin_ns, second["sent_ns"] - begin_ns] == [500, 510]
    assert begin_ns < first["reply_ns"] == first["known_ns"] - 1_000
    states = [(change["state"], change["filled_e6"]) for change in first["changes"]]
    assert states == [
        ("matched", 4 * E6), ("confirmed", 4 * E6), ("matched", 6 * E6), ("confirmed", 6 * E6),
        ("done", None)]  # fmt: skip
    assert first["placing"] == "buy YES" and second["placing"] == "buy NO"
    assert second["placing_price_e6"] == 450_000
    assert intent["books"][0]["decided"]["trust"] == 0 and intent["books"][0]["is_same"]
    assert intent["decided_epoch_ns"] == 1_790_000_000 * 10**9 + 1_300


@pytest.mark.parametrize(
    ("side", "limit_e6", "fair_e6", "pays_e6", "settles_e6", "realised_e6"),
    [(BUY, 400_000, 460_000, 460_000, E6, 5_832_000),
     (BUY, 400_000, 460_000, 460_000, 0, -4_168_000),
     (SELL, 600_000, 540_000, 460_000, 0, 5_832_000)],
)  # fmt: skip
@pytest.mark.parametrize("market", [KALSHI, POLY])
def test_a_bet_was_to_bring_its_fair_value_and_brought_what_it_settled_at(
    tmp_path: Path, market: int, side: int, limit_e6: int, fair_e6: int, pays_e6: int,
    settles_e6: int, realised_e6: int,
) -> None:  # fmt: skip
    world = World()
    leg = Leg(market, side, limit_e6, TEN, [(limit_e6, TEN, 168_000)])
    number = world.intent(leg, fair_e6=fair_e6)
    folder = world.write(tmp_path)
    whole = everything(read(folder))
    assert whole["differences"] == []
    assert whole["totals"]["realised_e6"] == -4_168_000, "nothing of it is sure yet"
    world.settle(settles_e6)
    whole = everything(read(world.write(tmp_path)))
    (intent,) = whole["intents"]
    assert whole["differences"] == [] and intent["what"] == "bets" and intent["lone"] is None
    assert intent["expected_e6"] == 600_000 - 168_000 and intent["realised_e6"] == realised_e6
    assert whole["totals"]["lone"] == 0 and intent["bet"]["fair_e6"] == fair_e6
    edge = intent["edge"]
    assert (edge["pays_e6"], edge["gross_e6"], len(edge["legs"])) == (pays_e6, 60_000, 1)
    told = "\n".join(intent_lines(one(read(folder), number)["intents"][0]))
    assert "at fair value" in told and "by strategy 9" in told and "$80000" in told


def test_a_leg_alone_and_its_unwind_are_one_story(tmp_path: Path) -> None:
    world = World()
    parent, child = alone(world)
    run = read(world.write(tmp_path))
    for asked in (parent, child):
        found = one(run, asked)
        assert [each["intent"] for each in found["intents"]] == [parent, child]
        assert found["family"]["realised_e6"] == -200_000 - 340_000
    first, second = found["intents"]
    assert (first["unwinds"], second["parent"]) == ([child], parent)
    assert second["what"] == "gives a leg back" and second["expected_e6"] == 0
    lone = first["lone"]
    assert (lone["size_e6"], lone["paid_e6"], lone["given_back_e6"]) == (TEN, 4 * E6, TEN)
    assert (lone["left_e6"], lone["completed_e6"], lone["tries"]) == (0, 0, 1)
    assert lone["result_e6"] == -540_000
    whole = everything(run)
    assert whole["totals"]["lone_e6"] == whole["totals"]["realised_e6"] == -540_000
    assert whole["differences"] == []


def test_what_stands_alone_counts_nothing_until_it_has_settled(tmp_path: Path) -> None:
    world = World()
    world.intent(
        Leg(KALSHI, SELL, 600_000, TEN, [(600_000, TEN, 10_000)]), Leg(POLY, BUY, 500_000, TEN)
    )
    whole = everything(read(world.write(tmp_path)))
    assert whole["totals"]["realised_e6"] == -4_010_000, "sold at 0.60: worst is that it pays"
    assert whole["intents"][0]["lone"]["left_e6"] == TEN and whole["differences"] == []
    world.settle(0)
    whole = everything(read(world.write(tmp_path / "settled")))
    assert whole["totals"]["realised_e6"] == 5_990_000 == whole["books"]["change_e6"]
    assert whole["differences"] == [] and whole["intents"][0]["orders"][0]["is_settled"]


def test_a_trade_that_failed_moved_nothing(tmp_path: Path) -> None:
    world = World()
    world.intent(
        Leg(KALSHI, BUY, 400_000, TEN, [(400_000, TEN, 0)]),
        Leg(POLY, SELL, 550_000, TEN, [(550_000, TEN, 1_000)], fails=True),
    )
    whole = everything(read(world.write(tmp_path)))
    assert whole["differences"] == [] and whole["totals"]["realised_e6"] == -4 * E6
    changes = whole["intents"][0]["orders"][1]["changes"]
    assert [change["state"] for change in changes] == ["matched", "failed", "done"]


def test_what_its_gateway_could_not_write_down_is_told_as_unknown(tmp_path: Path) -> None:
    world = World()
    number = world.intent(
        Leg(KALSHI, BUY, 400_000, TEN, [(400_000, TEN, 0)]), Leg(POLY, SELL, 550_000, TEN),
        is_seen=False,
    )  # fmt: skip
    whole = everything(read(world.write(tmp_path)))
    (intent,) = whole["intents"]
    assert intent["intent"] == number and whole["differences"] == []
    assert intent["edge"] is None and intent["expected_e6"] is None
    assert intent["books"][0]["looked"] is None and intent["orders"][0]["sent_ns"] is None


def random_world(seed: int) -> World:
    """Fills of any size at any price, unwinds that give back, complete or overshoot."""
    world, chance = World(), random.Random(seed)

    def fills(price_e6: int, size_e6: int) -> list[tuple[int, int, int]]:
        part_e6 = chance.randrange(0, size_e6 // E6 + 1) * E6
        parts = [part_e6, size_e6 - part_e6] if chance.random() < 0.5 else [part_e6]
        return [(price_e6, each, chance.randrange(0, 90_000)) for each in parts if each]

    for _ in range(chance.randrange(3, 20)):
        side, size_e6 = chance.choice((BUY, SELL)), chance.randrange(1, 40) * E6
        price_e6, other_e6 = (chance.randrange(5, 95) * 10_000 for _ in range(2))
        back = SELL if side == BUY else BUY
        legs = [
            Leg(KALSHI, side, price_e6, size_e6, fills(price_e6, size_e6)),
            Leg(POLY, back, other_e6, size_e6, fills(other_e6, size_e6)),
        ]
        if chance.random() < 0.4:
            count = chance.choice((2, 3))
            legs = [Leg(n, side, price_e6, size_e6, fills(price_e6, size_e6)) for n in SET[:count]]
        parent = world.intent(*legs)
        for _ in range(chance.randrange(0, 3)):
            leg = chance.choice(legs)
            turn = chance.choice((BUY, SELL))
            price_e6 = chance.randrange(5, 95) * 10_000
            world.intent(
                Leg(leg.market, turn, price_e6, size_e6, fills(price_e6, size_e6)), parent=parent,
                completes=turn == leg.side,
            )  # fmt: skip
    if chance.random() < 0.4:
        world.settle(chance.choice((0, E6)))
    if chance.random() < 0.4:
        world.settle_set(chance.choice((0, *SET)))
    return world


@pytest.mark.parametrize("seed", range(40))
def test_orders_add_up_to_what_the_venues_booked_whatever_was_filled(
    seed: int, tmp_path: Path
) -> None:
    whole = everything(read(random_world(seed).write(tmp_path)))
    assert whole["differences"] == []
    totals, rows = whole["totals"], [row for each in whole["intents"] for row in each["orders"]]
    assert totals["rounding_e6"] == 0
    assert sum(row["realised_e6"] for row in rows) == whole["books"]["change_e6"]
    assert sum(each["realised_e6"] for each in whole["families"]) == whole["books"]["change_e6"]


def _cash(told: dict[str, Any]) -> None:
    told["kalshi"]["cash_e6"]["2"] += 1


def _started(told: dict[str, Any]) -> None:
    told["polymarket"]["start_e6"]["0"] -= 1


def _held(told: dict[str, Any]) -> None:
    told["polymarket"]["held_e6"][NO] += E6


def _fill(told: dict[str, Any]) -> None:
    next(iter(told["kalshi"]["orders"].values()))["filled_e6"] -= 1


def _fee(told: dict[str, Any]) -> None:
    next(iter(told["polymarket"]["orders"].values()))["fee_e6"] += 1


def _foreign(told: dict[str, Any]) -> None:
    told["kalshi"]["orders"]["foreign"] = {"filled_e6": 0, "notional_e6": 0, "fee_e6": 0}


SPOILT: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "cash": (_cash, "cash kalshi 2: explained"),
    "start": (_started, "cash at the start polymarket 0: explained"),
    "held": (_held, f"held polymarket {NO}: explained"),
    "fill": (_fill, "filled_e6 explained 10000000, the venues say 9999999"),
    "fee": (_fee, "fee_e6 explained 130000, the venues say 130001"),
    "foreign": (_foreign, "order foreign: known to the venues, not journalled"),
}


@pytest.mark.parametrize("name", sorted(SPOILT))
def test_what_is_not_explained_is_named(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world, (change, wanted) = World(), SPOILT[name]
    hedged(world)
    folder = world.write(tmp_path)
    told = json.loads((folder / "venues.json").read_text())
    change(told["accounts"])
    (folder / "venues.json").write_text(json.dumps(told))
    assert supervisor_cli.main(["explain", "--table", "--journal", str(folder)]) == 6
    said = capsys.readouterr()
    named = [line for line in said.out.splitlines() if line.startswith("DIFFERENCE: ")]
    assert any(wanted in line for line in named), said.out
    assert "differences to the venues" in said.err and said.err.count("\n") == 1


def test_a_fill_changed_in_the_journal_is_named_too(tmp_path: Path) -> None:
    world = World()
    hedged(world)
    trade = next(record for record in world.records if record["k"] == "trade")
    for record in world.records:
        if record["k"] == "trade" and record["trade"] == trade["trade"]:
            record["fee"] += 1
    whole = everything(read(world.write(tmp_path)))
    assert len(whole["differences"]) >= 3, "the order, the cash, and all in all"
    assert any("all in all" in text for text in whole["differences"])


def test_any_name_of_an_order_finds_its_intent(tmp_path: Path) -> None:
    world = World()
    parent, child = alone(world)
    run = read(world.write(tmp_path))
    assert run.find(str(child)) == child
    assert run.find(f"{parent:x}-1") == parent
    assert run.find(f"venue-{child:x}-0") == child
    with pytest.raises(ExplainError) as caught:
        run.find("77")
    said = str(caught.value)
    assert "found no '77' among 2 intents" in said and "wanted an intent's number" in said
    assert str(run.journal) in said and "\n" not in said


def test_the_command_tells_people_and_programs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ARB_STATE_DIR", str(tmp_path))
    assert supervisor_cli.main(["explain"]) == 3, "no journal"
    assert "found no journal, wanted one" in capsys.readouterr().err
    world = World()
    hedged(world)
    parent, child = alone(world)
    folder = world.write(tmp_path)
    assert supervisor_cli.main(["explain", str(child)]) == 0
    shown = capsys.readouterr().out
    for text in (
        f"intent {parent} (detector 1, number 2): opens, pair 4",
        f"unwind of intent {parent}: gives a leg back",
        "edge: 1.00 a pair - kalshi YES 0.40 - polymarket NO 0.45 = 0.15",
        "stages: frame +0 µs · published +0 µs · decided +0 µs",
        "leg 0 alone (kalshi KX-A): 10 contracts, $4.00; 1 tries gave back 10",
        f"intent {parent} with 1 unwinds",
    ):
        assert text in shown, text
    assert supervisor_cli.main(["explain", "--all"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"journal {folder}\n") and "every cent is explained\n" in shown
    assert f"unwind of {parent}" in shown and "of which  -$0.54 by legs alone" in shown
    assert supervisor_cli.main(["explain", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["intents"]) == 3
    assert supervisor_cli.main(["explain", "77", "--json"]) == 3
    assert supervisor_cli.main(["explain", "77", "--all"]) == 2


def test_a_run_of_which_the_venues_have_not_told_is_no_difference(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = World()
    hedged(world)
    folder = world.write(tmp_path, is_told=False)
    assert supervisor_cli.main(["explain", "--table", "--journal", str(folder)]) == 0
    assert "the venues have not told of this run" in capsys.readouterr().out


def test_what_stands_before_damage_is_told_and_the_exit_code_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = World()
    hedged(world)
    hedged(world)
    folder = world.write(tmp_path, is_told=False)
    path = folder / "journal-000001.bin"
    raw = bytearray(path.read_bytes())
    raw[raw.rindex(b'"k":"order"')] ^= 1
    path.write_bytes(raw)
    assert supervisor_cli.main(["explain", "--table", "--journal", str(folder)]) == 7
    said = capsys.readouterr()
    assert "damaged, told is what stands before it" in said.err
    assert "1 intents sent, 2 orders" in said.out
