"""An environment of its own for each official client, made once for all runs of this user.

It lies in the state folder, named by package, version and Python. It is built aside and renamed, so
that what is there is whole; two runs at once build twice and the first rename wins.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ops.cache import state_dir

INSTALL_MAX_S = 240.0
PROBE_MAX_S = 20.0
_PROBE = "import sys, ssl; print('%d.%d.%d' % sys.version_info[:3], sys.executable)"

Say = Callable[[str], None]


class Missing(Exception):
    """The client cannot be had on this machine: no Python for it, or no package."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """An official client: its pinned package, the Pythons it runs on, best first, and packages that
    it uses where they are there.
    """

    name: str
    package: str
    pythons: tuple[str, ...]
    beside: tuple[str, ...] = ()

    @property
    def folder(self) -> str:
        """Its part of a folder's name."""
        return re.sub(r"[^A-Za-z0-9.]+", "-", " ".join((self.package, *self.beside)))


CLIENTS = {
    client.name: client
    for client in (
        Client(
            name="polymarket-client",
            package="polymarket-client==0.14.0",
            pythons=("3.11", "3.12", "3.13"),
        ),
        Client(
            name="polymarket-client with coincurve",  # else it signs in Python, ten times slower
            package="polymarket-client==0.14.0",
            beside=("coincurve==21.0.0",),
            pythons=("3.11", "3.12", "3.13"),
        ),
        Client(
            name="py-clob-client-v2",
            package="py-clob-client-v2==1.2.1",
            pythons=("3.11", "3.12", "3.13"),
        ),
        Client(name="kalshi-python-sync", package="kalshi-python-sync==3.34.0", pythons=("3.13",)),
        Client(
            name="nautilus_trader",
            package="nautilus_trader[polymarket]==1.231.0",
            pythons=("3.12", "3.13"),
        ),
    )
}


def _candidates(version: str) -> Iterator[str]:
    """Where a Python of this version may be: this one, on the path, pyenv's, what uv knows."""
    if version == f"{sys.version_info.major}.{sys.version_info.minor}":
        yield sys._base_executable  # type: ignore[attr-defined]  # not the environment's own
    if found := shutil.which(f"python{version}"):
        yield found
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from (str(path) for path in sorted(root.glob(f"versions/{version}.*/bin/python")))
    if uv := shutil.which("uv"):
        code, text = _run([uv, "python", "find", "--no-project", version], seconds=PROBE_MAX_S)
        if code == 0:
            yield text.splitlines()[-1]


def find_python(client: Client) -> tuple[str, Path]:
    """(full version, interpreter) for a client. Raises Missing."""
    for version in client.pythons:
        for candidate in _candidates(version):
            code, text = _run([candidate, "-c", _PROBE], seconds=PROBE_MAX_S)
            found, _, path = text.strip().partition(" ")
            if code == 0 and found.startswith(version + "."):
                return found, Path(path)
    wanted = " or ".join(client.pythons)
    raise Missing(f"{client.package} wants Python {wanted}: none on the path, in pyenv or with uv")


def python_of(client: Client, *, say: Say) -> Path:
    """The interpreter of the client's environment, made now if it is not there. Raises Missing."""
    version, python = find_python(client)
    home = state_dir() / "judges" / f"{client.folder}-python{version}"
    made = home / "bin" / "python"
    if made.exists():
        return made
    say(f"installing {client.package} for Python {version} (once; it stays in the state folder)")
    home.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    aside = Path(tempfile.mkdtemp(prefix=".new-", dir=home.parent))
    try:
        _install(client, python, aside / "env")
        if home.exists() and not made.exists():  # its Python is gone from this machine
            home.rename(aside / "dead")
        try:
            (aside / "env").rename(home)
        except OSError:
            if not made.exists():  # else another run was first
                raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    say(f"{client.package} is installed")
    return made


def _install(client: Client, python: Path, folder: Path) -> None:
    inside = str(folder / "bin" / "python")
    if uv := shutil.which("uv"):
        steps = [
            [uv, "venv", "--quiet", "--no-project", "--python", str(python), str(folder)],
            [uv, "pip", "install", "--quiet", "--python", inside, client.package, *client.beside],
        ]
    else:
        quiet = ["--quiet", "--no-compile", "--disable-pip-version-check"]
        pip = [inside, "-m", "pip", "install", *quiet]
        steps = [
            [str(python), "-m", "venv", str(folder)],
            [*pip, client.package, *client.beside],
        ]
    for step in steps:
        code, text = _run(step, seconds=INSTALL_MAX_S)
        if code:
            last = (text.strip().splitlines() or ["no word"])[-1]
            raise Missing(f"{client.package} could not be installed: {last}")


def _run(command: list[str], *, seconds: float) -> tuple[int, str]:
    """(exit code, output and errors); a command that is not there or hangs has failed."""
    env = {**os.environ, "UV_PYTHON_DOWNLOADS": "never"}
    for name in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"):
        env.pop(name, None)
    try:
        done = subprocess.run(
            command,
            env=env,
            timeout=seconds,
            check=False,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    except subprocess.TimeoutExpired:
        return 124, f"gave up after {seconds:.0f} s"
    except OSError as error:
        return 127, str(error)
    return done.returncode, done.stdout
