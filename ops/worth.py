"""What a run's profit is made of: what is closed, what is sure, and what is open.

Closed is what has settled or was given back. Sure are contracts that pay a dollar together whatever
happens: a pair's two legs, both tokens of one market. A pair of two indices is counted there too,
and told apart: in its dead zone both legs lose. Open is the rest, bets and lone legs: what they
cost, and what they are worth at the model's fair value now, rounded against us; of a market without
a fair value that counts it is not known. Opposite positions in one market are one net
position here as at the venue, so what a later bet takes back is closed and no longer open.

Costs are with fees. Fees are told by market and not by contract: each contract held bears the mean
of those of its market, rounded up.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from ops.tally import Tally, matched_e6, unmatched
from shm_layout import E6, ST_SETTLED, Segment

if TYPE_CHECKING:
    from ops.watch import Watch


@dataclass(slots=True)
class Worth:
    """Dollars in 1e-6. `closed_e6` and `sure_e6` are profits, the others money: closed + sure less
    open cost is what the run has made if everything open is lost. `unknown_cost_e6` is part of
    `open_cost_e6`; `open_worth_e6` is of what is known alone. `apart_e6`: what those pairs pay that
    are sure but for their dead zone; `sure_e6` counts on it.
    """

    closed_e6: int = 0
    sure_e6: int = 0
    open_cost_e6: int = 0
    open_worth_e6: int = 0
    unknown_cost_e6: int = 0
    open_markets: int = 0
    unknown_markets: int = 0
    apart_e6: int = 0

    @property
    def worst_e6(self) -> int:
        """Everything open is lost."""
        return self.closed_e6 + self.sure_e6 - self.open_cost_e6


def worth(watch: Watch, tally: Tally, gained_e6: int, now_ns: int) -> Worth:
    """Of everything that is held now. `gained_e6`: cash beyond that of the start."""
    held = watch.held()
    net = {index: int(row["position_e6"]) for index, row in held.items()}
    paired_e6, left = unmatched(watch.pairs, net)
    apart_e6 = matched_e6([pair for pair in watch.pairs if pair.is_apart], net)
    found = Worth(closed_e6=gained_e6, sure_e6=paired_e6, apart_e6=apart_e6)
    for index, row in held.items():
        yes_e6, no_e6 = int(row["yes_e6"]), int(row["no_e6"])
        both_e6, alone_e6 = yes_e6 + no_e6, abs(left.get(index, 0))
        cost_e6 = int(row["cost_e6"]) + tally.fees_of(index, int(row["generation"]), both_e6)
        found.closed_e6 += cost_e6
        open_cost_e6 = -(-cost_e6 * alone_e6 // both_e6) if both_e6 > 0 else cost_e6
        found.sure_e6 += min(yes_e6, no_e6) - (cost_e6 - open_cost_e6)
        found.open_cost_e6 += open_cost_e6
        if not alone_e6:
            continue
        found.open_markets += 1
        worth_e6 = held_worth_e6(watch.segment, index, int(row["generation"]), left[index], now_ns)
        if worth_e6 is None:
            found.unknown_markets += 1
            found.unknown_cost_e6 += open_cost_e6
        else:
            found.open_worth_e6 += worth_e6
    return found


def held_worth_e6(
    segment: Segment, index: int, generation: int, held_e6: int, now_ns: int
) -> int | None:
    """What so many contracts (signed, in YES terms) of a market bring: what it settled at, else the
    fair value; None: neither is known."""
    quote, terms = (
        row if row is not None and int(row["generation"]) == generation else None
        for row in (segment.read(name, index) for name in ("quotes", "market_terms"))
    )
    if quote is not None and quote["status"] == ST_SETTLED:
        yes_e6, off_e6 = int(quote["settlement_e6"]), 0
    elif terms is not None and terms["valid_until_ns"] >= now_ns:
        yes_e6, off_e6 = int(terms["fair_e6"]), 1  # which is rounded to the nearest
    else:
        return None
    if not 0 <= yes_e6 <= E6:
        return None
    token_e6 = (yes_e6 if held_e6 > 0 else E6 - yes_e6) - off_e6
    return abs(held_e6) * max(token_e6, 0) // E6


def rows(found: Worth) -> dict[str, int]:
    """The fields of `profit` in `status --json` and the summary."""
    return asdict(found)
