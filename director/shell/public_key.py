"""Public keys in files: PEM, or the line of uptane/shell/key_text.py.

PEM (SubjectPublicKeyInfo) is for Ed25519 and P-256, which other tools know, too.
"""

from __future__ import annotations

from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from uptane.errors import StorageFailure
from uptane.model.signed import PublicKey, Scheme
from uptane.shell.key_text import as_text, from_text

FILE_LENGTH_MAX = 8_192  # octets; a hybrid key takes 2,700


def from_pem(pem: bytes) -> PublicKey:
    """The key of a PEM block. Raises ValueError if it is none."""
    try:
        key = load_pem_public_key(pem)
    except UnsupportedAlgorithm as error:
        raise ValueError("a key of a kind that is not known here") from error
    if isinstance(key, Ed25519PublicKey):
        return PublicKey(Scheme.ED25519, key.public_bytes(Encoding.Raw, PublicFormat.Raw))
    if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
        return PublicKey(Scheme.P256, key.public_bytes(Encoding.X962, PublicFormat.CompressedPoint))
    raise ValueError("neither an Ed25519 nor a P-256 key")


def as_file(public: PublicKey) -> bytes:
    """What to write to a file: PEM for an Ed25519 key, the line for any other."""
    if public.scheme is not Scheme.ED25519:
        return f"{as_text(public)}\n".encode()
    key = Ed25519PublicKey.from_public_bytes(public.octets)
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def read_public_key(path: Path) -> PublicKey:
    """The key in a file.

    Raises:
        StorageFailure: it cannot be read, or is none.
    """
    try:
        with path.open("rb") as file:
            octets = file.read(FILE_LENGTH_MAX)
        return from_pem(octets) if octets.startswith(b"-----BEGIN") else from_text(octets.decode("ascii"))
    except OSError as error:
        raise StorageFailure(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise StorageFailure(f"{path}: {error}") from error
