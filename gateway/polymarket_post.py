"""POST /order of a signed entry: its L2 headers, and the whole request.

The stamp is the second of sending (how old a stamp may be is unknown), so a request can be made
ahead for this second and the next. That is done for what the touches may ask for, a few at a time:
an HMAC costs 2 µs where the caches hold all it needs, and four times that where they do not.
"""

from __future__ import annotations

from collections import deque

from gateway.hmac_auth import L2Auth, L2Path
from gateway.ports import PooledOrder, Request

ORDER = "/order"
LENGTHS_MAX = 4096
_new = tuple.__new__  # a named tuple without the call of its constructor


class Posts:
    """Requests of one account at one host."""

    def __init__(self, l2: L2Auth, host: str) -> None:
        self._now, self._next = l2.path("POST", ORDER), l2.path("POST", ORDER)
        self._head = f"POST {ORDER} HTTP/1.1\r\nHost: {host}\r\n".encode()
        self._lengths: dict[int, bytes] = {}
        self._ahead: deque[tuple[int, PooledOrder]] = deque()  # with the newest second it is for

    def begin(self, epoch_s: int) -> None:
        """The HMAC of a second is begun ahead of its orders; what was for a second that is over
        goes.
        """
        self._now.begin(epoch_s)
        ahead = self._ahead
        while ahead and ahead[0][0] < epoch_s:
            second, entry = ahead.popleft()
            if entry.made and entry.made[-1][0] == second:
                entry.made = ()

    def request(self, entry: PooledOrder, epoch_s: int) -> Request:
        """Its request with the stamp of this second, made now if it is not made yet."""
        for second, request in entry.made:
            if second == epoch_s:
                return request
        return self._make(entry, epoch_s, self._now)

    def make_ahead(self, entry: PooledOrder, epoch_s: int) -> None:
        """Have it ready for this second and the next."""
        made = dict(entry.made)
        if epoch_s + 1 not in made:
            this = made.get(epoch_s) or self._make(entry, epoch_s, self._now)
            after = self._make(entry, epoch_s + 1, self._next)
            entry.made = ((epoch_s, this), (epoch_s + 1, after))
            self._ahead.append((epoch_s + 1, entry))

    def _make(self, entry: PooledOrder, epoch_s: int, path: L2Path) -> Request:
        body, digest = entry.body, entry.hash
        headers = path.header_bytes(body, epoch_s)
        length = self._lengths.get(len(body)) or self._length(len(body))
        wire = b"".join((self._head, headers, length, body))
        return _new(Request, ("0x" + digest.hex(), wire, digest))

    def _length(self, length: int) -> bytes:
        """The last header lines, for bodies so long."""
        found = b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % length
        if len(self._lengths) < LENGTHS_MAX:
            self._lengths[length] = found
        return found
