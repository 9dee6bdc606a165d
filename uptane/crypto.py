"""Signatures and hashes by the `cryptography` library, behind ports.SignatureCheck, ports.Signer and ports.Hasher.

The algorithm comes from the key, never from the message. Every key has one encoding, and keys that would verify what
nobody signed (small order) are refused. A hybrid key is an Ed25519 and an ML-DSA key in one: its signature is both
signatures, and both must verify. docs/wire.md, "Keys", has the encodings.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import lru_cache
from typing import ClassVar, Protocol, TypeAlias, assert_never

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    derive_private_key,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import (
    MLDSA44PrivateKey,
    MLDSA44PublicKey,
    MLDSA65PrivateKey,
    MLDSA65PublicKey,
)
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from uptane.model.ids import KeyId
from uptane.model.signed import PublicKey, Scheme
from uptane.ports import Digest

Private: TypeAlias = Ed25519PrivateKey | EllipticCurvePrivateKey | MLDSA44PrivateKey | MLDSA65PrivateKey
PublicCheck: TypeAlias = Callable[[bytes, bytes], bool]

KEYS_PARSED_MAX = 256  # a vehicle knows about 100 ECU keys and 20 role keys; a parsed key takes under 10 kB
KEY_ID_LENGTH = 8
ED25519_LENGTH = 32  # octets of a public key
ED25519_SIGNATURE_LENGTH = 64
P256_LENGTH = 33  # compressed
P256_SIGNATURE_LENGTH = 64
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551

_SIGN_BIT = 1 << 255
_FIELD = (1 << 255) - 19
_ORDER_8_Y = int.from_bytes(bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little")
# The y of the eight points of small order: 1, -1, 0 and the two of order eight. With such a key anybody can sign.
_SMALL_ORDER_Y = frozenset({0, 1, _FIELD - 1, _ORDER_8_Y, _FIELD - _ORDER_8_Y})

_NUMBER = {scheme: number for number, scheme in enumerate(Scheme)}  # as on the wire
_MLDSA_PUBLIC: dict[Scheme, type[MLDSA44PublicKey | MLDSA65PublicKey]] = {
    Scheme.ML_DSA_44: MLDSA44PublicKey,
    Scheme.ML_DSA_65: MLDSA65PublicKey,
}
_HYBRID = {Scheme.ED25519_ML_DSA_44: Scheme.ML_DSA_44, Scheme.ED25519_ML_DSA_65: Scheme.ML_DSA_65}


def key_id_of(public: PublicKey) -> KeyId:
    """The id under which we list a key: 8 octets, a hint and no proof; another tool may choose others."""
    return KeyId(hashlib.sha256(bytes((_NUMBER[public.scheme],)) + public.octets).digest()[:KEY_ID_LENGTH])


def valid(key: PublicKey, message: bytes, signature: bytes) -> bool:
    """Whether `signature` over `message` was made by `key`: False for anything wrong, never an exception."""
    check = _check_of(key)
    return check is not None and check(message, signature)


@lru_cache(maxsize=KEYS_PARSED_MAX)
def _check_of(key: PublicKey) -> PublicCheck | None:
    """What checks signatures of one key, parsed once; None for a key that is none."""
    try:
        match key.scheme:
            case Scheme.ED25519:
                return _ed25519(key.octets)
            case Scheme.P256:
                return _p256(key.octets)
            case Scheme.ML_DSA_44 | Scheme.ML_DSA_65:
                return _mldsa(key.scheme, key.octets)
            case Scheme.ED25519_ML_DSA_44 | Scheme.ED25519_ML_DSA_65:
                return _hybrid(_HYBRID[key.scheme], key.octets)
            case _:
                assert_never(key.scheme)
    except (ValueError, UnsupportedAlgorithm):
        return None


def _ed25519(octets: bytes) -> PublicCheck | None:
    y = int.from_bytes(octets, "little") & ~_SIGN_BIT
    if len(octets) != ED25519_LENGTH or y >= _FIELD or y in _SMALL_ORDER_Y:
        return None
    verify = Ed25519PublicKey.from_public_bytes(octets).verify

    def check(message: bytes, signature: bytes) -> bool:
        try:
            verify(signature, message)
        except InvalidSignature:
            return False
        return len(signature) == ED25519_SIGNATURE_LENGTH

    return check


def _p256(octets: bytes) -> PublicCheck | None:
    if len(octets) != P256_LENGTH:
        return None
    verify = EllipticCurvePublicKey.from_encoded_point(SECP256R1(), octets).verify
    algorithm = ECDSA(SHA256())

    def check(message: bytes, signature: bytes) -> bool:
        r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
        # s and -s verify alike: only the lower one is taken, so that nobody can make a second signature of a first.
        if len(signature) != P256_SIGNATURE_LENGTH or not 0 < r < P256_ORDER or not 0 < s <= P256_ORDER // 2:
            return False
        try:
            verify(encode_dss_signature(r, s), message, algorithm)
        except InvalidSignature:
            return False
        return True

    return check


def _mldsa(scheme: Scheme, octets: bytes) -> PublicCheck:
    verify = _MLDSA_PUBLIC[scheme].from_public_bytes(octets).verify

    def check(message: bytes, signature: bytes) -> bool:
        try:
            verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True

    return check


def _hybrid(scheme: Scheme, octets: bytes) -> PublicCheck | None:
    classical = _ed25519(octets[:ED25519_LENGTH])
    if classical is None:
        return None
    quantum_safe = _mldsa(scheme, octets[ED25519_LENGTH:])

    def check(message: bytes, signature: bytes) -> bool:
        first, second = signature[:ED25519_SIGNATURE_LENGTH], signature[ED25519_SIGNATURE_LENGTH:]
        return classical(message, first) and quantum_safe(message, second)

    return check


class LocalSigner(Protocol):
    """A ports.Signer whose private half is in this process, and can be written to a key file (shell/keys.py)."""

    @property
    def public(self) -> PublicKey:
        """The public half."""
        ...

    @property
    def key_id(self) -> KeyId:
        """The id under which metadata list this key."""
        ...

    @property
    def private(self) -> tuple[Private, ...]:
        """The private half: one key, or the two of a hybrid."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Sign `message`."""
        ...


class _Signer:
    """What all signers share: the public half is made once."""

    def __init__(self, public: PublicKey, *private: Private) -> None:
        self._public = public
        self._private = private
        self._key_id = key_id_of(public)

    @property
    def public(self) -> PublicKey:
        """The public half."""
        return self._public

    @property
    def key_id(self) -> KeyId:
        """The id under which metadata list this key."""
        return self._key_id

    @property
    def private(self) -> tuple[Private, ...]:
        """The private half: one key, or the two of a hybrid."""
        return self._private


class Ed25519Signer(_Signer):
    """Signs with Ed25519 (RFC 8032): 64 octets, the same ones for the same message."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        super().__init__(PublicKey(Scheme.ED25519, private.public_key().public_bytes_raw()), private)
        self._sign = private.sign

    @classmethod
    def generate(cls) -> Ed25519Signer:
        """A new key."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def from_seed(cls, seed: bytes) -> Ed25519Signer:
        """The key of a 32-octet seed."""
        return cls(Ed25519PrivateKey.from_private_bytes(seed))

    def sign(self, message: bytes) -> bytes:
        """Sign `message`."""
        return self._sign(message)


class P256Signer(_Signer):
    """Signs with ECDSA on P-256 over SHA-256, deterministically (RFC 6979): r and s, 32 octets each, s the lower."""

    def __init__(self, private: EllipticCurvePrivateKey) -> None:
        if private.curve.name != SECP256R1.name:
            raise ValueError(f"a key on {private.curve.name}, not on P-256")
        point = private.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
        super().__init__(PublicKey(Scheme.P256, point), private)
        self._sign = private.sign

    @classmethod
    def generate(cls) -> P256Signer:
        """A new key."""
        return cls(generate_private_key(SECP256R1()))

    @classmethod
    def from_seed(cls, seed: bytes) -> P256Signer:
        """The key whose scalar is the seed's number, reduced to the group's order."""
        return cls(derive_private_key(int.from_bytes(seed) % (P256_ORDER - 1) + 1, SECP256R1()))

    def sign(self, message: bytes) -> bytes:
        """Sign `message`."""
        r, s = decode_dss_signature(self._sign(message, ECDSA(SHA256(), deterministic_signing=True)))
        return r.to_bytes(32) + min(s, P256_ORDER - s).to_bytes(32)


class _MlDsaSigner(_Signer):
    """Signs with ML-DSA (FIPS 204), pure, without a context. Signing rolls dice: no two signatures are alike."""

    scheme: ClassVar[Scheme]

    def __init__(self, private: MLDSA44PrivateKey | MLDSA65PrivateKey) -> None:
        super().__init__(PublicKey(self.scheme, private.public_key().public_bytes_raw()), private)
        self._sign = private.sign

    def sign(self, message: bytes) -> bytes:
        """Sign `message`."""
        return self._sign(message)


class MlDsa44Signer(_MlDsaSigner):
    """ML-DSA-44: signatures of 2,420 octets."""

    scheme = Scheme.ML_DSA_44

    @classmethod
    def generate(cls) -> MlDsa44Signer:
        """A new key."""
        return cls(MLDSA44PrivateKey.generate())

    @classmethod
    def from_seed(cls, seed: bytes) -> MlDsa44Signer:
        """The key of a 32-octet seed."""
        return cls(MLDSA44PrivateKey.from_seed_bytes(seed))


class MlDsa65Signer(_MlDsaSigner):
    """ML-DSA-65: signatures of 3,309 octets."""

    scheme = Scheme.ML_DSA_65

    @classmethod
    def generate(cls) -> MlDsa65Signer:
        """A new key."""
        return cls(MLDSA65PrivateKey.generate())

    @classmethod
    def from_seed(cls, seed: bytes) -> MlDsa65Signer:
        """The key of a 32-octet seed."""
        return cls(MLDSA65PrivateKey.from_seed_bytes(seed))


class HybridSigner(_Signer):
    """One key of two: Ed25519 and ML-DSA-44 or -65. Its signature is both, one behind the other."""

    def __init__(self, classical: Ed25519Signer, quantum_safe: MlDsa44Signer | MlDsa65Signer) -> None:
        scheme = next(hybrid for hybrid, part in _HYBRID.items() if part is quantum_safe.scheme)
        public = PublicKey(scheme, classical.public.octets + quantum_safe.public.octets)
        super().__init__(public, *classical.private, *quantum_safe.private)
        self._parts = (classical, quantum_safe)

    def sign(self, message: bytes) -> bytes:
        """Sign `message` with both."""
        classical, quantum_safe = self._parts
        return classical.sign(message) + quantum_safe.sign(message)


def generate(scheme: Scheme) -> LocalSigner:
    """A new key of a scheme."""
    match scheme:
        case Scheme.ED25519:
            return Ed25519Signer.generate()
        case Scheme.P256:
            return P256Signer.generate()
        case Scheme.ML_DSA_44:
            return MlDsa44Signer.generate()
        case Scheme.ML_DSA_65:
            return MlDsa65Signer.generate()
        case Scheme.ED25519_ML_DSA_44:
            return HybridSigner(Ed25519Signer.generate(), MlDsa44Signer.generate())
        case Scheme.ED25519_ML_DSA_65:
            return HybridSigner(Ed25519Signer.generate(), MlDsa65Signer.generate())
        case _:
            assert_never(scheme)


def signer_of(private: tuple[object, ...]) -> LocalSigner:
    """The signer of a private half as `LocalSigner.private` gave it; raise ValueError for anything else."""
    match private:
        case (Ed25519PrivateKey() as key,):
            return Ed25519Signer(key)
        case (EllipticCurvePrivateKey() as key,):
            return P256Signer(key)
        case (MLDSA44PrivateKey() as key,):
            return MlDsa44Signer(key)
        case (MLDSA65PrivateKey() as key,):
            return MlDsa65Signer(key)
        case (Ed25519PrivateKey() as key, MLDSA44PrivateKey() as other):
            return HybridSigner(Ed25519Signer(key), MlDsa44Signer(other))
        case (Ed25519PrivateKey() as key, MLDSA65PrivateKey() as other):
            return HybridSigner(Ed25519Signer(key), MlDsa65Signer(other))
        case _:
            raise ValueError(f"no key of ours: {', '.join(type(key).__name__ for key in private)}")


class Sha2:
    """SHA-256 and SHA-512."""

    def sha256(self, octets: bytes) -> bytes:
        """SHA-256 over `octets`."""
        return hashlib.sha256(octets).digest()

    def sha512(self, octets: bytes) -> bytes:
        """SHA-512 over `octets`."""
        return hashlib.sha512(octets).digest()

    def running256(self) -> Digest:
        """A new running SHA-256."""
        return hashlib.sha256()

    def running512(self) -> Digest:
        """A new running SHA-512."""
        return hashlib.sha512()
