"""The signer signs what its policy allows, refuses the rest by name, and survives its own death."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gateway.eip712 import Order, OrderSigner
from gateway.hmac_auth import SecretError
from gateway.policy import CANCELLER_RIGHTS, FEED_RIGHTS, GATEWAY_RIGHTS, Caps
from gateway.signer import BURST, Signer, SignerParams, load_polymarket_key
from gateway.signing import L1_AUTH, REFUSALS, SPENT, Signed
from ops.venues.signatures import KalshiVerifier, clob_auth_signer, order_hashes, order_signer
from shm_layout import (
    BODY,
    COUNTERS,
    E6,
    K_QUOTE,
    K_SIGN,
    ROLE,
    SIGN,
    SIGNER,
    ST_SETTLED,
    VENUES,
    Segment,
    bell_arm,
    cell,
    ring_append,
    ring_tail,
    word_load,
)
from tests.gateway.signing_kit import (
    MS_NS,
    ORDERS_PATH,
    POLYMARKET_KEY,
    SECOND_NS,
    YES_ID,
    Desk,
    write_market,
    write_private,
    write_quote,
)

ADDRESS = OrderSigner(POLYMARKET_KEY).address


@pytest.fixture(name="desk")
def _desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def refusal(signed: Signed) -> str:
    return REFUSALS[signed.refused]


def counter(desk: Desk, name: str) -> int:
    at = desk.main.at("roles", SIGNER) + cell(ROLE, "counters") + COUNTERS["signer"].index(name)
    return int(word_load(desk.main.words, at))


@pytest.mark.parametrize("neg_risk", [0, 1])
def test_the_venues_own_check_finds_our_address_in_the_signature(
    desk: Desk, neg_risk: int
) -> None:
    write_market(desk.main, neg_risk=neg_risk)
    signed = desk.ask_order()
    body: dict[str, int | str | bytes] = {
        "salt": 77, "maker": ADDRESS, "signer": ADDRESS, "tokenId": YES_ID,
        "makerAmount": 4_500_000, "takerAmount": 10 * E6, "side": 0, "signatureType": 0,
        "timestamp": desk.wall_ns // MS_NS, "metadata": bytes(32), "builder": bytes(32),
    }  # fmt: skip
    found = []
    for contract in (bool(neg_risk), not neg_risk):
        hashes = order_hashes(body, neg_risk=contract)
        found.append(order_signer(body, signed.signature, neg_risk=contract, hashes=hashes))
        assert (signed.digest == hashes[1]) is (contract is bool(neg_risk))
    assert found[0] == ADDRESS.lower() != found[1]


def test_a_market_of_version_3_is_signed_for_its_own_contract(desk: Desk) -> None:
    write_market(desk.main, domain=3)
    order = Order(77, YES_ID, 4_500_000, 10 * E6, 0, desk.wall_ns // MS_NS)
    signer = OrderSigner(POLYMARKET_KEY)
    assert desk.ask_order().digest == signer.digest(order, exchange=2)


def test_a_kalshi_signature_passes_the_venues_check(desk: Desk) -> None:
    stamp_ms = desk.wall_ns // MS_NS
    signed = desk.ask_headers("POST", ORDERS_PATH, stamp_ms)
    assert desk.signer._kalshi is not None
    verifier = KalshiVerifier(desk.signer._kalshi.public_pem())
    text = signed.signature.decode()
    assert verifier.is_valid(text, str(stamp_ms), "POST", ORDERS_PATH)
    assert not verifier.is_valid(text, str(stamp_ms), "DELETE", ORDERS_PATH)


def test_the_l1_message_passes_the_venues_check(desk: Desk) -> None:
    answers: list[Any] = []
    stamp_s = desk.wall_ns // SECOND_NS
    desk.client.request_l1(nonce=4, stamp_s=stamp_s, then=answers.append)
    desk.turn()
    signature = "0x" + answers[0].signature.hex()
    assert clob_auth_signer(ADDRESS, str(stamp_s), 4, signature) == ADDRESS.lower()
    assert clob_auth_signer(ADDRESS, str(stamp_s), 5, signature) != ADDRESS.lower()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"instrument": 4}, "instrument"),
        ({"instrument": 10**9}, "instrument"),
        ({"instrument": -1}, "instrument"),
        ({"generation": 2}, "generation"),
        ({"token": 2}, "token"),
        ({"side": 2}, "side"),
        ({"price_e6": 0}, "price"),
        ({"price_e6": E6}, "price"),
        ({"price_e6": 455_000}, "price"),
        ({"tick_epoch": 6}, "tick"),
        ({"size_e6": 0}, "size"),
        ({"size_e6": -E6}, "size"),
        ({"size_e6": 10 * E6 + 1}, "size"),
        ({"size_e6": 10**13}, "size"),
        ({"size_e6": 10_100_000}, "amount"),  # 4.545 dollars
        ({"maker_e6": 4_400_000}, "amount"),  # cheaper than the price says
        ({"taker_e6": 9 * E6}, "amount"),
        ({"salt": 0}, "salt"),
        ({"salt": 2**53}, "salt"),
        ({"stamp_ms": 0}, "stamp"),
    ],
)
def test_an_order_outside_the_policy_is_refused_by_name(
    desk: Desk, wrong: dict[str, int], says: str
) -> None:
    signed = desk.ask_order(**wrong)
    assert (refusal(signed), signed.signature, signed.digest) == (says, b"", bytes(32))
    assert counter(desk, "refused") == 1 and counter(desk, "orders") == 0
    assert desk.signer.policy.outstanding_e6 == 0
    assert refusal(desk.ask_order()) == ""  # the control: the same order without the fault


@pytest.mark.parametrize(
    ("row", "quote", "says"),
    [
        ({"venue": VENUES.index("kalshi")}, {}, "instrument"),
        ({"live": 0}, {}, "instrument"),
        ({"index": 9}, {}, "instrument"),
        ({"token_no": [0, 0, 0, 0]}, {}, "instrument"),
        ({"generation": 2}, {}, "generation"),
        ({}, {"generation": 2}, "tick"),
        ({}, {"tick_epoch": 6}, "tick"),
        ({}, {"grid": [0, 0]}, "price"),
        ({}, {"grid": [E6, 20_000]}, "price"),
        ({}, {"size_step_e6": 3 * E6}, "size"),
        ({}, {"size_step_e6": 0}, "size"),
    ],
)
def test_the_signer_believes_the_shared_tables_and_not_the_client(
    desk: Desk, row: dict[str, Any], quote: dict[str, Any], says: str
) -> None:
    assert refusal(desk.ask_order(salt=1)) == ""
    write_market(desk.main, **row)
    write_quote(desk.main, **quote)
    assert refusal(desk.ask_order(salt=2)) == says


def test_a_no_token_is_priced_on_the_mirrored_grid(desk: Desk) -> None:
    write_quote(desk.main, grid=[40_000, 1_000, E6, 10_000])
    assert refusal(desk.ask_order(token=1, price_e6=963_000, size_e6=10 * E6, salt=1)) == ""
    assert refusal(desk.ask_order(token=0, price_e6=963_000, size_e6=10 * E6, salt=2)) == "price"


def test_a_salt_is_signed_once(desk: Desk) -> None:
    assert refusal(desk.ask_order()) == ""
    assert refusal(desk.ask_order()) == "salt"


@pytest.mark.parametrize(
    ("rights", "method", "path", "is_allowed"),
    [
        (FEED_RIGHTS, "GET", "/trade-api/ws/v2", True),
        (FEED_RIGHTS, "POST", ORDERS_PATH, False),
        (FEED_RIGHTS, "DELETE", ORDERS_PATH, False),
        (FEED_RIGHTS, "GET", "/trade-api/v2/portfolio/balance", False),
        (CANCELLER_RIGHTS, "DELETE", ORDERS_PATH, True),
        (CANCELLER_RIGHTS, "POST", ORDERS_PATH, False),
        (CANCELLER_RIGHTS, "DELETE", ORDERS_PATH + "/a-1", False),
        (GATEWAY_RIGHTS, "POST", ORDERS_PATH, True),
        (GATEWAY_RIGHTS, "GET", "/trade-api/ws/v2", True),
        (GATEWAY_RIGHTS, "GET", "/trade-api/v2/portfolio/orders/2597b999-f887", True),
        (GATEWAY_RIGHTS, "DELETE", ORDERS_PATH + "/2597b999-f887", True),
        (GATEWAY_RIGHTS, "DELETE", ORDERS_PATH, False),
        (GATEWAY_RIGHTS, "GET", "/trade-api/v2/portfolio/orders/*", False),
        (GATEWAY_RIGHTS, "GET", "/trade-api/v2/portfolio/orders/a/b", False),
        (GATEWAY_RIGHTS, "GET", "/trade-api/v2/portfolio/orders/..", False),
        (GATEWAY_RIGHTS, "GET", "/trade-api/v2/portfolio/orders/", False),
        (GATEWAY_RIGHTS, "PUT", "/trade-api/v2/portfolio/balance", False),
        (GATEWAY_RIGHTS, "POST", "/trade-api/v2/portfolio/transfers", False),
    ],
)
def test_a_client_gets_headers_for_its_own_paths_only(
    tmp_path: Path, rights: Any, method: str, path: str, is_allowed: bool
) -> None:
    desk = Desk(tmp_path, rights=rights)
    assert refusal(desk.ask_headers(method, path)) == ("" if is_allowed else "path")


@pytest.mark.parametrize("rights", [FEED_RIGHTS, CANCELLER_RIGHTS])
def test_only_the_gateway_gets_orders(tmp_path: Path, rights: Any) -> None:
    desk = Desk(tmp_path, rights=rights)
    answers: list[Any] = []
    desk.client.request_order(desk.order(), then=answers.append)
    desk.client.request_l1(nonce=0, stamp_s=desk.wall_ns // SECOND_NS, then=answers.append)
    desk.client.report_spent(77)
    desk.turn()
    assert [refusal(answer) for answer in answers] == ["client", "client"]
    assert desk.client.refused == {"client": 3}


@pytest.mark.parametrize("off_ms", [-2_001, 2_001])
def test_a_stamp_of_another_time_is_refused(desk: Desk, off_ms: int) -> None:
    stamp_ms = desk.wall_ns // MS_NS + off_ms
    assert refusal(desk.ask_headers("POST", ORDERS_PATH, stamp_ms)) == "stamp"
    assert refusal(desk.ask_order(stamp_ms=stamp_ms)) == "stamp"
    nearer = stamp_ms + (1 if off_ms < 0 else -1)
    assert refusal(desk.ask_headers("POST", ORDERS_PATH, nearer)) == ""


def test_without_a_key_the_venue_is_refused(desk: Desk) -> None:
    desk.signer = desk.new_signer(kalshi_key_file=None, polymarket_key_file=None)
    assert refusal(desk.ask_order()) == "key"
    assert refusal(desk.ask_headers("POST", ORDERS_PATH)) == "key"


def test_garbage_in_the_ring_is_answered_and_counted(desk: Desk) -> None:
    body = np.full(BODY, -1, np.int64)
    rng = np.random.default_rng(5)
    for kind, what in ((K_SIGN, 0), (K_SIGN, 99), (K_QUOTE, 1), (K_SIGN, 1), (K_SIGN, 2),
                       (K_SIGN, L1_AUTH), (K_SIGN, SPENT)):  # fmt: skip
        for fill in (-1, 2**63 - 1, -(2**63), None):
            body[:] = rng.integers(-(2**63), 2**63 - 1, BODY) if fill is None else fill
            body[cell(SIGN, "what")] = what
            ring_append(desk.channel.words, desk.channel.at("requests"), 512, kind, body, BODY)
    desk.turn()
    assert ring_tail(desk.channel.words, desk.channel.at("replies")) == 28
    assert counter(desk, "refused") == 28 and counter(desk, "bad") == 12
    assert refusal(desk.ask_order()) == ""


def test_a_step_is_bounded(desk: Desk) -> None:
    for salt in range(1, BURST + 6):
        desk.client.request_order(desk.order(salt=salt), then=lambda signed: None)
    assert [desk.signer.step(desk.now_ns) for _ in range(3)] == [BURST, 5, 0]


@pytest.mark.parametrize(
    ("caps", "sizes", "says"),
    [
        ({"order_e6": 4 * E6, "token_e6": 9 * E6, "total_e6": 99 * E6}, [10], "cap_order"),
        ({"order_e6": 5 * E6, "token_e6": 9 * E6, "total_e6": 99 * E6}, [10, 10, 2], "cap_token"),
        ({"order_e6": 5 * E6, "token_e6": 9 * E6, "total_e6": 9 * E6}, [10, 10, 2], "cap_token"),
    ],
)
def test_caps_hold_for_an_order_and_a_token(
    tmp_path: Path, caps: dict[str, int], sizes: list[int], says: str
) -> None:
    desk = Desk(tmp_path, caps=Caps(**caps))
    found = [refusal(desk.ask_order(size_e6=s * E6, salt=s * 100 + i)) for i, s in enumerate(sizes)]
    assert found == [""] * (len(sizes) - 1) + [says]


def test_the_total_cap_holds_over_all_tokens(tmp_path: Path) -> None:
    desk = Desk(tmp_path, caps=Caps(order_e6=5 * E6, token_e6=9 * E6, total_e6=9 * E6))
    assert [refusal(desk.ask_order(salt=1)), refusal(desk.ask_order(salt=2))] == ["", ""]
    assert refusal(desk.ask_order(token=1, salt=3)) == "cap_total"
    assert counter(desk, "outstanding_e6") == 9 * E6


def test_a_sell_counts_at_a_dollar_a_share(desk: Desk) -> None:
    assert refusal(desk.ask_order(side=1)) == ""
    assert counter(desk, "outstanding_e6") == 10 * E6


def test_what_the_venue_used_up_counts_no_more(tmp_path: Path) -> None:
    desk = Desk(tmp_path, caps=Caps(order_e6=5 * E6, token_e6=5 * E6, total_e6=5 * E6))
    assert [refusal(desk.ask_order(salt=1)), refusal(desk.ask_order(salt=2))] == ["", "cap_token"]
    desk.client.report_spent(1)
    desk.turn()
    assert counter(desk, "outstanding_e6") == 0
    assert refusal(desk.ask_order(salt=2)) == ""
    desk.client.report_spent(12345)
    desk.turn()
    assert desk.client.refused["unknown"] == 1 and counter(desk, "outstanding_e6") == 4_500_000


@pytest.mark.parametrize(
    ("row", "quote", "is_over"),
    [
        ({}, {"status": ST_SETTLED}, True),
        ({}, {"settlement_e6": 0}, True),
        ({}, {"settlement_e6": E6}, True),
        ({"generation": 2}, {"generation": 2}, True),
        ({}, {}, False),
        ({"live": 0}, {}, False),
    ],
)
def test_an_order_counts_until_its_window_has_settled(
    desk: Desk, row: dict[str, Any], quote: dict[str, Any], is_over: bool
) -> None:
    desk.ask_order()
    write_market(desk.main, **row)
    write_quote(desk.main, **quote)
    desk.pass_time(3600 * SECOND_NS)
    desk.signer.step(desk.now_ns)
    assert counter(desk, "outstanding_e6") == (0 if is_over else 4_500_000)
    assert (77 in desk.signer.policy.held.orders) is not is_over


def test_a_restarted_signer_still_counts_what_its_predecessor_signed(tmp_path: Path) -> None:
    desk = Desk(tmp_path, caps=Caps(order_e6=5 * E6, token_e6=5 * E6, total_e6=5 * E6))
    desk.ask_order(salt=1)
    desk.signer = desk.new_signer()
    assert refusal(desk.ask_order(salt=2)) == "cap_total"
    write_quote(desk.main, status=ST_SETTLED)
    desk.pass_time(2 * SECOND_NS)
    desk.turn()
    assert counter(desk, "outstanding_e6") == 0


def test_a_request_that_its_death_left_unanswered_is_answered_once(desk: Desk) -> None:
    answers: list[Any] = []
    desk.ask_order(salt=1)
    desk.client.request_order(desk.order(salt=2), then=answers.append)
    desk.signer.close()  # it dies before it reads the second
    desk.signer = desk.new_signer()
    desk.turn()
    assert [refusal(answer) for answer in answers] == [""] and desk.client.unknown == 0
    desk.signer = desk.new_signer()
    assert desk.signer.step(desk.now_ns) == 0


def test_it_wakes_the_client_that_armed_its_bell(tmp_path: Path) -> None:
    rights = dataclasses.replace(GATEWAY_RIGHTS, bell_role=3)
    desk = Desk(tmp_path, rights=rights)
    bell = desk.main.at("bells", 3)
    bell_arm(desk.main.words, bell)
    desk.ask_order()
    assert word_load(desk.main.words, bell) == 0


def test_waiting_ends_at_once_when_something_is_asked(desk: Desk) -> None:
    assert desk.signer.wait(1_000) is False
    desk.client.request_order(desk.order(), then=lambda signed: None)
    assert desk.signer.wait(3600 * SECOND_NS) is True
    assert word_load(desk.main.words, desk.main.at("bells", SIGNER)) == 0


def test_durations_are_kept_when_a_clock_is_given(desk: Desk) -> None:
    ticks = iter(range(0, 10**6, 500))
    desk.signer._mono = lambda: next(ticks)
    desk.ask_order()
    assert word_load(desk.main.words, desk.signer._histogram) == 1


@pytest.mark.parametrize("raw", [b"", b"0x12", b"zz" * 32, b"11" * 33, b"00" * 32])
def test_a_wrong_polymarket_key_is_refused_without_quoting_it(tmp_path: Path, raw: bytes) -> None:
    path = write_private(tmp_path / "key", raw)
    params = SignerParams(clients=(), polymarket_key_file=path, hide_memory=False)
    with pytest.raises(SecretError) as caught:
        Signer(Segment.private(), [], params, 1, lambda: 0)
    assert path in str(caught.value) and "zz" not in str(caught.value)


def test_a_key_with_a_prefix_and_a_newline_is_read(tmp_path: Path) -> None:
    path = write_private(tmp_path / "key", b"0x" + POLYMARKET_KEY.hex().encode() + b"\n")
    assert load_polymarket_key(path) == POLYMARKET_KEY


def test_nothing_of_the_keys_prints(desk: Desk) -> None:
    shown = repr(desk.signer) + repr(desk.params) + repr(vars(desk.signer))
    assert POLYMARKET_KEY.hex() not in shown and "PRIVATE KEY" not in shown
    assert "redacted" in repr(desk.signer)


def test_params_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="skew_max_ms"):
        SignerParams(clients=(), skew_max_ms=5_001)
    with pytest.raises(ValueError, match="caps"):
        Caps(order_e6=5, token_e6=4)
