"""Enrolment of a Primary at its board: its two private keys are made here; what provisioning wrote is put in place.

First without a folder: it tells the public key, and where the request for the vehicle's certificate is. Both go to the
Director. Then with the folder that provisioning wrote.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from primary.shell.config import load
from uptane.shell import enrolment, tls
from uptane.shell.enrolment import EnrolmentRefused
from uptane.shell.key_text import as_text
from uptane.shell.owner import become_owner_of, become_owner_of_settings
from uptane.shell.settings import provisioned_folder

ECU_KEY: Final = "keys/ecu.pem"
TLS_KEY: Final = "tls/key.pem"
CERTIFICATE: Final = "tls/cert.pem"
PRIVATE: Final = {ECU_KEY: ("paths", "key"), TLS_KEY: ("tls", "key")}
REQUEST_FILE: Final = "tls/request.pem"


@dataclass(frozen=True, slots=True)
class Enrolled:
    """What there is now: the key's public half, where the request is, its key's SHA-256, and where all was put."""

    public_key: str
    made: bool
    request: Path
    tls_key: str
    folder: Path | None

    def facts(self) -> dict[str, Any]:
        """For JSON."""
        folder = None if self.folder is None else str(self.folder)
        request = {"request": str(self.request), "tls_key": self.tls_key}
        return {"public_key": self.public_key, "made": self.made, **request, "folder": folder}


def enrol(file: Path, source: Path | None) -> Enrolled:
    """Make keys if there are none; put the files of `source` in place if it is named.

    Raises:
        EnrolmentRefused: they are not for this board.
        SettingsError, StorageFailure, SignerFailure: as their names say.
    """
    become_owner_of_settings(file)
    folder = enrolment.home(provisioned_folder(file))
    files = None if source is None else enrolment.brought(source)  # by root: a stick's folder may be nobody else's
    become_owner_of(file)
    private = enrolment.board_paths(file, folder, PRIVATE)
    token = enrolment.board_token(file)
    if source is not None and files is not None:
        enrolment.judge(folder, source, files, private)
        enrolment.judge_token(source, files, ECU_KEY, token)
        enrolment.judge_key(source, files, ECU_KEY, enrolment.known_key(private[ECU_KEY], token))
        _judge_certificate(files, private[TLS_KEY])
        enrolment.put(folder, files, private)
        load(file)  # what was put there can be used, or the text says why not
    public, made = enrolment.own_key(private[ECU_KEY], token)
    request = _request(private[TLS_KEY], folder / REQUEST_FILE)
    tls_key = tls.fingerprint(tls.read_public(request))
    return Enrolled(as_text(public), made, request, tls_key, None if source is None else folder)


def _request(key: Path, request: Path) -> Path:
    """A request for a certificate of this board's TLS key, which is made if it is not there."""
    if not key.exists():
        enrolment.make_private(key.parent)
        tls.write_private(key, tls.new_key())
        request.unlink(missing_ok=True)
    if not request.exists():
        tls.write_public(request, tls.request_for(tls.read_private(key)))
    return request


def _judge_certificate(files: Mapping[str, bytes], key: Path) -> None:
    octets = files.get(TLS_KEY) or (tls.read_private(key) if key.exists() else None)
    if octets is None or CERTIFICATE not in files:
        raise EnrolmentRefused(
            f"the folder brings no {CERTIFICATE} for a key of this board; give {REQUEST_FILE} to `provision --request`"
        )
    try:
        certified = x509.load_pem_x509_certificate(files[CERTIFICATE]).public_key()
        own = load_pem_private_key(octets, None).public_key()
    except ValueError as error:
        raise EnrolmentRefused(f"{CERTIFICATE} or its key is damaged; provision once more") from error
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if certified.public_bytes(*form) != own.public_bytes(*form):
        raise EnrolmentRefused(
            f"{CERTIFICATE} is for another key than this board's; give this board's {REQUEST_FILE} to "
            "`provision --request`"
        )
