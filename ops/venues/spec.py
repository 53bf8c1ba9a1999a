"""What the process of the simulated venues is told: the script, the accounts it knows,
certificates, delays.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from ops.venues.exchanges import Exchange
from ops.venues.faults import Plan
from ops.venues.script import Script


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounts:
    """The one account of each venue: its public half, as the venue would know it, and what it owns
    at the start.

    `kalshi_public_pem` may be RSA or Ed25519. The API secrets of Polymarket are shared by nature
    (HMAC): told here, or read by the venue from `polymarket_api_file` (JSON), so that who starts it
    does not hold them.
    `polymarket_funder` is the maker address accepted for signature types 1 to 3; empty: type 0
    only.
    """

    kalshi_key_id: str
    kalshi_public_pem: bytes
    polymarket_address: str
    polymarket_api_key: str = ""
    polymarket_secret: str = field(default="", repr=False)
    polymarket_passphrase: str = field(default="", repr=False)
    polymarket_api_file: str = ""
    polymarket_funder: str = ""
    cash_kalshi_e6: Mapping[int, int] = field(default_factory=dict)
    cash_polymarket_e6: int = 0

    def whole(self) -> Accounts:
        """With what stands in the file, if there is one."""
        if not self.polymarket_api_file:
            return self
        found = json.loads(Path(self.polymarket_api_file).read_bytes())
        names = ("api_key", "secret", "passphrase")
        told = {f"polymarket_{name}": found[name] for name in names}
        return replace(self, **told, polymarket_api_file="")


@dataclass(frozen=True, slots=True, kw_only=True)
class PolymarketTerms:
    """What may go wrong at the simulated Polymarket. Chances in 1e-6 of all trades, seeded.

    `restarts_ns`: machine ns after the start at which its engine goes down, then 425 for
    `restart_ns` and post-only for `post_only_ns` (reference section 9). `is_warning`: the rate
    limits only warn. `allowance_e6`: what the account's wallet allows the exchange, None: all.
    `account_state`: "", "banned" or "closed_only". `is_new`: the account must use its deposit
    wallet (section 4). `country`, `region`, `is_blocked`: what the edge makes of
    the caller.
    """

    failed_e6: int = 0
    retrying_e6: int = 0
    seed: int = 0
    restarts_ns: tuple[int, ...] = ()
    restart_ns: int = 90_000_000_000
    post_only_ns: int = 120_000_000_000
    is_warning: bool = False
    allowance_e6: int | None = None
    account_state: str = ""
    is_new: bool = False
    country: str = "IE"
    region: str = "L"
    is_blocked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class VenuesSpec:
    """Everything `serve.run` needs; picklable. Delays are machine nanoseconds.

    `kalshi_tier`: whose refill the read and the write bucket have; the burst is one second of it;
    `kalshi_tokens_per_s`: both refills instead. `kalshi_read_lag_ns`: portfolio reads show what was
    so long ago. `kalshi_has_pause`: Thursday's, by the run clock. `kalshi_short_429`: refused with
    the documented string body instead of the one seen live. `polymarket_orders_per_s`: refill of
    the order bucket; the burst is one and a half seconds of it (Elite tier). `keeps_requests`:
    every request is told at the end. `faults`: what goes wrong; `faults_seed`: of what they leave
    to chance. `polymarket_plain_ws`: its sockets are ws://, for a client that trusts no throw-away
    authority. `exchanges`: what plays the script's spot trades beside Coinbase. `is_us_address`:
    all of it is asked from the United States, which Binance answers with 451. `told_files`: where
    the venues write at the end what they say of the run (told.py), "": nowhere.
    `tells_listings`: the parent hears of a market that is new.
    `coingecko_cache_ns` None: as the plan has it; `coingecko_key`: the one key it knows, empty for
    any.
    """

    script: Script
    accounts: Accounts
    tls_cert: str
    tls_key: str
    reply_delay_ns: int = 0
    kalshi_tier: str = "premier"
    kalshi_tokens_per_s: int = 0
    kalshi_read_lag_ns: int = 500_000_000
    kalshi_has_pause: bool = True
    kalshi_short_429: bool = False
    polymarket_orders_per_s: int = 600
    polymarket_mined_ns: int = 2_200_000_000
    polymarket_confirmed_ns: int = 2_000_000_000
    polymarket_heartbeat_ns: int = 10_000_000_000
    polymarket_dynamic_tick: bool = True
    polymarket: PolymarketTerms = field(default_factory=PolymarketTerms)
    polymarket_plain_ws: bool = False
    keeps_requests: bool = False
    told_files: tuple[str, ...] = ()
    tells_listings: bool = False
    faults: Plan = ()
    faults_seed: int = 0
    kalshi_ping_ns: int = 10_000_000_000
    coinbase_subscribe_ns: int = 5_000_000_000
    exchanges: tuple[Exchange, ...] = ()
    is_us_address: bool = False
    binance_ping_ns: int = 20_000_000_000
    binance_life_ns: int = 86_400_000_000_000
    coingecko_plan: str = "demo"
    coingecko_key: str = ""
    coingecko_cache_ns: int | None = None
    polybolt_ping_ns: int = 25_000_000_000
    rtds_silent_ns: int = 300_000_000_000  # without a PING the stream falls silent
