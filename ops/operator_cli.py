"""The operator's commands that wait for somebody: for the canceller kill, for the gateway resume,
flatten and reconcile.

Each shows what it found, as text or as one JSON object; NOT_CONFIRMED is the exit code when a venue
did not confirm in time, something is left, or books differ. Imports nothing heavy: `kill` must work
when little else does.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping
from typing import Any

from ops import cache, clock, control
from ops.console import err, out
from ops.figures import mode_said
from ops.kill_word import open_word

DONE, USAGE, REFUSED, NOT_CONFIRMED, INTERRUPTED = 0, 2, 3, 6, 130
CONFIRM_NS = 5 * clock.SECOND_NS  # for the canceller: it gives up after 4 s
ANSWER_NS = 45 * clock.SECOND_NS  # for the gateway: 5 s quiet, 15 s of orders, 15 s of questions
RESUME_NS = 2 * clock.SECOND_NS  # for the gate, which has its own reasons cleared first
LOOK_NS = 20 * clock.MS_NS
ASK_S = 5.0


def kill(asked: argparse.Namespace) -> int:
    """Set the kill word, then say what the venue-side cancels came to. Raises NotRunning."""
    word = open_word(cache.state_dir())
    was, before = word["word_at"], word.told
    set_ns = clock.mono_ns()
    word.set(set_ns, os.getpid())
    until_ns = clock.mono_ns() + CONFIRM_NS
    cancelled = failed = 0
    while cancelled + failed < word.venues and clock.mono_ns() < until_ns:
        clock.sleep_ns(LOOK_NS)
        cancelled, failed = (now - then for now, then in zip(word.told, before, strict=True))
    is_confirmed = cancelled >= word.venues
    found = {
        "running": True, "killed": True, "was_killed": was != 0, "set_ns": set_ns,
        "venues": word.venues, "cancelled": cancelled, "failed": failed,
    }  # fmt: skip
    if asked.json:
        out(json.dumps(found))
    else:
        again = " (it was set already)" if was else ""
        out(f"kill: the kill word is set{again}: no order leaves until `arb-supervisor resume`")
        out(f"kill: everything cancelled at {cancelled} of {word.venues} venues")
    if not is_confirmed:
        left = word.venues - cancelled
        said = f"{failed} refused or silent" if failed else "the canceller has not answered"
        err(f"arb-supervisor: kill: cancels not confirmed at {left} of {word.venues} venues: {said}"
            " (again: `arb-supervisor kill`)")  # fmt: skip
    return DONE if is_confirmed else NOT_CONFIRMED


def resume(asked: argparse.Namespace) -> int:
    """Trade again, or with --halted only lift the kill word, and show what state it came to: the
    gateway and the dead have reasons of their own. Raises NotRunning."""
    answer = control.ask(cache.state_dir(), "lift" if asked.halted else "resume")
    until_ns = clock.mono_ns() + RESUME_NS
    while not asked.halted and answer.get("state") != "ACTIVE" and clock.mono_ns() < until_ns:
        clock.sleep_ns(LOOK_NS)
        answer = control.ask(cache.state_dir(), "status")
    out(json.dumps(answer) if asked.json else state_line("resume", answer))
    if asked.halted or answer["state"] == "ACTIVE":
        return DONE
    return _failed("resume: not trading, `arb-supervisor status` says more", NOT_CONFIRMED)


def state_line(command: str, answer: Mapping[str, Any]) -> str:
    """What a command has made of the trading state."""
    return (f"{command}: trading state {answer['state']}:"
            f" supervisor {answer['supervisor']}, gate {answer['gate']}")  # fmt: skip


def flatten(asked: argparse.Namespace) -> int:
    """Show plan and cost, ask, have it done, and let the venues say what is left."""
    if asked.json and not (asked.yes or asked.plan):
        return _failed("flatten: --json asks nobody: wanted --yes or --plan beside it", USAGE)
    shown = _ask("plan")
    if shown.get("killed") and not asked.plan:
        return _failed("the kill word is set: lift it first with `arb-supervisor resume --halted`",
                       REFUSED)  # fmt: skip
    if asked.plan or not asked.json:
        out(json.dumps(shown) if asked.json else "\n".join(plan_lines(shown)))
    if asked.plan:
        return DONE
    if not asked.yes and not _is_wanted():
        return _failed("flatten: not done", USAGE)
    found = _answer("flatten")
    left = [row for row in found["rows"] if not row["is_dust"]]
    is_flat = found["is_done"] and found["reason"] == "done" and not left
    if asked.json:
        out(json.dumps({"flat": is_flat, "plan": shown, **found}))
    else:
        for row in found["orders"]:
            out(_order_line(row))
        for row in found["rows"]:
            out(_left_line(row))
        if is_flat:
            out("flatten: the venues hold nothing of ours" + (" but dust" if found["rows"] else ""))
        out("flatten: trading is halted; `arb-supervisor resume` starts it again")
    if is_flat:
        return DONE
    why = "the gateway has not answered" if not found["is_done"] else f"{found['reason']}"
    held = f"{len(left)} holdings left" if found["is_done"] else "unknown what is left"
    return _failed(f"flatten: not confirmed flat: {held} ({why})", NOT_CONFIRMED)


def reconcile(asked: argparse.Namespace) -> int:
    """Ask both venues now and print where our books differ."""
    found = _answer("reconcile")
    rows, is_known = found["rows"], found["is_done"] and found["reason"] == "done"
    if asked.json:
        out(json.dumps({"differences": len(rows), **found}))
    else:
        for row in rows:
            out(difference_line(row))
        if is_known and not rows:
            out("reconcile: our books and the venues' agree")
    if not is_known:
        why = found["reason"] or "the gateway has not answered"
        return _failed(f"reconcile: not known: {why}", NOT_CONFIRMED)
    if rows:
        return _failed(f"reconcile: {len(rows)} differences: halted until `arb-supervisor resume`",
                       NOT_CONFIRMED)  # fmt: skip
    return DONE


def _ask(command: str) -> dict[str, Any]:
    return control.ask(cache.state_dir(), command, ASK_S)


def _answer(command: str) -> dict[str, Any]:
    """Have the gateway do something; its answer, or what there is of it when time is up."""
    began = _ask(command)
    if "error" in began:
        raise control.Refused(str(began["error"]))
    number, until_ns = str(began["number"]), clock.mono_ns() + ANSWER_NS
    while True:
        found: dict[str, Any] = _ask("answers").get(number, {})
        if found.get("is_done") or clock.mono_ns() > until_ns:
            return {"is_done": False, "reason": None, "rows": [], "orders": []} | found
        clock.sleep_ns(5 * LOOK_NS)


def _is_wanted() -> bool:
    """Ask on the terminal; nobody there: no."""
    if not sys.stdin.isatty():
        err("arb-supervisor: flatten: nobody to ask: found no terminal, wanted one or --yes")
        return False
    out("flatten now? trading is halted first [y/N]")
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _failed(text: str, code: int) -> int:
    err(f"arb-supervisor: {text}")
    return code


# ---- texts


def dollars(value_e6: int) -> str:
    """Money or contracts of 1e-6 with two to six decimals."""
    sign, (whole, part) = "-" if value_e6 < 0 else "", divmod(abs(value_e6), 1_000_000)
    digits = f"{part:06d}".rstrip("0").ljust(2, "0")
    return f"{sign}{whole}.{digits}"


def plan_lines(shown: Mapping[str, Any]) -> list[str]:
    """What would be sold, and what that costs."""
    if not shown["rows"]:
        return ["flatten: nothing is held by our books; the venues are asked all the same"]
    paper = [mode_said(shown["mode"])] if shown.get("mode") == "paper" else []
    lines = paper + [_plan_line(row) for row in shown["rows"]]
    brings, worst = dollars(shown["cash_e6"]), dollars(shown["worst_e6"])
    verb = "costs" if shown["cost_e6"] >= 0 else "gains"
    return [
        *lines,
        f"brings ${brings} after fees at what is shown, ${worst} at the worst limits",
        f"pays at least ${dollars(shown['worth_e6'])} if kept to settlement:"
        f" flatten {verb} ${dollars(abs(shown['cost_e6']))}",
    ]


def _plan_line(row: Mapping[str, Any]) -> str:
    name = f"{row['venue']} {row['ticker']}: {dollars(row['size_e6'])} {row['holds']}"
    if row["why"]:
        return f"{name}: {row['why']}"
    more = f", {dollars(row['unshown_e6'])} beyond what is shown" if row["unshown_e6"] else ""
    return (
        f"{name}: first order {dollars(row['order_e6'])} at {dollars(row['limit_e6'])} (YES terms),"
        f" brings ${dollars(row['cash_e6'])} with fees of ${dollars(row['fee_e6'])}{more}"
    )


def _order_line(row: Mapping[str, Any]) -> str:
    return (
        f"{row['venue']} instrument {row['instrument']}: {dollars(row['filled_e6'])} of"
        f" {dollars(row['asked_e6'])} at {dollars(row['limit_e6'])} or better (YES terms),"
        f" fee ${dollars(row['fee_e6'])}"
    )


def _left_line(row: Mapping[str, Any]) -> str:
    yes, no = row["theirs_e6"]
    dust = ": dust, too little for any order" if row["is_dust"] else ""
    held = f"YES {dollars(yes)}, NO {dollars(no)}"
    return f"left at {row['venue']}: instrument {row['instrument']}: {held}{dust}"


def difference_line(row: Mapping[str, Any]) -> str:
    """One difference by name."""
    if row["order"]:
        return f"{row['venue']}: order {row['order']} is open there and not known here"
    ours, theirs = row["ours_e6"], row["theirs_e6"]
    if row["instrument"] < 0:
        return (
            f"{row['venue']} cash of account {row['account']}: ours ${dollars(ours[0])},"
            f" the venue's ${dollars(theirs[0])}"
        )
    return (
        f"{row['venue']} instrument {row['instrument']}: ours YES {dollars(ours[0])} NO"
        f" {dollars(ours[1])}, the venue's YES {dollars(theirs[0])} NO {dollars(theirs[1])}"
    )
