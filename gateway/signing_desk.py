"""All signatures the gateway's desk needs, in one place: Kalshi header sets, pooled Polymarket
orders, L2 headers. Nothing here waits."""

from __future__ import annotations

from gateway.hmac_auth import L2Auth
from gateway.pool import OrderPool, PooledOrder
from gateway.signing import SigningClient


class SigningDesk:
    """What `gateway.ports.Signing` asks for, over the signer's client, the pool and the HMAC."""

    def __init__(self, client: SigningClient, pool: OrderPool | None, l2: L2Auth | None) -> None:
        self.client, self.pool, self._l2 = client, pool, l2

    def pump(self, now_ns: int) -> int:
        """Answers in, refills out. Called each turn and when our bell rings."""
        done = self.client.pump(now_ns)
        return done + self.pool.pump(now_ns) if self.pool is not None else done

    def fresh(self, now_ns: int) -> bool:
        """True if each kept (method, path) has a set that may be used now."""
        return self.client.fresh(now_ns)

    def take_headers(
        self, method: str, path: str, now_ns: int, *, for_unwind: bool = False
    ) -> bytes | None:
        """Kalshi's three header lines; see `SigningClient.take_headers`."""
        return self.client.take_headers(method, path, now_ns, for_unwind=for_unwind)

    def take_order(
        self, instrument: int, token: int, side: int, price_e6: int, size_e6: int, tick_epoch: int,
        now_ns: int,
    ) -> PooledOrder | None:  # fmt: skip
        """One pool entry; see `OrderPool.take_order`."""
        if self.pool is None:
            return None
        return self.pool.take_order(
            instrument, token, side, price_e6, size_e6, tick_epoch, now_ns
        )

    def spent(self, order_hash: bytes) -> None:
        """The venue has surely used up this order."""
        if self.pool is not None:
            self.pool.spent(order_hash)

    def l2_headers(self, method: str, path: str, body: bytes, epoch_s: int) -> bytes:
        """Polymarket's five header lines over exactly these bytes; the HMAC is made now."""
        assert self._l2 is not None, "no Polymarket secrets were given"
        return self._l2.header_bytes(method, path, body, epoch_s)
