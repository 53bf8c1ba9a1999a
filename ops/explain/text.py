"""What `explain` found, for people: money in dollars, sizes in contracts, times in µs since the
frame.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ops.operator_cli import dollars
from shm_layout import E6, int_to_text

LEVELS_SHOWN = 3
Row = Mapping[str, Any]


def intent_lines(row: Row) -> Iterator[str]:
    """One intent whole."""
    parent = f", unwind of intent {row['parent']}" if row["parent"] is not None else ""
    yield f"intent {row['intent']} ({row['name']}){parent}: {row['what']}, pair {row['pair']}"
    yield f"  decided {_moment(row['decided_epoch_ns'])} run time; end: {row['end'] or 'none yet'}"
    for book in row["books"]:
        yield from _book_lines(book)
    if row["bet"] is not None:
        yield _bet_line(row["bet"])
    if row["edge"] is not None:
        yield from _edge_lines(row["edge"])
    yield from _stage_lines(row)
    for order in row["orders"]:
        yield from _order_lines(order, row["stages"]["frame_ns"])
    yield f"  {_result(row)}"
    if row["lone"] is not None:
        yield from _lone_lines(row["lone"])
    if row["unwinds"]:
        yield f"  unwinds: {', '.join(map(str, row['unwinds']))}"


def refused_lines(row: Row) -> Iterator[str]:
    """An intent of which nothing was sent."""
    yield f"intent {row['intent']} ({row['name']}): nothing was sent: {row['end'] or 'no word yet'}"
    for leg in row["legs"]:
        yield (
            f"  {leg['venue']} {leg['market']}: {leg['side']} {_size(leg['size_e6'])} at"
            f" {_price(leg['limit_e6'])} or better"
        )
    yield (
        f"  edge {money(row['edge_e6'])} a contract, {money(row['profit_e6'])} in all after fees"
        f" of {money(row['fees_e6'])}"
    )


def whole_lines(found: Row) -> Iterator[str]:
    """The table of orders, the totals, and whether they are what the venues say."""
    yield from table(found)
    totals = found["totals"]
    yield ""
    yield (
        f"{totals['intents']:,} intents sent, {totals['orders']:,} orders,"
        f" {totals['filled']:,} filled, {totals['unwinds']:,} unwinds"
    )
    yield f"expected  {money(totals['expected_e6'])}"
    yield f"fees      {money(totals['fees_e6'])}"
    yield f"realised  {money(totals['realised_e6'])}, fees paid"
    if totals["lone"]:
        yield f"of which  {money(totals['lone_e6'])} by legs alone, in {totals['lone']:,} intents"
    if totals["rounding_e6"]:
        yield f"rounding  {money(totals['rounding_e6'])} of settlements"
    yield from _verdict(found)


def _verdict(found: Row) -> Iterator[str]:
    books = found["books"]
    if books is None:
        yield "the venues have not told of this run (it goes on, or did not end in order)"
        return
    yield f"cash and contracts changed by {money(books['change_e6'])}, say {books['of']}"
    if not found["differences"]:
        yield "every cent is explained"
    for text in found["differences"]:
        yield f"DIFFERENCE: {text}"


def table(found: Row) -> Iterator[str]:
    """A line an order: what was expected, what it cost in fees, what came of it."""
    head = ("intent", "leg", "venue", "market", "wanted", "filled", "at", "state", "expected",
            "fee", "realised", "")  # fmt: skip
    rows: list[Sequence[str]] = [head]
    for intent in found["intents"]:
        rows += [_table_row(intent, order) for order in intent["orders"]]
    widths = [max(len(row[place]) for row in rows) for place in range(len(head))]
    lefts = (0, 2, 3, 7, 11)
    for row in rows:
        cells = [
            cell.ljust(width) if place in lefts else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()


def _table_row(intent: Row, order: Row) -> Sequence[str]:
    parent = intent["parent"]
    wanted = f"{order['side']} {_size(order['size_e6'])} at {_price(order['limit_e6'])}"
    return (
        str(intent["intent"]), str(order["leg"]), order["venue"], order["market"], wanted,
        _size(order["filled_e6"]), _average(order), order["placed"],
        "unknown" if order["expected_e6"] is None else money(order["expected_e6"]),
        money(order["fee_e6"]), money(order["realised_e6"]),
        f"unwind of {parent}" if parent is not None else f"{intent['what']}: {intent['end']}",
    )  # fmt: skip


# ---- parts of an intent


def _book_lines(book: Row) -> Iterator[str]:
    name = f"  book of leg {book['leg']}, {book['venue']} {book['market']}"
    if book["looked"] is None:
        yield f"{name}: not recorded (the gateway died before it wrote it down)"
        return
    if book["decided"] is None:
        yield f"{name}: the quote decided on is not recorded, a newer one was looked at"
    elif not book["is_same"]:
        yield f"{name}: decided on {_quote(book['decided'])}"
    what = "decided on and looked at" if book["is_same"] else "looked at"
    yield f"{name}: {what} {_quote(book['looked'])}"


def _quote(quote: Row) -> str:
    trust = "trusted" if quote["trust"] == 0 else f"trust word {quote['trust']}"
    return (
        f"quote {quote['number']} ({trust}): bids {_levels(quote['bids'])}; asks"
        f" {_levels(quote['asks'])}"
    )


def _levels(levels: Sequence[Sequence[int]]) -> str:
    shown = [f"{_size(size)} at {_price(price)}" for price, size in levels[:LEVELS_SHOWN]]
    more = ["…"] if len(levels) > LEVELS_SHOWN else []
    return ", ".join(shown + more) or "none"


def _bet_line(bet: Row) -> str:
    """What the model held of one market."""
    return (
        f"  by strategy {bet['strategy']}: YES worth {_price(bet['fair_e6'])}, sure to"
        f" {_price(bet['sure_e6'])}, at a price of ${int_to_text(bet['spot_e8'], 8)}"
    )


def _edge_lines(edge: Row) -> Iterator[str]:
    terms = [f"{leg['venue']} {leg['token']} {_price(leg['price_e6'])}" for leg in edge["legs"]]
    fees = [f"{leg['venue']} {money(leg['fee_e6'])}" for leg in edge["legs"]]
    pays, gross = _price(edge["pays_e6"]), _price(edge["gross_e6"])
    what = {1: "at fair value", 2: "a pair"}.get(len(terms), f"a set of {len(terms)}")
    yield f"  edge: {pays} {what} - {' - '.join(terms)} = {gross}"
    yield (
        f"    on {_size(edge['size_e6'])} contracts, fees of {money(edge['fees_e6'])}"
        f" ({', '.join(fees)}): {money(edge['profit_e6'])} in all"
    )
    yield (
        f"    {_price(edge['edge_e6'])} a contract, after {_price(edge['taken_off_e6'])} taken off"
        " for locked capital, dead zone and delay"
    )


def _stage_lines(row: Row) -> Iterator[str]:
    stages, begin_ns = row["stages"], row["stages"]["frame_ns"]
    passed = [(name.removesuffix("_ns"), ns) for name, ns in stages.items() if ns]
    told = [f"{name} {_after(ns, begin_ns)}" for name, ns in passed]
    yield f"  stages: {' · '.join(told)}"


def _order_lines(order: Row, begin_ns: int) -> Iterator[str]:
    yield (
        f"  order {order['order']}: {order['venue']} {order['market']}, {order['side']}"
        f" {_size(order['size_e6'])} at {_price(order['limit_e6'])} (YES terms;"
        f" {order['placing']} at {_price(order['placing_price_e6'])})"
    )
    if order["venue_order"] and order["venue_order"] != order["order"]:
        yield f"    called {order['venue_order']} there"
    times = [
        f"{name} {_after(order[f'{name}_ns'], begin_ns)}"
        for name in ("sent", "reply", "known", "settled") if order[f"{name}_ns"]
    ]  # fmt: skip
    yield f"    {' · '.join(times) or 'never sent, or not recorded when'}"
    for change in order["changes"]:
        yield f"    {_change(change, begin_ns)}"
    expected = order["expected_e6"]
    yield (
        f"    filled {_size(order['filled_e6'])} {_average(order)}, fee {money(order['fee_e6'])};"
        f" marked at {_price(order['mark_e6'])}{' (settled)' if order['is_settled'] else ''}:"
        f" expected {'unknown' if expected is None else money(expected)},"
        f" realised {money(order['realised_e6'])}"
    )


def _change(change: Row, begin_ns: int) -> str:
    words = [_after(change["ns"], begin_ns), change["state"]]
    if change["trade"]:
        words.append(f"trade {change['trade']}")
    if change["filled_e6"] is not None:
        words.append(
            f"{_size(change['filled_e6'])} for {money(change['notional_e6'])}, fee"
            f" {money(change['fee_e6'])}"
        )
    words += [f"({text})" for text in (change["reason"], change["said"]) if text]
    if change["times"] > 1:
        words.append(f"{change['times']} times")
    return " ".join(words)


def _result(row: Row) -> str:
    expected = "unknown" if row["expected_e6"] is None else money(row["expected_e6"])
    return (
        f"expected {expected}, realised {money(row['realised_e6'])} (fees of"
        f" {money(row['fees_e6'])} paid)"
    )


def _lone_lines(lone: Row) -> Iterator[str]:
    told = [
        f"  leg {leg['leg']} alone ({leg['venue']} {leg['market']}): {_size(leg['size_e6'])}"
        f" contracts, {money(leg['paid_e6'])}"
        for leg in lone["legs"]
    ]
    yield from told[:-1]
    yield (
        f"{told[-1]}; {lone['tries']} tries gave back"
        f" {_size(lone['given_back_e6'])}, completed {_size(lone['completed_e6'])}, left"
        f" {_size(lone['left_e6'])}; came to {money(lone['result_e6'])}"
    )


def family_line(family: Row) -> str:
    """An intent with its unwinds."""
    expected = "unknown" if family["expected_e6"] is None else money(family["expected_e6"])
    return (
        f"intent {family['intent']} with {len(family['unwinds'])} unwinds: expected {expected},"
        f" realised {money(family['realised_e6'])}, fees {money(family['fees_e6'])}"
    )


# ---- figures


def money(value_e6: int) -> str:
    """Dollars, to the last digit that is not zero."""
    return f"-${dollars(-value_e6)}" if value_e6 < 0 else f"${dollars(value_e6)}"


def _price(value_e6: int) -> str:
    return dollars(value_e6)


def _size(value_e6: int) -> str:
    return dollars(value_e6).removesuffix(".00")


def _average(order: Row) -> str:
    if not order["filled_e6"]:
        return "-"
    return _price(order["notional_e6"] * E6 // order["filled_e6"])


def _after(ns: int, begin_ns: int) -> str:
    return f"+{(ns - begin_ns) / 1000:,.0f} µs"


def _moment(epoch_ns: int) -> str:
    if not epoch_ns:
        return "at an unknown"
    return f"{datetime.fromtimestamp(epoch_ns / 1e9, UTC):%Y-%m-%d %H:%M:%S.%f}"[:-3]
