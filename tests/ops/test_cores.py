"""Which process gets which core."""

from __future__ import annotations

from ops.config import load
from ops.cores import Place, assign, is_pinned
from ops.desk_limits import desk_params, for_cores
from ops.session import Plan

PLANS = tuple(
    Plan(name=name, kind=kind, role=0, build="")
    for name, kind in (
        ("signer", "signer"),
        ("gateway", "gateway"),
        ("feed kalshi", "feed"),
        ("feed polymarket", "feed"),
        ("detector", "detector"),
    )
)


def test_too_few_cores_pin_nothing_and_say_so() -> None:
    cores = assign(PLANS, 6, (0, 1))
    assert cores.of("detector") == Place()
    assert cores.said.startswith("not pinned: 2 cores, wanted 6")


def test_hot_processes_get_a_core_each_and_the_rest_stay_off_them() -> None:
    cores = assign(PLANS, 6, tuple(range(8)))
    alone = {
        name: cores.of(name) for name in ("detector", "gateway", "feed kalshi", "feed polymarket")
    }
    taken = [place.cores[0] for place in alone.values()]
    assert all(place.is_alone and len(place.cores) == 1 for place in alone.values())
    assert len(set(taken)) == 4
    assert not set(cores.of("signer").cores) & set(taken)
    assert {0, 1} <= set(cores.of("signer").cores)
    assert "detector on 7" in cores.said


def test_when_cores_run_out_the_detector_and_gateway_come_first() -> None:
    cores = assign(PLANS, 3, (4, 5, 6, 7))
    assert cores.of("detector").is_alone
    assert cores.of("gateway").is_alone
    assert not cores.of("feed kalshi").is_alone
    assert cores.of("feed kalshi").cores == (4, 5)


def test_detector_and_gateway_are_pinned_only_with_a_core_each() -> None:
    assert not is_pinned(6, (0, 1)) and not is_pinned(2, (0, 1, 2))
    assert is_pinned(4, (0, 1, 2, 3)) and not is_pinned(6, tuple(range(5)))


def test_how_old_a_signal_may_be_follows_the_pinning() -> None:
    settings = load("testing")
    for pinned, age_ms in ((False, 50), (True, 2)):
        told = for_cores(settings, pinned)
        assert told.edge.signal_age_max_ns == age_ms * 1_000_000
        assert desk_params(told).signal_age_max_ns == age_ms * 1_000_000
