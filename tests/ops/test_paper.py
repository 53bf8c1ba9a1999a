"""The mode `paper`: orders stay here, and the run is one in order by the checker of all others."""

from __future__ import annotations

import dataclasses
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ops import clock, control
from ops.config import ConfigError, load
from ops.gateway_role import build_gateway
from ops.inspector import Inspector
from ops.paper import PaperSession, stay_here
from ops.paper_rows import paper_rows
from ops.paper_text import HELD, paper_brief, paper_lines
from ops.process import RoleSpec
from ops.roles import build
from ops.session import Request
from ops.sim import VenueAddress
from ops.status_text import text
from ops.top_view import Wish, once
from ops.venues.paper_told import Told
from shm_layout import ROLES, LayoutError, Segment
from tests.ops.rig import REAL, engine
from tests.ops.test_sim import PORTS
from tests.orders.checker import violations
from tests.orders.evidence import Keeper, gather
from tests.orders.test_faults import until_quiet
from tests.session.witness import Witness

PAPER_PORTS = {"kalshi": {"rest": 11, "ws": 12}, "polymarket": {"rest": 13, "ws": 14}}
BOTH = {"venues": PORTS, "paper": PAPER_PORTS}


def session(tmp_path: Path) -> PaperSession:
    return PaperSession(Request(settings=load("testing"), name="arb", state_dir=tmp_path), tmp_path)


def test_orders_go_to_the_paper_venues_and_everything_else_to_the_data(tmp_path: Path) -> None:
    made = session(tmp_path)
    assert [plan.name for plan in made.early] == ["venues", "paper"]
    assert (ROLES[made.paper.role], made.mode) == ("paper", "paper")
    params = made.plans(BOTH, "arb")[0].params
    assert {name: at.rest for name, at in params.orders.items()} == {"kalshi": 11, "polymarket": 13}
    assert params.addresses["kalshi"].rest == PORTS["kalshi"]["rest"]


def test_where_the_data_come_from_our_account_is_empty(tmp_path: Path) -> None:
    data, paper = (plan.params for plan in session(tmp_path).early)
    assert set(data.spec.accounts.cash_kalshi_e6.values()) == {0}
    assert data.spec.accounts.cash_polymarket_e6 == 0
    assert not data.journal
    accounts = paper.venues.spec.accounts
    assert set(accounts.cash_kalshi_e6.values()) == {50_000_000_000}
    assert accounts.cash_polymarket_e6 == 50_000_000_000


# ---- no order leaves this machine


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1"])
def test_this_machine_is_here(host: str) -> None:
    stay_here("paper", {"kalshi": VenueAddress(host=host, rest=1)})


@pytest.mark.parametrize("host", ["192.0.2.7", "8.8.8.8", "::ffff:192.0.2.7", "0.0.0.0"])
@pytest.mark.parametrize("mode", ["paper", "sim"])
def test_another_host_is_refused_by_name(host: str, mode: str) -> None:
    orders = {"kalshi": VenueAddress(rest=1), "polymarket": VenueAddress(host=host, rest=443)}
    with pytest.raises(LayoutError, match=f"orders of polymarket: found {host} .* mode {mode}"):
        stay_here(mode, orders)


def test_a_name_that_means_nothing_is_refused_too() -> None:
    with pytest.raises(LayoutError, match=r"orders of kalshi: venue.invalid cannot be looked up"):
        stay_here("paper", {"kalshi": VenueAddress(host="venue.invalid", rest=443)})


def test_the_refusal_is_of_the_mode_and_not_of_the_host() -> None:
    """The negative control: what is refused is what a real run would do."""
    stay_here("live", {"kalshi": VenueAddress(host="192.0.2.7", rest=443)})


def _gateway(spec: RoleSpec, segment: Segment) -> Any:
    nobody: Any = None  # it asks no signer before it has asked where it is
    return build_gateway(spec, segment, nobody)


@pytest.mark.parametrize(("role", "made"), [("gateway", _gateway), ("canceller", build)])
def test_who_sends_orders_refuses_to_start_with_a_stranger(
    tmp_path: Path, role: str, made: Callable[[RoleSpec, Segment], Any]
) -> None:
    plan = next(plan for plan in session(tmp_path).plans(BOTH, "arb") if plan.name == role)
    strangers = {"kalshi": VenueAddress(host="192.0.2.7", rest=443)}
    params = dataclasses.replace(plan.params, orders=strangers)
    spec = RoleSpec(
        name=role, role=plan.role, epoch=1, segment="", run_id=0, supervisor_pid=0, log="",
        params=params,
    )  # fmt: skip
    with pytest.raises(LayoutError, match=r"found 192\.0\.2\.7"):
        made(spec, Segment.private())


def test_only_the_authority_of_the_run_is_believed(tmp_path: Path) -> None:
    """A venue's own certificate would not be: the handshake ends before a byte of an order."""
    ca_file = session(tmp_path).plans(BOTH, "arb")[0].params.ca_file
    context = ssl.create_default_context(cafile=ca_file)
    assert context.verify_mode == ssl.CERT_REQUIRED
    subjects = [dict(part[0] for part in ca["subject"]) for ca in context.get_ca_certs()]
    assert [each["commonName"] for each in subjects] == ["simulated venues: throw-away authority"]


# ---- settings and words


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ("[]", r"found \[\], wanted a list of milliseconds"),
        ("[12]", r"found \[12\], wanted a list of milliseconds as decimal text"),
        ('["12", "-1"]', "1 to 10000 of them, each up to 60000"),
        ('["60000.1"]', "each up to 60000"),
        ('"12"', "found '12', wanted a list"),
    ],
)
def test_times_that_cannot_have_been_measured_are_refused(
    tmp_path: Path, told: str, found: str
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(f"[paper]\nlatency_kalshi_ms = {told}\n")
    with pytest.raises(ConfigError, match=f"mine.toml:2: paper.latency_kalshi_ms: .*{found}"):
        load("testing", path)


def test_times_may_be_equal_and_come_from_a_variable() -> None:
    found = load("testing", environment={"ARB_PAPER_LATENCY_POLYMARKET_MS": "7, 7,12.5"})
    assert found.paper.latency_polymarket_ns == (7_000_000, 7_000_000, 12_500_000)


def test_figures_are_what_the_paper_venues_told_in_the_segment() -> None:
    segment = Segment.private()
    told = Told(segment, lambda market: None)
    assert paper_rows(segment) == {}
    figures = {"orders": 4, "full": 2, "partial": 1, "claimed_e6": 9_000_000, "moved_e6": 2_000_000,
               "taken_e6": 3_000_000, "refused_e6": 1_000_000, "got_e6": 4_000_000}  # fmt: skip
    for name, value in figures.items():
        told.count("kalshi", name, value)
    told.waited("kalshi", 30_000_000)
    rows = paper_rows(segment)
    assert list(rows) == ["kalshi"], "nothing was sent to the other one"
    assert {name: rows["kalshi"][name] for name in figures} == figures
    assert paper_lines(rows) == [
        "kalshi: 4, 2 filled whole, 1 in part; 4 contracts of 9 that the books showed when they"
        " were sent; not had: 2 price moved, 3 taken by paper orders before, 0 book not trusted,"
        " 1 refused; way there and back p50 30 ms, p99 30 ms, max 30 ms"
    ]
    told.waited("held", 150_000_000)
    assert paper_brief(paper_rows(segment)) == [
        "kalshi 4 orders · 2 whole · 1 part · 3 taken before · way 30 ms",
        "takers held back 150 ms, 1 times",
    ]


# ---- a whole run


@pytest.mark.timeout(900)  # kernels may have to be compiled first
def test_a_paper_run_trades_and_both_sides_hold_the_same(tmp_path: Path) -> None:
    with engine(tmp_path, command=list(REAL)) as made:
        made.start("--mode", "paper", "--json")
        witness = Witness.of(made)
        keeper = Keeper(made.state_dir)
        status = made.wait_until_trading()
        keeper.poll()
        assert {"arb: venues", "arb: paper"} <= {
            " ".join(each.cmdline()).strip() for each in made.everyone()
        }
        view = Inspector(made.name, clock.mono_ns).look()
        assert view.mode == "paper" and "PAPER" in once(view, (), 80, Wish()).splitlines()[0]
        witness.until(lambda: _has_filled(made.status()), 120, "fills at both venues")
        later = made.status()
        assert "error" not in control.ask(made.state_dir, "halt")
        until_quiet(witness)  # a lone leg may be on its way back
        assert "error" not in control.ask(made.state_dir, "stop")
        summary = witness.to_the_end(made, 60)
        evidence = gather(made.state_dir, keeper, witness, clock.mono_ns())
    assert "PAPER" in text(status) and "paper orders: kalshi" in text(later)
    assert violations(evidence) == []
    _check(summary, evidence.records)
    read = {(read.venue, read.outcome) for read in evidence.reads}
    assert {venue for venue, _ in read} == {"kalshi", "polymarket"}


def _has_filled(status: dict[str, Any]) -> bool:
    """Contracts were had at both, and the engine has heard of it."""
    told = status.get("paper") or {}
    both = all(told.get(name, {}).get("got_e6", 0) > 0 for name in ("kalshi", "polymarket"))
    return both and status["fills"] > 0


def _check(summary: dict[str, Any], records: list[dict[str, Any]]) -> None:
    assert summary["mode"] == "paper" and summary["fills"] > 0
    assert {"k": "mode", "mode": "paper"}.items() <= records[0].items()
    rows = {name: row for name, row in summary["paper"].items() if name != HELD}
    assert rows.keys() == {"kalshi", "polymarket"}
    for row in rows.values():
        assert row["got_e6"] > 0
        had_e6 = sum(row[f"{name}_e6"] for name in ("got", "moved", "taken", "unknown", "refused"))
        assert had_e6 == row["claimed_e6"] + row["gained_e6"]
    acks = summary["stages_ns"]["gateway.send_to_ack"]
    assert acks["p50"] > 10_000_000, "no answer is sooner than the way is long"
