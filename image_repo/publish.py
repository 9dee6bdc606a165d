"""(0.2) Targets, then Snapshot, then Timestamp: the next files of the repository, as values to be signed.

Consistent names: every file but Timestamp is known by its version (`12.targets`), is written once and never changed.
Any change of a payload, its expiry included, is the next version. A publication is everything that becomes visible
at once: it always ends in a new Timestamp, so two publications from one starting point collide there and one loses.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from uptane.errors import MarqueError
from uptane.model.ids import TOP_TARGETS, MetaName, RoleName
from uptane.model.metadata import (
    LEVEL,
    Delegate,
    FileInfo,
    Header,
    Image,
    ImageRepository,
    ImageTargets,
    Snapshot,
    SnapshotFile,
    Speaker,
    Timestamp,
)
from uptane.moments import UtcTime
from uptane.ports import Lists

DAY_S = 86_400
TIMESTAMP = "timestamp"
SNAPSHOT = "snapshot"
ROOT = "root"


class Conflict(MarqueError):
    """Somebody published in the meantime: read the newest files, sign again, try again."""


class ClockBehind(MarqueError):
    """The clock shows a time before the newest file was issued; nothing is signed with it."""


@dataclass(frozen=True, slots=True)
class Terms:
    """For how many seconds what is signed now shall be valid (Uptane deployment practices, key management)."""

    root_s: int = 365 * DAY_S
    targets_s: int = 180 * DAY_S
    snapshot_s: int = 14 * DAY_S
    timestamp_s: int = 3 * DAY_S


@dataclass(frozen=True, slots=True)
class Occasion:
    """When something is signed, and on what terms.

    `afresh`: the keys of what stands are given up, and with them the times at which they say they signed it.
    """

    utc: UtcTime
    terms: Terms
    afresh: bool = False


@dataclass(frozen=True, slots=True)
class File:
    """One metadata file: role, version, and the envelope as it is served."""

    role: str
    version: int
    octets: bytes

    @property
    def name(self) -> str:
        """`12.targets`, or `timestamp`."""
        return str(MetaName(self.role, None if self.role == TIMESTAMP else self.version))


@dataclass(frozen=True, slots=True)
class Vouched:
    """An image that a role newly vouches for, or vouches for in another form than before."""

    role: RoleName
    image: Image


@dataclass(frozen=True, slots=True)
class Publication:
    """What becomes visible at once or not at all; the last two files are Snapshot and Timestamp."""

    files: tuple[File, ...]
    images: tuple[Vouched, ...] = ()


def speaker_of(role: RoleName) -> Speaker:
    """Who speaks in a Targets file of this role."""
    return ImageRepository() if role == TOP_TARGETS else Delegate(role)


def stamped(previous: Header | None, speaker: Speaker, occasion: Occasion, lifetime_s: int) -> Header:
    """The header that follows `previous`, valid for `lifetime_s` seconds (1 or more) from now.

    Raises:
        ClockBehind: now is before the previous file was issued, and its keys are not given up.
    """
    assert lifetime_s > 0
    utc = occasion.utc
    if previous is not None and utc < previous.issued and not occasion.afresh:
        raise ClockBehind(f"the clock shows {utc}, the newest file was issued at {previous.issued}")
    version = 1 if previous is None else previous.version + 1
    return Header(LEVEL, speaker, version, UtcTime(utc + lifetime_s), utc)


def first_targets(role: RoleName, lists: Lists, occasion: Occasion, *, version: int = 1) -> ImageTargets:
    """A Targets file without an image: what a role begins with, or begins with again at `version` (1 to 2**32 - 1)."""
    header = stamped(None, speaker_of(role), occasion, occasion.terms.targets_s)
    return ImageTargets(replace(header, version=version), lists.images(()))


def with_images(targets: ImageTargets, images: Iterable[Image], lists: Lists, occasion: Occasion) -> ImageTargets:
    """The next Targets: with `images`, each in place of the one of its filename."""
    merged = {image.filename: image for image in targets.entries}
    merged.update((image.filename, lists.image(image)) for image in images)
    entries = lists.images([merged[filename] for filename in sorted(merged)])
    return ImageTargets(_followed(targets, occasion), entries, targets.delegations)


def without_images(targets: ImageTargets, filenames: Iterable[str], lists: Lists, occasion: Occasion) -> ImageTargets:
    """The next Targets: without the images of these filenames."""
    gone = set(filenames)
    entries = lists.images([image for image in targets.entries if image.filename not in gone])
    return ImageTargets(_followed(targets, occasion), entries, targets.delegations)


def renewed(targets: ImageTargets, occasion: Occasion) -> ImageTargets:
    """The same once more, valid anew."""
    return ImageTargets(_followed(targets, occasion), targets.entries, targets.delegations)


def next_snapshot(
    previous: Snapshot | None, files: Mapping[RoleName, FileInfo], lists: Lists, occasion: Occasion
) -> Snapshot:
    """The Snapshot that lists `files`, and every file the previous one listed (check_snapshot/6)."""
    listed = {} if previous is None else {file.name: file.info for file in previous.files}
    listed.update(files)
    entries: Sequence[SnapshotFile] = [SnapshotFile(name, listed[name]) for name in sorted(listed)]
    header = stamped(
        None if previous is None else previous.header, ImageRepository(), occasion, occasion.terms.snapshot_s
    )
    return Snapshot(header, lists.files(entries))


def next_timestamp(previous: Timestamp | None, snapshot: FileInfo, occasion: Occasion) -> Timestamp:
    """The Timestamp that names this Snapshot."""
    header = stamped(
        None if previous is None else previous.header, ImageRepository(), occasion, occasion.terms.timestamp_s
    )
    return Timestamp(header, snapshot)


def renewal_at(header: Header) -> UtcTime:
    """When half of a file's validity has gone: the other half is for noticing that renewal fails."""
    return UtcTime((header.issued + header.expires) // 2)


def _followed(targets: ImageTargets, occasion: Occasion) -> Header:
    return stamped(targets.header, targets.header.speaker, occasion, occasion.terms.targets_s)
