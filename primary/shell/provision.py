"""From files to a state to start from: what provisioning left, put in place once.

The mark is written last: as long as it is missing, provisioning is done again from its start. A trusted Root whose
record is lost is taken from the initial set again; the chain is then walked anew.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Final

from primary.needs import Blob, Place
from primary.shell.config import Config
from primary.shell.files import Blobs
from primary.state import metadata_name
from uptane.errors import MarqueError
from uptane.model.ids import Repository
from uptane.moments import UtcTime
from uptane.shell.files import Damaged, Store
from uptane.verify.trusted import ROOT_FILE

PROVISIONED: Final = "provisioned"
NONCE_SEED: Final = "nonce-seed"
NONCE_SEED_LENGTH: Final = 32
INITIAL_LENGTH_MAX: Final = 80 * 1024 * 1024  # octets of one file: above every limit of metadata
IMAGE_FILE: Final = "image.bin"
TIME_FILE: Final = "time"


class ProvisionError(MarqueError):
    """What provisioning left cannot be used; the text says what to do."""


def provision(config: Config, store: Store, blobs: Blobs) -> None:
    """Put the initial set in place, unless that was done before; and any Root that was lost since.

    Raises:
        ProvisionError: the initial set is not there, or not this ECU's.
        StorageFailure: the disk does not do as it is told; what it holds of an older start stands.
    """
    if PROVISIONED not in store.names():
        initial = initial_files(config)
        roots = {metadata_name(repository, ROOT_FILE) for repository in Repository}
        if not roots <= initial.keys():
            raise ProvisionError(
                f"{config.initial}: not the whole initial set; copy the folder that provisioning wrote"
            )
        _factory_image(config, blobs)
        for name, octets in initial.items():
            store.write(name, octets)
        store.write(NONCE_SEED, os.urandom(NONCE_SEED_LENGTH))
        store.write(PROVISIONED, b"1")
    for repository in Repository:
        _check_root(config, store, metadata_name(repository, ROOT_FILE))


def secret(store: Store) -> bytes:
    """The secret from which nonces are made; a lost one is made anew, and no nonce of it was ever seen."""
    try:
        octets = store.read(NONCE_SEED)
    except Damaged:
        octets = None
    if octets is None or len(octets) != NONCE_SEED_LENGTH:
        octets = os.urandom(NONCE_SEED_LENGTH)
        store.write(NONCE_SEED, octets)
    return octets


def floor(config: Config) -> UtcTime:
    """The time of provisioning, in UTC seconds. Raises ProvisionError when it is not there."""
    path = config.initial / TIME_FILE
    try:
        return UtcTime(int(path.read_text(encoding="ascii").strip()))
    except (OSError, ValueError) as error:
        raise ProvisionError(f"{path}: expected the time of provisioning in UTC seconds: {error}") from error


def initial_files(config: Config) -> dict[str, bytes]:
    """The initial metadata by record name. Raises ProvisionError when a file cannot be read."""
    files: dict[str, bytes] = {}
    for repository in Repository:
        folder = config.initial / repository.value
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                files[metadata_name(repository, path.relative_to(folder).as_posix())] = _read(path)
    return files


def _check_root(config: Config, store: Store, name: str) -> None:
    try:
        found = store.read(name)
    except Damaged:
        found = None
    if found is None:
        octets = initial_files(config).get(name)
        if octets is None:
            raise ProvisionError(f"{name}: lost, and not in {config.initial} either; provision this vehicle anew")
        store.write(name, octets)


def _factory_image(config: Config, blobs: Blobs) -> None:
    path = config.initial / IMAGE_FILE
    if not path.exists():
        return
    octets = _read(path)
    image = config.factory
    if (len(octets), hashlib.sha256(octets).digest()) != (image.length, image.sha256):
        raise ProvisionError(f"{path}: not the image that [image] describes; provision this ECU anew")
    blobs.install(Blob(Place.SLOT_0), octets)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            octets = file.read(INITIAL_LENGTH_MAX + 1)
    except OSError as error:
        raise ProvisionError(f"{path}: {error.strerror}") from error
    if len(octets) > INITIAL_LENGTH_MAX:
        raise ProvisionError(f"{path}: longer than {INITIAL_LENGTH_MAX} octets")
    return octets
