"""API keys of the simulated Polymarket and the two ways to prove oneself (reference section 3).

L1 (a wallet's signature) creates and derives keys; L2 (HMAC over the exact bytes) is in every
private call. Any wallet may have keys, one per nonce; the session's own key is that of nonce 0.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from ops.venues.numerals import SECOND_NS
from ops.venues.rest import Call
from ops.venues.session import Ids
from ops.venues.signatures import clob_auth_signer, is_l2_valid
from ops.venues.spec import Accounts

STAMP_SKEW_MAX_S = 30  # the venue's own window is not documented (2026-11-20)
KEYS_MAX = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """One API key. `address`: the EOA it belongs to, lower case."""

    api_key: str
    secret: str = field(repr=False)
    passphrase: str = field(repr=False)
    address: str
    nonce: int

    def body(self) -> dict[str, str]:
        """What both L1 calls answer."""
        return {"apiKey": self.api_key, "secret": self.secret, "passphrase": self.passphrase}


class KeyRing:
    """Every key the venue knows."""

    def __init__(self, accounts: Accounts) -> None:
        self._ids = Ids("polymarket/keys")
        own = Credential(
            api_key=accounts.polymarket_api_key,
            secret=accounts.polymarket_secret,
            passphrase=accounts.polymarket_passphrase,
            address=accounts.polymarket_address.lower(),
            nonce=0,
        )
        self._by_key = {own.api_key: own}
        self._made = {(own.address, own.nonce): own}

    def create(self, address: str, nonce: int) -> Credential | None:
        """The key of this wallet and nonce, made if need be. None: the venue keeps no more."""
        found = self._made.get((address, nonce))
        if found is None:
            if len(self._by_key) >= KEYS_MAX:
                return None
            found = self._new(address, nonce)
            self._made[address, nonce] = found
        self._by_key[found.api_key] = found
        return found

    def derive(self, address: str, nonce: int) -> Credential | None:
        """The key made before for this wallet and nonce. None: there is none."""
        found = self._made.get((address, nonce))
        return found if found and found.api_key in self._by_key else None

    def delete(self, api_key: str) -> None:
        """The key is good for nothing until it is created again."""
        self._by_key.pop(api_key, None)

    def of_address(self, address: str) -> list[str]:
        """The living keys of one wallet."""
        return [one.api_key for one in self._by_key.values() if one.address == address]

    def _new(self, address: str, nonce: int) -> Credential:
        name = f"{address}/{nonce}"
        digest = hashlib.sha256(self._ids.named(name).encode()).digest()
        return Credential(
            api_key=self._ids.named(f"key of {name}"),
            secret=base64.urlsafe_b64encode(digest).decode(),
            passphrase=hashlib.sha256(digest).hexdigest(),
            address=address,
            nonce=nonce,
        )

    # ---- proofs

    def shown(self, auth: object) -> Credential | None:
        """Whose the three words of a user channel's `auth` are. None: nobody's."""
        if not isinstance(auth, dict):
            return None
        found = self._by_key.get(str(auth.get("apiKey")))
        given = auth.get("secret"), auth.get("passphrase")
        return found if found and given == (found.secret, found.passphrase) else None

    def l2(self, call: Call, now_ns: int) -> Credential | None:
        """Whose signed request this is. None: nobody's."""
        headers = call.headers
        stamp = headers.get("POLY_TIMESTAMP", "")
        if not (stamp.isascii() and stamp.isdigit() and len(stamp) < 12):
            return None
        found = self._by_key.get(headers.get("POLY_API_KEY", ""))
        if (
            found is None
            or abs(int(stamp) - now_ns // SECOND_NS) > STAMP_SKEW_MAX_S
            or headers.get("POLY_ADDRESS", "").lower() != found.address
            or headers.get("POLY_PASSPHRASE") != found.passphrase
        ):
            return None
        given = headers.get("POLY_SIGNATURE", "")
        is_valid = is_l2_valid(found.secret, stamp, call.method, call.path, call.body, given)
        return found if is_valid else None


def l1(headers: Mapping[str, str]) -> tuple[str, int] | None:
    """(lower-case address, nonce) of a wallet that signed for its key. None: it did not."""
    address, nonce = headers.get("POLY_ADDRESS", ""), headers.get("POLY_NONCE", "0")
    stamp, given = headers.get("POLY_TIMESTAMP", ""), headers.get("POLY_SIGNATURE", "")
    if not (nonce.isascii() and nonce.isdigit() and len(nonce) < 20 and stamp.isdigit()):
        return None
    try:
        is_address = len(bytes.fromhex(address.removeprefix("0x"))) == 20
    except ValueError:
        return None
    if not is_address or clob_auth_signer(address, stamp, int(nonce), given) != address.lower():
        return None
    return address.lower(), int(nonce)
