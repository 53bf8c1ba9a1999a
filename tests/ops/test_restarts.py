"""What each death means, cell by cell, and when a process comes back."""

from __future__ import annotations

import pytest

from ops.restarts import END_RUN, HALT, MEANINGS, REDUCE, RESTART, STAY, Restarts, lowest

SECOND = 1_000_000_000
EXPECTED = {  # DESIGN section 1, "Dying"
    "feed": (RESTART, STAY),
    "detector": (RESTART, REDUCE),
    "signer": (RESTART, REDUCE),
    "gateway": (RESTART, HALT),
    "canceller": (RESTART, STAY),
    "model": (RESTART, STAY),
    "catalog": (RESTART, STAY),
    "recorder": (RESTART, STAY),
    "exporter": (RESTART, STAY),
    "venues": (END_RUN, HALT),
    "paper": (END_RUN, HALT),  # venues too
    "nursery": (END_RUN, HALT),
}


def policy(limit: int = 3) -> Restarts:
    return Restarts(
        limit=limit, window_ns=60 * SECOND, backoff_ns=SECOND // 10, backoff_max_ns=SECOND // 2
    )


@pytest.mark.parametrize("kind", sorted(set(EXPECTED) | set(MEANINGS)))
def test_each_death_means_what_the_design_says(kind: str) -> None:
    meaning = MEANINGS[kind]
    assert (meaning.then, meaning.state) == EXPECTED[kind]


@pytest.mark.parametrize("kind", sorted(MEANINGS))
def test_a_verdict_follows_the_table(kind: str) -> None:
    verdict = policy().died(f"a {kind}", kind, SECOND)
    assert verdict.state == MEANINGS[kind].state
    assert (verdict.at_ns is None) == (MEANINGS[kind].then == END_RUN)


def test_the_wait_doubles_up_to_its_limit() -> None:
    restarts = policy(limit=10)
    waits = []
    now_ns = SECOND
    for _ in range(5):
        verdict = restarts.died("feed kalshi", "feed", now_ns)
        assert verdict.at_ns is not None
        waits.append(verdict.at_ns - now_ns)
        now_ns = verdict.at_ns
    assert waits == [SECOND // 10, SECOND // 5, SECOND * 2 // 5, SECOND // 2, SECOND // 2]


def test_too_many_deaths_in_the_window_end_the_run_and_halt() -> None:
    restarts = policy(limit=2)
    verdicts = [restarts.died("feed kalshi", "feed", at * SECOND) for at in (1, 2, 3)]
    assert [verdict.at_ns is None for verdict in verdicts] == [False, False, True]
    assert verdicts[-1].state == HALT
    assert "3 times within 60 s" in verdicts[-1].reason


def test_deaths_outside_the_window_are_forgiven_but_counted() -> None:
    restarts = policy(limit=1)
    for count, at in enumerate((1, 70, 140), start=1):
        verdict = restarts.died("feed kalshi", "feed", at * SECOND)
        assert verdict.at_ns == at * SECOND + SECOND // 10
        assert restarts.restarts("feed kalshi") == count


def test_histories_are_apart() -> None:
    restarts = policy(limit=1)
    assert restarts.died("feed kalshi", "feed", SECOND).at_ns is not None
    assert restarts.died("feed polymarket", "feed", SECOND).at_ns is not None
    assert restarts.died("feed kalshi", "feed", SECOND).at_ns is None


def test_an_unknown_kind_is_our_mistake() -> None:
    with pytest.raises(KeyError):
        policy().died("x", "no such kind", SECOND)


def test_the_most_careful_wish_wins() -> None:
    assert lowest([]) == STAY
    assert lowest([STAY, REDUCE]) == REDUCE
    assert lowest([REDUCE, HALT, STAY]) == HALT
