"""What an operator may ask the gateway for, through the control ring (COMMAND.command), and the
rows in which it answers on the reports ring.

An answer is one REPORT of kind K_COMMAND for each thing found, then one with leg −1 that says how
many there were. `intent` is the command's number; of a row, ours and theirs stand as (YES, NO) of
an instrument, as cash of an account, or as the key of an order that we do not know.
"""

from __future__ import annotations

from dataclasses import dataclass

from shm_layout import BODY, K_COMMAND, REPORT, Words, cell, cells_to_text, text_to_cells

RESUME, FLATTEN, RECONCILE = 2, 3, 4
KEY_BYTES = 64
_R = {name: cell(REPORT, name) for name in REPORT.names or ()}
_KEY = slice(_R["order_key"], _R["order_key"] + 8)


@dataclass(frozen=True, slots=True)
class Row:
    """One thing found, in 1e-6. `instrument` −1: of an account, or of an order (then `key`)."""

    venue: int
    instrument: int = -1
    account: int = -1
    ours: tuple[int, int] = (0, 0)
    theirs: tuple[int, int] = (0, 0)
    key: str = ""

    @property
    def text(self) -> str:
        """In words, for the log."""
        if self.key:
            return f"venue {self.venue}: order {self.key} is open there and not ours"
        if self.instrument < 0:
            return (
                f"cash of account {self.account}: ours {self.ours[0]}e-6,"
                f" the venue's {self.theirs[0]}e-6"
            )
        return f"instrument {self.instrument}: ours {self.ours}e-6, the venue's {self.theirs}e-6"


@dataclass(frozen=True, slots=True)
class End:
    """The last row: how many came before it, and why there are no others (a reason, 0: all is
    told)."""

    rows: int
    why: int


def answer_cells(number: int, row: Row | End, now_ns: int, place: int = -1) -> list[int]:
    """A REPORT body."""
    cells = [0] * BODY
    values = {"kind": K_COMMAND, "intent": number, "leg": place, "report_ns": now_ns, "pair": -1}
    if isinstance(row, End):
        values |= {"instrument": -1, "account": -1, "asked_e6": row.rows, "reason": row.why}
    else:
        values |= {
            "venue": row.venue, "instrument": row.instrument, "account": row.account,
            "asked_e6": row.ours[0], "limit_e6": row.ours[1],
            "filled_e6": row.theirs[0], "worst_e6": row.theirs[1],
        }  # fmt: skip
        cells[_KEY] = text_to_cells(row.key.encode()[:KEY_BYTES].decode(errors="ignore"), 8)
    for name, value in values.items():
        cells[_R[name]] = value
    return cells


def answer_of(body: Words) -> tuple[int, Row | End]:
    """(number of the command, what was said) from a REPORT body."""
    told = {name: int(body[at]) for name, at in _R.items() if name != "order_key"}
    if told["leg"] < 0:
        return told["intent"], End(told["asked_e6"], told["reason"])
    return told["intent"], Row(
        told["venue"], told["instrument"], told["account"], (told["asked_e6"], told["limit_e6"]),
        (told["filled_e6"], told["worst_e6"]), cells_to_text(body[_KEY]),
    )  # fmt: skip
