"""accept: distinct public keys, over the very octets, before anything is read."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest

from tests.builders import CODEC, HASHER, NONCE, NOW, STRANGER, VERIFIER, Pair, key, sealed
from uptane.codec.oer import Oer
from uptane.crypto import Ed25519Signer, HybridSigner, MlDsa44Signer, P256Signer, valid
from uptane.errors import Check, Malformed, Rejected
from uptane.model.ids import KeyId
from uptane.model.metadata import DirectorTargets, ImageTargets, Timestamp
from uptane.model.reports import TimeAttestation
from uptane.model.signed import Authority, Envelope, Signature
from uptane.ports import Payload, Signer
from uptane.verify.threshold import Verifier, accept, accept_from, opened

A, B, C = key("a"), key("b"), key("c")
PAYLOAD = CODEC.encode(TimeAttestation(1, NOW, NONCE))


def envelope(*signers: Signer, payload: bytes = PAYLOAD) -> Envelope:
    return CODEC.open(sealed(payload, signers), 10_000)


def authority(threshold: int, *signers: Signer) -> Authority:
    return Authority({each.key_id: each.public for each in signers}, threshold)


def accepted(envelope: Envelope, authority: Authority) -> bool:
    try:
        verified = accept(VERIFIER, envelope, authority, TimeAttestation, check=Check.TIME_SIGNATURES)
    except Rejected as refusal:
        return refusal.check is not Check.TIME_SIGNATURES
    assert verified.value == TimeAttestation(1, NOW, NONCE)
    assert verified.octets == envelope.octets
    assert verified.message == CODEC.message(PAYLOAD)
    return True


@pytest.mark.parametrize(
    ("signers", "threshold", "enough"),
    [
        ([A], 1, True),
        ([A, B], 2, True),
        ([C, A], 2, True),
        ([A], 2, False),
        ([A, A], 2, False),
        ([STRANGER], 1, False),
        ([STRANGER, A], 1, True),
        ([STRANGER, A, B], 2, True),
        ([STRANGER, A], 2, False),
    ],
)
def test_distinct_keys_of_the_authority_are_counted(signers: Sequence[Signer], threshold: int, enough: bool) -> None:
    assert accepted(envelope(*signers), authority(threshold, A, B, C)) is enough


def test_one_key_under_two_ids_counts_once() -> None:
    again = KeyId(b"another!")
    twice = Authority({A.key_id: A.public, again: A.public}, 2)
    message = CODEC.message(PAYLOAD)
    signatures = [Signature(A.key_id, A.sign(message)), Signature(again, A.sign(message))]
    assert not accepted(CODEC.seal(PAYLOAD, signatures), twice)
    assert accepted(CODEC.seal(PAYLOAD, signatures), replace(twice, threshold=1))


def test_a_wrong_signature_does_not_spoil_a_met_threshold() -> None:
    good = envelope(A, B)
    wrong = Signature(C.key_id, bytes(64))
    assert accepted(CODEC.seal(PAYLOAD, [wrong, *good.signatures]), authority(2, A, B, C))
    assert not accepted(CODEC.seal(PAYLOAD, [wrong, *good.signatures]), authority(3, A, B, C))


def test_a_wrong_signature_before_the_right_one_of_the_same_key_does_not_hide_it() -> None:
    good = envelope(A)
    wrong = Signature(A.key_id, bytes(64))
    assert accepted(CODEC.seal(PAYLOAD, [wrong, *good.signatures]), authority(1, A))


def test_a_threshold_of_0_lets_nobody_in() -> None:
    assert not accepted(envelope(STRANGER), authority(0, A))
    assert not accepted(envelope(STRANGER), Authority({}, 0))


def test_a_signature_under_another_keys_id_does_not_count() -> None:
    message = CODEC.message(PAYLOAD)
    swapped = CODEC.seal(PAYLOAD, [Signature(B.key_id, A.sign(message))])
    assert not accepted(swapped, authority(1, A, B))


def test_a_signature_over_the_bare_payload_does_not_count() -> None:
    bare = CODEC.seal(PAYLOAD, [Signature(A.key_id, A.sign(PAYLOAD))])
    assert not accepted(bare, authority(1, A))


@dataclass
class Watched(Oer):
    """A codec that remembers what it was asked to read."""

    read: list[bytes] = field(default_factory=list)

    def parse(self, payload: bytes) -> Payload:
        self.read.append(payload)
        return super().parse(payload)


def test_nothing_is_read_before_the_threshold_holds() -> None:
    codec = Watched()
    verifier = Verifier(codec, valid, HASHER)
    with pytest.raises(Rejected):
        accept(verifier, envelope(STRANGER), authority(1, A), TimeAttestation, check=Check.TIME_SIGNATURES)
    assert codec.read == []
    accept(verifier, envelope(A), authority(1, A), TimeAttestation, check=Check.TIME_SIGNATURES)
    assert codec.read == [PAYLOAD]


def test_another_kind_is_refused_as_that() -> None:
    with pytest.raises(Rejected) as refusal:
        accept(VERIFIER, envelope(A), authority(1, A), Timestamp, check=Check.TIMESTAMP_SIGNATURES)
    assert refusal.value.check is Check.KIND


def test_the_other_repositorys_targets_are_refused_for_their_speaker() -> None:
    pair = Pair()
    payload = CODEC.open(pair.director.targets(), 100_000).payload
    accept(VERIFIER, envelope(A, payload=payload), authority(1, A), DirectorTargets, check=Check.TARGETS_SIGNATURES)
    with pytest.raises(Rejected) as refusal:
        accept(VERIFIER, envelope(A, payload=payload), authority(1, A), ImageTargets, check=Check.TARGETS_SIGNATURES)
    assert refusal.value.check is Check.SPEAKER


def test_a_newer_level_is_refused() -> None:
    payload = CODEC.encode(TimeAttestation(2, NOW, NONCE))
    with pytest.raises(Rejected) as refusal:
        accept(VERIFIER, envelope(A, payload=payload), authority(1, A), TimeAttestation, check=Check.TIME_SIGNATURES)
    assert refusal.value.check is Check.LEVEL


def test_well_signed_nonsense_is_malformed() -> None:
    with pytest.raises(Malformed):
        accept(VERIFIER, envelope(A, payload=b"?"), authority(1, A), TimeAttestation, check=Check.TIME_SIGNATURES)


def test_a_key_without_an_id_is_found_whatever_the_hint() -> None:
    message = CODEC.message(PAYLOAD)
    hinted = CODEC.seal(PAYLOAD, [Signature(KeyId(b"whatever"), A.sign(message))])
    for each in (hinted, envelope(STRANGER, A)):
        verified = accept_from(VERIFIER, each, A.public, TimeAttestation, check=Check.TIME_SIGNATURES)
        assert verified.value.time == NOW
    with pytest.raises(Rejected) as refusal:
        accept_from(VERIFIER, envelope(STRANGER, B), A.public, TimeAttestation, check=Check.TIME_SIGNATURES)
    assert refusal.value.check is Check.TIME_SIGNATURES


def test_keys_of_all_kinds_count_alike_and_a_hybrid_counts_once() -> None:
    """A hybrid key is one person's: both of its signatures are one, and half of it is none."""
    classical, quantum_safe = Ed25519Signer.from_seed(b"c" * 32), MlDsa44Signer.from_seed(b"q" * 32)
    hybrid, curve = HybridSigner(classical, quantum_safe), P256Signer.from_seed(b"p" * 32)
    assert accepted(envelope(hybrid, curve), authority(2, hybrid, curve))
    assert not accepted(envelope(hybrid), authority(2, hybrid, curve))
    message = CODEC.message(PAYLOAD)
    half = classical.sign(message) + bytes(len(quantum_safe.sign(message)))
    assert not accepted(CODEC.seal(PAYLOAD, [Signature(hybrid.key_id, half)]), authority(1, hybrid))


def test_a_file_may_have_its_limit_and_not_one_octet_more() -> None:
    octets = sealed(PAYLOAD, [A])
    assert opened(VERIFIER, octets, len(octets)).octets == octets
    with pytest.raises(Rejected) as refusal:
        opened(VERIFIER, octets, len(octets) - 1)
    assert refusal.value.check is Check.LENGTH
    with pytest.raises(Malformed):
        opened(VERIFIER, octets + b"\0", len(octets) + 1)
