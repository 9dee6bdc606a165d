"""Keys, signatures and envelopes: what was signed stays the octets that were signed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

from uptane.model.ids import KeyId

SIGNATURES_MAX = 16  # per envelope: the largest ceremony we know has 5 of 8, doubled while keys rotate
THRESHOLD_MAX = 16

T_co = TypeVar("T_co", covariant=True)


class Scheme(Enum):
    """Key types; the algorithm comes from the key, never from the message."""

    ED25519 = "ed25519"
    P256 = "p256"
    ML_DSA_44 = "mldsa44"
    ML_DSA_65 = "mldsa65"
    ED25519_ML_DSA_44 = "ed25519Mldsa44"
    ED25519_ML_DSA_65 = "ed25519Mldsa65"


@dataclass(frozen=True, slots=True)
class PublicKey:
    """One key in its one encoding (docs/wire.md, "Keys"); two equal values are the same key."""

    scheme: Scheme
    octets: bytes


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature over an envelope's message, and a hint which key made it."""

    key_id: KeyId
    octets: bytes


@dataclass(frozen=True, slots=True)
class Envelope:
    """The very octets that were signed, and the signatures; `octets` is the whole file as it came."""

    payload: bytes
    signatures: tuple[Signature, ...]
    octets: bytes


@dataclass(frozen=True, slots=True)
class Authority:
    """Who may speak: keys by the delegator's ids, and how many distinct ones must sign (1 to 16)."""

    keys: Mapping[KeyId, PublicKey]
    threshold: int


@dataclass(frozen=True, slots=True)
class Verified(Generic[T_co]):
    """A value that enough distinct keys signed. Only uptane/verify/threshold.py makes one.

    `octets` is the envelope as received, to be stored and relayed. `message` is what was signed: equal messages
    are the same file whatever its signatures, and the same version with another message is other content.
    """

    value: T_co
    octets: bytes
    message: bytes
