"""Whatever begins with ARB_ is a setting, the program's own or its tests', or it is refused."""

from __future__ import annotations

import pytest

from ops.config import SECTIONS, ConfigError, load
from ops.config_read import OF_TESTS, OWN, SHORT_NAMES, VARIABLES
from ops.settings import keys_of

UNKNOWN_VARIABLES = {  # what was told after ARB_: what is said
    "DAY_LOSS_MAX": "did you mean ARB_LIMITS_DAY_LOSS_MAX?",
    "DAY_LOSS": "did you mean ARB_LIMITS_DAY_LOSS_MAX?",
    "ORDER_MAX": "did you mean ARB_LIMITS_ORDER_MAX?",
    "SIZE_MAX": "did you mean ARB_LIMITS_SIZE_MAX?",
    "TOTAL_MAX": "did you mean ARB_LIMITS_TOTAL_MAX?",
    "UNHEDGED_MAX": "did you mean ARB_LIMITS_UNHEDGED_MAX?",
    "BETS": "did you mean ARB_UPDOWN_BETS?",
    "MOMENTUM_ON": "did you mean ARB_STRATEGIES_MOMENTUM_ON?",
    "STRATEGY_MOMENTUM_ON": "did you mean ARB_STRATEGIES_MOMENTUM_ON?",
    "ASSET": "did you mean ASSET?",
    "INTERVAL": "did you mean INTERVAL?",
    "STATEDIR": "did you mean ARB_STATE_DIR?",
    "EDGE_MIN": "did you mean ARB_EDGE_EDGE_MIN or ARB_STRATEGIES_LATENCY_EDGE_MIN or ",
    "SHORT": "ARB_NAME, ARB_PYTHON, ARB_STATE_DIR or ARB_TEST_…",
    "SUPERVISOR_PID": "wanted ARB_SECTION_KEY of a setting, ARB_NAME",
    "": "wanted ARB_SECTION_KEY of a setting",
}


@pytest.mark.parametrize("told", UNKNOWN_VARIABLES)
def test_a_variable_that_nothing_reads_is_refused_and_the_one_that_is_meant_is_named(
    told: str,
) -> None:
    """A limit that its operator believes in and that nobody read would be worse than none."""
    with pytest.raises(ConfigError) as caught:
        load("testing", None, {f"ARB_{told}": "5"})
    said = str(caught.value)
    assert said.startswith(f"variable ARB_{told}: unknown variable, ") and "\n" not in said
    assert UNKNOWN_VARIABLES[told] in said
    _, _, meant = said.partition("did you mean ")
    for name in filter(None, meant.removesuffix("?").split(" or ")):
        assert name in VARIABLES or name in OWN


@pytest.mark.parametrize("name", ["arb_limits_size_max", "ARB_limits_size_max"])
def test_a_variable_in_small_letters_is_refused_too(name: str) -> None:
    with pytest.raises(ConfigError, match="did you mean ARB_LIMITS_SIZE_MAX"):
        load("testing", None, {name: "5"})


def test_every_setting_has_one_variable_and_none_is_taken_for_the_tests() -> None:
    keys = [(section, key) for section in SECTIONS for key in keys_of(section)]
    assert sorted(VARIABLES.values()) == sorted([*keys, *SHORT_NAMES.values()])
    assert not any(name.startswith(OF_TESTS) for name in (*VARIABLES, *OWN))


def test_the_variables_that_are_meant_are_taken() -> None:
    """The negative control: what was refused above, by its whole name, and what is no setting."""
    others = {"ARB_NAME": "x", "ARB_PYTHON": "p", "ARB_STATE_DIR": "/x", "ARB_TEST_ANYTHING": "y"}
    found = load("testing", None, others | {
        "ARB_LIMITS_DAY_LOSS_MAX": "50", "ARB_UPDOWN_BETS": "0",
        "ARB_STRATEGIES_MOMENTUM_ON": "0", "ASSET": "eth", "ARBITER": "1",
    })  # fmt: skip
    assert found.limits.day_max_e6 == 50_000_000 and found.updown.assets == ("ETH",)
    assert (found.updown.bets, found.strategies["momentum"].on) == (0, 0)
    assert load("testing", None, others) == load("testing")
