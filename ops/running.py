"""A run on prepared ground: session, segment, supervisor, summary. Loaded beside the nursery."""

from __future__ import annotations

import json

from setproctitle import setproctitle

from ops.commands import kill_place
from ops.console import out
from ops.cores import is_pinned
from ops.desk_limits import for_cores
from ops.ground import Ground, GroundError
from ops.helpers import Helpers
from ops.identity import publish
from ops.launch import REFUSED, Launch, LaunchError
from ops.reload import Reloader
from ops.run_folder import RunFolder
from ops.session import Request, SessionError
from ops.summary import faults_done, lines, summary
from ops.supervisor import Supervisor


def run(told: Launch, folder: RunFolder, helpers: Helpers) -> int:
    """The exit code of the whole run. Raises LaunchError; no child and no segment is left."""
    setproctitle("arb: supervisor")
    ground = Ground(told.state_dir, folder, told.name, helpers)
    try:
        supervisor = _prepared(told, folder, ground)
        try:
            ending = supervisor.run()
            found = summary(supervisor)
        finally:
            supervisor.control.close()
    finally:
        told.shown.close()
        ground.close()
    if told.asked.json:
        out(json.dumps(found))
    else:
        _print(lines(found) + faults_done(supervisor.beside.log.counts))
    return ending.code


def _prepared(told: Launch, folder: RunFolder, ground: Ground) -> Supervisor:
    """Script, keys, segment and tables."""
    asked, settings = told.asked, told.source.first.settings
    request = Request(
        settings=for_cores(settings, is_pinned(settings.processes.cores_min)),
        name=told.name,
        state_dir=told.state_dir,
        seconds=asked.seconds,
        seed=asked.seed,
        replay=tuple(asked.replay or ()),
        speed_e6=asked.speed_e6,
        from_epoch_ns=asked.from_epoch_ns,
        gap_max_ns=asked.gap_max_ns,
        faults=asked.plan,
        force_approve=asked.force_approve,
    )
    make_session = told.make_session
    if make_session is None:
        from ops.paper import PaperSession
        from ops.sim import SimSession

        make_session = PaperSession if asked.mode == "paper" else SimSession
    try:
        session = make_session(request, folder.path)
        ground.make(session.channels, session.mode)
    except SessionError as error:
        raise LaunchError(str(error), REFUSED) from error
    except GroundError as error:
        raise LaunchError(str(error), error.code) from error
    publish(ground.segment, session.identity)
    folder.note_kill(kill_place(ground, session.identity))
    supervisor = Supervisor(request, session, ground, say=told.shown.say, began_ns=told.began_ns)
    supervisor.tick = told.shown.tick
    supervisor.commands.reloader = Reloader(told.source)
    return supervisor


def _print(rows: list[tuple[str, str]]) -> None:
    width = max(len(title) for title, _ in rows)
    for title, text in rows:
        out(f"{title:<{width}}  {text}")
