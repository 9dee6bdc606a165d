"""Public keys in files: one line, the scheme and the key in base64 (`ed25519 11qYAYKx...cHURo=`)."""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error
from pathlib import Path

from uptane.errors import StorageFailure
from uptane.model.signed import PublicKey, Scheme

FILE_LENGTH_MAX = 8_192  # octets; a hybrid key takes 2,700


def as_text(public: PublicKey) -> str:
    """The line."""
    return f"{public.scheme.value} {b64encode(public.octets).decode()}"


def from_text(text: str) -> PublicKey:
    """The key of a line; without a scheme it is Ed25519. Raises ValueError if it is none."""
    scheme, _, octets = text.strip().rpartition(" ")
    try:
        key = PublicKey(Scheme(scheme or Scheme.ED25519.value), b64decode(octets, validate=True))
    except (ValueError, Error) as error:
        raise ValueError(f"{text[:40]!r} is no public key (scheme and base64)") from error
    if key.scheme is Scheme.ED25519 and len(key.octets) != 32:
        raise ValueError(f"an Ed25519 key has 32 octets, not {len(key.octets)}")
    return key


def read_public_key(path: Path) -> PublicKey:
    """The key in a file.

    Raises:
        StorageFailure: it cannot be read, or is none.
    """
    try:
        with path.open("rb") as file:
            return from_text(file.read(FILE_LENGTH_MAX).decode("ascii"))
    except OSError as error:
        raise StorageFailure(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise StorageFailure(f"{path}: {error}") from error
