"""The command `arb-supervisor`. Nothing heavy is imported before it is needed: `status` and `stop`
talk over the socket.

Every wrong input is one line on standard error and an exit code of `EXITS`; nothing is left behind.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from ops import audit_cli
from ops.console import err, out
from ops.explain import cli as explain_cli

if TYPE_CHECKING:
    from ops.launch import SessionFactory

EXITS = """exit codes:
    0  done as asked
    1  internal error
    2  wrong usage
    3  a config, recording, file of faults, journal, id or foreign segment was refused
    4  already running, or not running
    5  a process died for good
    6  done here, but not confirmed by a venue, or something is left or differs
    7  a journal is damaged
   75  /dev/shm is full
  130  interrupted before it ran, or twice"""
USAGE, REFUSED, RUNNING, FAILED = 2, 3, 4, 5
EVERY_KIND = "all"
PRINT = "--print-config"
TEXTS = {
    "start": ("run the engine until stopped, or for a time", ""),
    "status": ("what runs, with heartbeat, memory, trust", ""),
    "stop": ("end the run in order and wait for it", ""),
    "halt": ("start nothing new; lone legs are finished", ""),
    "resume": ("trade again after halt or kill", "Clears the kill word and every halt."),
    "kill": (
        "nothing leaves any more, now; cancel everything at the venues",
        "Sets the kill word in shared memory itself: it needs neither the supervisor nor the disk\n"
        "nor a gateway that listens. Then the canceller cancels everything at both venues; waits\n"
        "up to 5 s for its word. Lone legs are not finished, nothing is sold. Again: cancels\n"
        "again. Lifted by `resume`, or by `resume --halted` to look, flatten or reconcile first.\n"
        "If the supervisor is dead, everything else is too, and the canceller has cancelled.",
    ),
    "flatten": (
        "sell everything we hold",
        "Shows what would be sold and what it costs, asks (--yes: does not), halts trading, then\n"
        "sells each holding with orders that only reduce, no worse than unwind_loss_max from the\n"
        "touch, and asks the venues what is left. Waits up to 45 s. Stays halted.",
    ),
    "reload": (
        "read the settings again and put in force what may be",
        "The running engine's profile, --config file and variables (its own, not this command's).\n"
        "What tightens holds at once, what loosens only after `halt`; some keys need a new start.\n"
        "What is refused is told key by key, and then the exit code is 3.",
    ),
    "reconcile": (
        "ask both venues now and print where our books differ",
        "Cash, positions and open orders, read while nothing of ours moves (else: not known; halt\n"
        "first). A difference halts trading until `resume`.",
    ),
}
EXAMPLES = {
    "start": "arb-supervisor start --for 20\n"
    "  ASSET=eth INTERVAL=15m arb-supervisor start --profile moderate --print-config\n"
    "  arb-supervisor start --markets 1000 --for 60\n"
    "  arb-supervisor start --for 60 --faults ops/venues/faults_example.toml\n"
    "  arb-supervisor start --replay DIR --speed 60 --for 90 --json",
    "status": "arb-supervisor status --json",
    "stop": "arb-supervisor stop",
    "halt": "arb-supervisor halt",
    "resume": "arb-supervisor resume\n  arb-supervisor resume --halted",
    "kill": "arb-supervisor kill --json",
    "flatten": "arb-supervisor flatten --plan\n  arb-supervisor flatten --yes",
    "reload": "arb-supervisor reload --json",
    "reconcile": "arb-supervisor reconcile --json",
}
ENVIRONMENT = (  # what children may inherit
    "PATH", "HOME", "USER", "LANG", "LANGUAGE", "TERM", "TMPDIR", "TZ", "NO_COLOR",
    "LD_LIBRARY_PATH",
    "COLUMNS", "LINES", "VIRTUAL_ENV", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "XDG_STATE_HOME",
    "XDG_RUNTIME_DIR", "NUMBA_CACHE_DIR", "ASSET", "INTERVAL",
)  # fmt: skip


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One line, no usage text."""
        self.exit(USAGE, f"{self.prog}: {message} (see {self.prog} --help)\n")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    raw = argparse.RawDescriptionHelpFormatter
    top = _Parser(prog="arb-supervisor", description="Starts, watches and stops the engine.",
                  epilog=EXITS, formatter_class=raw)  # fmt: skip
    commands = top.add_subparsers(
        dest="command", required=True, metavar="COMMAND", parser_class=_Parser
    )
    made = {}
    for name, (text, more) in TEXTS.items():
        made[name] = commands.add_parser(
            name, help=text, description=f"{text}\n\n{more}".strip(), formatter_class=raw,
            epilog=f"example:\n  {EXAMPLES[name]}\n\n{EXITS}",
        )  # fmt: skip
        made[name].add_argument(
            "--json", action="store_true", help="one JSON object on standard output"
        )
    made["resume"].add_argument(
        "--halted", action="store_true", help="clear the kill word, but stay halted"
    )
    made["flatten"].add_argument("--yes", action="store_true", help="do not ask")
    made["flatten"].add_argument("--plan", action="store_true", help="show it and do nothing")
    audit_cli.add(commands, EXITS)
    explain_cli.add(commands, EXITS)
    _start_flags(made["start"])
    return top


def _start_flags(start: argparse.ArgumentParser) -> None:
    start.add_argument(
        "--mode", default="sim", choices=("sim", "paper", "live"),
        help="paper: orders are matched here against the books that come in; live: not yet",
    )
    start.add_argument("--config", type=Path, metavar="FILE", help="TOML laid over the profile")
    start.add_argument("--profile", default="testing", metavar="NAME", help="default: testing")
    start.add_argument("--replay", type=Path, nargs="+", action="extend", metavar="PATH",
                       help="recorded data instead of the seeded world")  # fmt: skip
    start.add_argument("--seed", type=_seed, metavar="N",
                       help="of the simulated world and of --faults (default 1)")  # fmt: skip
    start.add_argument("--markets", type=_markets, metavar="N",
                       help="of the simulated world on a venue: 7 (default) to 1000")  # fmt: skip
    start.add_argument("--for", dest="seconds", type=_seconds, metavar="SECONDS",
                       help="counted from full trust (default: until stopped)")  # fmt: skip
    start.add_argument("--speed", dest="speed_e6", type=_speed, default=1_000_000, metavar="X",
                       help="run time per real time (default 1)")  # fmt: skip
    start.add_argument("--from", dest="from_epoch_ns", type=_moment, metavar="TIME",
                       help="where a replay begins, such as 2026-01-03T20:40Z")  # fmt: skip
    start.add_argument("--gap-max", dest="gap_max_ns", type=_gap, metavar="S",
                       help="longer silences of a recording are cut to S seconds")  # fmt: skip
    start.add_argument("--faults", type=_faults, metavar="FILE",
                       help="what the simulated venues do wrong, TOML or JSON;"
                            " 'all': every kind, again and again")  # fmt: skip
    start.add_argument("--force-approve", action="store_true",
                       help="trade pairs whose markets differ; simulated venues only")  # fmt: skip
    start.add_argument(PRINT, action="store_true",
                       help="print every setting with its source; start nothing")  # fmt: skip


def _flags(asked: argparse.Namespace) -> dict[tuple[str, str], tuple[str, Any]]:
    """Keys of the settings that have a flag of their own, where it was given."""
    return {} if asked.markets is None else {("sim", "markets"): ("--markets", asked.markets)}


def _decimal(text: str, what: str, low: float, high: float) -> float:
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,6})?", text) or not low <= float(text) <= high:
        wanted = f"{what} from {low:.9g} to {high:.9g}"
        raise argparse.ArgumentTypeError(f"found {text!r}, wanted {wanted}")
    return float(text)


def _seconds(text: str) -> float:
    return _decimal(text, "seconds", 0.1, 10_000_000)


def _seed(text: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,18}", text):
        raise argparse.ArgumentTypeError(f"found {text!r}, wanted a whole number")
    return int(text)


def _markets(text: str) -> int:
    from ops.config import MARKETS

    low, high = MARKETS
    if not re.fullmatch(r"[0-9]{1,9}", text) or not low <= int(text) <= high:
        wanted = f"a whole number from {low} to {high}"
        raise argparse.ArgumentTypeError(f"found {text!r}, wanted {wanted}")
    return int(text)


def _faults(text: str) -> Path:
    """A file of that name in this folder is ./all."""
    from ops.venues import faults

    return faults.EVERY_KIND if text == EVERY_KIND else Path(text)


def _speed(text: str) -> int:
    return round(_decimal(text, "a factor", 0.01, 1000) * 1_000_000)


def _gap(text: str) -> int:
    return round(_decimal(text, "seconds", 0.001, 1_000_000) * 1_000_000_000)


def _moment(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"found {text!r}, wanted a time such as 2026-01-03T20:40Z"
        ) from None
    if moment.tzinfo is None:
        raise argparse.ArgumentTypeError(
            f"found {text!r} without a zone, wanted one such as 20:40Z"
        )
    return round(moment.timestamp()) * 1_000_000_000


def fail(text: str, code: int) -> int:
    """One line on standard error for each line of `text`."""
    for line in text.splitlines():
        err(f"arb-supervisor: {line}")
    return code


def main(argv: list[str] | None = None, make_session: SessionFactory | None = None) -> int:
    """The console script. `make_session` None: the simulated session of ops/sim.py."""
    words = sys.argv[1:] if argv is None else argv
    if PRINT in words and not set(TEXTS) & set(words):
        words = ["start", *words]
    asked = parser().parse_args(words)
    if asked.command == "start":
        return _start(asked, make_session)
    if asked.command == "audit":
        return audit_cli.run(asked)
    if asked.command == "explain":
        return explain_cli.run(asked)
    return _talk(asked)


def _talk(asked: argparse.Namespace) -> int:
    from ops import cache, control, operator_cli

    long = {
        "kill": operator_cli.kill,
        "resume": operator_cli.resume,
        "flatten": operator_cli.flatten,
        "reconcile": operator_cli.reconcile,
    }
    try:
        if asked.command in long:
            return long[asked.command](asked)
        answer = control.ask(cache.state_dir(), asked.command)
    except control.Refused as error:
        return fail(f"{asked.command}: {error}", REFUSED)
    except control.NotRunning as error:
        if asked.json:
            out(json.dumps({"running": False, "error": str(error)}))
        return fail(str(error), RUNNING)
    if asked.command == "reload":
        return _reloaded(answer, is_json=asked.json)
    if asked.json:
        out(json.dumps(answer))
    elif asked.command == "status":
        from ops.status_text import text

        out(text(answer))
    elif asked.command == "stop":
        out("stop: done; the run has ended")
    else:
        out(operator_cli.state_line(asked.command, answer))
    return 0


def _reloaded(answer: dict[str, Any], *, is_json: bool) -> int:
    from ops.reload_text import lines

    if is_json:
        out(json.dumps(answer))
    if "error" in answer:
        return REFUSED if is_json else fail(answer["error"], REFUSED)
    if not is_json:
        out("\n".join(lines(answer)))
    return REFUSED if answer["refused"] else 0


def _start(asked: argparse.Namespace, make_session: SessionFactory | None) -> int:
    from ops import clock, config
    from ops.venues import faults

    began_ns = clock.process_start_ns()
    if asked.force_approve and asked.mode != "sim":
        text = f"--force-approve is for simulated venues only: found --mode {asked.mode}"
        return fail(text, USAGE)
    if asked.mode == "live":
        return fail("--mode live is not built yet: this version trades simulated money", USAGE)
    if asked.mode == "paper" and asked.faults is not None:
        return fail("--faults is for --mode sim: the venues of paper orders do not fail", USAGE)
    if asked.replay is None and (asked.from_epoch_ns is not None or asked.gap_max_ns is not None):
        return fail("--from and --gap-max are for --replay", USAGE)
    if asked.replay is not None and asked.markets is not None:
        return fail("--markets is of the simulated world, not of --replay", USAGE)
    is_free = asked.replay is not None and asked.faults is None and asked.mode == "sim"
    if is_free and asked.seed is not None:
        text = "--seed is of the simulated world, of --faults and of paper orders, not of --replay"
        return fail(text, USAGE)
    asked.seed = 1 if asked.seed is None else asked.seed
    try:
        source = config.source(asked.profile, asked.config, os.environ, _flags(asked))
        asked.plan = faults.load(asked.faults) if asked.faults else ()
    except (config.ConfigError, faults.FaultError) as error:
        return fail(str(error), REFUSED)
    if asked.print_config:
        from ops import config_text

        told = source.first
        out(config_text.as_json(told) if asked.json else config_text.as_table(told))
        return 0
    for name in list(os.environ):  # no proxies, no SSLKEYLOGFILE, no preloads for any child
        if name not in ENVIRONMENT and not name.startswith(("ARB_", "LC_")):
            del os.environ[name]
    from ops.launch import launch

    return launch(asked, source, make_session, began_ns)


if __name__ == "__main__":
    sys.exit(main())
