"""Every intent of a run one after the other, the table of its orders, and the sum that must be what
the venues paid.
"""

from __future__ import annotations

from typing import Any

from ops.explain.account import (
    Books,
    balance_of,
    books_of,
    differences,
    start_worth_e6,
    worth_e6,
)
from ops.explain.money import held_of, marks_of
from ops.explain.past import Run
from ops.explain.story import story


def one(run: Run, number: int) -> dict[str, Any]:
    """An intent, the one whose leg it gives back or completes, and all unwinds of that."""
    marks = marks_of(run, held_of(run)[1])
    parent = run.parent(run.works[number])
    root = number if parent is None else parent
    stories = [story(run, each, marks) for each in run.family(root)]
    return {**_head(run), "asked": number, "intents": stories, "family": _family(root, stories)}


def everything(run: Run, books: Books | None = None) -> dict[str, Any]:
    """The whole run. `books`: what to hold it against while the venues have not told; None: only
    what they have.
    """
    if run.told is not None:
        books = books_of(run.told)
    marks = marks_of(run, held_of(run)[1])
    intents, families = [], []
    for root in run.roots():
        stories = [story(run, each, marks) for each in run.family(root)]
        intents += stories
        families.append(_family(root, stories))
    orders = [order for each in intents for order in each["orders"]]
    balance = balance_of(run, marks)
    began_e6 = sum(balance.start_e6.values()) + start_worth_e6(run, marks)
    ended_e6 = sum(balance.cash_e6.values()) + worth_e6(run, marks, balance.held_e6)
    realised_e6 = sum(row["realised_e6"] for row in orders)
    found = {
        **_head(run),
        "intents": intents,
        "families": families,
        "totals": {
            "intents": len(intents),
            "orders": len(orders),
            "filled": sum(row["filled_e6"] > 0 for row in orders),
            "unwinds": sum(row["parent"] is not None for row in intents),
            "lone": sum(row["lone_e6"] is not None for row in families),
            "lone_e6": sum(row["lone_e6"] or 0 for row in families),
            "expected_e6": _sum(row["expected_e6"] for row in families),
            "fees_e6": sum(row["fee_e6"] for row in orders),
            "realised_e6": realised_e6,
            "rounding_e6": ended_e6 - began_e6 - realised_e6,
            "explained_e6": ended_e6 - began_e6,
        },
        "books": None,
        "differences": [],
    }
    if books is not None:
        start_e6 = balance.start_e6 if books.start_e6 is None else books.start_e6
        told_e6 = sum(books.cash_e6.values()) + worth_e6(run, marks, books.held_e6)
        told_e6 -= sum(start_e6.values()) + start_worth_e6(run, marks)
        found["books"] = {"of": books.source, "change_e6": told_e6}
        found["differences"] = list(differences(run, balance, books))
        if told_e6 != found["totals"]["explained_e6"]:
            found["differences"].append(
                f"all in all: explained {found['totals']['explained_e6']}e-6, {books.source} say"
                f" {told_e6}e-6"
            )
    return found


def _head(run: Run) -> dict[str, Any]:
    return {
        "journal": str(run.journal),
        "records": run.records,
        "damage": run.damage or None,
        "run": run.run_id,
    }


def _sum(values: Any) -> int:
    """Of what is known."""
    return sum(value for value in values if value is not None)


def _family(root: int, stories: list[dict[str, Any]]) -> dict[str, Any]:
    """An intent with its unwinds, summed: what a pair brought and what closing a leg cost."""
    first = stories[0]
    return {
        "intent": root,
        "unwinds": [each["intent"] for each in stories[1:]],
        "end": first["end"],
        "expected_e6": first["expected_e6"],
        "fees_e6": sum(each["fees_e6"] for each in stories),
        "realised_e6": sum(each["realised_e6"] for each in stories),
        "lone_e6": first["lone"]["result_e6"] if first["lone"] else None,
    }
