"""Requests made ahead are those that would be made now, and only for the second they name."""

from __future__ import annotations

from gateway.hmac_auth import ApiSecrets, L2Auth
from gateway.polymarket_post import Posts
from gateway.pool import PooledOrder

SECRETS = ApiSecrets(api_key="key", secret="c2VjcmV0", passphrase="pass", address="0xaa")
NOW_S = 1_790_877_850


def posts() -> Posts:
    return Posts(L2Auth(SECRETS), "host.example")


def entry(number: int = 1) -> PooledOrder:
    body = b'{"order":{"salt":%d}}' % number
    return PooledOrder(bytes([number]) * 32, body, number, 1, (3, 0, 0, 1, 1), 1, 1)


def test_made_ahead_is_made_now() -> None:
    ahead, now, one = posts(), posts(), entry()
    ahead.make_ahead(one, NOW_S)
    assert [second for second, _ in one.made] == [NOW_S, NOW_S + 1]
    for second in (NOW_S, NOW_S + 1, NOW_S + 2, NOW_S - 1):
        found = ahead.request(one, second)
        assert found == now.request(entry(), second)
        assert b"POLY_TIMESTAMP: %d\r\n" % second in found.wire
        assert found.wire.endswith(one.body) and found.key == "0x" + "01" * 32


def test_a_second_that_is_over_is_let_go_and_one_that_is_renewed_stays() -> None:
    made, one, other = posts(), entry(1), entry(2)
    for each in (one, other):
        made.make_ahead(each, NOW_S)
    made.begin(NOW_S + 1)
    made.make_ahead(one, NOW_S + 1)
    assert [second for second, _ in one.made] == [NOW_S + 1, NOW_S + 2]
    made.begin(NOW_S + 2)
    assert other.made == () and one.made, "the control: what is of use is kept"
    made.begin(NOW_S + 3)
    assert one.made == ()
    assert b"POLY_TIMESTAMP: %d\r\n" % (NOW_S + 3) in made.request(one, NOW_S + 3).wire


def test_neither_secrets_nor_signatures_print() -> None:
    one = entry()
    posts().make_ahead(one, NOW_S)
    assert "salt" not in repr(one) and "pass" not in repr(one)
