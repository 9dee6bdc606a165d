"""What the Primary's workflows work with and never change: the vehicle's layout, the verifier, the ECU's key."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from primary.layout import Layout
from uptane.model.reports import InstalledImage
from uptane.moments import UtcTime
from uptane.ports import Codec, Hasher, Payload, Signer
from uptane.verify.signing import sign
from uptane.verify.threshold import Verifier
from uptane.verify.trusted import Ecu


@dataclass(frozen=True, slots=True)
class Means:
    """`own` are the facts by which the Primary judges its own image, `factory` what left the factory in its slot 0.

    `floor` is the time of provisioning, before which it is not. `secret` is 32 octets nobody else knows, for nonces.
    `jitter(n)` draws a number from 0 to n. `bootloader`: what runs is not our record's to say, but an installer's.
    """

    layout: Layout
    own: Ecu
    verifier: Verifier
    signer: Signer
    secret: bytes
    floor: UtcTime
    factory: InstalledImage
    jitter: Callable[[int], int]
    bootloader: bool = False

    @property
    def codec(self) -> Codec:
        """The encoding of everything signed."""
        return self.verifier.codec

    @property
    def hasher(self) -> Hasher:
        """Hashes."""
        return self.verifier.hasher

    def sign(self, value: Payload) -> bytes:
        """The envelope of `value` with this ECU's signature."""
        return sign(self.codec, value, [self.signer])
