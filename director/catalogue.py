"""The Image repository's word, verified in full as a vehicle would, with the Director's own trusted state.

Refreshing walks the Root chain, then Timestamp, Snapshot, Targets, then looks up every image the fleet has to do with,
reading delegated roles on the way. A refusal leaves what was trusted before in place. Fetching and storing are the
shell's; what is not looked up in one refresh is not known until the next.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from uptane.errors import Check, Malformed, Rejected
from uptane.machine import Workflow
from uptane.model.ids import Filename, HardwareId, MetaName, Repository, Role
from uptane.model.limits import ROOT_LENGTH_MAX, ROOTS_PER_CYCLE_MAX
from uptane.model.metadata import Image, ImageTargets
from uptane.moments import UtcTime
from uptane.verify.delegations import Resolver, Wanted
from uptane.verify.full import keep_image, refreshed
from uptane.verify.needs import Drop, Fetch, Keep, Need
from uptane.verify.root import check_root
from uptane.verify.stored import reload_image, under_root
from uptane.verify.threshold import Verifier
from uptane.verify.trusted import ROOT_FILE, SNAPSHOT_FILE, TARGETS_FILE, TIMESTAMP_FILE, Trusted

NOBODY = frozenset({Check.DELEGATION_NOT_FOUND, Check.DELEGATION_TERMINATED, Check.DELEGATION_DISAGREE})
"""Refusals that say that there is no such image; any other says that the repository is broken on the way to it."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What the Image repository said when it was last heard: its trusted files, and the images that were looked up."""

    trusted: Trusted[ImageTargets]
    images: Mapping[Wanted, Image | None] = field(default_factory=dict)
    heard: UtcTime | None = None

    @property
    def known(self) -> bool:
        """Whether the Image repository was heard since the Director started."""
        return self.heard is not None

    @property
    def root_version(self) -> int:
        """The newest Image Root."""
        return self.trusted.root.value.header.version

    @property
    def snapshot_version(self) -> int:
        """The newest Snapshot; 0 before the first."""
        return 0 if self.trusted.snapshot is None else self.trusted.snapshot.value.header.version

    def find(self, filename: Filename, hardware: HardwareId) -> Image | None:
        """The image it vouches for under this name for this hardware; None for none."""
        return self.images.get(Wanted(filename, hardware))

    def files(self) -> Mapping[str, bytes]:
        """The four top-level files, as a full ECU is provisioned with them; empty before all four are there."""
        held = self.trusted
        if held.timestamp is None or held.snapshot is None or held.targets is None:
            return {}
        return {
            ROOT_FILE: held.root.octets,
            TIMESTAMP_FILE: held.timestamp.octets,
            SNAPSHOT_FILE: held.snapshot.octets,
            TARGETS_FILE: held.targets.octets,
        }


def reloaded(verifier: Verifier, stored: Mapping[str, bytes]) -> tuple[Catalogue, tuple[str, ...]]:
    """The catalogue from stored files, each verified again, and the files that no longer stand.

    Raises:
        Rejected: ROOT_MISSING, ROOT_OWN_SIGNATURES, ROOT_KEYS; SPEAKER, KIND, LEVEL, LENGTH: there is no trusted Root.
        Malformed: the stored Root is none.
    """
    standing = reload_image(verifier, stored)
    return Catalogue(standing.trusted), standing.dropped


def refresh(
    verifier: Verifier, catalogue: Catalogue, wanted: Iterable[Wanted], *, utc: UtcTime
) -> Workflow[Need, Catalogue]:
    """Hear the Image repository at `utc`, and look up every image of `wanted`.

    Raises:
        Rejected: whatever check refuses; Root links stand, all else is as before.
        Malformed: something fetched is no message.
    """
    trusted = catalogue.trusted
    for _ in range(ROOTS_PER_CYCLE_MAX):
        version = trusted.root.value.header.version + 1
        octets: bytes | None = yield Fetch(Repository.IMAGE, MetaName(Role.ROOT.value, version), ROOT_LENGTH_MAX)
        if octets is None:
            break
        standing = under_root(verifier, trusted, check_root(verifier, octets, trusted.root), ImageTargets)
        yield Keep(Repository.IMAGE, ROOT_FILE, octets)
        for file in standing.dropped:
            yield Drop(Repository.IMAGE, file)
        trusted = standing.trusted
    fresh = yield from refreshed(verifier, trusted, ImageTargets, utc)
    resolver = Resolver(verifier, fresh, utc)
    images: dict[Wanted, Image | None] = {}
    for each in sorted(wanted, key=lambda one: (one.filename, one.hardware)):
        images[each] = yield from _look_up(resolver, each, catalogue.images.get(each))
    fresh = replace(fresh, delegated=resolver.files)
    yield from keep_image(trusted, fresh)
    return Catalogue(fresh, images, utc)


def _look_up(resolver: Resolver, wanted: Wanted, before: Image | None) -> Workflow[Fetch, Image | None]:
    """One image; None if nobody vouches for it.

    Where the way to it is broken nobody can say, and what was said `before` stands: a file that is missing for a minute
    must not change what a fleet is to run.
    """
    try:
        found = yield from resolver.find(wanted)
    except Malformed:
        return before
    except Rejected as refusal:
        return None if refusal.check in NOBODY else before
    return found.image
