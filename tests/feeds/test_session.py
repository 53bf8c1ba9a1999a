"""The session's table walked cell by cell; back-off and requests as values."""

from __future__ import annotations

from itertools import pairwise

import pytest

from feeds.session import MOVES, Backoff, Event, Lasting, Requests, Session, State

LEGAL = {
    (State.BACKING_OFF, Event.DUE): State.CONNECTING,
    (State.CONNECTING, Event.OPENED): State.SUBSCRIBING,
    (State.CONNECTING, Event.LOST): State.BACKING_OFF,
    (State.SUBSCRIBING, Event.ACKED): State.SNAPSHOTS,
    (State.SUBSCRIBING, Event.LOST): State.BACKING_OFF,
    (State.SNAPSHOTS, Event.WHOLE): State.LIVE,
    (State.SNAPSHOTS, Event.LOST): State.BACKING_OFF,
    (State.LIVE, Event.BROKEN): State.SNAPSHOTS,
    (State.LIVE, Event.LOST): State.BACKING_OFF,
}


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("event", Event)
def test_each_move_of_the_table(state: State, event: Event) -> None:
    session = Session()
    session.state = state
    wanted = State.STOPPED if event is Event.STOP else LEGAL.get((state, event))
    assert MOVES.get((state, event)) is wanted
    if wanted is None:
        with pytest.raises(AssertionError, match=event.name):
            session.move(event, 5)
    else:
        assert session.move(event, 5) is wanted
        assert session.since_ns == 5 and session.lost == (event is Event.LOST)


@pytest.mark.parametrize(
    ("state", "is_subscribed", "is_whole", "wanted"),
    [
        (State.SUBSCRIBING, False, True, State.SUBSCRIBING),
        (State.SUBSCRIBING, True, False, State.SNAPSHOTS),
        (State.SUBSCRIBING, True, True, State.LIVE),
        (State.SNAPSHOTS, True, False, State.SNAPSHOTS),
        (State.SNAPSHOTS, True, True, State.LIVE),
        (State.LIVE, True, True, State.LIVE),
        (State.LIVE, True, False, State.SNAPSHOTS),
        (State.BACKING_OFF, True, True, State.BACKING_OFF),
    ],
)
def test_the_session_follows_what_the_venue_reports(
    state: State, is_subscribed: bool, is_whole: bool, wanted: State
) -> None:
    session = Session()
    session.state = state
    assert session.settle(is_subscribed=is_subscribed, is_whole=is_whole, now_ns=1) is wanted


def test_the_back_off_doubles_to_its_limit_with_jitter_below() -> None:
    backoff = Backoff(base_ns=100, max_ns=1_000, seed=1)
    whole = [100, 200, 400, 800, 1_000, 1_000, 1_000]
    for limit in whole:
        assert limit // 2 <= backoff.delay_ns() <= limit
    backoff.worked()
    assert backoff.delay_ns() <= 100


def test_the_back_off_is_repeatable_and_differs_between_feeds() -> None:
    def delays(seed: int) -> list[int]:
        backoff = Backoff(base_ns=10**8, max_ns=10**10, seed=seed)
        return [backoff.delay_ns() for _ in range(100)]

    assert delays(1) == delays(1) != delays(2)


def test_a_snapshot_is_asked_for_once_until_its_time_is_over() -> None:
    requests = Requests(answer_ns=10, tries_max=3)
    assert requests.due([1, 2], 100) == [1, 2]
    assert requests.due([1, 2, 3], 105) == [3]
    requests.answered(2, is_good=True)
    assert requests.due([1], 111) == [1]


def test_asking_is_hopeless_after_so_many_tries_without_any_answer() -> None:
    requests = Requests(answer_ns=10, tries_max=2)
    for at_ns in (100, 111, 122):
        assert not requests.is_hopeless
        assert requests.due([1], at_ns) == [1]
    assert requests.is_hopeless
    requests.clear()
    assert not requests.is_hopeless


def test_bad_answers_make_asking_seldom_but_never_hopeless() -> None:
    requests, asked_ns = Requests(answer_ns=10, tries_max=1), []
    for now_ns in range(2_000):
        if requests.due([1], now_ns):
            asked_ns.append(now_ns)
            requests.answered(1, is_good=False)
    waits = [b - a for a, b in pairwise(asked_ns)]
    assert waits[:7] == [11, 11, 21, 41, 81, 161, 321] and set(waits[7:]) == {321}
    assert not requests.is_hopeless
    requests.answered(1, is_good=True)
    assert requests.due([1], 2_001) == [1]


def test_what_is_expected_without_a_request_is_asked_for_when_late() -> None:
    requests = Requests(answer_ns=10, tries_max=1)
    requests.expect(1, 100)
    assert requests.due([1], 110) == [] and requests.due([1], 111) == [1]


def test_a_state_is_overdue_only_if_it_lasted_without_a_break() -> None:
    doubts = Lasting(10)
    assert doubts.overdue([1, 2], 100) == []
    assert doubts.overdue([1], 105) == []
    assert doubts.overdue([1, 2], 111) == [1]
    assert doubts.overdue([1, 2], 121) == [1]
    assert doubts.overdue([2], 122) == [2]
