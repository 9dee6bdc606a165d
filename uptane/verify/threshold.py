"""Signatures (Uptane 2.1.0, section 5.2.1; TAP 12): enough distinct keys over the very octets, and then the payload.

Nobody else makes a Verified, and nothing is read from a payload before. Which keys may speak is the caller's to say;
speaker, version and expiry are judged by the role.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from uptane.errors import Check, Rejected
from uptane.model.metadata import LEVEL, DirectorTargets, ImageTargets
from uptane.model.reports import EcuReport, TimeAttestation, VehicleManifest, VehicleOrder
from uptane.model.signed import Authority, Envelope, PublicKey, Verified
from uptane.ports import Codec, Hasher, Payload, SignatureCheck

KindT = TypeVar("KindT")

_TARGETS = (DirectorTargets, ImageTargets)
_HEADLESS = (EcuReport, VehicleManifest, TimeAttestation, VehicleOrder)


@dataclass(frozen=True, slots=True)
class Verifier:
    """An encoding, a way to check signatures and a way to hash: all that checks need of the outside."""

    codec: Codec
    valid: SignatureCheck
    hasher: Hasher


def opened(verifier: Verifier, octets: bytes, length_max: int) -> Envelope:
    """Split an envelope of at most `length_max` octets.

    Raises:
        Rejected: LENGTH.
        Malformed: it is no envelope.
    """
    if len(octets) > length_max:
        raise Rejected(Check.LENGTH, f"{len(octets)} octets, {length_max} allowed")
    return verifier.codec.open(octets, length_max)


def accept(
    verifier: Verifier, envelope: Envelope, authority: Authority, kind: type[KindT], *, check: Check
) -> Verified[KindT]:
    """Return what `envelope` holds if enough keys of `authority` signed it and it is of `kind` and a known level.

    Public keys are counted, not ids and not signatures: unknown, extra or wrong signatures neither help nor harm.

    Raises:
        Rejected: `check` when too few keys signed; then KIND (SPEAKER between the two kinds of Targets) or LEVEL.
        Malformed: enough keys signed something that is no message (Disordered: a list out of order).
    """
    message = verifier.codec.message(envelope.payload)
    signers: set[PublicKey] = set()
    for signature in envelope.signatures:
        key = authority.keys.get(signature.key_id)
        if key is not None and key not in signers and verifier.valid(key, message, signature.octets):
            signers.add(key)
    # A threshold of 0 would let everybody in; lists of keys are refused for it, and so is it here.
    if len(signers) < max(authority.threshold, 1):
        raise Rejected(check, f"{len(signers)} of {authority.threshold} keys signed")
    value = verifier.codec.parse(envelope.payload)
    if not isinstance(value, kind):
        alike = isinstance(value, _TARGETS) and issubclass(kind, _TARGETS)
        raise Rejected(
            Check.SPEAKER if alike else Check.KIND, f"{type(value).__name__} where {kind.__name__} was asked for"
        )
    if _level(value) > LEVEL:
        raise Rejected(Check.LEVEL, f"level {_level(value)}, this software knows {LEVEL}")
    return Verified(value, envelope.octets, message)


def accept_from(
    verifier: Verifier, envelope: Envelope, public: PublicKey, kind: type[KindT], *, check: Check
) -> Verified[KindT]:
    """Return what `envelope` holds if `public` signed it: for keys that are named without an id (ECUs, coordinators).

    Raises: as `accept`.
    """
    # An id is only a hint; where the one key is known, every signature may be by it.
    hints = {signature.key_id: public for signature in envelope.signatures}
    return accept(verifier, envelope, Authority(hints, 1), kind, check=check)


def _level(value: Payload) -> int:
    return value.level if isinstance(value, _HEADLESS) else value.header.level
