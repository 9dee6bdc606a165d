"""Signing: the other end of threshold.py, for everybody who issues anything. Signed octets are never encoded again."""

from __future__ import annotations

from collections.abc import Sequence

from uptane.model.signed import Signature
from uptane.ports import Codec, Payload, Signer


def sign(codec: Codec, value: Payload, signers: Sequence[Signer]) -> bytes:
    """Encode `value` once and return its envelope with one signature of each signer (1 to 16), in their order."""
    payload = codec.encode(value)
    message = codec.message(payload)
    return codec.seal(payload, [Signature(signer.key_id, signer.sign(message)) for signer in signers]).octets


def countersign(codec: Codec, octets: bytes, signers: Sequence[Signer], *, length_max: int) -> bytes:
    """Return the envelope `octets` with the signers' signatures in place of their older ones or added at the end.

    For ceremonies in which each holder of a key signs at another place. Raises Malformed when it is no envelope.
    """
    envelope = codec.open(octets, length_max)
    message = codec.message(envelope.payload)
    signatures = {signature.key_id: signature for signature in envelope.signatures}
    signatures |= {signer.key_id: Signature(signer.key_id, signer.sign(message)) for signer in signers}
    return codec.seal(envelope.payload, list(signatures.values())).octets
