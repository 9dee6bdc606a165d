"""What operators do with their keys: read what stands, make the next file, sign it here, submit it.

A file that lacks signatures, because its role has more keys than are at hand, is put down as pending: others sign it
where their keys are, and whoever has the last one submits it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from image_repo.publish import ROOT, Occasion, Terms, renewed, with_images, without_images
from image_repo.shell.client import Client, Refused
from image_repo.shell.folder import write_whole
from image_repo.shell.outside import now
from image_repo.standing import Standing
from uptane.codec.oer import Oer
from uptane.crypto import LocalSigner
from uptane.errors import StorageFailure
from uptane.model.ids import FILENAME_LENGTH_MAX, TOP_TARGETS, Filename, HardwareId, Role, RoleName, name
from uptane.model.limits import IMAGE_LENGTH_MAX, TARGETS_LENGTH_MAX
from uptane.model.metadata import Delegate, Image, ImageRepository, ImageTargets, Root
from uptane.model.signed import Authority
from uptane.ports import Payload
from uptane.rpc.gen import image_repo_pb2 as pb
from uptane.verify.roles import top_authority
from uptane.verify.signing import countersign, sign

READ_LENGTH = 1_048_576  # octets read at a time

Signers = Callable[[Authority], Sequence[LocalSigner]]
"""Returns those of the keys at hand that an authority names."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A file to publish, and as what; `counter` None: the lowest that vehicles take."""

    path: Path
    filename: str
    hardware: tuple[str, ...]
    counter: int | None
    sha512: bool


@dataclass(frozen=True, slots=True)
class Measured:
    """A file's length and hashes."""

    length: int
    sha256: bytes
    sha512: bytes


@dataclass(frozen=True, slots=True)
class Done:
    """What was published, or put down to be signed by others."""

    published: pb.Published | None
    images: tuple[Image, ...] = ()
    pending: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Desk:
    """What an operator works with: the connection, the keys of the role he speaks for, and where pending files go."""

    client: Client
    signers: Signers
    role: RoleName
    terms: Terms
    pending: Path

    def occasion(self) -> Occasion:
        """Now."""
        return Occasion(now(), self.terms)


def measure(path: Path) -> Measured:
    """Length and hashes of a file, 0 to 2**32 - 1 octets.

    Raises:
        StorageFailure: it cannot be read, or is too long.
    """
    sha256, sha512, length = hashlib.sha256(), hashlib.sha512(), 0
    try:
        with path.open("rb") as file:
            while piece := file.read(READ_LENGTH):
                sha256.update(piece)
                sha512.update(piece)
                length += len(piece)
    except OSError as error:
        raise StorageFailure(f"{path}: {error.strerror}") from error
    if length > IMAGE_LENGTH_MAX:
        raise StorageFailure(f"{path}: {length} octets, {IMAGE_LENGTH_MAX} are the most")
    return Measured(length, sha256.digest(), sha512.digest())


def publish(desk: Desk, wishes: Sequence[Wish], told: Callable[[Wish, int, int], None]) -> Done:
    """Upload files and publish them under the desk's role, all at once; `told` hears their length and what is there.

    Raises:
        Refused, Rejected, Malformed, LinkFailure, StorageFailure.
    """
    standing = desk.client.standing()
    targets = targets_of(standing, desk.role)
    images = []
    for wish in wishes:
        measured = measure(wish.path)
        images.append(_image(wish, measured, targets))
        desk.client.upload(wish.path, measured.sha256, measured.length, partial(told, wish, measured.length))
    fresh = with_images(targets, images, Oer(), desk.occasion())
    if fresh.entries.octets == targets.entries.octets:
        return Done(None, tuple(images), notes=("nothing new: it is published already",))
    return submit_drafts(desk, [draft(desk, standing, fresh)], tuple(images))


def withdraw(desk: Desk, filenames: Sequence[str]) -> Done:
    """Take images back from the desk's role. Their octets stay: a vehicle may be on its way to them.

    Raises:
        Refused: the role has no image of that name; and as `publish`.
    """
    standing = desk.client.standing()
    targets = targets_of(standing, desk.role)
    for filename in filenames:
        if targets.entries.find(filename) is None:
            raise Refused(f"{desk.role} has no {filename}")
    fresh = without_images(targets, filenames, Oer(), desk.occasion())
    return submit_drafts(desk, [draft(desk, standing, fresh)])


def renew(desk: Desk) -> Done:
    """Sign the desk's Targets again, unchanged, valid anew.

    Raises: as `publish`.
    """
    standing = desk.client.standing()
    return submit_drafts(desk, [draft(desk, standing, renewed(targets_of(standing, desk.role), desk.occasion()))])


@dataclass(frozen=True, slots=True)
class Draft:
    """A file to be signed and submitted; `lacking` says what is missing to its threshold, if anything is."""

    value: ImageTargets | Root
    signers: Sequence[LocalSigner]
    lacking: str | None = None


def draft(desk: Desk, standing: Standing, value: ImageTargets) -> Draft:
    """The next Targets of the desk's role, with the keys at hand.

    Raises:
        Refused: there is none at hand, or no delegation leads to the role.
    """
    authority = authority_of(standing, desk.role)
    return drafted(value, desk.signers(authority), authority)


def drafted(value: ImageTargets | Root, signers: Sequence[LocalSigner], authority: Authority) -> Draft:
    """A file that `authority` is to sign, with those of its keys that are at hand.

    Raises:
        Refused: none of them is.
    """
    held = [signer for signer in signers if signer.public in authority.keys.values()]
    if not held:
        raise Refused(f"none of the keys at hand is one of {role_of(value)}")
    lacking = f"{role_of(value)}: {len(held)} of {authority.threshold} signatures"
    return Draft(value, signers, lacking if len(held) < authority.threshold else None)


def submit_drafts(
    desk: Desk, drafts: Sequence[Draft], images: tuple[Image, ...] = (), also: Mapping[str, bytes] | None = None
) -> Done:
    """Sign and submit files, and what others signed (`also`), all at once; or put down what lacks signatures.

    Raises:
        Refused, LinkFailure, StorageFailure.
    """
    signed = [(each.value, sign(Oer(), each.value, each.signers)) for each in drafts]
    lacking = tuple(each.lacking for each in drafts if each.lacking is not None)
    if lacking:
        return Done(None, images, tuple(put_down(desk.pending, value, octets) for value, octets in signed), lacking)
    return Done(desk.client.publish({**{role_of(value): octets for value, octets in signed}, **(also or {})}), images)


def put_down(folder: Path, value: ImageTargets | Root, octets: bytes) -> Path:
    """Keep an envelope that lacks signatures as `<version>.<role>` in the folder.

    Raises:
        StorageFailure: it cannot be written.
    """
    path = folder / f"{value.header.version}.{role_of(value)}"
    write_whole(path, octets)
    return path


def sign_further(path: Path, signers: Sequence[LocalSigner]) -> int:
    """Add signatures to a pending envelope in place; how many it has now.

    Raises:
        Malformed: it is no envelope.
        StorageFailure: it cannot be read or written.
    """
    octets = countersign(Oer(), read_envelope(path), signers, length_max=TARGETS_LENGTH_MAX)
    write_whole(path, octets)
    return len(Oer().open(octets, TARGETS_LENGTH_MAX).signatures)


def submit(client: Client, paths: Sequence[Path]) -> Done:
    """Submit pending envelopes, all at once; they are removed when they are published.

    Raises:
        Refused, Malformed, LinkFailure, StorageFailure.
    """
    submitted = {}
    for path in paths:
        octets = read_envelope(path)
        submitted[role_of(Oer().parse(Oer().open(octets, TARGETS_LENGTH_MAX).payload))] = octets
    done = Done(client.publish(submitted))
    for path in paths:
        path.unlink(missing_ok=True)
    return done


def role_of(value: Payload) -> str:
    """Whose file it is: `root`, `targets` or a delegated role.

    Raises:
        Refused: nobody's that can be submitted.
    """
    match value:
        case Root():
            return ROOT
        case ImageTargets(header=header) if isinstance(header.speaker, Delegate):
            return header.speaker.role
        case ImageTargets(header=header) if isinstance(header.speaker, ImageRepository):
            return TOP_TARGETS
        case _:
            raise Refused(f"{type(value).__name__} is not submitted to an image repository")


def authority_of(standing: Standing, role: RoleName) -> Authority:
    """Whose keys sign for a Targets role.

    Raises:
        Refused: no delegation leads to the role.
    """
    if role == TOP_TARGETS:
        return top_authority(standing.root.value, Role.TARGETS)
    found = standing.authorities.get(role, ())
    if not found:
        raise Refused(f"no delegation leads to {role}")
    return found[0]


def targets_of(standing: Standing, role: RoleName) -> ImageTargets:
    """The newest Targets of a role.

    Raises:
        Refused: no delegation leads to it.
    """
    file = standing.role(role)
    if file is None:
        raise Refused(f"no delegation leads to {role}")
    return file.value


def read_envelope(path: Path) -> bytes:
    """An envelope from a file.

    Raises:
        StorageFailure: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(TARGETS_LENGTH_MAX + 1)
    except OSError as error:
        raise StorageFailure(f"{path}: {error.strerror}") from error


def _image(wish: Wish, measured: Measured, targets: ImageTargets) -> Image:
    hardware = tuple(HardwareId(name(each)) for each in wish.hardware)
    filename = Filename(name(wish.filename, FILENAME_LENGTH_MAX))
    counter = _counter(targets, filename, hardware, sha256=measured.sha256) if wish.counter is None else wish.counter
    sha512 = measured.sha512 if wish.sha512 else None
    first, *others = hardware
    alternatives = sorted(set(others) - {first})
    image = Image(filename, measured.length, measured.sha256, sha512, (first, *alternatives), counter, b"")
    return Oer().image(image)


def _counter(targets: ImageTargets, filename: Filename, hardware: Sequence[HardwareId], *, sha256: bytes) -> int:
    """The lowest counter that vehicles take: the highest of the hardware, and a new one for new content of a name."""
    floor = 1
    for image in targets.entries:
        if set(image.hardware) & set(hardware):
            floor = max(floor, image.release_counter)
        if image.filename == filename:
            floor = max(floor, image.release_counter + (image.sha256 != sha256))
    return floor
