"""kalshi-python-sync: the header set of a request, as its API client makes it, for both kinds of
key."""

from __future__ import annotations

from typing import Any

import signing
from kalshi_python_sync.auth import KalshiAuth


def make(told: dict[str, Any]) -> dict[str, signing.Job]:
    jobs: dict[str, signing.Job] = {}
    for kind, pem in told["pems"].items():
        auth = KalshiAuth("id", pem)

        def sign(path: str, auth: KalshiAuth = auth) -> str:
            headers = auth.create_auth_headers("POST", path)
            return f"{headers['KALSHI-ACCESS-TIMESTAMP']} {headers['KALSHI-ACCESS-SIGNATURE']}"

        jobs[kind] = sign
    return jobs


signing.serve(make)
