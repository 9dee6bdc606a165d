"""An operator's bundle: what one needs to be let in at the publishing port."""

from __future__ import annotations

from pathlib import Path

from image_repo.shell.folder import make_private
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
