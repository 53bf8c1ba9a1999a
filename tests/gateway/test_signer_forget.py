"""What is signed counts until it can do no harm; what went with a dead gateway's memory cannot.

However often a gateway starts anew, as much may be signed for it as for the first.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway import policy
from gateway.policy import CANCELLER_RIGHTS, FEED_RIGHTS, Caps, ClientRights
from gateway.signing import LOST_NS
from shm_layout import E6
from tests.gateway.signing_kit import Desk
from tests.gateway.test_pool import fill, make_pool
from tests.gateway.test_signer import counter, refusal

ORDER_E6 = 4_500_000  # dollars of one
TWO = Caps(order_e6=5 * E6, token_e6=9 * E6, total_e6=9 * E6)


def test_a_successor_may_have_as_much_signed_as_who_went_before(tmp_path: Path) -> None:
    desk = Desk(tmp_path, caps=TWO)
    for salt in range(1, 10, 2):
        desk.client = desk.new_client()
        desk.client.forget_before()
        desk.turn()
        assert [refusal(desk.ask_order(salt=salt + i)) for i in (0, 1)] == ["", ""]
        assert refusal(desk.ask_order(salt=99)) == "cap_token", "its own count"
        assert counter(desk, "outstanding_e6") == 2 * ORDER_E6


def test_every_pool_of_a_gateway_that_starts_anew_is_as_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy, "ORDERS_HELD_MAX", 60)
    desk, found = Desk(tmp_path), []
    for _ in range(5):
        desk.client = desk.new_client()
        desk.client.forget_before()
        found.append(fill(desk, make_pool(desk)))
    assert found == [found[0]] * 5 and 30 < found[0] < 60
    desk.client = desk.new_client()  # the control: one that does not say so
    assert fill(desk, make_pool(desk)) == 60 - found[0] and desk.client.refused["cap_total"]


def test_orders_of_the_one_before_count_until_all_that_it_sent_are_known(tmp_path: Path) -> None:
    desk = Desk(tmp_path, caps=TWO)
    desk.ask_order(salt=1)
    desk.client = desk.new_client()
    assert refusal(desk.ask_order(salt=2)) == ""
    assert refusal(desk.ask_order(salt=3)) == "cap_token"
    desk.client.forget_before()
    desk.turn()
    assert counter(desk, "outstanding_e6") == ORDER_E6, "that of salt 2"
    assert refusal(desk.ask_order(salt=3)) == ""


@pytest.mark.parametrize("is_new", [False, True])
def test_what_a_dead_signer_signed_is_gone_if_its_client_is(tmp_path: Path, is_new: bool) -> None:
    desk = Desk(tmp_path)
    desk.ask_order(salt=1)
    desk.signer = desk.new_signer()
    if is_new:
        desk.client = desk.new_client()
    desk.client.forget_before()
    desk.turn()
    assert counter(desk, "outstanding_e6") == (0 if is_new else ORDER_E6)


def test_it_is_said_until_it_is_heard_and_no_longer(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.ask_order(salt=1)
    desk.client = desk.new_client()
    desk.client.forget_before()
    for _ in range(3):  # the signer is away
        desk.client.pump(desk.now_ns)
        desk.pass_time(LOST_NS + 1)
    asked = desk.client.asked
    assert asked == 2
    for _ in range(3):
        desk.turn()
    assert counter(desk, "outstanding_e6") == 0 and desk.client.asked == asked


@pytest.mark.parametrize("rights", [FEED_RIGHTS, CANCELLER_RIGHTS])
def test_who_may_not_order_frees_nothing(tmp_path: Path, rights: ClientRights) -> None:
    desk = Desk(tmp_path, rights=rights)
    desk.client.forget_before()
    desk.turn()
    assert desk.client.refused == {"client": 1}
