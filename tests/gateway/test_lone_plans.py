"""Plans about the legs of a set that wait for a signature while another try comes to something."""

from __future__ import annotations

from engine.unwind import COMPLETE, GIVE_BACK, Plan
from gateway.facts import facts_of
from gateway.intent import Intent
from gateway.ledger import Work
from gateway.lone import Unwinder
from gateway.order import E_FINISH, E_SEND, Order
from gateway.params import DeskParams
from gateway.ports import YES, Lone, Missing, Outcome, Placing
from shm_layout import BODY, BUY, E6, KIND_COMPLEMENT, QUOTE, SELL, cell

PARAMS = DeskParams(loss_cap_e6=100_000, dust_e6=1)
SIZE, MS = 10 * E6, 1_000_000
BOUGHT_E6 = 300_000
UNSIGNED = 1


def order_of(leg: int, side: int, filled_e6: int, price_e6: int) -> Order:
    """An order of ten contracts that has ended."""
    order = Order(1, leg, 0, leg, 1, side, price_e6, SIZE, Placing(YES, side, price_e6), f"k{leg}")
    order.move(E_SEND)
    order.learn(Outcome(E_FINISH, 0, filled_e6, filled_e6 * price_e6 // E6, 0, True))
    order.folded = order.booked()
    return order


class Room:
    """The unwinder of a set of three whose first two legs filled, markets 0 and 1. A plan risks all
    it may, or (`completes`) completes for nothing; `unsigned`, `unread`: markets whose orders find
    no signature, whose books cannot be read.
    """

    def __init__(self) -> None:
        quote = [0] * BODY
        quote[cell(QUOTE, "epoch")] = 1
        legs = [order_of(leg, BUY, filled, BOUGHT_E6) for leg, filled in enumerate((SIZE, SIZE, 0))]
        first = Intent(1, 0, KIND_COMPLEMENT, 0, 0, 0, 0, 0, 0, -1, 0, 0, 0, ())
        self.work = Work(first, legs, [3 * E6] * 3, [facts_of(quote)] * 3, 0, ended=True)
        self.unsigned, self.unread = {0, 1}, set[int]()
        self.completes = False
        self.sent: list[Work] = []

        def send(intent: Intent) -> tuple[Work | None, int]:
            if intent.legs[0].instrument in self.unsigned:
                return None, UNSIGNED
            self.sent.append(Work(intent, [], [], [], 0))
            return self.sent[-1], 0

        def ignore(*_: object) -> None: ...

        self.unwinder = Unwinder(
            PARAMS, self._plan, 1, lambda number: None if number in self.unread else quote,
            lambda _: 1, send, ignore, ignore, ignore, ignore,
        )  # fmt: skip
        self.purse = self.unwinder.add(self.work, [SIZE, SIZE, 0], 0)

    def _plan(self, lone: Lone, missing: Missing | None) -> Plan:
        if missing is not None and self.completes:
            return Plan(action=COMPLETE, side=BUY, size_e6=lone.size_e6, limit_e6=1, loss_e6=0)
        most_e6 = lone.loss_cap_e6 - lone.spent_e6
        return Plan(action=GIVE_BACK, side=SELL, size_e6=lone.size_e6, limit_e6=1, loss_e6=most_e6)

    def end(self, filled_e6: int, price_e6: int) -> None:
        """What the newest try came to."""
        work = self.sent[-1]
        (leg,) = work.intent.legs
        work.orders = [order_of(leg.instrument, leg.side, filled_e6, price_e6)]
        work.ended = True


def test_all_tries_together_may_lose_what_the_cap_says_and_no_more() -> None:
    room = Room()
    room.unsigned = {0}
    room.unwinder.step(0)
    room.end(SIZE // 2, BOUGHT_E6 - 100_000)
    room.unwinder.step(6 * MS)
    room.unsigned.clear()
    room.unwinder.step(12 * MS)
    assert [work.intent.legs[0].instrument for work in room.sent] == [1, 1, 0]
    assert room.purse.spent_e6 == 500_000
    assert 500_000 + sum(case.risk_e6 for case in room.purse.cases) <= room.purse.cap_e6 == E6


def test_nothing_is_given_back_that_a_completion_made_whole_meanwhile() -> None:
    room = Room()
    room.unread = {1}
    room.unwinder.step(0)  # the plan of the first leg waits, the second has none yet
    room.unread.clear()
    room.unwinder.step(5 * MS)
    room.completes = True
    room.unwinder.step(52 * MS)  # the first plan is old, the second is not
    (only,) = room.sent
    assert only.intent.legs[0].instrument == 2
    room.end(6 * E6, BOUGHT_E6)
    room.unsigned.clear()
    room.unwinder.step(54 * MS)
    assert [case.left_e6 for case in room.purse.cases] == [4 * E6] * 2
    assert all(work.intent.legs[0].size_e6 <= 4 * E6 for work in room.sent[1:])
