"""The worked examples of docs/wire.md: two envelopes put together octet by octet, by the document's rules alone.

Nothing here knows the codec, so that a test can hold the two against each other. Keys are made of published seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256, sha512
from typing import Final, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

TIME_SEED: Final = bytes([1]) * 32
TARGETS_SEED: Final = bytes([2]) * 32
COORDINATOR_SEED: Final = bytes([3]) * 32

NOW: Final = 1_800_000_000  # 2027-01-15T08:00:00Z
EXPIRES: Final = NOW + 86_400
NONCE: Final = bytes(range(0x10, 0x20))
VEHICLE: Final = b"WVWZZZ1JZXW000001"
ECU: Final = b"brake"
HARDWARE: Final = b"brake-b2"
FILENAME: Final = b"oem/brake-2.bin"
IMAGE: Final = b"firmware"  # its octets
VERSION: Final = 7
RELEASE_COUNTER: Final = 2

_DOMAIN: Final = b"MARQUE-1\0"
_SHORT_MAX: Final = 127
_SHOWN_MAX: Final = 16  # octets in one line


class Piece(NamedTuple):
    """Some octets, and what they are."""

    octets: bytes
    meaning: str


class Example(NamedTuple):
    """An envelope, piece by piece, and the public key that verifies it."""

    title: str
    pieces: tuple[Piece, ...]
    public: bytes

    @property
    def octets(self) -> bytes:
        """The whole of it."""
        return _joined(self.pieces)


def attestation() -> Example:
    """A time attestation."""
    payload = [
        Piece(b"\x86", "Payload: CHOICE 6, timeAttestation"),
        Piece(b"\x00", "preamble: no extension"),
        Piece(b"\x01", "level 1"),
        Piece(NOW.to_bytes(8), f"time {NOW}"),
        Piece(NONCE, "nonce of the ECU that asked"),
    ]
    return _signed("TimeAttestation", payload, TIME_SEED)


def targets() -> Example:
    """A Director's Targets for one ECU, with a coordinator."""
    coordinator = Ed25519PrivateKey.from_private_bytes(COORDINATOR_SEED).public_key().public_bytes_raw()
    entry = _entry()
    listed = [Piece(_length(_joined(entry)), f"entry: {len(_joined(entry))} octets"), *entry]
    payload = [
        Piece(b"\x83", "Payload: CHOICE 3, targets"),
        Piece(b"\x40", "preamble: no extension; coordinator present; no delegations"),
        Piece(b"\x01", "header.level 1"),
        Piece(b"\x82" + _length(VEHICLE), f"header.speaker: CHOICE 2, vehicle; {len(VEHICLE)} octets"),
        Piece(VEHICLE, f'"{VEHICLE.decode()}"'),
        Piece(VERSION.to_bytes(4), f"header.version {VERSION}"),
        Piece(EXPIRES.to_bytes(8), f"header.expires {EXPIRES}"),
        Piece(NOW.to_bytes(8), f"header.issued {NOW}"),
        Piece(b"\x80", "coordinator: CHOICE 0, ed25519 (fixed size, no length)"),
        Piece(coordinator, "the Primary's key"),
        Piece(b"\x00", "refreshImageRoot FALSE"),
        Piece(_length(_joined(listed)), f"entries: {len(_joined(listed))} octets; bundle = SHA-256 of what follows"),
        *listed,
    ]
    return _signed("Director Targets, one ECU", payload, TARGETS_SEED)


def _entry() -> list[Piece]:
    """The one Assignment."""
    image = [
        Piece(b"\x00", "preamble: no extension, no sha512, no alternatives"),
        Piece(_length(FILENAME), f"filename: {len(FILENAME)} octets"),
        Piece(FILENAME, f'"{FILENAME.decode()}"'),
        Piece(len(IMAGE).to_bytes(4), f"length {len(IMAGE)}"),
        Piece(sha256(IMAGE).digest(), f'sha256 of "{IMAGE.decode()}"'),
        Piece(_length(HARDWARE) + HARDWARE, f'hardware "{HARDWARE.decode()}"'),
        Piece(RELEASE_COUNTER.to_bytes(4), f"releaseCounter {RELEASE_COUNTER}"),
    ]
    octets = _joined(image)
    return [
        Piece(b"\x00", "preamble: no extension, no url, encrypted, delta"),
        Piece(_length(ECU) + ECU, f'ecu "{ECU.decode()}"'),
        Piece(_length(octets), f"image: {len(octets)} octets, as they stand in the Image repository's Targets"),
        *image,
    ]


def _signed(title: str, payload: Sequence[Piece], seed: bytes) -> Example:
    """An envelope with one Ed25519 signature."""
    octets = _joined(payload)
    key = Ed25519PrivateKey.from_private_bytes(seed)
    public = key.public_key().public_bytes_raw()
    signature = key.sign(_DOMAIN + sha512(octets).digest())
    head = [
        Piece(b"\x01\x01", "signatures: the count is one octet; 1"),
        Piece(sha256(b"\x00" + public).digest()[:8], "keyId"),
        Piece(_length(signature), f"octets: {len(signature)}"),
        Piece(signature, "Ed25519 signature over the 73 octets of the message"),
        Piece(_length(octets), f"payload: {len(octets)} octets"),
    ]
    return Example(title, (*head, *payload), public)


def _length(octets: bytes) -> bytes:
    """The length determinant of `octets`, in its shortest form."""
    size = len(octets)
    if size <= _SHORT_MAX:
        return bytes([size])
    width = (size.bit_length() + 7) // 8
    return bytes([0x80 + width]) + size.to_bytes(width)


def _joined(pieces: Sequence[Piece]) -> bytes:
    return b"".join(piece.octets for piece in pieces)


def shown(example: Example) -> str:
    """The example for the document: offset, octets, meaning; sixteen octets a line."""
    width = 3 * _SHOWN_MAX - 1
    lines = [f"{example.title}, {len(example.octets)} octets. Public key {example.public.hex()}", "", "```"]
    offset = 0
    for octets, meaning in example.pieces:
        for start in range(0, len(octets), _SHOWN_MAX):
            row = octets[start : start + _SHOWN_MAX]
            text = meaning if start == 0 else ""
            lines.append(f"{offset + start:04x}  {row.hex(' '):{width}}  {text}".rstrip())
        offset += len(octets)
    return "\n".join([*lines, "```"])
