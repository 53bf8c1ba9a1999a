"""Settings: what is refused, in which words, and what overlays what."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import pytest

from engine.strategies.table import REFERENCE
from gateway.params import LOOKS_NS
from ops import config, config_text, supervisor_cli
from ops.config import SECTIONS, ConfigError, load, loaded
from ops.settings import keys_of


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("profile", config.profiles())
def test_every_profile_is_complete_and_explains_each_key(profile: str) -> None:
    load(profile)
    lines = (config.PROFILES / f"{profile}.toml").read_text().splitlines()
    for kind in SECTIONS.values():
        for entry in dataclasses.fields(kind):
            assert any(line.startswith(f"{entry.metadata['key']} = ") for line in lines)
    assert not any(line.endswith("#") for line in lines)


def test_the_profiles_have_the_numbers_that_users_of_such_engines_know() -> None:
    """reference/strategies.md: edge, position, asset, total, confidence, volatility scaling."""
    table = {
        "conservative": (0.07, 100, 500, 2_000, 0.75, 1),
        "moderate": (0.03, 500, 2_000, 5_000, 0.60, 1),
        "aggressive": (0.015, 1_000, 5_000, 15_000, 0.50, 0),
        "testing": (0.005, 10_000, 50_000, 100_000, 0.40, 1),  # after fees, not 1 % before them
    }
    assert sorted(table) == config.profiles()
    for profile, numbers in table.items():
        found = load(profile)
        limits, risk = found.limits, found.risk
        money = (limits.market_max_e6, limits.asset_max_e6, limits.total_max_e6)
        confidence_e6 = found.strategies["model_edge"].confidence_min_e6
        rest = (confidence_e6, risk.volatility_scaling * 1_000_000)
        assert (found.edge.edge_min_e6, *money, *rest) == tuple(round(n * 10**6) for n in numbers)
        assert (risk.volatility_factor_e6, risk.volatility_cut_e6) == (1_500_000, 300_000)
        if profile != "testing":
            assert risk.liquidity_min_e6 == 50_000_000 and risk.intent_min_e6 == 10_000_000
            assert risk.market_gap_ns == found.edge.quote_age_max_ns == 60 * 10**9


@pytest.mark.parametrize("profile", config.profiles())
def test_strategies_are_told_what_the_reference_has(profile: str) -> None:
    """engine/strategies/table.py holds the figures of reference/strategies.md and their order; a
    profile differs from them in the confidence of a model edge, and no strategy that is on counts
    with a formula of its own."""
    found = load(profile).strategies
    assert tuple(found) == tuple(REFERENCE)
    for name, wanted in REFERENCE.items():
        told = dataclasses.asdict(found[name])
        assert tuple(told) == tuple(wanted), name
        if name == "model_edge":
            told["confidence_min_e6"] = 600_000
        assert not (told["on"] and told["fair"]), name
        told["fair"] = wanted["fair"]
        assert told == wanted, name


def test_a_strategy_has_its_section_and_its_variables(tmp_path: Path) -> None:
    text = '[strategies.momentum]\non = 0\nvelocity_min = "0.000001"\n'
    environment = {"ARB_STRATEGIES_SETTLEMENT_SNIPER_LEFT_MIN_MS": "7000"}
    found = loaded("testing", written(tmp_path, text), environment)
    strategies: dict[str, Any] = dict(found.settings.strategies)
    assert (strategies["momentum"].on, strategies["momentum"].velocity_min_e12) == (0, 1)
    assert strategies["settlement_sniper"].left_min_ns == 7 * 10**9
    assert strategies["latency"] == load("testing").strategies["latency"]
    where = found.told["strategies.momentum", "on"].where
    assert where.endswith("mine.toml:2")


def test_money_is_exact_and_durations_are_nanoseconds(tmp_path: Path) -> None:
    text = '[edge]\nedge_min = "0.015"\ndebounce_ms = 3\n[limits]\nsize_max = "12.5"\n'
    settings = load("testing", written(tmp_path, text))
    assert settings.edge.edge_min_e6 == 15_000
    assert settings.edge.debounce_ns == 3_000_000
    assert settings.limits.size_max_e6 == 12_500_000


def test_the_environment_overlays_the_file_overlays_the_profile(tmp_path: Path) -> None:
    path = written(tmp_path, '[limits]\nsize_max = "20"\norder_max = "30"\n')
    environment = {"ARB_LIMITS_SIZE_MAX": "10", "ARB_NAME": "x", "HOME": "/"}
    environment |= {"ARB_STATE_DIR": "/x", "ARB_TEST_FAKE": "a=b"}
    settings = load("testing", path, environment)
    assert settings.limits.size_max_e6 == 10_000_000
    assert settings.limits.order_max_e6 == 30_000_000
    assert settings.limits.market_max_e6 == load("testing").limits.market_max_e6


def test_a_look_may_be_as_often_as_the_venue_answers_it(tmp_path: Path) -> None:
    path = written(tmp_path, "[gateway]\ndrift_check_ms = 10000\n")
    assert load("testing", path).gateway.drift_ns == LOOKS_NS == 10**10


def test_asset_and_interval_choose_the_windows_by_any_name() -> None:
    found = load("testing", None, {"ASSET": "bitcoin, eth", "INTERVAL": "15m"}).updown
    assert (found.assets, found.intervals) == (("BTC", "ETH"), ("15m",))
    assert load("testing", None, {"ASSET": "btc,xbt,BTC"}).updown.assets == ("BTC",)
    found = load(
        "testing", None, {"ARB_UPDOWN_ASSETS": "sol", "ARB_UPDOWN_INTERVALS": "5m,1h"}
    ).updown
    assert (found.assets, found.intervals) == (("SOL",), ("5m", "1h"))


# Kinds of mistake in a file: its text, the line told (0: none), what is told.
WRONG: dict[str, tuple[str | bytes, int, str]] = {
    "unknown section": ("[weather]\nx = 1\n", 1, "weather: unknown section, wanted one of [edge]"),
    "misspelt section": ("[limit]\nsize_max = '5'\n", 1, "did you mean [limits]?"),
    "unknown key": ('[edge]\nfoo = "0.01"\n', 2, "edge.foo: unknown key, wanted one of edge_min"),
    "misspelt key": ('[edge]\nedge_mim = "0.01"\n', 2, "unknown key, did you mean edge_min?"),
    "wrong unit in a key": ("[edge]\ncooldown_s = 3\n", 2, "did you mean cooldown_ms?"),
    "key of another section": ("[edge]\nsize_max = '5'\n", 2, "it is a key of [limits]"),
    "a key outside a section": ("x = 1\n", 1, "x: unknown section"),
    "a value for a section": ("edge = 1\n", 1, "found 1, wanted a section [edge]"),
    "a list for a section": ("[[edge]]\nedge_min = '1'\n", 0, "wanted a section [edge]"),
    "a section in a section": ("[edge.edge_min]\nx = 1\n", 0, "edge.edge_min: found {'x': 1}"),
    "a float for money": ("[edge]\nedge_min = 0.01\n", 2,
        "edge.edge_min: found 0.01, wanted dollars"),
    "a whole number for money": ("[limits]\norder_max = 5\n", 2,
        "found 5, wanted dollars as decimal text"),
    "exponent notation": ('[edge]\nedge_min = "1e-2"\n', 2, "edge.edge_min: found '1e-2'"),
    "full-width digits": ('[edge]\nedge_min = "\uff10.1"\n', 2, "edge.edge_min: found"),
    "too many decimals": ('[edge]\nedge_min = "0.0000001"\n', 2, "edge.edge_min: found"),
    "a comma for a point": ('[edge]\nedge_min = "0,01"\n', 2, "found '0,01'"),
    "a currency sign": ('[limits]\norder_max = "$50"\n', 2, "found '$50', wanted dollars"),
    "a percent sign": ('[edge]\nedge_min = "3%"\n', 2, "found '3%'"),
    "a thousands mark": ('[limits]\ntotal_max = "5_000"\n', 2, "found '5_000'"),
    "blanks around a number": ('[edge]\nedge_min = " 0.01 "\n', 2, "found ' 0.01 '"),
    "no number": ('[limits]\nsize_max = "many"\n', 2, "found 'many', wanted contracts"),
    "an empty number": ('[limits]\nsize_max = ""\n', 2, "found '', wanted contracts"),
    "a negative sum": ('[limits]\nsize_max = "-5"\n', 2, "found '-5', wanted contracts"),
    "a sum that is not a number": ('[limits]\nsize_max = "nan"\n', 2, "found 'nan'"),
    "unlimited": ('[limits]\nsize_max = "inf"\n', 2, "found 'inf'"),
    "a nan": ("[edge]\ndebounce_ms = nan\n", 2, "found nan, wanted whole milliseconds"),
    "hexadecimal text": ('[limits]\nsize_max = "0x10"\n', 2, "found '0x10'"),
    "above the most": ('[edge]\nprice_low = "2"\n', 2, "wanted dollars as decimal text such as"),
    "below the least": ('[limits]\norder_max = "0"\n', 2, "from 1 to 1000000"),
    "a duration below the least": ("[gateway]\nreply_max_ms = 1\n", 2, "from 50 to 5000"),
    "a negative duration": ("[edge]\ncooldown_ms = -1\n", 2, "found -1, wanted whole milliseconds"),
    "text for a duration": ('[edge]\ndebounce_ms = "3"\n', 2, "wanted whole milliseconds"),
    "a unit in a duration": ('[edge]\ndebounce_ms = "3ms"\n', 2, "found '3ms', wanted whole"),
    "a fraction for a duration": ("[edge]\ndebounce_ms = 1.5\n", 2, "found 1.5, wanted whole"),
    "a bool for a duration": ("[edge]\ndebounce_ms = true\n", 2, "found True, wanted whole"),
    "a switch that is neither 0 nor 1": ("[spot]\nkraken = 2\n", 2,
        "found 2, wanted a whole number, from 0 to 1"),
    "a bool for a switch": ("[spot]\nkraken = true\n", 2, "found True, wanted a whole number"),
    "a list for a text": ('[limits]\nsize_max = ["5"]\n', 2, "found ['5'], wanted contracts"),
    "a text for a list": ('[updown]\nassets = "BTC"\n', 2, "found 'BTC', wanted a list of texts"),
    "numbers in a list": ("[updown]\nintervals = [5, 15]\n", 2, "wanted a list of texts"),
    "twice in a list": ('[updown]\nintervals = ["5m", "5m"]\n', 2, "none twice"),
    "a date": ("[edge]\ndebounce_ms = 2026-01-01\n", 2, "found datetime.date(2026, 1, 1)"),
    "an interval nobody lists": ('[updown]\nintervals = ["7m"]\n', 2,
        "found '7m', wanted one of 5m"),
    "an asset nobody tracks": ('[updown]\nassets = ["ABC"]\n', 2, "found 'ABC', wanted one of BTC"),
    "an asset without windows": ('[updown]\nassets = ["DOGE"]\n', 2,
        "found 'DOGE', wanted one that has"),
    "an asset told wrongly": ('[assets]\ntracked = ["btc"]\n', 2, "wanted assets as"),
    "an alias of two assets": ('[assets]\ntracked = ["BTC=x1", "ETH=x1"]\n', 2, "found 'x1' twice"),
    "lows above highs": ('[fair]\nextremes = ["BTC=9..5"]\n', 2,
        "fair.extremes: found 'BTC=9..5', wanted coin, low and high"),
    "extremes of nobody": ('[fair]\nextremes = ["kenneth=1..5"]\n', 2,
        "fair.extremes: found 'kenneth', wanted one of BTC"),
    "extremes twice": ('[fair]\nextremes = ["BTC=1..5", "bitcoin=1..6"]\n', 2,
        "fair.extremes: found BTC twice, wanted once"),
    "nothing tracked": ("[assets]\ntracked = []\n", 2, "found [], wanted a list of texts, 1 to 50"),
    "not TOML": ("[edge\n", 1, "not TOML"),
    "a value without quotes": ("[edge]\nedge_min = half\n", 2, "not TOML"),
    "a key twice": ('[edge]\nedge_min = "0"\nedge_min = "1"\n', 2,
        "edge.edge_min: found again in line 3"),
    "a section twice": ("[edge]\ndebounce_ms = 1\n[spot]\n[edge]\n", 1,
        "[edge]: found again in line 4"),
    "not UTF-8": (b'[edge]\nedge_min = "\xff"\n', 2, "found byte 0xff, wanted UTF-8"),
    "crossed prices": ('[edge]\nprice_low = "0.995"\n', 2,
        "edge.price_low: found '0.995', wanted below"),
    "no loss for an unwind": ('[limits]\nunwind_loss_max = "0"\n', 2,
        "limits.unwind_loss_max: found '0'"),
    "an order above its market": ('[limits]\norder_max = "50000"\n', 2,
        "wanted at most '10000' of limits.market_max"),
    "a sum above any": ('[limits]\nmarket_max = "2000000"\n', 2, "from 1 to 1000000"),
    "total below market": ('[limits]\ntotal_max = "1"\n', 0,
        "wanted at most '1' of limits.total_max"),
    "minute below second": ("[limits]\norders_per_minute = 5\n", 0, "of limits.orders_per_minute"),
    "an unknown strategy": ("[strategies.momentun]\non = 1\n", 1,
        "strategies.momentun: unknown section, did you mean [strategies.momentum]?"),
    "a key for a strategy": ("[strategies]\nlatency = 1\n", 2,
        "strategies.latency: found 1, wanted a section [strategies.latency]"),
    "a value for all strategies": ("strategies = 1\n", 1, "strategies: unknown section"),
    "another strategy's key": ('[strategies.latency]\nz_low = "1"\n', 2,
        "strategies.latency.z_low: unknown key, it is a key of [strategies.certainty]"),
    "a strategy half on": ("[strategies.latency]\non = 2\n", 2, "from 0 to 1"),
    "a share of the strike as a float": ("[strategies.momentum]\ndistance_min = 0.0003\n", 2,
        "found 0.0003, wanted a share of the strike as decimal text"),
    "dollars for a velocity": ('[strategies.momentum]\nvelocity_min = "$0.5"\n', 2,
        "wanted millionths of the strike a second"),
    "divided by nothing": ('[strategies.distance_fade]\nscale = "0"\n', 2, "from 0.000001 to 1"),
    "more than all of the bankroll": ('[strategies.certainty]\ntotal = "1.5"\n', 2,
        "strategies.certainty.total: found '1.5', wanted"),
    "a cap above its total": ('[strategies.latency]\ncap = "0.5"\n', 2,
        "wanted at most '0.08' of strategies.latency.total"),
    "tiers out of order": ('[strategies.certainty]\nz_low = "2.6"\n', 2,
        "wanted at most '2.5' of strategies.certainty.z_middle"),
    "a window that is none": ("[strategies.settlement_sniper]\nleft_min_ms = 90000\n", 2,
        "wanted below '90000' of strategies.settlement_sniper.left_max_ms"),
    "a strategy twice": ("[strategies.latency]\n[spot]\n[strategies.latency]\n", 1,
        "[strategies.latency]: found again in line 3"),
    "looks that exceed a venue's limit": ("[gateway]\ndrift_check_ms = 9999\n", 2,
        "gateway.drift_check_ms: found '9999', wanted 10000 or more: a look may read 151 balances"
        " of polymarket, which allows 200 in 10 s"),
    "waits that shrink": ("[processes]\nbackoff_max_ms = 5\n", 0,
        "processes.backoff_ms: found '50'"),
}  # fmt: skip


def test_there_are_forty_kinds_of_mistake_and_more() -> None:
    assert len(WRONG) + len(WRONG_VARIABLES) + 4 >= 60  # four files that cannot be read, below


@pytest.mark.parametrize("case", sorted(WRONG))
def test_what_is_wrong_is_named_with_its_line(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, line, wanted = WRONG[case]
    path = tmp_path / "mine.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError) as caught:
        load("testing", path)
    first = str(caught.value).splitlines()[0]
    assert first.startswith(f"{path}:{line}: " if line else str(path)) or not line
    assert str(path) in str(caught.value)
    assert wanted in str(caught.value)
    asked = ["start", "--config", str(path)]
    assert supervisor_cli.main(asked) == supervisor_cli.REFUSED  # and no traceback
    out, err = capsys.readouterr()
    assert not out and err.splitlines()[0] == f"arb-supervisor: {first}"


WRONG_VARIABLES = {  # name, text, what is told
    "a value": ("ARB_LIMITS_SIZE_MAX", "lots", "limits.size_max: found 'lots', wanted contracts"),
    "a fraction": ("ARB_EDGE_DEBOUNCE_MS", "1.5", "found '1.5', wanted whole milliseconds"),
    "nothing": ("ARB_EDGE_DEBOUNCE_MS", "", "found '', wanted whole milliseconds"),
    "an unknown key": ("ARB_LIMITS_SIZE_MAXX", "1", "did you mean ARB_LIMITS_SIZE_MAX?"),
    "another's key": ("ARB_EDGE_SIZE_MAX", "1", "did you mean ARB_LIMITS_SIZE_MAX?"),
    "a misspelt section": ("ARB_LIMIT_SIZE_MAX", "1", "did you mean ARB_LIMITS_SIZE_MAX?"),
    "a strange section": ("ARB_TRADE_SIZE_MAX", "1", "did you mean ARB_LIMITS_SIZE_MAX?"),
    "no key": ("ARB_LIMITS", "1", "found a section without a key, wanted ARB_SECTION_KEY"),
    "an unknown strategy": ("ARB_STRATEGIES_MOMENTUN_ON", "1",
        "did you mean ARB_STRATEGIES_MOMENTUM_ON?"),
    "a strategy without a key": ("ARB_STRATEGIES_LATENCY", "1",
        "found a section without a key, wanted ARB_SECTION_KEY"),
    "a strategy's unknown key": ("ARB_STRATEGIES_LATENCY_ONN", "1",
        "did you mean ARB_STRATEGIES_LATENCY_ON?"),
    "no such asset": ("ASSET", "kenneth", "updown.assets: found 'kenneth', wanted one of BTC"),
    "no asset": ("ASSET", "", "updown.assets: found '', wanted a list of texts"),
    "half an asset": ("ASSET", "btc,", "updown.assets: found '', wanted one of BTC"),
    "an asset without windows": ("ASSET", "doge", "found 'doge', wanted one that has such markets"),
    "no such interval": ("INTERVAL", "15", "updown.intervals: found '15', wanted one of 5m, 15m"),
}  # fmt: skip


@pytest.mark.parametrize("case", sorted(WRONG_VARIABLES))
def test_a_wrong_variable_is_named(case: str) -> None:
    name, text, wanted = WRONG_VARIABLES[case]
    with pytest.raises(ConfigError) as caught:
        load("testing", None, {name: text})
    assert str(caught.value).startswith(f"variable {name}: ") and wanted in str(caught.value)
    assert str(caught.value).count("\n") == 0


def test_a_key_told_by_two_variables_is_refused() -> None:
    with pytest.raises(ConfigError, match="found also in variable ASSET, wanted once"):
        load("testing", None, {"ASSET": "btc", "ARB_UPDOWN_ASSETS": "eth"})


def test_every_mistake_of_a_file_and_of_the_variables_is_told_at_once(tmp_path: Path) -> None:
    text = '[edge]\nedge_mim = "1"\ncooldown_ms = "5"\n\n[limits]\norder_max = 5\n[limmits]\n'
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load("testing", path, {"ARB_EDGE_HURDLE": "x", "INTERVAL": "9m"})
    wheres = [line.split(": ")[0] for line in str(caught.value).splitlines()]
    lines = [f"{path}:{line}" for line in (2, 3, 6, 7)]
    assert wheres == [*lines, "variable ARB_EDGE_HURDLE", "variable INTERVAL"]


def test_the_same_file_mended_is_taken(tmp_path: Path) -> None:
    """The negative control: what was wrong above, written as it must be."""
    text = """
        [edge]
        edge_min = "0.01"
        debounce_ms = 3
        [limits]
        size_max = "1e".."""
    with pytest.raises(ConfigError):
        load("testing", written(tmp_path, text))
    mended = text.replace('"1e"..', '"16"\n[updown]\nassets = ["ETH"]\nintervals = ["5m"]\n')
    found = load("testing", written(tmp_path, mended))
    assert found.limits.size_max_e6 == 16_000_000 and found.updown.assets == ("ETH",)
    assert load("testing", written(tmp_path, "")) == dataclasses.replace(
        load("testing"), files=(*load("testing").files, str(tmp_path / "mine.toml"))
    )


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml: cannot be read: No such file"):
        load("testing", tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load("testing", tmp_path)
    with pytest.raises(ConfigError, match=r"cannot be read: Not a directory"):
        load("testing", written(tmp_path, "") / "x")
    path = written(tmp_path, "")
    path.chmod(0)
    if not os.access(path, os.R_OK):  # root reads everything
        with pytest.raises(ConfigError, match="cannot be read: Permission denied"):
            load("testing", path)
    with pytest.raises(ConfigError, match=r"profile: found 'reckless', wanted one of aggressive"):
        load("reckless")


def test_an_incomplete_profile_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "thin.toml").write_text('[edge]\nedge_min = "0.01"\n')
    monkeypatch.setattr(config, "PROFILES", tmp_path)
    with pytest.raises(ConfigError, match=r"edge.hurdle: missing: a profile is complete") as caught:
        load("thin")
    keys = sum(len(keys_of(section)) for section in SECTIONS)
    assert len(str(caught.value).splitlines()) == keys - 1


def test_each_value_is_shown_with_where_it_came_from(tmp_path: Path) -> None:
    path = written(tmp_path, '[limits]\nsize_max = "20"\n')
    environment = {"ARB_LIMITS_ORDER_MAX": "30", "ASSET": "eth"}
    found = loaded("testing", path, environment, {("sim", "markets"): ("--markets", 9)})
    rows = {
        (row["section"], row["key"]): row
        for row in json.loads(config_text.as_json(found))["settings"]
    }
    assert len(rows) == sum(len(keys_of(section)) for section in SECTIONS)
    froms = {
        ("limits", "size_max"): ("20", f"{path}:2"),
        ("limits", "order_max"): ("30", "variable ARB_LIMITS_ORDER_MAX"),
        ("updown", "assets"): ("eth", "variable ASSET"),
        ("sim", "markets"): ("9", "--markets"),
    }
    for name, (value, where) in froms.items():
        assert (rows[name]["value"], rows[name]["from"]) == (value, where)
    profile, _, line = rows["limits", "market_max"]["from"].rpartition(":")
    told = Path(profile).read_text().splitlines()[int(line) - 1]
    assert told.startswith("market_max = ") and profile.endswith("testing.toml")
    table = config_text.as_table(found).splitlines()
    assert len(table) == 1 + len(rows) and table[0].split() == ["section", "key", "value", "from"]
    assert any(line.split() == ["sim", "markets", "9", "--markets"] for line in table)


@pytest.mark.parametrize("flags", [["start", "--print-config"], ["--print-config"]])
def test_print_config_prints_and_starts_nothing(
    flags: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("ARB_STATE_DIR", str(tmp_path))
    assert supervisor_cli.main([*flags, "--profile", "moderate", "--json"]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert found["profile"] == "moderate" and not err and not list(tmp_path.iterdir())
