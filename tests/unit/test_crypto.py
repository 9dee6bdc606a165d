"""Signatures: published vectors pass, everything else is False and never an exception."""

import hashlib
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uptane import crypto
from uptane.crypto import (
    Ed25519Signer,
    HybridSigner,
    LocalSigner,
    MlDsa44Signer,
    MlDsa65Signer,
    P256Signer,
    Sha2,
    generate,
    key_id_of,
    signer_of,
    valid,
)
from uptane.model.signed import PublicKey, Scheme
from uptane.ports import Digest

MESSAGE = b"MARQUE-1\0" + hashlib.sha512(b"payload").digest()
SEED = bytes(range(32))
SIGNERS: dict[Scheme, LocalSigner] = {
    Scheme.ED25519: Ed25519Signer.from_seed(SEED),
    Scheme.P256: P256Signer.from_seed(SEED),
    Scheme.ML_DSA_44: MlDsa44Signer.from_seed(SEED),
    Scheme.ML_DSA_65: MlDsa65Signer.from_seed(SEED),
    Scheme.ED25519_ML_DSA_44: HybridSigner(Ed25519Signer.from_seed(SEED), MlDsa44Signer.from_seed(SEED)),
    Scheme.ED25519_ML_DSA_65: HybridSigner(Ed25519Signer.from_seed(SEED), MlDsa65Signer.from_seed(SEED)),
}
LENGTHS = {  # octets of the key, octets of the signature
    Scheme.ED25519: (32, 64),
    Scheme.P256: (33, 64),
    Scheme.ML_DSA_44: (1312, 2420),
    Scheme.ML_DSA_65: (1952, 3309),
    Scheme.ED25519_ML_DSA_44: (1344, 2484),
    Scheme.ED25519_ML_DSA_65: (1984, 3373),
}
every_scheme = pytest.mark.parametrize("scheme", Scheme)


@every_scheme
def test_what_is_signed_verifies_and_has_its_one_length(scheme: Scheme) -> None:
    for signer in (SIGNERS[scheme], generate(scheme)):
        signature = signer.sign(MESSAGE)
        assert signer.public.scheme is scheme
        assert (len(signer.public.octets), len(signature)) == LENGTHS[scheme]
        assert valid(signer.public, MESSAGE, signature)


@every_scheme
def test_anything_else_does_not_verify(scheme: Scheme) -> None:
    signer = SIGNERS[scheme]
    signature = signer.sign(MESSAGE)
    flips = [bytes((signature[at] ^ 1,)) for at in (0, 31, 32, 63, -1)]
    changed = [
        signature[:at] + flip + signature[at + 1 or len(signature) :]
        for at, flip in zip((0, 31, 32, 63, -1), flips, strict=True)
    ]
    for wrong in (b"", signature[:-1], signature + b"\0", bytes(len(signature)), b"\xff" * len(signature), *changed):
        assert not valid(signer.public, MESSAGE, wrong)
    assert not valid(signer.public, MESSAGE[:-1], signature)
    assert not valid(generate(scheme).public, MESSAGE, signature)


@every_scheme
@settings(max_examples=30)
@given(octets=st.binary(max_size=100), length=st.sampled_from([0, 1, 32, 33, 1312, 1344, 1952, 1984, 2000]))
def test_a_key_that_is_none_verifies_nothing_and_raises_nothing(scheme: Scheme, octets: bytes, length: int) -> None:
    for key in (octets, octets.ljust(length, b"\xff")[:length], bytes(length)):
        for signature in (b"", octets, bytes(LENGTHS[scheme][1])):
            assert not valid(PublicKey(scheme, key), MESSAGE, signature)


@every_scheme
def test_a_key_under_another_scheme_verifies_nothing(scheme: Scheme) -> None:
    signature = SIGNERS[scheme].sign(MESSAGE)
    for other in set(Scheme) - {scheme}:
        assert not valid(PublicKey(other, SIGNERS[scheme].public.octets), MESSAGE, signature)


# Ed25519

FIELD = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
RFC_8032 = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
]


@pytest.mark.parametrize(("key", "message", "signature"), RFC_8032)
def test_the_vectors_of_rfc_8032(key: str, message: str, signature: str) -> None:
    public = PublicKey(Scheme.ED25519, bytes.fromhex(key))
    assert valid(public, bytes.fromhex(message), bytes.fromhex(signature))


def small_order() -> dict[str, bytes]:
    """Every encoding of a point of small order, the non-canonical ones too: y, the sign of x, and y + p if it fits."""
    found = {}
    for y in crypto._SMALL_ORDER_Y:
        for value in (y, y + FIELD):
            for sign in (0, 1):
                if value < 2**255:
                    octets = (value | sign << 255).to_bytes(32, "little")
                    found[octets.hex()] = octets
    return found


def on_curve(y: int) -> bool:
    """Whether some x belongs to y on edwards25519."""
    d = -121665 * pow(121666, -1, FIELD) % FIELD
    square = (y * y - 1) * pow(d * y * y + 1, -1, FIELD) % FIELD
    return square == 0 or pow(square, (FIELD - 1) // 2, FIELD) == 1


def test_the_points_of_small_order_are_the_eight_there_are() -> None:
    assert len(crypto._SMALL_ORDER_Y) == 5
    assert all(on_curve(y) for y in crypto._SMALL_ORDER_Y)
    d = -121665 * pow(121666, -1, FIELD) % FIELD
    for y in crypto._SMALL_ORDER_Y - {0, 1, FIELD - 1}:
        # Doubling gives a point with y = 0, of order four: y^2 + x^2 = 0 where x is the point's.
        x_squared = (y * y - 1) * pow(d * y * y + 1, -1, FIELD) % FIELD
        assert (y * y + x_squared) % FIELD == 0


@pytest.mark.parametrize("octets", small_order().values(), ids=small_order())
@pytest.mark.parametrize("scheme", [Scheme.ED25519, Scheme.ED25519_ML_DSA_44, Scheme.ED25519_ML_DSA_65])
def test_a_key_of_small_order_verifies_nothing(scheme: Scheme, octets: bytes) -> None:
    # R = the key, S = 0: verifies for one message in eight without any secret, wherever such keys are taken.
    if scheme is Scheme.ED25519:
        key, rest = octets, b""
    else:
        hybrid = SIGNERS[scheme]
        key, rest = octets + hybrid.public.octets[32:], hybrid.sign(MESSAGE)[64:]
    for start in (octets, (1).to_bytes(32, "little")):
        for number in range(32):
            message = bytes((number,))
            assert not valid(PublicKey(scheme, key), message, start + bytes(32) + rest)


def test_the_library_alone_would_take_a_key_of_small_order() -> None:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    identity = (1).to_bytes(32, "little")
    key = Ed25519PublicKey.from_public_bytes(identity)
    try:
        key.verify(identity + bytes(32), b"anything")
    except InvalidSignature:
        pytest.skip("this version of the library refuses it itself")


@pytest.mark.parametrize("y", range(19))
def test_a_key_has_one_encoding(y: int) -> None:
    octets = (y + FIELD).to_bytes(32, "little")
    assert crypto._check_of(PublicKey(Scheme.ED25519, octets)) is None


def test_a_scalar_beyond_the_order_is_refused() -> None:
    signer = SIGNERS[Scheme.ED25519]
    signature = signer.sign(MESSAGE)
    scalar = int.from_bytes(signature[32:], "little") + ORDER
    assert not valid(signer.public, MESSAGE, signature[:32] + scalar.to_bytes(32, "little"))


# P-256


def test_the_vector_of_rfc_6979_with_the_lower_s() -> None:
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, derive_private_key

    private = 0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721
    r = 0xEFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716
    s = 0xF7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8
    signer = P256Signer(derive_private_key(private, SECP256R1()))
    lower = (crypto.P256_ORDER - s).to_bytes(32)
    assert signer.sign(b"sample") == r.to_bytes(32) + lower
    assert valid(signer.public, b"sample", r.to_bytes(32) + lower)
    assert not valid(signer.public, b"sample", r.to_bytes(32) + s.to_bytes(32)), "the higher s is a second signature"


def test_p256_keys_are_compressed_points_of_the_curve() -> None:
    octets = SIGNERS[Scheme.P256].public.octets
    x = int.from_bytes(octets[1:])
    prime = 2**256 - 2**224 + 2**192 + 2**96 - 1
    beyond = (x % 2**32 + prime).to_bytes(32) if x % 2**32 + prime < 2**256 else b"\xff" * 32
    signature = SIGNERS[Scheme.P256].sign(MESSAGE)
    for wrong in (b"\x04" + octets[1:], b"\x00" * 33, b"\x00", octets[:-1], octets + b"\0", octets[:1] + beyond):
        assert not valid(PublicKey(Scheme.P256, wrong), MESSAGE, signature)


@pytest.mark.parametrize("zero", ["r", "s", "r = n", "both"])
def test_p256_signatures_are_within_the_order(zero: str) -> None:
    signature = SIGNERS[Scheme.P256].sign(MESSAGE)
    order = crypto.P256_ORDER.to_bytes(32)
    wrong = {
        "r": bytes(32) + signature[32:],
        "s": signature[:32] + bytes(32),
        "r = n": order + signature[32:],
        "both": bytes(64),
    }[zero]
    assert not valid(SIGNERS[Scheme.P256].public, MESSAGE, wrong)


@pytest.mark.parametrize("number", [0, 1, crypto.P256_ORDER - 2, crypto.P256_ORDER - 1, crypto.P256_ORDER, 2**256 - 1])
def test_every_seed_is_a_p256_key(number: int) -> None:
    signer = P256Signer.from_seed(number.to_bytes(32))
    assert valid(signer.public, MESSAGE, signer.sign(MESSAGE))


def test_signing_is_deterministic_where_we_say_so() -> None:
    for scheme in (Scheme.ED25519, Scheme.P256):
        assert SIGNERS[scheme].sign(MESSAGE) == SIGNERS[scheme].sign(MESSAGE)


# Hybrids


@pytest.mark.parametrize("scheme", [Scheme.ED25519_ML_DSA_44, Scheme.ED25519_ML_DSA_65])
def test_both_parts_of_a_hybrid_must_verify(scheme: Scheme) -> None:
    signer = SIGNERS[scheme]
    good, other = signer.sign(MESSAGE), signer.sign(b"another message")
    assert valid(signer.public, MESSAGE, good)
    assert not valid(signer.public, MESSAGE, good[:64] + other[64:])
    assert not valid(signer.public, MESSAGE, other[:64] + good[64:])
    assert not valid(signer.public, MESSAGE, good[64:] + good[:64])
    assert not valid(signer.public, MESSAGE, good[:64])
    assert not valid(signer.public, MESSAGE, good[64:])


# Ids, cache, files


def test_ids_are_eight_octets_over_scheme_and_key() -> None:
    for number, scheme in enumerate(Scheme):
        public = SIGNERS[scheme].public
        expected = hashlib.sha256(bytes((number,)) + public.octets).digest()[:8]
        assert key_id_of(public) == SIGNERS[scheme].key_id == expected
    assert key_id_of(PublicKey(Scheme.ED25519, SEED)) != key_id_of(PublicKey(Scheme.P256, SEED))


def test_a_key_is_parsed_once_and_the_cache_is_bounded() -> None:
    public = Ed25519Signer.generate().public
    valid(public, MESSAGE, bytes(64))
    before = crypto._check_of.cache_info()
    valid(public, MESSAGE, bytes(64))
    after = crypto._check_of.cache_info()
    assert (after.hits, after.misses) == (before.hits + 1, before.misses)
    for number in range(2 * crypto.KEYS_PARSED_MAX):
        valid(PublicKey(Scheme.ED25519, number.to_bytes(32)), MESSAGE, bytes(64))
    assert crypto._check_of.cache_info().currsize == crypto.KEYS_PARSED_MAX


@every_scheme
def test_a_signer_is_made_again_from_its_private_half(scheme: Scheme) -> None:
    again = signer_of(SIGNERS[scheme].private)
    assert again.public == SIGNERS[scheme].public
    assert valid(again.public, MESSAGE, again.sign(MESSAGE))


def test_what_is_no_private_half_of_ours_makes_no_signer() -> None:
    from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, generate_private_key
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    ed25519, p256 = SIGNERS[Scheme.ED25519].private, SIGNERS[Scheme.P256].private
    wrong: list[tuple[object, ...]] = [
        (),
        (X25519PrivateKey.generate(),),
        (generate_private_key(SECP384R1()),),
        (*ed25519, *p256),
        (*SIGNERS[Scheme.ML_DSA_44].private, *ed25519),
    ]
    for private in wrong:
        with pytest.raises(ValueError, match="key"):
            signer_of(private)


@pytest.mark.parametrize(
    ("ours", "running", "theirs"),
    [(Sha2().sha256, Sha2().running256, hashlib.sha256), (Sha2().sha512, Sha2().running512, hashlib.sha512)],
)
def test_hashes(
    ours: Callable[[bytes], bytes], running: Callable[[], Digest], theirs: Callable[[bytes], "hashlib._Hash"]
) -> None:
    assert ours(b"octets") == theirs(b"octets").digest()
    digest = running()
    digest.update(b"oct")
    digest.update(b"ets")
    assert digest.digest() == ours(b"octets")
