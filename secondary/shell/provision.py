"""From files to a state to boot from: what provisioning left, put in place once; then what is durable, as found.

The installation's record is written last: as long as it is missing, provisioning is done again from its start.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Final

from secondary.needs import Found
from secondary.shell.config import Config
from secondary.shell.slots import Slots
from secondary.state import INSTALLATION
from uptane.errors import MarqueError
from uptane.model.ids import Repository
from uptane.moments import UtcTime
from uptane.shell.files import Damaged, Store
from uptane.verify import record
from uptane.verify.installation import factory
from uptane.verify.trusted import ROOT_FILE

NONCE_SEED: Final = "nonce-seed"
NONCE_SEED_LENGTH: Final = 32
INITIAL_LENGTH_MAX: Final = 80 * 1024 * 1024  # octets of one file: above every limit of metadata
IMAGE_FILE: Final = "image.bin"
TIME_FILE: Final = "time"


class ProvisionError(MarqueError):
    """What provisioning left cannot be used; the text says what to do."""


def provision(config: Config, store: Store, slots: Slots) -> None:
    """Put the initial set in place, unless that was done before.

    Raises:
        ProvisionError: the initial set is not there, or not this ECU's.
        StorageFailure: the disk does not do as it is told; what it holds of an older start stands.
    """
    if INSTALLATION in store.names():
        return
    initial = initial_files(config)
    if f"{Repository.DIRECTOR.value}/{ROOT_FILE}" not in initial:
        raise ProvisionError(f"{config.initial}: no initial metadata; copy the folder that provisioning wrote")
    _factory_image(config, slots)
    for name, octets in initial.items():
        store.write(name, octets)
    store.write(NONCE_SEED, os.urandom(NONCE_SEED_LENGTH))
    store.write(INSTALLATION, record.dump(factory(config.factory)))


def found(config: Config, store: Store, slots: Slots) -> Found:
    """What is durable now. A damaged record of metadata is replaced by the initial one, any other by none.

    Raises:
        Damaged: the installation's record is lost: nobody can know what the slots hold.
    """
    records: dict[str, bytes] = {}
    for name in store.names():
        try:
            octets = store.read(name)
        except Damaged:
            if name == INSTALLATION:
                raise
            octets = initial_files(config).get(name)
        if octets is not None and name != NONCE_SEED:
            records[name] = octets
    damaged = tuple(name for name in store.damaged if name != NONCE_SEED)
    store.damaged.clear()
    return Found(records, (slots.progress(0), slots.progress(1)), damaged)


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
            if path.is_file() and path.suffix != ".new":  # a copy that was broken off
                files[f"{repository.value}/{path.relative_to(folder).as_posix()}"] = _read(path)
    return files


def _factory_image(config: Config, slots: Slots) -> None:
    path = config.initial / IMAGE_FILE
    if not path.exists():
        return
    octets = _read(path)
    image = config.factory
    if (len(octets), hashlib.sha256(octets).digest()) != (image.length, image.sha256):
        raise ProvisionError(f"{path}: not the image that [image] describes; provision this ECU anew")
    slots.install(0, octets)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            octets = file.read(INITIAL_LENGTH_MAX + 1)
    except OSError as error:
        raise ProvisionError(f"{path}: {error.strerror}") from error
    if len(octets) > INITIAL_LENGTH_MAX:
        raise ProvisionError(f"{path}: longer than {INITIAL_LENGTH_MAX} octets")
    return octets
