"""The control socket and the lock, over real sockets in a folder of the test."""

from __future__ import annotations

import json
import os
import selectors
import socket
import stat
import threading
from collections.abc import Iterator
from contextlib import ExitStack, chdir, contextmanager
from pathlib import Path
from typing import Any

import pytest

from ops.control import (
    CLIENTS_MAX,
    LINE_MAX,
    SOCKET,
    AlreadyRunning,
    ControlServer,
    Lock,
    NotRunning,
    ask,
)


@contextmanager
def serving(folder: Path) -> Iterator[list[str]]:
    """A server in a thread; the commands it was given."""
    heard: list[str] = []
    selector = selectors.DefaultSelector()

    def answer(command: str) -> dict[str, Any]:
        heard.append(command)
        return {"did": command}

    server = ControlServer(folder, selector, answer)
    reader, writer = os.pipe()
    selector.register(reader, selectors.EVENT_READ, None)

    def loop() -> None:
        while True:
            for key, _ in selector.select():
                if key.data is None:
                    return
                key.data()
            if heard[-1:] == ["stop"]:
                return

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield heard
    finally:
        os.write(writer, b"x")
        thread.join()
        server.close()
        os.close(reader)
        os.close(writer)


def raw(folder: Path, line: bytes) -> bytes:
    """What the server says to any bytes."""
    with chdir(folder), socket.socket(socket.AF_UNIX) as client:  # a socket's path is short
        client.settimeout(60)
        client.connect(SOCKET)
        client.sendall(line)
        return client.makefile("rb").readline()


def test_a_command_is_answered_and_the_socket_is_private(tmp_path: Path) -> None:
    with serving(tmp_path) as heard:
        assert stat.S_IMODE((tmp_path / SOCKET).stat().st_mode) == 0o600
        assert ask(tmp_path, "status") == {"did": "status"}
        assert ask(tmp_path, "halt") == {"did": "halt"}
        assert heard == ["status", "halt"]
    assert not (tmp_path / SOCKET).exists()


def test_a_folder_with_a_long_path_works(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 60) / ("y" * 60)
    deep.mkdir(parents=True)
    with serving(deep):
        assert ask(deep, "status") == {"did": "status"}


def test_nonsense_is_refused_and_does_not_reach_the_supervisor(tmp_path: Path) -> None:
    with serving(tmp_path) as heard:
        for line in (b"dance\n", b'{"command": "dance"}\n', b"[1]\n", b'{"command": 7}\n'):
            assert "error" in json.loads(raw(tmp_path, line))
        assert raw(tmp_path, b"x" * (LINE_MAX + 10) + b"\n") == b""
        assert heard == []
        assert ask(tmp_path, "status") == {"did": "status"}


def test_one_client_too_many_is_told_that_nobody_answers(tmp_path: Path) -> None:
    with serving(tmp_path), ExitStack() as others:
        with chdir(tmp_path):
            for _ in range(CLIENTS_MAX):
                client = others.enter_context(socket.socket(socket.AF_UNIX))
                client.connect(SOCKET)
        with pytest.raises(NotRunning, match="without an answer"):
            ask(tmp_path, "status")


def test_nobody_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotRunning, match="no engine is running in"):
        ask(tmp_path, "status")
    with pytest.raises(NotRunning):
        ask(tmp_path / "no such folder", "status")


def test_a_second_lock_is_refused_and_names_the_first(tmp_path: Path) -> None:
    first = Lock(tmp_path)
    first.note(["a folder"])
    with pytest.raises(AlreadyRunning, match=f"pid {os.getpid()}"):
        Lock(tmp_path)
    first.release()
    assert Lock(tmp_path).leftovers == []


def test_what_a_killed_run_left_is_told_to_the_next(tmp_path: Path) -> None:
    first = Lock(tmp_path)
    first.note(["/run/arb-1", "/state/arb.sock"])
    os.close(first._fd)  # as if killed
    assert Lock(tmp_path).leftovers == ["/run/arb-1", "/state/arb.sock"]


def test_a_lock_full_of_nonsense_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "lock").write_bytes(b"\xff\xfe not json")
    assert Lock(tmp_path).leftovers == []
