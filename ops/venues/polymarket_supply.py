"""Everyone else at the simulated Polymarket, and where all pUSD and all tokens are.

A token pair is made of one pUSD and unmade into one. Three kinds of match (reference section 5): a
direct one moves tokens; a mint makes pairs for two BUYs on both tokens; a merge unmakes pairs of
two SELLs. Nothing comes from nowhere: what all own of a token is its supply, and cash, fees and
what is locked in pairs always sum to the same.
"""

from __future__ import annotations

from dataclasses import dataclass

# What the others own of every token at the start, backed by as much locked pUSD.
FLOAT_E6 = 10**18


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """Our side of a match: what came in is positive. `other` names the opposite token where pairs
    are made or unmade, "" in a direct match.
    """

    token: str
    other: str
    shares_e6: int
    cash_e6: int

    @property
    def kind(self) -> str:
        """ "direct", "mint" or "merge"."""
        if not self.other:
            return "direct"
        return "mint" if self.shares_e6 > 0 else "merge"

    def undone(self) -> Move:
        """The same match backwards."""
        return Move(
            token=self.token, other=self.other, shares_e6=-self.shares_e6, cash_e6=-self.cash_e6
        )


class Supply:
    """The others' cash and tokens, the fees, and the pUSD locked in pairs. All in 1e-6."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self.tokens_e6 = {token: FLOAT_E6 for pair in pairs for token in pair}
        self.issued_e6 = dict(self.tokens_e6)
        self.locked_e6 = FLOAT_E6 * len(pairs)
        self.cash_e6 = 0
        self.fees_e6 = 0

    def add(self, pair: tuple[str, str]) -> None:
        """A market is new: the others own of it what they own of every other."""
        for token in pair:
            self.tokens_e6[token] = self.issued_e6[token] = FLOAT_E6
        self.locked_e6 += FLOAT_E6

    def book(self, move: Move, fee_e6: int) -> None:
        """The others' side of one match, and the fee the taker paid for it."""
        self.fees_e6 += fee_e6
        if not move.other:
            self.tokens_e6[move.token] -= move.shares_e6
            self.cash_e6 -= move.cash_e6
            return
        shares_e6 = move.shares_e6  # made if positive, unmade if negative
        self.locked_e6 += shares_e6
        self.issued_e6[move.token] += shares_e6
        self.issued_e6[move.other] += shares_e6
        self.tokens_e6[move.other] += shares_e6
        self.cash_e6 -= shares_e6 + move.cash_e6

    def redeem(self, token: str, shares_e6: int, paid_e6: int) -> None:
        """Tokens of ours of a resolved market were paid out of what is locked."""
        self.issued_e6[token] -= shares_e6
        self.locked_e6 -= paid_e6


def is_complement(price_e6: int, tick_e6: int) -> bool:
    """Whether the others' orders of a YES price stand on the opposite token. Those of every third
    price do: which ones is the simulator's choice, the venue's books do not tell.
    """
    return price_e6 // tick_e6 % 3 == 1
