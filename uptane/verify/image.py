"""verify_image (Uptane 2.1.0, sections 5.4.4.2/10 and 5.4.3.4): two repositories' word, then an ECU's own conditions.

Finding who speaks for an image is delegations.py's; reading and hashing a slot is the shell's.
"""

from __future__ import annotations

from dataclasses import dataclass

from uptane.errors import Check, Rejected
from uptane.model.ids import Bundle, EcuId
from uptane.model.metadata import Assignment, DirectorTargets, Image
from uptane.model.reports import InstalledImage
from uptane.model.signed import PublicKey
from uptane.ports import Hasher
from uptane.verify.patterns import is_accepted
from uptane.verify.trusted import Ecu


@dataclass(frozen=True, slots=True)
class Content:
    """What a slot or a download holds, as just measured: its length in octets and its hashes (`sha512` if computed)."""

    length: int
    sha256: bytes
    sha512: bytes | None = None


@dataclass(frozen=True, slots=True)
class Assigned:
    """What verified Director Targets say to this ECU. `image` is None when they have no entry for it.

    `coordinator` is the key whose orders move the bundle; None when each ECU confirms itself (a workshop's Targets).
    """

    bundle: Bundle
    targets_version: int
    coordinator: PublicKey | None
    image: Image | None


def assigned_to(hasher: Hasher, targets: DirectorTargets, ecu: EcuId) -> Assigned:
    """What `targets` say to `ecu`; Malformed when its entry is not in canonical form."""
    entry = targets.entries.find(ecu)
    image = None if entry is None else entry.image
    return Assigned(bundle_of(hasher, targets), targets.header.version, targets.coordinator, image)


def bundle_of(hasher: Hasher, targets: DirectorTargets) -> Bundle:
    """The bundle that `targets` assigns: SHA-256 over the encoded entries, so that a re-issue keeps its name."""
    return Bundle(hasher.sha256(targets.entries.octets))


def entry_digest_of(hasher: Hasher, targets: DirectorTargets, ecu: EcuId) -> bytes | None:
    """SHA-256 over the encoded entry of `ecu`, None if it has none: what a download is bound to (status FD00)."""
    octets = targets.entries.find_octets(ecu)
    return None if octets is None else hasher.sha256(octets)


def installed_image(image: Image) -> InstalledImage:
    """`image` as an ECU reports it once it runs."""
    return InstalledImage(image.filename, image.length, image.sha256, image.release_counter)


def check_match(assigned: Image, image: Image) -> None:
    """Refuse an assignment that is not, octet for octet, what the Image repository says of it: IMAGE_MISMATCH."""
    if assigned.octets != image.octets:
        raise Rejected(Check.IMAGE_MISMATCH, assigned.filename)


def check_previous(new: Assignment, previous: Assignment | None) -> None:
    """Refuse a lower release counter than the previous Targets had for this ECU (check_full/10.2.3): IMAGE_COUNTER."""
    if previous is not None and new.image.release_counter < previous.image.release_counter:
        counters = f"{new.image.release_counter}, {previous.image.release_counter} before"
        raise Rejected(Check.IMAGE_COUNTER, f"{new.ecu}: {counters}")


def check_released(image: Image, released_counter: int) -> None:
    """Refuse a lower release counter than the ECU's released one (verify_image/5): INSTALL_COUNTER."""
    if image.release_counter < released_counter:
        raise Rejected(Check.INSTALL_COUNTER, f"{image.release_counter}, {released_counter} is released")


def check_own(assignment: Assignment, own: Ecu) -> None:
    """Refuse what this very ECU cannot or may not take, before an octet of it is asked for (verify_image/3 to 7).

    Raises:
        Rejected: INSTALL_HARDWARE, INSTALL_FILENAME, INSTALL_ENCRYPTED, INSTALL_HASH_UNKNOWN, INSTALL_SPACE.
    """
    image, encrypted = assignment.image, assignment.encrypted
    if own.hardware not in image.hardware:
        raise Rejected(Check.INSTALL_HARDWARE, f"for {', '.join(image.hardware)}; this is {own.hardware}")
    if not is_accepted(own.filename, image.filename):
        raise Rejected(Check.INSTALL_FILENAME, f"{image.filename}, {own.filename} is taken")
    if encrypted is not None and encrypted.method not in own.ciphers:
        raise Rejected(Check.INSTALL_ENCRYPTED)
    if image.sha512 is not None and not own.sha512:
        raise Rejected(Check.INSTALL_HASH_UNKNOWN, "SHA-512")
    if image.length > own.slot_size:
        raise Rejected(Check.INSTALL_SPACE, f"{image.length} octets, the slot has {own.slot_size}")


def check_content(image: Image, content: Content) -> None:
    """Refuse octets that are not the ones of `image`: INSTALL_LENGTH, INSTALL_HASH. Every listed hash has to match."""
    if content.length != image.length:
        raise Rejected(Check.INSTALL_LENGTH, f"{content.length} octets, {image.length} were signed")
    if content.sha256 != image.sha256:
        raise Rejected(Check.INSTALL_HASH, "SHA-256")
    if image.sha512 is not None and content.sha512 != image.sha512:
        raise Rejected(Check.INSTALL_HASH, "SHA-512")
