"""Private keys are in the signer and nowhere else; API secrets where they are used and nowhere
else. Looked for in a run that trades, by a scanner that finds them where they are.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.ops.rig import REAL, Engine, engine, until
from tests.session.canaries import Scanner, api_secrets, below, private_keys

pytestmark = pytest.mark.timeout(900)  # the first run of a build compiles its kernels

KEY_FILES = ("kalshi.pem", "polymarket.key")
API_FILE = "polymarket.api"
WITH_SECRETS = {"gateway", "canceller", "feed polybolt", "venues"}  # venues: the other side


@dataclass
class Looked:
    """What was found in one run, by process or file."""

    keys: dict[str, set[str]]
    secrets: dict[str, set[str]]
    processes: set[str]
    all_keys: set[str]
    core_limits: dict[str, int]
    bytes_read: int


def names_of(made: Engine) -> dict[int, str]:
    """Every process of a run by pid; helpers that status does not know by their command."""
    told = {row["pid"]: row["name"] for row in made.status()["processes"]}
    return {one.pid: told.get(one.pid) or " ".join(one.cmdline())[:60] for one in made.everyone()}


def find(folder: Path, name: str) -> Path:
    (found,) = [path for path in below(folder) if path.name == name]
    return found


@pytest.fixture(name="looked", scope="module")
def _looked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Looked]:
    folder = tmp_path_factory.mktemp("canary")
    with engine(folder, command=list(REAL)) as made:
        made.start("--json")
        made.wait_until_trading()
        until(lambda: made.status()["orders"] >= 4, 180, "orders")
        keys = private_keys(*(find(folder, name) for name in KEY_FILES))
        secrets = api_secrets(find(folder, API_FILE))
        scanner = Scanner(keys | secrets)
        names = names_of(made)
        found = {name: scanner.process(pid) for pid, name in names.items()}
        shared = [path for path in Path("/dev/shm").iterdir() if path.name.startswith(made.name)]
        assert shared, "the segments are there"
        found |= scanner.files([*below(folder), *shared])
        limits = {
            name: resource.prlimit(pid, resource.RLIMIT_CORE)[1] for pid, name in names.items()
        }
        made.run("stop")
        made.end()
        found |= scanner.files(below(folder))  # what is left of logs
    yield Looked(
        keys={where: here & keys.keys() for where, here in found.items() if here & keys.keys()},
        secrets={
            where: here & secrets.keys() for where, here in found.items() if here & secrets.keys()
        },
        processes=set(names.values()),
        all_keys=set(keys),
        core_limits=limits,
        bytes_read=scanner.bytes_read,
    )


def test_private_keys_are_in_the_signer_and_in_their_files_alone(looked: Looked) -> None:
    assert {Path(where).name for where in looked.keys} == {"signer", *KEY_FILES}


def test_the_scanner_finds_both_keys_in_the_signer(looked: Looked) -> None:
    """The negative control: of each key both halves of some form."""
    here = looked.keys["signer"]
    for key in ("kalshi key raw", "polymarket key raw"):
        assert {f"{key}, first half", f"{key}, second half"} <= here


def test_api_secrets_are_where_they_are_used(looked: Looked) -> None:
    found = {Path(where).name for where in looked.secrets}
    assert found == {*WITH_SECRETS, API_FILE}


def test_every_process_was_looked_at(looked: Looked) -> None:
    roles = {"supervisor", "nursery", "signer", "canceller", "gateway", "detector", "venues"}
    assert roles < looked.processes and len(looked.processes) >= 12
    assert looked.bytes_read > 50_000_000 * len(roles) // 2


def test_the_signer_leaves_no_core(looked: Looked) -> None:
    assert looked.core_limits["signer"] == 0


NEEDLE = os.urandom(32).hex().encode()
HOLD = "import sys; sys.stdout.write('ready\\n'); sys.stdout.flush(); sys.stdin.read()"


def held(kind: str) -> tuple[list[str], dict[str, str]]:
    """A process that holds the needle: its command and environment."""
    text = NEEDLE.decode()
    if kind == "argument":
        return [sys.executable, "-c", HOLD, text], {}
    if kind == "environment":
        return [sys.executable, "-c", HOLD], {"HELD": text}
    made = f"held = bytes(b ^ 1 for b in bytes.fromhex('{bytes(b ^ 1 for b in NEEDLE).hex()}'))\n"
    return [sys.executable, "-c", made + HOLD], {}


@pytest.mark.parametrize("kind", ["argument", "environment", "memory", "nowhere"])
def test_a_needle_is_found_wherever_a_process_holds_it(kind: str) -> None:
    command, more = held(kind) if kind != "nowhere" else ([sys.executable, "-c", HOLD], {})
    process = subprocess.Popen(
        command, env={"PATH": "/usr/bin:/bin", **more}, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None and process.stdout.readline() == b"ready\n"
    found = Scanner({"needle": NEEDLE}).process(process.pid)
    process.communicate()
    assert found == ({"needle"} if kind != "nowhere" else set())


def test_a_needle_is_found_across_chunks_and_in_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.session.canaries.CHUNK_BYTES", 4096)
    monkeypatch.setattr("tests.session.canaries.PART_BYTES", 512)
    scanner = Scanner({"needle": NEEDLE})
    held_here = bytearray(20_000)
    for at in range(0, 20_000 - len(NEEDLE), 4_000 - 7):
        held_here[at : at + len(NEEDLE)] = NEEDLE
    assert scanner.process(os.getpid()) == {"needle"}
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "log").write_bytes(b"x" * 70_000 + NEEDLE)
    (tmp_path / "clean").write_bytes(NEEDLE[:-1])
    assert set(scanner.files(below(tmp_path))) == {str(tmp_path / "deep" / "log")}
