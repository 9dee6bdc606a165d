"""The repository's judgement: what is submitted becomes a publication, or is refused by the check a vehicle refuses by.

Targets and Root are signed elsewhere, by people; Snapshot and Timestamp are signed here, by the online keys, over what
has been verified here. Nothing is stored here: the caller makes the publication durable, and only then takes the new
standing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Protocol

from image_repo.accept import Octets, Records, accept, new_images
from image_repo.delegate import RESERVED, may_be_delegated
from image_repo.publish import (
    ROOT,
    SNAPSHOT,
    TIMESTAMP,
    ClockBehind,
    Conflict,
    File,
    Occasion,
    Publication,
    Vouched,
    next_snapshot,
    next_timestamp,
    renewal_at,
)
from image_repo.search import Search
from image_repo.standing import ALWAYS, Reached, Standing, reach, standing_of
from uptane.errors import Check, Rejected
from uptane.model.ids import TOP_TARGETS, Role, RoleName
from uptane.model.metadata import Delegate, FileInfo, Header, ImageRepository, ImageTargets, Root
from uptane.model.signed import Authority, Verified
from uptane.moments import UtcTime
from uptane.ports import Lists, Signer
from uptane.verify.roles import (
    Asked,
    check_delegated_targets,
    check_snapshot,
    check_targets,
    check_timestamp,
    top_authority,
)
from uptane.verify.root import check_root, check_root_expiry, first_root
from uptane.verify.signing import sign
from uptane.verify.threshold import Verifier

ISSUED_AHEAD_S_MAX = 300  # clocks of people's machines differ by minutes, not by hours
FILES_MAX = 16  # one publication: a Root, the top-level Targets and a delegation's eight roles are 10


class OnlineKeys(Protocol):
    """The keys the server holds itself."""

    def signers(self, authority: Authority) -> Sequence[Signer]:
        """Those that the authority names; in any order, each once."""
        ...


@dataclass(frozen=True, slots=True)
class Bench:
    """What judging and signing need of the outside."""

    verifier: Verifier
    lists: Lists
    keys: OnlineKeys
    records: Records
    octets: Octets


Judged = tuple[Publication, Standing]
"""What is to become visible, and the standing once it has."""


def first_publication(bench: Bench, root: bytes, targets: bytes, occasion: Occasion) -> Judged:
    """A repository's first four files: from a signed Root and a signed Targets, both version 1.

    Raises:
        Rejected, Malformed: Root or Targets does not hold, or the online keys are not the Root's.
    """
    signed_root = first_root(bench.verifier, root, ImageRepository()).value
    infos = {TOP_TARGETS: _info(bench, targets, 1)}
    snapshot = next_snapshot(None, infos, bench.lists, occasion)
    listing = sign(bench.verifier.codec, snapshot, _signers(bench, signed_root, Role.SNAPSHOT))
    stamp = next_timestamp(None, _info(bench, listing, 1), occasion)
    stamped = sign(bench.verifier.codec, stamp, _signers(bench, signed_root, Role.TIMESTAMP))
    files = {ROOT: root, TOP_TARGETS: targets, SNAPSHOT: listing, TIMESTAMP: stamped}
    publication = Publication(tuple(File(role, 1, octets) for role, octets in files.items()))
    return publication, standing_of(bench.verifier, files)


def judge(bench: Bench, standing: Standing, submitted: Mapping[str, bytes], occasion: Occasion) -> Judged:
    """Make a publication of what is submitted: envelopes by role (`root`, `targets`, delegated roles), 1 to 16.

    Raises:
        Rejected: by the check that failed; nothing of it can be published.
        Malformed: something is no envelope, or not what its signers should have signed.
        Conflict: it does not follow the newest version.
        ClockBehind: the newest files were issued later than now, and the Root does not give their keys up.
    """
    if not 1 <= len(submitted) <= FILES_MAX or submitted.keys() & {SNAPSHOT, TIMESTAMP}:
        raise Rejected(Check.PUBLISH_EMPTY, f"{len(submitted)} files: 1 to {FILES_MAX}, no Snapshot, no Timestamp")
    root = _judge_root(bench, standing, submitted.get(ROOT), occasion.utc)
    if _gives_up_timestamp(standing.root.value, root.value):
        occasion = replace(occasion, afresh=True)
    _check_clock(standing, occasion)
    targets = _judge_top(bench, replace(standing, root=root), submitted.get(TOP_TARGETS), occasion.utc)
    reached = _judge_delegated(bench, standing, targets.value, submitted=submitted, utc=occasion.utc)
    for role in sorted(submitted.keys() - {ROOT, TOP_TARGETS} - reached.files.keys()):
        raise Rejected(Check.PUBLISH_UNREACHED, f"no delegation leads to {role}")
    after = replace(standing, root=root, targets=targets, delegated=reached.files, authorities=reached.authorities)
    files = tuple(_file(after, role) for role in sorted(submitted, key=lambda role: (role != ROOT, role)))
    publication, after = _completed(bench, standing, after, publication=Publication(files), occasion=occasion)
    roles = [RoleName(role) for role in submitted if role != ROOT]
    search = Search(bench.verifier, after, occasion.utc)
    images = tuple(_judge_images(bench, standing, after, roles=roles, search=search))
    return replace(publication, images=images), after


def renew(bench: Bench, standing: Standing, occasion: Occasion) -> Judged | None:
    """Snapshot and Timestamp, or Timestamp alone, signed anew if half of their validity has gone; None if not.

    Raises:
        Rejected: PUBLISH_KEYS.
        ClockBehind: the newest files were issued later than now.
    """
    _check_clock(standing, occasion)
    if occasion.utc >= renewal_at(standing.snapshot.value.header):
        return _completed(bench, standing, standing, publication=Publication(()), occasion=occasion)
    if occasion.utc >= renewal_at(standing.timestamp.value.header):
        return _stamped(bench, standing, standing, publication=Publication(()), occasion=occasion)
    return None


def next_renewal(standing: Standing) -> UtcTime:
    """When `renew` will have something to do."""
    return min(renewal_at(standing.snapshot.value.header), renewal_at(standing.timestamp.value.header))


# ---------------------------------------------------------------------------------------------- what is submitted


def _judge_root(bench: Bench, standing: Standing, octets: bytes | None, utc: UtcTime) -> Verified[Root]:
    if octets is None:
        check_root_expiry(standing.root, utc)
        return standing.root
    with _conflicting(ROOT, standing.root.value.header.version):
        root = check_root(bench.verifier, octets, standing.root)
    check_root_expiry(root, utc)
    _check_issued(ROOT, root.value.header, utc)
    return root


def _judge_top(bench: Bench, standing: Standing, octets: bytes | None, utc: UtcTime) -> Verified[ImageTargets]:
    """The top-level Targets under the Root that `standing` has by now."""
    trusted = standing.trusted
    if octets is None:
        held = standing.targets
        info = _info(bench, held.octets, held.value.header.version)
        with _explained("the Root changes the Targets keys: submit Targets signed by the new ones together with it"):
            return check_targets(bench.verifier, held.octets, trusted, ImageTargets, listed=info, utc=ALWAYS)
    version = standing.targets.value.header.version
    with _conflicting(TOP_TARGETS, version):
        info = _info(bench, octets, version + 1)
        targets = check_targets(bench.verifier, octets, trusted, ImageTargets, listed=info, utc=utc)
    _check_issued(TOP_TARGETS, targets.value.header, utc)
    return targets


def _judge_delegated(
    bench: Bench, standing: Standing, top: ImageTargets, *, submitted: Mapping[str, bytes], utc: UtcTime
) -> Reached:
    """Every delegated role that can be reached from the new top-level Targets."""

    def read(role: RoleName, authority: Authority) -> Verified[ImageTargets]:
        if not may_be_delegated(role):
            text = f"{role!r} cannot name a delegated role: no slash, and none of {', '.join(sorted(RESERVED))}"
            raise Rejected(Check.DELEGATION_INVALID, text)
        known = authority in standing.authorities.get(role, ())
        held = standing.delegated.get(role)
        asked = Asked(Delegate(role), authority)
        if role in submitted:
            version = _listed_version(standing, role)
            with _conflicting(role, version):
                info = _info(bench, submitted[role], version + 1)
                new = check_delegated_targets(
                    bench.verifier, submitted[role], asked, held if known else None, listed=info, utc=utc
                )
            _check_issued(role, new.value.header, utc)
            return new
        if held is None:
            raise Rejected(Check.DELEGATION_INVALID, f"{role} has no Targets: submit its first with the delegation")
        if known:
            return held
        info = _info(bench, held.octets, held.value.header.version)
        with _explained(f"{role} gets other keys: submit its Targets signed by them together with the delegation"):
            return check_delegated_targets(bench.verifier, held.octets, asked, None, listed=info, utc=ALWAYS)

    return reach(top, read)


def _judge_images(
    bench: Bench, before: Standing, after: Standing, *, roles: Sequence[RoleName], search: Search
) -> Iterator[Vouched]:
    """The images that are new, each held to accept.py and found by the search a vehicle makes."""
    for role in sorted(roles):
        old, new = before.role(role), after.role(role)
        assert new is not None, "a role that is not reached has been refused"
        images = list(new_images(None if old is None else old.value, new.value))
        accept(role, images, bench.records, bench.octets)
        for image in images:
            search.check(role, image)
            yield Vouched(role, image)


# -------------------------------------------------------------------------------------------- what is signed here


def _completed(
    bench: Bench, before: Standing, after: Standing, *, publication: Publication, occasion: Occasion
) -> Judged:
    """The publication with a new Snapshot that lists its files, and a new Timestamp."""
    infos = {
        RoleName(file.role): _info(bench, file.octets, file.version) for file in publication.files if file.role != ROOT
    }
    snapshot = next_snapshot(before.snapshot.value, infos, bench.lists, occasion)
    octets = sign(bench.verifier.codec, snapshot, _signers(bench, after.root.value, Role.SNAPSHOT))
    file = File(SNAPSHOT, snapshot.header.version, octets)
    return _stamped(
        bench, before, after, publication=replace(publication, files=(*publication.files, file)), occasion=occasion
    )


def _stamped(
    bench: Bench, before: Standing, after: Standing, *, publication: Publication, occasion: Occasion
) -> Judged:
    """The publication with a new Timestamp; then all of it seen with the eyes of a vehicle that held `before`."""
    newest = next((file.octets for file in publication.files if file.role == SNAPSHOT), before.snapshot.octets)
    version = before.snapshot.value.header.version + (newest is not before.snapshot.octets)
    stamp = next_timestamp(before.timestamp.value, _info(bench, newest, version), occasion)
    octets = sign(bench.verifier.codec, stamp, _signers(bench, after.root.value, Role.TIMESTAMP))
    vehicle = replace(before, root=after.root).trusted
    timestamp = check_timestamp(bench.verifier, octets, vehicle, utc=occasion.utc)
    snapshot = check_snapshot(bench.verifier, newest, vehicle, timestamp=timestamp, utc=occasion.utc)
    files = (*publication.files, File(TIMESTAMP, stamp.header.version, octets))
    return replace(publication, files=files), replace(after, timestamp=timestamp, snapshot=snapshot)


def _signers(bench: Bench, root: Root, role: Role) -> Sequence[Signer]:
    authority = top_authority(root, role)
    signers = bench.keys.signers(authority)
    if len(signers) < authority.threshold:
        detail = f"{role.value}: {len(signers)} held, {authority.threshold} needed"
        raise Rejected(Check.PUBLISH_KEYS, detail)
    return signers


# ------------------------------------------------------------------------------------------------------- details


def _file(standing: Standing, role: str) -> File:
    verified = standing.root if role == ROOT else standing.role(RoleName(role))
    assert verified is not None
    return File(role, verified.value.header.version, verified.octets)


def _info(bench: Bench, octets: bytes, version: int) -> FileInfo:
    return FileInfo(version, len(octets), bench.verifier.hasher.sha256(octets))


def _listed_version(standing: Standing, role: RoleName) -> int:
    """The version of a role's newest file; 0 if it never had one. It counts on while no delegation leads there."""
    file = standing.snapshot.value.files.find(role)
    return 0 if file is None else file.info.version


def _check_clock(standing: Standing, occasion: Occasion) -> None:
    """Our own clock signed the newest Timestamp: now it is behind, or then it was ahead. People know which.

    Raises:
        ClockBehind: it is; unless the keys that signed it are given up, so that nobody is bound by what it says.
    """
    issued = standing.timestamp.value.header.issued
    if occasion.utc < issued and not occasion.afresh:
        raise ClockBehind(
            f"the clock shows {occasion.utc}, the newest Timestamp was issued at {issued}: set the clock; "
            f"or, if it was ahead then, give Timestamp another key (marque-repo rotate timestamp)"
        )


def _gives_up_timestamp(before: Root, after: Root) -> bool:
    """Whether a Root takes all keys of Timestamp away: vehicles forget what those signed (under_root)."""
    old, new = (top_authority(root, Role.TIMESTAMP).keys.values() for root in (before, after))
    return set(old).isdisjoint(new)


def _check_issued(role: str, header: Header, utc: UtcTime) -> None:
    """An `issued` in the future would set the floor of vehicles' clocks there."""
    if header.issued > utc + ISSUED_AHEAD_S_MAX:
        raise Rejected(Check.PUBLISH_ISSUED, f"{role} says it was issued at {header.issued}, it is {utc}")


@contextmanager
def _conflicting(role: str, version: int) -> Iterator[None]:
    """Another version than the next one: somebody else was first."""
    try:
        yield
    except Rejected as refusal:
        if refusal.check in {Check.ROOT_VERSION, Check.TARGETS_NAMED_VERSION}:
            raise Conflict(
                f"{role} is at version {version} by now: read it, make the change again, sign it"
            ) from refusal
        raise


@contextmanager
def _explained(advice: str) -> Iterator[None]:
    """A file that stands and no longer holds is refused with what to do about it."""
    try:
        yield
    except Rejected as refusal:
        raise Rejected(refusal.check, advice) from refusal
