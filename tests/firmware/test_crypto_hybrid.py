"""core/crypto_mldsa.c, of profile H, against uptane/crypto.py: ML-DSA-44 alone and with Ed25519 as one key."""

import ctypes
import hashlib
from functools import cache

import pytest

from tests.firmware.conftest import ROOT, build
from uptane.crypto import Ed25519Signer, HybridSigner, LocalSigner, MlDsa44Signer, MlDsa65Signer, valid
from uptane.model.signed import PublicKey, Scheme

MESSAGE = b"MARQUE-1\0" + hashlib.sha512(b"payload").digest()
KEY_MAX = 1_344
SIGNATURE = 2_420
CHALLENGE, Z, HINTS, OMEGA = 32, 4 * 576, 84, 80


class Key(ctypes.Structure):
    """fw_key, as profile H has it."""

    _fields_ = (("scheme", ctypes.c_uint8), ("octets", ctypes.c_uint8 * KEY_MAX))


@pytest.fixture(scope="session")
def core_h() -> ctypes.CDLL:
    build("host-h")
    return ctypes.CDLL(str(ROOT / "build" / "firmware" / "host-h" / "libmarque_firmware.so"))


def agreed(core: ctypes.CDLL, key: PublicKey, message: bytes, signature: bytes) -> bool:
    """What both cores say."""
    core.fw_signed_by.restype = ctypes.c_bool
    held = Key(list(Scheme).index(key.scheme), (ctypes.c_uint8 * KEY_MAX)(*key.octets[:KEY_MAX]))
    ours = core.fw_signed_by(ctypes.byref(held), message, signature, ctypes.c_size_t(len(signature)))
    assert ours == valid(key, message, signature), f"C says {ours}"
    return bool(ours)


@cache
def signer(seed: int = 1) -> MlDsa44Signer:
    return MlDsa44Signer.from_seed(bytes([seed]) * 32)


@cache
def hybrid() -> HybridSigner:
    return HybridSigner(Ed25519Signer.from_seed(bytes(32)), signer())


@pytest.mark.parametrize("seed", range(1, 9))
def test_what_is_signed_is_taken(core_h: ctypes.CDLL, seed: int) -> None:
    message = b"MARQUE-1\0" + hashlib.sha512(bytes([seed])).digest()
    assert agreed(core_h, signer(seed).public, message, signer(seed).sign(message))
    assert not agreed(core_h, signer(seed).public, message, signer(seed).sign(MESSAGE))
    assert not agreed(core_h, signer(seed % 8 + 1).public, message, signer(seed).sign(message))


@pytest.mark.parametrize("made", [signer(), hybrid()], ids=["ml-dsa-44", "hybrid"])
def test_no_octet_may_be_another(core_h: ctypes.CDLL, made: LocalSigner) -> None:
    signature, key = made.sign(MESSAGE), made.public
    assert agreed(core_h, key, MESSAGE, signature)
    for at in [*range(0, len(signature), 37), *range(len(signature) - HINTS, len(signature))]:
        other = signature[:at] + bytes([signature[at] ^ 1 << at % 8]) + signature[at + 1 :]
        assert not agreed(core_h, key, MESSAGE, other), at
    for at in range(0, len(key.octets), 61):
        octets = key.octets[:at] + bytes([key.octets[at] ^ 1]) + key.octets[at + 1 :]
        assert not agreed(core_h, PublicKey(key.scheme, octets), MESSAGE, signature), at


def test_hints_have_one_encoding(core_h: ctypes.CDLL) -> None:
    """Those of the first row in another order, counts that fall or are too many, an index behind the last one."""
    begin = CHALLENGE + Z
    made = (signer().sign(MESSAGE) for _ in range(100))  # no two are alike
    signature = next(each for each in made if each[begin + OMEGA] >= 2 and each[-1] < OMEGA)
    counts = signature[begin + OMEGA :]
    last = counts[3]
    changes = (
        (begin, signature[begin + 1 : begin + 2] + signature[begin : begin + 1]),
        (begin + OMEGA, bytes([counts[1] + 1])),
        (begin + OMEGA + 3, bytes([OMEGA + 1])),
        (begin + OMEGA, b"\xff\xff\xff\xff"),
        (begin + last, b"\x01"),
    )
    for at, octets in changes:
        other = signature[:at] + octets + signature[at + len(octets) :]
        assert other != signature
        assert not agreed(core_h, signer().public, MESSAGE, other)


def test_z_is_small(core_h: ctypes.CDLL) -> None:
    """A z of all zeros stands for its largest value, which no signature has."""
    signature = signer().sign(MESSAGE)
    for octets in (bytes(Z), b"\xff" * Z):
        other = signature[:CHALLENGE] + octets + signature[CHALLENGE + Z :]
        assert not agreed(core_h, signer().public, MESSAGE, other)


def test_both_parts_of_a_hybrid_must_have_signed(core_h: ctypes.CDLL) -> None:
    signature, other = hybrid().sign(MESSAGE), hybrid().sign(b"x" * len(MESSAGE))
    assert agreed(core_h, hybrid().public, MESSAGE, signature)
    assert not agreed(core_h, hybrid().public, MESSAGE, signature[:64] + other[64:])
    assert not agreed(core_h, hybrid().public, MESSAGE, other[:64] + signature[64:])


@pytest.mark.parametrize("length", [0, 64, SIGNATURE - 1, SIGNATURE + 1, SIGNATURE + 63])
def test_a_signature_has_one_length(core_h: ctypes.CDLL, length: int) -> None:
    for made in (signer(), hybrid()):
        assert not agreed(core_h, made.public, MESSAGE, (made.sign(MESSAGE) * 2)[:length])


def test_ml_dsa_65_is_not_of_this_profile(core_h: ctypes.CDLL) -> None:
    core_h.fw_signed_by.restype = ctypes.c_bool
    other = MlDsa65Signer.from_seed(bytes(32))
    held = Key(list(Scheme).index(Scheme.ML_DSA_65), (ctypes.c_uint8 * KEY_MAX)(*other.public.octets[:KEY_MAX]))
    signature = other.sign(MESSAGE)
    assert not core_h.fw_signed_by(ctypes.byref(held), MESSAGE, signature, ctypes.c_size_t(len(signature)))
