"""core/crypto*.c against uptane/crypto.py: both verify what the other signs, and both refuse the same.

So with either Ed25519 that the firmware may be built with.
"""

import ctypes
import hashlib
from collections.abc import Iterator
from itertools import islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.firmware.conftest import ROOT, build
from uptane.crypto import P256_ORDER, Ed25519Signer, P256Signer, valid
from uptane.model.signed import PublicKey, Scheme

MESSAGE = b"MARQUE-1\0" + hashlib.sha512(b"payload").digest()
FIELD = 2**255 - 19
GROUP = 2**252 + 27742317777372353535851937790883648493  # order of Ed25519's group
P256_FIELD = 2**256 - 2**224 + 2**192 + 2**96 - 1
P256_B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
SEED = bytes(range(32))
KEY_MAX = 33
ORDER_8_Y = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
NO_SCHEME = 0xFF


@pytest.fixture(scope="module", params=["host", "host-small"])
def core(request: pytest.FixtureRequest) -> ctypes.CDLL:
    build(request.param)
    return ctypes.CDLL(str(ROOT / "build" / "firmware" / request.param / "libmarque_firmware.so"))


def test_the_small_build_has_the_small_library(core: ctypes.CDLL, request: pytest.FixtureRequest) -> None:
    is_small = request.node.callspec.params["core"] == "host-small"
    assert hasattr(core, "dropbear_ed25519_verify") == is_small
    assert hasattr(core, "crypto_check_final") != is_small


class Key(ctypes.Structure):
    """fw_key."""

    _fields_ = (("scheme", ctypes.c_uint8), ("octets", ctypes.c_uint8 * KEY_MAX))


def signed_by(core: ctypes.CDLL, key: PublicKey, message: bytes, signature: bytes) -> bool:
    """What the C core says."""
    core.fw_signed_by.restype = ctypes.c_bool
    number = list(Scheme).index(key.scheme)
    held = Key(number, (ctypes.c_uint8 * KEY_MAX)(*key.octets[:KEY_MAX]))
    octets = (ctypes.c_uint8 * max(1, len(signature))).from_buffer_copy(signature or b"\0")
    return bool(core.fw_signed_by(ctypes.byref(held), message, octets, ctypes.c_size_t(len(signature))))


def agreed(core: ctypes.CDLL, key: PublicKey, message: bytes, signature: bytes) -> bool:
    """What both say."""
    ours, theirs = signed_by(core, key, message, signature), valid(key, message, signature)
    assert ours == theirs, f"C says {ours}, Python says {theirs}: {key} {signature.hex()}"
    return ours


class Facts(ctypes.Structure):
    """fw_facts, as far as signing reads it."""

    _fields_ = (
        ("names", ctypes.c_uint8 * (3 * 65 + 129)),
        ("address", ctypes.c_uint8),
        ("fd", ctypes.c_bool),
        ("slow_floor", ctypes.c_uint32),
        ("floor", ctypes.c_uint64),
        ("secret", ctypes.c_uint8 * 32),
        ("seed", ctypes.c_uint8 * 32),
        ("public_key", ctypes.c_uint8 * 32),
    )


# ------------------------------------------------------------------------------------------------------------- hashes


def digests(core: ctypes.CDLL, octets: bytes, edges: list[int]) -> tuple[bytes, bytes]:
    """SHA-256 and SHA-512 of the C core, given in slices."""
    made = []
    for bits, size, context in ((256, 32, 104), (512, 64, 208)):
        running, digest = ctypes.create_string_buffer(context), ctypes.create_string_buffer(size)
        getattr(core, f"fw_sha{bits}_start")(running)
        for begin, end in pairwise(edges):
            getattr(core, f"fw_sha{bits}_add")(running, octets[begin:end], ctypes.c_size_t(end - begin))
        getattr(core, f"fw_sha{bits}_end")(running, digest)
        made.append(digest.raw)
    return made[0], made[1]


@given(st.binary(max_size=400), st.lists(st.integers(0, 400), max_size=5))
def test_hashes_in_any_slices(core: ctypes.CDLL, octets: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(octets)) for cut in cuts), len(octets)]
    assert digests(core, octets, edges) == (hashlib.sha256(octets).digest(), hashlib.sha512(octets).digest())


@pytest.mark.parametrize("length", [55, 56, 63, 64, 65, 111, 112, 119, 120, 127, 128, 129, 100_000])
def test_hashes_at_the_edges_of_a_block(core: ctypes.CDLL, length: int) -> None:
    octets = b"a" * length
    assert digests(core, octets, [0, length]) == (hashlib.sha256(octets).digest(), hashlib.sha512(octets).digest())


def test_what_is_signed(core: ctypes.CDLL) -> None:
    message = ctypes.create_string_buffer(len(MESSAGE))
    core.fw_message(message, hashlib.sha512(b"payload").digest())
    assert message.raw == MESSAGE


def test_secrets_are_compared_whole(core: ctypes.CDLL) -> None:
    core.fw_same.restype = ctypes.c_bool
    for at in (0, 15, 31):
        other = bytearray(SEED)
        other[at] ^= 0x80
        assert not core.fw_same(SEED, bytes(other), ctypes.c_size_t(32))
    assert core.fw_same(SEED, bytes(SEED), ctypes.c_size_t(32))


# ------------------------------------------------------------------------------------------------------------ Ed25519


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=64, max_size=64))
def test_what_either_signs_with_ed25519_the_other_takes(core: ctypes.CDLL, seed: bytes, digest: bytes) -> None:
    signer, message, signature = Ed25519Signer.from_seed(seed), b"MARQUE-1\0" + digest, ctypes.create_string_buffer(64)
    assert agreed(core, signer.public, message, signer.sign(message))
    facts = Facts(seed=(ctypes.c_uint8 * 32)(*seed), public_key=(ctypes.c_uint8 * 32)(*signer.public.octets))
    core.fw_sign(signature, ctypes.byref(facts), message)
    assert signature.raw == signer.sign(message), "Ed25519 has one signature for one message"


def flipped(octets: bytes) -> Iterator[bytes]:
    """The octets with one bit of each octet turned over."""
    for at in range(len(octets)):
        yield octets[:at] + bytes([octets[at] ^ 1 << at % 8]) + octets[at + 1 :]


@pytest.mark.parametrize("signer", [Ed25519Signer.from_seed(SEED), P256Signer.from_seed(SEED)])
def test_no_bit_may_be_another(core: ctypes.CDLL, signer: Ed25519Signer | P256Signer) -> None:
    signature = signer.sign(MESSAGE)
    assert agreed(core, signer.public, MESSAGE, signature)
    assert not any(agreed(core, signer.public, MESSAGE, other) for other in flipped(signature))
    assert not any(agreed(core, signer.public, other, signature) for other in flipped(MESSAGE))
    keys = (PublicKey(signer.public.scheme, octets) for octets in flipped(signer.public.octets))
    assert not any(agreed(core, key, MESSAGE, signature) for key in keys)


@pytest.mark.parametrize("signer", [Ed25519Signer.from_seed(SEED), P256Signer.from_seed(SEED)])
@pytest.mark.parametrize("length", [0, 1, 32, 63, 65, 128])
def test_a_signature_has_one_length(core: ctypes.CDLL, signer: Ed25519Signer | P256Signer, length: int) -> None:
    signature = (signer.sign(MESSAGE) * 2)[:length]
    assert not agreed(core, signer.public, MESSAGE, signature)


@pytest.mark.parametrize("times", [1, 2, 15])
def test_s_is_below_the_order(core: ctypes.CDLL, times: int) -> None:
    signer = Ed25519Signer.from_seed(SEED)
    signature = signer.sign(MESSAGE)
    s = int.from_bytes(signature[32:], "little") + times * GROUP
    assert s < 2**256, "it still fits, and the equation still holds"
    assert not agreed(core, signer.public, MESSAGE, signature[:32] + s.to_bytes(32, "little"))


SMALL_ORDER_Y = (0, 1, FIELD - 1, ORDER_8_Y, FIELD - ORDER_8_Y)
NO_Y = (FIELD, FIELD + 1, FIELD + 5, 2**255 - 1)  # not reduced: the same points by another encoding, and more


def encoded(y: int, sign: int) -> bytes:
    return (y | sign << 255).to_bytes(32, "little")


@pytest.mark.parametrize("sign", [0, 1])
@pytest.mark.parametrize("y", [*SMALL_ORDER_Y, *NO_Y])
def test_a_key_for_which_anybody_signs_is_none(core: ctypes.CDLL, y: int, sign: int) -> None:
    """With s = 0 the equation is R = -hA: for a key of small order one R of eight fits, and no secret is needed."""
    key = PublicKey(Scheme.ED25519, encoded(y, sign))
    for r in (*SMALL_ORDER_Y, *NO_Y):
        for message in (MESSAGE, *islice(flipped(MESSAGE), 7)):
            assert not agreed(core, key, message, encoded(r, 0) + bytes(32))
            assert not agreed(core, key, message, encoded(r, 1) + bytes(32))


# Points of the curve as (x, y), slowly: to make what no honest signer makes.
CURVE_D = -121665 * pow(121666, -1, FIELD) % FIELD
BASE = (
    15112221349535400772501151409588531511454012693041857206046113283949847762202,
    46316835694926478169428394003475163141307993866256225615783033603165251855960,
)


def added(p: tuple[int, int], q: tuple[int, int]) -> tuple[int, int]:
    product = CURVE_D * p[0] * q[0] * p[1] * q[1] % FIELD
    x = (p[0] * q[1] + p[1] * q[0]) * pow(1 + product, -1, FIELD)
    y = (p[1] * q[1] + p[0] * q[0]) * pow(1 - product, -1, FIELD)
    return x % FIELD, y % FIELD


def multiplied(scalar: int, point: tuple[int, int]) -> tuple[int, int]:
    total = (0, 1)
    for bit in f"{scalar:b}":
        total = added(total, total)
        if bit == "1":
            total = added(total, point)
    return total


def of_order_8() -> tuple[int, int]:
    y = ORDER_8_Y
    square = (y * y - 1) * pow(CURVE_D * y * y + 1, -1, FIELD) % FIELD
    x = pow(square, (FIELD + 3) // 8, FIELD)
    if x * x % FIELD != square:
        x = x * pow(2, (FIELD - 1) // 4, FIELD) % FIELD
    assert x * x % FIELD == square
    return x, y


def signed_with_torsion(on_key: int, on_r: int, message: bytes) -> tuple[PublicKey, bytes, int]:
    """A signature whose key and R have so much of a point of order eight in them; and h, modulo 8."""
    secret, nonce = 0x1234567 * 8, 0x7654321
    point, r = (
        encoded(p[1], p[0] & 1)
        for p in (
            added(multiplied(secret, BASE), multiplied(on_key, of_order_8())),
            added(multiplied(nonce, BASE), multiplied(on_r, of_order_8())),
        )
    )
    h = int.from_bytes(hashlib.sha512(r + point + message).digest(), "little") % GROUP
    s = (nonce + h * secret) % GROUP
    return PublicKey(Scheme.ED25519, point), r + s.to_bytes(32, "little"), h % 8


def test_without_torsion_that_is_a_signature(core: ctypes.CDLL) -> None:
    key, signature, _h = signed_with_torsion(0, 0, MESSAGE)
    assert agreed(core, key, MESSAGE, signature)


@pytest.mark.parametrize("torsion", range(1, 8))
def test_r_is_compared_without_a_cofactor(core: ctypes.CDLL, torsion: int) -> None:
    """Verifiers that multiply by eight take these; a vehicle in which some do and some do not falls apart."""
    key, signature, _h = signed_with_torsion(0, torsion, MESSAGE)
    assert not agreed(core, key, MESSAGE, signature)


def test_a_key_with_torsion_is_judged_alike(core: ctypes.CDLL) -> None:
    judged = set()
    for message in islice(flipped(MESSAGE), 40):
        key, signature, h = signed_with_torsion(1, 0, message)
        judged.add(agreed(core, key, message, signature))
        assert agreed(core, key, message, signature) == (h == 0)
    assert judged == {True, False}, "in one message of eight the small point is multiplied away"


@given(st.integers(0, 2**255 - 1), st.integers(0, 1), st.binary(min_size=64, max_size=64))
def test_any_octets_as_an_ed25519_key(core: ctypes.CDLL, y: int, sign: int, signature: bytes) -> None:
    key = PublicKey(Scheme.ED25519, (y | sign << 255).to_bytes(32, "little"))
    assert not agreed(core, key, MESSAGE, signature)


# -------------------------------------------------------------------------------------------------------------- P-256


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=64, max_size=64))
def test_what_p256_signs(core: ctypes.CDLL, seed: bytes, digest: bytes) -> None:
    signer, message = P256Signer.from_seed(seed), b"MARQUE-1\0" + digest
    assert agreed(core, signer.public, message, signer.sign(message))


def test_only_the_lower_s_is_taken(core: ctypes.CDLL) -> None:
    signer = P256Signer.from_seed(SEED)
    signature = signer.sign(MESSAGE)
    higher = (P256_ORDER - int.from_bytes(signature[32:])).to_bytes(32)
    assert agreed(core, signer.public, MESSAGE, signature)
    assert not agreed(core, signer.public, MESSAGE, signature[:32] + higher)


EDGES = (0, 1, P256_ORDER // 2, P256_ORDER // 2 + 1, P256_ORDER - 1, P256_ORDER, P256_ORDER + 1, 2**256 - 1)


@pytest.mark.parametrize("r", EDGES)
@pytest.mark.parametrize("s", EDGES)
def test_r_and_s_at_their_edges(core: ctypes.CDLL, r: int, s: int) -> None:
    key = P256Signer.from_seed(SEED).public
    assert not agreed(core, key, MESSAGE, r.to_bytes(32) + s.to_bytes(32))


def has_root(x: int) -> bool:
    """Whether the curve has points with this x (Euler)."""
    return pow(x**3 - 3 * x + P256_B, P256_FIELD // 2, P256_FIELD) == 1


@pytest.mark.parametrize("prefix", [0, 1, 2, 3, 4, 5, 6, 7, 0x82, 0xFF])
def test_a_point_has_one_encoding(core: ctypes.CDLL, prefix: int) -> None:
    signer = P256Signer.from_seed(SEED)
    key = PublicKey(Scheme.P256, bytes([prefix]) + signer.public.octets[1:])
    assert agreed(core, key, MESSAGE, signer.sign(MESSAGE)) == (key == signer.public)


@pytest.mark.parametrize("prefix", [2, 3])
def test_a_point_off_the_curve_is_no_key(core: ctypes.CDLL, prefix: int) -> None:
    signature = P256Signer.from_seed(SEED).sign(MESSAGE)
    off = [x for x in range(1, 40) if not has_root(x)]
    assert len(off) > 10
    for x in (*off, 0, P256_FIELD - 1, P256_FIELD, P256_FIELD + 5, 2**256 - 1):
        assert not agreed(core, PublicKey(Scheme.P256, bytes([prefix]) + x.to_bytes(32)), MESSAGE, signature)


# ---------------------------------------------------------------------------------------------------------- any scheme


@pytest.mark.parametrize("scheme", [2, 3, 4, 5, 6, NO_SCHEME])
def test_a_scheme_that_this_build_lacks_signs_nothing(core: ctypes.CDLL, scheme: int) -> None:
    signer = Ed25519Signer.from_seed(SEED)
    held = Key(scheme, (ctypes.c_uint8 * KEY_MAX)(*signer.public.octets))
    core.fw_signed_by.restype = ctypes.c_bool
    assert not core.fw_signed_by(ctypes.byref(held), MESSAGE, signer.sign(MESSAGE), ctypes.c_size_t(64))
