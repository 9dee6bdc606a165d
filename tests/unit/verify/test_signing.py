"""sign and countersign: the octets stay, signatures gather."""

from tests.builders import CODEC, NONCE, NOW, VERIFIER, key
from uptane.errors import Check
from uptane.model.reports import TimeAttestation
from uptane.model.signed import Authority
from uptane.verify.signing import countersign, sign
from uptane.verify.threshold import accept

A, B = key("a"), key("b")
VALUE = TimeAttestation(1, NOW, NONCE)
BOTH = Authority({each.key_id: each.public for each in (A, B)}, 2)


def test_what_is_signed_is_accepted() -> None:
    envelope = CODEC.open(sign(CODEC, VALUE, [A, B]), 10_000)
    assert accept(VERIFIER, envelope, BOTH, TimeAttestation, check=Check.TIME_SIGNATURES).value == VALUE


def test_signatures_gather_over_the_same_octets() -> None:
    first = sign(CODEC, VALUE, [A])
    both = countersign(CODEC, first, [B], length_max=10_000)
    assert CODEC.open(both, 10_000).payload == CODEC.open(first, 10_000).payload
    assert both == sign(CODEC, VALUE, [A, B])


def test_signing_again_replaces_ones_own_signature() -> None:
    both = sign(CODEC, VALUE, [A, B])
    assert countersign(CODEC, both, [A], length_max=10_000) == both
