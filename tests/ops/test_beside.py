"""What the processes beside the children say is kept, and a new market is passed on."""

from __future__ import annotations

import selectors
from multiprocessing import Pipe

from ops.beside import Beside


def test_ports_logs_and_markets_of_two_processes_at_once() -> None:
    with selectors.DefaultSelector() as selector:
        beside = Beside(selector)
        ends = {}
        for name in ("venues", "paper"):
            ours, ends[name] = Pipe()
            beside.add(name, ours)
        ends["venues"].send(("ready", {"kalshi": {"rest": 1}}))
        ends["paper"].send(("ready", {"kalshi": {"rest": 2}}))
        ends["venues"].send(("listed", "a market"))
        ends["venues"].send(("log", [], {"kalshi": {"cuts": 1}}))
        ends["paper"].send(("log", [("kalshi", "key", 7, 8, "filled")], {"kalshi": {"orders": 1}}))
        while not (beside.has_told("venues") and beside.has_told("paper")):
            for key, _ in selector.select(5):
                key.data()
        assert beside.ports == {"venues": {"kalshi": {"rest": 1}}, "paper": {"kalshi": {"rest": 2}}}
        assert beside.log.read_ns == {"key": 7}
        assert beside.log.counts == {"kalshi": {"cuts": 1, "orders": 1}}
        assert ends["paper"].recv() == ("event", "a market")
        assert not ends["venues"].poll(), "who said it does not hear it"
        ends["paper"].close()
        beside.send("stop")
        assert ends["venues"].recv() == ("stop",)
