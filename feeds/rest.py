"""Ask a venue for a JSON answer, bounded in time and size. The cold path: facts, polled books.

Only reads exist here, so nothing that changes anything at a venue can be sent twice. No proxy and
no credentials from the environment, no redirects.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import aiohttp

from feeds.connection import tls_context
from feeds.limits import BODY_MAX_BYTES, CONNECT_S, TOTAL_S
from feeds.update import FeedError


class StatusError(FeedError):
    """An answer with another status than 200. `retry_after_s` 0: the venue did not say."""

    def __init__(self, text: str, status: int, retry_after_s: int) -> None:
        super().__init__(text)
        self.status = status
        self.retry_after_s = retry_after_s


class Rest:
    """A client for one venue's REST. `async with` opens and closes it."""

    def __init__(
        self, base_url: str, *, ca_file: Path | None, body_max_bytes: int = BODY_MAX_BYTES
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._context = tls_context(ca_file) if base_url.startswith("https:") else None
        self._body_max_bytes = body_max_bytes
        self._client: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Rest:
        timeout = aiohttp.ClientTimeout(total=TOTAL_S, sock_connect=CONNECT_S)
        connector = aiohttp.TCPConnector(ssl=self._context or True, limit=4)
        self._client = aiohttp.ClientSession(
            connector=connector, timeout=timeout, trust_env=False, auto_decompress=False
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._client is not None
        await self._client.close()

    async def get(
        self,
        path: str,
        params: Mapping[str, str | list[str]] | None = None,
        more: Mapping[str, str] | None = None,
    ) -> bytes:
        """The body of a 200 answer; a list repeats its parameter, `more` are headers. Raises
        FeedError for anything else, naming path and status (StatusError if there is one)."""
        assert self._client is not None, "use `async with`"
        pairs = [
            (name, text)
            for name, value in (params or {}).items()
            for text in ([value] if isinstance(value, str) else value)
        ]
        return await self._answer("GET", path, params=pairs, more=more)

    async def ask(self, path: str, body: bytes) -> bytes:
        """The same for a question that the venue takes as a POST with a JSON body."""
        return await self._answer("POST", path, data=body)

    async def _answer(
        self,
        method: str,
        path: str,
        params: list[tuple[str, str]] | None = None,
        data: bytes | None = None,
        more: Mapping[str, str] | None = None,
    ) -> bytes:
        assert self._client is not None, "use `async with`"
        headers = {"Accept": "application/json", "Accept-Encoding": "identity", **(more or {})}
        if data is not None:
            headers["Content-Type"] = "application/json"
        try:
            async with self._client.request(
                method, self._base_url + path, params=params, data=data, headers=headers,
                allow_redirects=False,
            ) as answer:  # fmt: skip
                body = await answer.content.read(self._body_max_bytes + 1)
                while len(body) <= self._body_max_bytes and not answer.content.at_eof():
                    body += await answer.content.read(self._body_max_bytes + 1 - len(body))
                status, later = answer.status, answer.headers.get("Retry-After", "")
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise FeedError(f"{method} {path}: {type(error).__name__}: {error}") from error
        if status != 200:
            wait_s = int(later) if later.isascii() and later.isdigit() and len(later) < 7 else 0
            text = f"{method} {path}: status: found {status}, wanted 200"
            raise StatusError(text, status, wait_s)
        if len(body) > self._body_max_bytes:
            raise FeedError(f"{method} {path}: body: found more than {self._body_max_bytes} bytes")
        return body
