"""What an ECU is, as octets for a board's memory (twin of firmware/port/facts.c, which reads them).

    "MQF1"                      magic
    1       octet               version of this format
    length                      4 octets: of all of it, from the magic to the CRC
    vehicle, ecu, hardware      each: length (1 octet, 1 to 64), text
    accepts                     length (1 octet, 1 to 128), text: pattern of the file names it takes
    address                     1 octet, 1 to 239
    fd                          1 octet: 0, or 1 for CAN FD
    slow floor                  4 octets: octets a second below which a delivery is slow retrieval; 0 for never
    floor                       8 octets: UTC seconds of provisioning
    secret                      32 octets, for nonces
    seed, public key            32 octets each: this ECU's Ed25519 key
    key id                      8 octets, under which the Director knows that key
    factory image               length of the file name (1 octet, 1 to 128), file name, length of the image (4 octets),
                                release counter (4 octets), SHA-256 (32 octets)
    root                        length (4 octets), envelope of the Director Root to start from
    CRC                         4 octets: CRC-32 (IEEE 802.3, as zlib's) of everything before

Numbers are big-endian. Nothing may follow. Whoever can read the seed is this ECU: the file is as secret as a key.
"""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from secondary.shell.config import Config, Verification
from secondary.shell.provision import ProvisionError, floor, initial_files
from uptane.crypto import Ed25519Signer
from uptane.model.ids import FILENAME_LENGTH_MAX, Repository, is_name
from uptane.model.reports import InstalledImage
from uptane.shell import keys
from uptane.verify.trusted import ROOT_FILE

MAGIC: Final = b"MQF1"
VERSION: Final = 1
CRC_LENGTH: Final = 4
SECRET_LENGTH: Final = 32


@dataclass(frozen=True, slots=True)
class BoardFacts:
    """The facts of an ECU that verifies partially, whose key is Ed25519. `seed` is its private key."""

    vehicle: str
    ecu: str
    hardware: str
    accepts: str
    address: int
    fd: bool
    slow_floor: int
    floor: int
    secret: bytes
    seed: bytes
    factory: InstalledImage
    root: bytes


def facts_of(config: Config) -> BoardFacts:
    """The facts of the ECU that `config` describes, as its directory was provisioned; the secret is drawn anew.

    Raises:
        ProvisionError: this ECU cannot be a board: it verifies fully, its key is not Ed25519, or the Root is missing.
        StorageFailure: its key cannot be read.
    """
    if config.verification is not Verification.PARTIAL:
        raise ProvisionError(f'{config.ecu}: the firmware verifies partially; enrol it with verification = "partial"')
    private = keys.load(config.key, None).private[0]
    if not isinstance(private, Ed25519PrivateKey):
        raise ProvisionError(f"{config.key}: the firmware signs with Ed25519; enrol this ECU with such a key")
    if not is_name(config.filename.replace("*", "x").replace("?", "x"), FILENAME_LENGTH_MAX):
        raise ProvisionError(
            f"filename {config.filename!r}: expected at most {FILENAME_LENGTH_MAX} characters of a name"
        )
    root = initial_files(config).get(f"{Repository.DIRECTOR.value}/{ROOT_FILE}")
    if root is None:
        raise ProvisionError(f"{config.initial}: no Root of the Director; copy the folder that provisioning wrote")
    return BoardFacts(
        vehicle=config.vehicle,
        ecu=config.ecu,
        hardware=config.hardware,
        accepts=config.filename,
        address=config.address,
        fd=config.can.fd,
        slow_floor=config.slow_floor,
        floor=floor(config),
        secret=os.urandom(SECRET_LENGTH),
        seed=private.private_bytes_raw(),
        factory=config.factory,
        root=root,
    )


def encode(facts: BoardFacts) -> bytes:
    """The octets for the board's memory."""
    signer = Ed25519Signer.from_seed(facts.seed)
    image = facts.factory
    fields = (
        *map(_text, (facts.vehicle, facts.ecu, facts.hardware, facts.accepts)),
        bytes((facts.address, facts.fd)),
        facts.slow_floor.to_bytes(4),
        facts.floor.to_bytes(8),
        facts.secret,
        facts.seed,
        signer.public.octets,
        signer.key_id,
        _text(image.filename),
        image.length.to_bytes(4),
        image.release_counter.to_bytes(4),
        image.sha256,
        len(facts.root).to_bytes(4),
        facts.root,
    )
    body = b"".join(fields)
    head = MAGIC + bytes((VERSION,))
    octets = head + (len(head) + 4 + len(body) + CRC_LENGTH).to_bytes(4) + body
    return octets + zlib.crc32(octets).to_bytes(CRC_LENGTH)


def write(path: Path, octets: bytes) -> None:
    """Write them where only their owner may read them."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, keys.MODE)
    with open(descriptor, "wb", closefd=True) as stream:  # noqa: PTH123  (opened with its mode above)
        os.fchmod(stream.fileno(), keys.MODE)
        stream.write(octets)


def _text(text: str) -> bytes:
    octets = text.encode("ascii")
    return bytes((len(octets),)) + octets
