"""Kalshi's door: signed headers, clock skew, the exact 401 bodies (seen on demo 2026-06-11)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ops.venues.numerals import MS_NS
from ops.venues.session import RunClock
from ops.venues.signatures import KalshiVerifier

SKEW_MAX_MS = 5_000


def error_body(code: str, message: str, details: str = "") -> dict[str, Any]:
    """The nested error shape, without `service` (removed 2026-08-06)."""
    error = {"code": code, "message": message}
    if details:
        error["details"] = details
    return {"error": error}


class KalshiGate:
    """Checks the three auth headers of one account."""

    def __init__(self, *, key_id: str, public_pem: bytes, clock: RunClock) -> None:
        self._key_id = key_id
        self._verifier = KalshiVerifier(public_pem)
        self._clock = clock

    def refusal(self, method: str, path: str, headers: Mapping[str, str]) -> dict[str, Any] | None:
        """The 401 body for a request, None: it may pass. `path` without the query string."""
        key_id = headers.get("KALSHI-ACCESS-KEY")
        signature = headers.get("KALSHI-ACCESS-SIGNATURE")
        stamp = headers.get("KALSHI-ACCESS-TIMESTAMP")
        if not key_id or not signature or not stamp:
            code = "signature_is_missing_from_headers"
            return error_body(code, "signature is missing from headers")
        if key_id != self._key_id:
            return error_body("authentication_error", "authentication_error", "NOT_FOUND")
        now_ms = self._clock.wall_ns() // MS_NS
        if not (stamp.isascii() and stamp.isdigit() and len(stamp) < 16):
            return error_body("header_timestamp_expired", "header timestamp expired")
        if abs(int(stamp) - now_ms) > SKEW_MAX_MS:
            return error_body("header_timestamp_expired", "header timestamp expired")
        if not self._verifier.is_valid(signature, stamp, method, path):
            details = "INCORRECT_API_KEY_SIGNATURE"
            return error_body("authentication_error", "authentication_error", details)
        return None
