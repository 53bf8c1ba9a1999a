"""The control socket: a 0600 Unix socket in the state folder, one JSON object a line each way.

A command is {"command": one of COMMANDS}; the answer is one object. After `stop` the supervisor
keeps the connection open until it is done: its end is the end of the run. `lift` clears the kill
word and stays halted. `plan` shows what `flatten` would order; `flatten` and `reconcile` answer
with a number at once, and `answers` with what the gateway has said so far, by number.
`propose` with a `window` (ops/proposal.py) is the catalog's.
Imports nothing heavy, so that `status` answers at once. Paths longer than the kernel allows for a
socket are reached through the folder's descriptor.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import selectors
import socket
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

SOCKET = "arb.sock"
LOCK = "lock"
COMMANDS = (
    "status", "stop", "halt", "resume", "lift", "plan", "flatten", "reconcile", "answers", "reload",
)  # fmt: skip
LINE_MAX = 4096
ANSWER_MAX = 1 << 20
CLIENTS_MAX = 16


class NotRunning(Exception):
    """No supervisor answers."""


class Refused(Exception):
    """The supervisor does not do that now; says why."""


class AlreadyRunning(Exception):
    """Another supervisor holds the state folder."""


@contextlib.contextmanager
def _short(folder: Path, name: str) -> Iterator[str]:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{fd}/{name}"
    finally:
        os.close(fd)


class Lock:
    """Held by the one supervisor of a state folder; names its pid and what it would leave."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / LOCK
        self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            found = _parsed(os.pread(self._fd, LINE_MAX, 0))
            os.close(self._fd)
            raise AlreadyRunning(
                f"{folder}: a supervisor is already running, pid {found.get('pid', 'unknown')}"
            ) from error
        self.leftovers = [
            str(path) for path in _parsed(os.pread(self._fd, LINE_MAX, 0)).get("leftovers", [])
        ]

    def note(self, leftovers: list[str], **more: Any) -> None:
        """What the next start must remove if this run cannot; `kill`: where the kill word lies
        (ops/kill_word.py).
        """
        raw = json.dumps({"pid": os.getpid(), "leftovers": leftovers, **more}).encode()
        assert len(raw) <= LINE_MAX
        os.pwrite(self._fd, raw, 0)
        os.ftruncate(self._fd, len(raw))

    def release(self) -> None:
        """The run is over and left nothing."""
        os.ftruncate(self._fd, 0)
        os.close(self._fd)


def read_note(path: Path) -> dict[str, Any]:
    """What the supervisor of a lock file has noted there; {}: nothing."""
    try:
        with open(path, "rb") as file:
            return _parsed(file.read(LINE_MAX))
    except OSError:
        return {}


def _parsed(raw: bytes) -> dict[str, Any]:
    try:
        found = json.loads(raw)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


class ControlServer:
    """The supervisor's end, driven by its selector. `answer` gets the command's name, `propose`
    the window that the catalog proposes.
    """

    def __init__(
        self,
        folder: Path,
        selector: selectors.BaseSelector,
        answer: Callable[[str], dict[str, Any]],
        propose: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
    ) -> None:
        self._selector = selector
        self._answer, self._propose = answer, propose
        self._path = folder / SOCKET
        self._path.unlink(missing_ok=True)  # we hold the lock: whoever made it is gone
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        with _short(folder, SOCKET) as path:
            before = os.umask(0o177)
            try:
                self._listener.bind(path)
            finally:
                os.umask(before)
        self._listener.listen(CLIENTS_MAX)
        self._clients: dict[socket.socket, bytes] = {}
        selector.register(self._listener, selectors.EVENT_READ, self._accept)

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError):
            client, _ = self._listener.accept()
            credentials = client.getsockopt(
                socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")
            )
            _, uid, _ = struct.unpack("3i", credentials)
            if uid not in (os.geteuid(), 0) or len(self._clients) >= CLIENTS_MAX:
                client.close()
                return
            client.setblocking(False)
            self._clients[client] = b""
            self._selector.register(client, selectors.EVENT_READ, lambda: self._read(client))

    def _read(self, client: socket.socket) -> None:
        try:
            raw = client.recv(LINE_MAX)
        except BlockingIOError:
            return
        except OSError:
            raw = b""
        self._clients[client] += raw
        line, end, _ = self._clients[client].partition(b"\n")
        if not raw or len(line) > LINE_MAX:
            self._drop(client)
        elif end:
            self._clients[client] = b""
            self._reply(client, _parsed(line))

    def _reply(self, client: socket.socket, told: dict[str, Any]) -> None:
        command, window = told.get("command"), told.get("window")
        if command == "propose" and self._propose is not None and isinstance(window, dict):
            answer = self._propose(window)
        elif not isinstance(command, str) or command not in COMMANDS:
            answer = {"error": f"command: found {command!r}, wanted one of {COMMANDS}"}
        else:
            answer = self._answer(command)
        try:
            client.setblocking(True)
            client.settimeout(1.0)
            client.sendall(json.dumps(answer).encode() + b"\n")
            client.setblocking(False)
        except OSError:
            self._drop(client)

    def _drop(self, client: socket.socket) -> None:
        self._selector.unregister(client)
        del self._clients[client]
        client.close()

    def close(self) -> None:
        """Remove the socket; who waits for the end of the run sees it."""
        self._path.unlink(missing_ok=True)
        self._selector.unregister(self._listener)
        self._listener.close()
        for client in list(self._clients):
            self._drop(client)


def ask(folder: Path, command: str, timeout_s: float = 30.0, **more: Any) -> dict[str, Any]:
    """The supervisor's answer; for `stop`, once the run has ended. `more`: beside the command.
    Raises NotRunning, also where it ended or took no more clients before it answered."""
    answer: dict[str, Any] = {}
    try:
        with (
            socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client,
            _short(folder, SOCKET) as path,
        ):
            client.settimeout(timeout_s)
            client.connect(path)
            client.sendall(json.dumps({"command": command, **more}).encode() + b"\n")
            with client.makefile("rb") as file:
                answer = _parsed(file.readline(ANSWER_MAX))
                if command == "stop":
                    file.read()
    except (BrokenPipeError, ConnectionResetError):
        pass  # closed: it ended, or took no more clients
    except TimeoutError as error:
        raise NotRunning(
            f"{folder}: the supervisor does not answer within {timeout_s:.0f} s"
        ) from error
    except OSError as error:
        raise NotRunning(f"no engine is running in {folder}") from error
    if not answer:
        raise NotRunning(f"{folder}: the supervisor has closed the connection without an answer")
    return answer
