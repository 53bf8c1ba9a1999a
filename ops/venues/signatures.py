"""Who signed this? Verified with `cryptography` and the Ethereum Foundation's `eth-*` libraries,
never with our signer.

Kalshi: RSA-PSS (SHA-256, salt 32) or Ed25519 over `timestamp + METHOD + path`. Polymarket: EIP-712
orders (domain version "2", or "3" for position ids), ERC-7739 wrapping for deposit wallets,
ClobAuth (L1), HMAC-SHA256 over the exact bytes (L2).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from eth_abi.abi import encode
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_keys.datatypes import Signature
from eth_keys.exceptions import BadSignature
from eth_utils.crypto import keccak
from eth_utils.exceptions import ValidationError

EXCHANGE = "0xE111180000d2663C0091e4f400237545B87B996B"
NEG_RISK_EXCHANGE = "0xe2222d279d744050d28e00520010520000310F59"
# Exchange V3 by chain: it takes the tokens that are position ids (polymarket-client 0.14.0).
EXCHANGES_V3 = {
    137: "0xe3333700cA9d93003F00f0F71f8515005F6c00Aa",
    80002: "0x9fE6e61422AdB6F610d8597F9684b16912D50C3D",
}
CHAIN_ID = 137
ORDER_TYPE = (
    "Order(uint256 salt,address maker,address signer,uint256 tokenId,uint256 makerAmount,"
    "uint256 takerAmount,uint8 side,uint8 signatureType,uint256 timestamp,"
    "bytes32 metadata,bytes32 builder)"
)
CLOB_MESSAGE = "This message attests that I control the given wallet"
POLY_1271 = 3

_POSITION_GAP = ((1 << 64) - 1) << 40  # these bits of a position id are zero
_MODULES = (1, 2, 3)  # its top byte: binary, neg-risk, combinatorial
_FIELDS = [field.split() for field in ORDER_TYPE[6:-1].split(",")]
_ORDER_ABI = ["bytes32", *(kind for kind, _ in _FIELDS)]
_ORDER_HASH = keccak(text=ORDER_TYPE)
_DOMAIN_HASH = keccak(
    text="EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)
_WRAPPED_HASH = keccak(
    text="TypedDataSign(Order contents,string name,string version,uint256 chainId,"
    "address verifyingContract,bytes32 salt)" + ORDER_TYPE
)
_CLOB_TYPES = {
    "ClobAuth": [
        {"name": "address", "type": "address"},
        {"name": "timestamp", "type": "string"},
        {"name": "nonce", "type": "uint256"},
        {"name": "message", "type": "string"},
    ]
}

OrderFields = Mapping[str, int | str | bytes]


class KalshiVerifier:
    """Checks one account's request signatures."""

    def __init__(self, public_pem: bytes) -> None:
        key = serialization.load_pem_public_key(public_pem)
        if not isinstance(key, RSAPublicKey | Ed25519PublicKey):
            raise ValueError(f"Kalshi key is {type(key).__name__}, wanted RSA or Ed25519")
        self._key = key

    def is_valid(self, signature_b64: str, timestamp_ms: str, method: str, path: str) -> bool:
        """`path` from the host root, without the query string."""
        text = f"{timestamp_ms}{method.upper()}{path}".encode()
        try:
            signature = base64.b64decode(signature_b64, validate=True)
            if isinstance(self._key, Ed25519PublicKey):
                self._key.verify(signature, text)
            else:
                pss = padding.PSS(padding.MGF1(hashes.SHA256()), hashes.SHA256.digest_size)
                self._key.verify(signature, text, pss, hashes.SHA256())
        except (InvalidSignature, binascii.Error, ValueError):
            return False
        return True


@lru_cache(maxsize=16)
def domain_separator(contract: str, *, name: str, version: str, chain_id: int = CHAIN_ID) -> bytes:
    """The EIP-712 domain separator."""
    values = [_DOMAIN_HASH, keccak(text=name), keccak(text=version), chain_id, contract]
    return keccak(encode(["bytes32", "bytes32", "bytes32", "uint256", "address"], values))


def is_position_id(token: int) -> bool:
    """Whether a token is a position id of the second protocol (polymarket-client 0.14.0,
    protocol.py, Oct 2026): such tokens trade on Exchange V3.
    """
    return token & _POSITION_GAP == 0 and token >> 248 in _MODULES


def _exchange_separator(order: OrderFields, neg_risk: bool, chain_id: int) -> bytes:
    token = order["tokenId"]
    assert isinstance(token, int)
    contract, version = NEG_RISK_EXCHANGE if neg_risk else EXCHANGE, "2"
    if is_position_id(token):
        contract, version = EXCHANGES_V3[chain_id], "3"
    name = "Polymarket CTF Exchange"
    return domain_separator(contract, name=name, version=version, chain_id=chain_id)


def order_hashes(
    order: OrderFields, *, neg_risk: bool, chain_id: int = CHAIN_ID
) -> tuple[bytes, bytes]:
    """(struct hash, order id) of an order whose integers and 32-byte words are already values."""
    struct = keccak(encode(_ORDER_ABI, [_ORDER_HASH, *(order[name] for _, name in _FIELDS)]))
    separator = _exchange_separator(order, neg_risk, chain_id)
    return struct, keccak(b"\x19\x01" + separator + struct)


def _recovered(digest: bytes, signature: bytes) -> str | None:
    """The lower-case address that made a 65-byte signature, None: none did."""
    if len(signature) != 65 or signature[64] not in (27, 28):
        return None
    v_r_s = (
        signature[64] - 27,
        int.from_bytes(signature[:32], "big"),
        int.from_bytes(signature[32:64], "big"),
    )
    try:
        public = Signature(vrs=v_r_s).recover_public_key_from_msg_hash(digest)
    except (BadSignature, ValidationError):
        return None
    return "0x" + public.to_canonical_address().hex()


def order_signer(
    order: OrderFields,
    signature: bytes,
    *,
    neg_risk: bool,
    hashes: tuple[bytes, bytes],
    chain_id: int = CHAIN_ID,
) -> str | None:
    """The lower-case EOA that signed the order, for signature types 0 to 3. None: the signature is
    no good.
    """
    struct, order_id = hashes
    if order["signatureType"] != POLY_1271:
        return _recovered(order_id, signature)
    separator = _exchange_separator(order, neg_risk, chain_id)
    tail = separator + struct + ORDER_TYPE.encode() + len(ORDER_TYPE).to_bytes(2, "big")
    if signature[65:] != tail:
        return None
    wrapped = keccak(
        encode(
            ["bytes32", "bytes32", "bytes32", "bytes32", "uint256", "address", "bytes32"],
            [
                _WRAPPED_HASH,
                struct,
                keccak(text="DepositWallet"),
                keccak(text="1"),
                chain_id,
                order["signer"],
                b"\0" * 32,
            ],
        )
    )
    return _recovered(keccak(b"\x19\x01" + separator + wrapped), signature[:65])


def clob_auth_signer(
    address: str, timestamp: str, nonce: int, signature: str, chain_id: int = CHAIN_ID
) -> str | None:
    """The lower-case address that signed an L1 header set, None: none did."""
    message = encode_typed_data(
        {"name": "ClobAuthDomain", "version": "1", "chainId": chain_id},
        _CLOB_TYPES,
        {"address": address, "timestamp": timestamp, "nonce": nonce, "message": CLOB_MESSAGE},
    )
    try:
        recovered: str = Account.recover_message(message, signature=signature)
    except (BadSignature, ValidationError, ValueError):
        return None
    return recovered.lower()


def l2_signature(secret: str, timestamp: str, method: str, path: str, body: bytes) -> str:
    """The L2 header value over the exact bytes sent."""
    key = base64.urlsafe_b64decode(secret)
    text = f"{timestamp}{method}{path}".encode() + body
    return base64.urlsafe_b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()


def is_l2_valid(
    secret: str, timestamp: str, method: str, path: str, body: bytes, given: str
) -> bool:
    """`path` without the query string."""
    return hmac.compare_digest(l2_signature(secret, timestamp, method, path, body), given)


def warm_up() -> None:
    """Do each kind of work once: the libraries load parts of themselves at their first use."""
    account = Account.from_key(b"\x01" * 32)
    order: dict[str, int | str | bytes] = dict.fromkeys((name for _, name in _FIELDS), 1)
    order.update(maker=account.address, signer=account.address)
    order.update(metadata=b"\0" * 32, builder=b"\0" * 32)
    found = order_hashes(order, neg_risk=False)
    signed = account.unsafe_sign_hash(found[1]).signature
    assert order_signer(order, signed, neg_risk=False, hashes=found) == account.address.lower()
