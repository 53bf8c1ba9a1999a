"""Settings: what is refused, in which words, and what overlays what."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from ops import config
from ops.config import SECTIONS, ConfigError, load


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


def test_money_is_exact_and_durations_are_nanoseconds(tmp_path: Path) -> None:
    text = '[edge]\nedge_min = "0.015"\ndebounce_ms = 3\n[limits]\nsize_max = "12.5"\n'
    settings = load("testing", written(tmp_path, text))
    assert settings.edge.edge_min_e6 == 15_000
    assert settings.edge.debounce_ns == 3_000_000
    assert settings.limits.size_max_e6 == 12_500_000


def test_the_environment_overlays_the_file_overlays_the_profile(tmp_path: Path) -> None:
    path = written(tmp_path, '[limits]\nsize_max = "20"\norder_max = "30"\n')
    settings = load("testing", path, {"ARB_LIMITS_SIZE_MAX": "10", "ARB_NAME": "x", "HOME": "/"})
    assert settings.limits.size_max_e6 == 10_000_000
    assert settings.limits.order_max_e6 == 30_000_000
    assert settings.limits.market_max_e6 == load("testing").limits.market_max_e6


WRONG = {
    "unknown section": ("[edges]\nx = 1\n", "edges: unknown section"),
    "unknown key": ('[edge]\nedge_mim = "0.01"\n', "edge.edge_mim: unknown key"),
    "a float for money": ("[edge]\nedge_min = 0.01\n", "edge.edge_min: found 0.01, wanted dollars"),
    "not a number": ('[edge]\nedge_min = "1e-2"\n', "edge.edge_min: found '1e-2'"),
    "full-width digits": ('[edge]\nedge_min = "\uff10.1"\n', "edge.edge_min: found"),
    "too many decimals": ('[edge]\nedge_min = "0.0000001"\n', "edge.edge_min: found"),
    "out of range": ('[edge]\nprice_low = "2"\n', "wanted dollars"),
    "text for a duration": ('[edge]\ndebounce_ms = "3"\n', "wanted whole milliseconds"),
    "a bool for a duration": ("[edge]\ndebounce_ms = true\n", "wanted whole milliseconds"),
    "a key outside a section": ("x = 1\n", "x: unknown section"),
    "a value for a section": ("edge = 1\n", "wanted a section [edge]"),
    "not TOML": ("[edge\n", "not TOML"),
    "crossed prices": ('[edge]\nprice_low = "0.995"\n', "edge.price_low: not below"),
    "no loss for an unwind": ('[limits]\nunwind_loss_max = "0"\n', "limits.unwind_loss_max: "),
    "an order above its market": ('[limits]\norder_max = "50000"\n', "limits.order_max: found"),
    "a market above the desk's own bound": (
        '[limits]\nmarket_max = "2000000"\ntotal_max = "3000000"\n',
        "wanted at most 1000000000000",
    ),
    "total below market": ('[limits]\ntotal_max = "1"\n', "limits.total_max: below"),
}


@pytest.mark.parametrize("case", sorted(WRONG))
def test_what_is_wrong_is_named(case: str, tmp_path: Path) -> None:
    text, wanted = WRONG[case]
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load("testing", path)
    assert str(path) in str(caught.value)
    assert wanted in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_missing_profile_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load("testing", tmp_path / "none.toml")
    with pytest.raises(ConfigError, match=r"profile: found 'reckless', wanted one of testing"):
        load("reckless")


def test_a_wrong_variable_is_named() -> None:
    with pytest.raises(ConfigError, match=r"environment: limits.size_max: found 'lots'"):
        load("testing", None, {"ARB_LIMITS_SIZE_MAX": "lots"})
    with pytest.raises(ConfigError, match=r"environment: limits.size_maxx: unknown key"):
        load("testing", None, {"ARB_LIMITS_SIZE_MAXX": "1"})


def test_an_incomplete_profile_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "thin.toml").write_text('[edge]\nedge_min = "0.01"\n')
    monkeypatch.setattr(config, "PROFILES", tmp_path)
    with pytest.raises(ConfigError, match=r"edge.hurdle: missing: a profile is complete"):
        load("thin")
