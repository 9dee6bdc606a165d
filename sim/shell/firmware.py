"""The C core for simulations: its library, and facts of ECUs as octets for its boards."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from firmware.tools.facts import BoardFacts, encode
from secondary.state import Facts
from sim.asked import BadInput
from sim.firmware_chip import Library
from sim.firmware_node import Maker
from uptane.crypto import Ed25519Signer


def maker_of(path: Path) -> Maker:
    """What makes ECUs whose core is the C core in this library.

    Raises:
        BadInput: it is none.
    """
    try:
        return Maker(Library(str(path.resolve(strict=True))), octets_of)
    except (OSError, AttributeError) as error:
        raise BadInput(f"{path} is no library of the C core: {error}; `make firmware` builds it") from error


def octets_of(facts: Facts, root: bytes) -> bytes:
    """The facts of a Secondary that starts from this Root."""
    assert isinstance(facts.signer, Ed25519Signer), "the keys of a simulation are Ed25519"
    private = facts.signer.private[0]
    assert isinstance(private, Ed25519PrivateKey)
    return board_octets(facts, private.private_bytes_raw(), root)


def board_octets(facts: Facts, seed: bytes, root: bytes) -> bytes:
    """The same facts as a board's memory holds them; `seed` is the ECU's private key."""
    return encode(
        BoardFacts(
            vehicle=facts.own.vehicle,
            ecu=facts.own.ecu,
            hardware=facts.own.hardware,
            accepts=facts.own.filename,
            address=facts.address,
            fd=facts.fd,
            slow_floor=facts.slow_floor,
            floor=facts.floor,
            secret=facts.secret,
            seed=seed,
            factory=facts.factory,
            root=root,
        )
    )
