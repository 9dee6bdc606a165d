"""A client's half of TLS for gRPC: files, limits and credentials, without loading anything that makes certificates.

A Primary on a board needs no more than this; issuing, and knowing who calls, is tls.py's.
"""

from __future__ import annotations

import os
from pathlib import Path

import grpc

from uptane.errors import StorageFailure

MESSAGE_LENGTH_MAX = 1_048_576  # octets: every message of our services, by agreement (docs/wire.md, "gRPC services")
PEM_LENGTH_MAX = 65_536  # octets: ours are 1,000
LIMITS: tuple[tuple[str, int], ...] = (
    ("grpc.max_receive_message_length", MESSAGE_LENGTH_MAX),
    ("grpc.max_send_message_length", MESSAGE_LENGTH_MAX),
    ("grpc.max_metadata_size", 16_384),
)
"""Options for every channel and server."""


def client_credentials(authority: bytes, own: tuple[bytes, bytes] | None = None) -> grpc.ChannelCredentials:
    """Trust servers of `authority` (PEM) only, and show our own certificate with its key (PEM) if there is one."""
    if own is None:
        return grpc.ssl_channel_credentials(authority)
    certificate, key = own
    return grpc.ssl_channel_credentials(authority, key, certificate)


def read_private(path: Path) -> bytes:
    """Read a secret.

    Raises:
        StorageFailure: it is missing, or others than its owner may read or write it.
    """
    octets, mode = _read(path)
    if mode & 0o077:
        raise StorageFailure(f"{path} is open to others (mode {mode & 0o777:04o}): chmod 600 it")
    return octets


def read_public(path: Path) -> bytes:
    """Read a certificate.

    Raises:
        StorageFailure: it cannot be read.
    """
    return _read(path)[0]


def _read(path: Path) -> tuple[bytes, int]:
    try:
        with path.open("rb") as file:
            return file.read(PEM_LENGTH_MAX), os.fstat(file.fileno()).st_mode
    except PermissionError as error:
        user = os.geteuid()
        raise StorageFailure(f"{path}: may not be read by the user who runs this ({user}); chown it to them") from error
    except OSError as error:
        raise StorageFailure(f"{path} cannot be read: {error.strerror}") from error
