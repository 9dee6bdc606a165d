"""Certificates given out after the founding: an operator's bundle, and a new one for the server."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from image_repo.shell.folder import Folder, make_private
from uptane.errors import StorageFailure
from uptane.shell import tls


def give_bundle(authority: tls.Authority, target: Path, name: str, *, root: bytes) -> str:
    """Write what an operator called `name` needs to publish; return the serial number of the certificate.

    The key is for this operator alone (mode 0600) and not encrypted: it opens the door, it signs nothing.

    Raises:
        StorageFailure: it cannot be written.
    """
    make_private(target)
    credential = authority.client(f"marque:operator:{name}")
    tls.save_credential(credential, target / "operator.pem", target / "operator.key")
    tls.write_public(target / "ca.pem", authority.certificate)
    tls.write_public(target / "root", root)
    return credential.serial


def renew_certificate(folder: Folder, authority: tls.Authority, names: Sequence[str], *, passphrase: bytes) -> str:
    """Put a new certificate and key in the place of the server's; return its serial number.

    Raises:
        StorageFailure: they cannot be written. Should it end between the two, the server says that they do not match.
    """
    credential = authority.server(names)
    fresh = folder.tls / "fresh.pem", folder.tls / "fresh.key"
    try:
        for path in fresh:
            path.unlink(missing_ok=True)
        tls.save_credential(credential, *fresh, passphrase)
        for path in fresh:
            path.replace(path.with_stem("server"))
    except OSError as error:
        raise StorageFailure(f"{folder.tls}: {error.strerror}") from error
    return credential.serial
