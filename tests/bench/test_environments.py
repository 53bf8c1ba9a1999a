"""Environments of the judges: found or missing, whole or not at all."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bench import environments
from bench.environments import Client, Missing, find_python, python_of

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


def client(package: str = "nothing==1.0", *pythons: str) -> Client:
    return Client(name="nothing", package=package, pythons=pythons or (HERE,))


def quiet(_text: str) -> None:
    pass


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ARB_STATE_DIR", str(tmp_path))
    return tmp_path / "judges"


def test_a_python_of_the_wanted_version_is_found() -> None:
    version, python = find_python(client())
    assert version.startswith(HERE + ".") and python.exists()


def test_a_python_that_is_not_there_is_missing_with_its_version() -> None:
    with pytest.raises(Missing, match=r"nothing==1.0 wants Python 3\.99"):
        find_python(client("nothing==1.0", "3.99"))


def fake_install(folder: Path) -> None:
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").symlink_to(sys.executable)


def test_what_is_made_once_is_used_again(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Path] = []

    def install(_client: Client, _python: Path, folder: Path) -> None:
        made.append(folder)
        fake_install(folder)

    monkeypatch.setattr(environments, "_install", install)
    said: list[str] = []
    first = python_of(client(), say=said.append)
    assert python_of(client(), say=said.append) == first and first.is_relative_to(state)
    assert len(made) == 1 and made[0].parent.parent == state, "aside, on the same file system"
    assert len(said) == 2 and "installing nothing==1.0" in said[0]
    assert list(state.iterdir()) == [first.parent.parent], "nothing half-made is left"


def test_an_install_that_fails_leaves_nothing(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def install(_client: Client, _python: Path, folder: Path) -> None:
        fake_install(folder)
        raise Missing("no index")

    monkeypatch.setattr(environments, "_install", install)
    with pytest.raises(Missing, match="no index"):
        python_of(client(), say=quiet)
    assert list(state.iterdir()) == []


def test_an_environment_whose_python_is_gone_is_made_again(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environments, "_install", lambda _c, _p, folder: fake_install(folder))
    made = python_of(client(), say=quiet)
    made.unlink()
    made.symlink_to("/nowhere/python")
    assert python_of(client(), say=quiet).exists()
    assert list(state.iterdir()) == [made.parent.parent]


def test_another_run_that_was_first_wins(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    version, _ = find_python(client())

    def install(_client: Client, _python: Path, folder: Path) -> None:
        fake_install(folder)
        fake_install(state / f"nothing-1.0-python{version}")

    monkeypatch.setattr(environments, "_install", install)
    assert python_of(client(), say=quiet).exists()


def test_an_installer_that_hangs_or_is_not_there_has_failed() -> None:
    hangs = [sys.executable, "-c", "import threading; threading.Event().wait()"]
    code, text = environments._run(hangs, seconds=0.2)
    assert code == 124 and "gave up" in text
    assert environments._run(["/nowhere/python"], seconds=1)[0] == 127


def test_a_package_that_no_index_has_is_missing(
    state: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With an index that cannot be reached: the reason names the package."""
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"):
        monkeypatch.setenv(name, tmp_path.as_uri() + "/nowhere")
    monkeypatch.setenv("UV_OFFLINE", "1")
    with pytest.raises(Missing, match=r"arb-no-such-package==1.0 could not be installed"):
        python_of(client("arb-no-such-package==1.0"), say=quiet)
