"""The wallets that belong to one EOA: CREATE2 addresses, computed as the venue's factories do.

Recipe and constants: polymarket-client 0.14.0 (`_internal/wallet.py`, `environments.py`, October
2026). Two deposit wallets exist per EOA: the first implementation's, and the beacon's in use now.
"""

from __future__ import annotations

from eth_abi.abi import encode
from eth_utils.crypto import keccak

_PROXY_FACTORY = "ab45c5a4b0c941a2f231c04c3f49182e1a254052"
_PROXY_CODE = "44e999d5c2f66ef0861317f9a4805ac2e90aeb4f"
_SAFE_FACTORY = "aacfeea03eb1561c4e67d661e40682bd20e3541b"
_SAFE_CODE_HASH = "2bce2127ff07fb632d16c8347c4ebf501f4841168bed00d9e6ef715ddb6fcecf"
_DEPOSIT_FACTORY = "00000000000fb5c9adea0298d729a0cb3823cc07"
_DEPOSIT_CODE = "58ca52ebe0dadfdf531cde7062e76746de4db1eb"
_DEPOSIT_BEACON = "7a18edfe055488a3128f01f563e5b479d92ffc3a"
_DIRECT = (
    0x61003D3D8160233D3973,
    "6009"
    "5155f3363d3d373d3d363d7f360894a13ba1a3210667c828492db98dca3e2076"
    "cc3735a920a3ca505d382bbc545af43d6000803e6038573d6000fd5b3d6000f3",
)
_BEACON = (
    0x6100523D8160233D3973,
    "60195155f3363d3d373d3d363d602036600436635c60da"
    "1b60e01b36527fa3f0ad74e5423aebfd80d3ef4346578335a9a72aeaee59ff6c"
    "b3582b35133d50545afa5036515af43d6000803e604d573d6000fd5b3d6000f3",
)


def _create2(factory: str, salt: bytes, code_hash: bytes) -> str:
    raw = b"\xff" + bytes.fromhex(factory) + salt + code_hash
    return "0x" + keccak(raw)[12:].hex()


def proxy_wallet(eoa: str) -> str:
    """The old e-mail proxy (signature type 1), lower case."""
    code = (
        f"3d3d606380380380913d393d73{_PROXY_FACTORY}5af4602a57600080fd5b602d8060366000396000f3"
        f"363d3d373d3d3d363d73{_PROXY_CODE}5af43d82803e903d91602b57fd5bf352e831dd"
        f"{32:064x}{0:064x}"
    )
    return _create2(_PROXY_FACTORY, keccak(_bytes(eoa)), keccak(bytes.fromhex(code)))


def safe_wallet(eoa: str) -> str:
    """The Safe (signature type 2), lower case."""
    return _create2(
        _SAFE_FACTORY, keccak(encode(["address"], [eoa])), bytes.fromhex(_SAFE_CODE_HASH)
    )


def deposit_wallets(eoa: str) -> tuple[str, str]:
    """(the beacon's, the first implementation's) deposit wallet (signature type 3), lower case."""
    kinds = ["address", "bytes32"]
    args = encode(kinds, ["0x" + _DEPOSIT_FACTORY, _bytes(eoa).rjust(32, b"\0")])

    def made(code: tuple[int, str], target: str) -> str:
        start, rest = code
        prefix = (start + (len(args) << 56)).to_bytes(10, "big")
        whole = prefix + bytes.fromhex(target) + bytes.fromhex(rest) + args
        return _create2(_DEPOSIT_FACTORY, keccak(args), keccak(whole))

    return made(_BEACON, _DEPOSIT_BEACON), made(_DIRECT, _DEPOSIT_CODE)


def wallets_of(eoa: str) -> dict[int, frozenset[str]]:
    """The maker addresses an EOA may sign for, by signature type 0 to 3, lower case."""
    return {
        0: frozenset({eoa.lower()}),
        1: frozenset({proxy_wallet(eoa)}),
        2: frozenset({safe_wallet(eoa)}),
        3: frozenset(deposit_wallets(eoa)),
    }


def _bytes(address: str) -> bytes:
    return bytes.fromhex(address.removeprefix("0x"))
