"""Strategies for one market: each a compiled pure function in a file of its own.

    (view, rows, quote, off_e6, params, at) -> (side, fair_e6, edge_e6, confidence_e6, gate)

`view`: the float row of `view.py`. `rows`, `quote`: the market's QUOTE record in an int64 array and
its first cell; the caller has checked trust, epoch and heartbeat. `off_e6`: what comes off each
contract beside fees (hurdle, taker delay); below 0: unknown, nothing fires. `params`, `at`: the
strategy's parameters (`table.py`) in an int64 array and their first cell. `side`: BUY or SELL in
YES terms, -1 where a gate blocks; `gate`: 0 fires, else its place in `table.GATES`.
"""
