"""To each Secondary what it lacks (Uptane 2.1.0, section 5.4.2, steps 5 to 7): Root links, time, metadata, its image.

What an ECU lacks is read from its status, every time: so a cycle that was cut off anywhere is simply run again. Each
ECU verifies for itself; what it refuses is its word, and reaches the Director in its report.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from primary.download import blob_of
from primary.layout import Secondary, Verification
from primary.means import Means
from primary.needs import AnyNeed, Note, Now, ReadBlob, Step
from primary.plan import Plan
from primary.refresh import attest, is_good_for, root_links
from primary.state import Memory
from uptane.errors import Check, LinkFailure, MarqueError, Rejected
from uptane.link.uds_client import (
    Pause,
    Unsafe,
    check,
    close_session,
    erase,
    open_session,
    read_nonce,
    read_status,
)
from uptane.link.uds_objects import CheckOption, Object, Place, Status
from uptane.link.uds_transfer import Source, deliver, send_image
from uptane.link.uds_values import Session
from uptane.machine import Workflow
from uptane.model.ids import EcuId, Repository
from uptane.model.metadata import Image
from uptane.model.reports import EcuState
from uptane.moments import SECOND_MS

Work: TypeAlias = Callable[[], Workflow[AnyNeed, None]]

TRIES_MAX: Final = 4  # of one ECU in one cycle; the next cycle goes on where this one stopped
PAUSE_MS: Final = 2 * SECOND_MS  # before the second try; doubled before each further one

BUSY_WITH_TRANSACTION: Final = frozenset({EcuState.TRIAL, EcuState.VOTED, EcuState.COMMITTED})


def patiently(ecu: EcuId, work: Work) -> Workflow[AnyNeed, None]:
    """Do `work` for one ECU, again after a failure of the link, at most TRIES_MAX times with growing pauses.

    Raises what the last try raised: LinkFailure. Rejected, Unsafe and StorageFailure are final at once.
    """
    for attempt in range(TRIES_MAX):
        try:
            yield from work()
        except Unsafe:
            raise
        except LinkFailure as failure:
            if attempt == TRIES_MAX - 1:
                raise
            yield Note(Step.TROUBLE, f"again after: {failure}", ecu)
            yield Pause(PAUSE_MS << attempt)
        else:
            return


def in_session(ecu: EcuId, session: Session, work: Work) -> Workflow[AnyNeed, None]:
    """Do `work` in a session, and leave it whatever comes of it."""
    yield from open_session(ecu, session)
    try:
        yield from work()
    except MarqueError:
        yield from close_session(ecu)
        raise
    yield from close_session(ecu)


# ------------------------------------------------------------------------------------------------------- metadata


def lacks(memory: Memory, secondary: Secondary, status: Status) -> bool:
    """Whether `secondary` holds older metadata than we do. In the middle of a transaction it is left alone."""
    if status.state in BUSY_WITH_TRANSACTION:
        return False
    return _lacks_roots(memory, secondary, status) or _lacks_targets(memory, status)


def _lacks_roots(memory: Memory, secondary: Secondary, status: Status) -> bool:
    held, image = memory.held.director.root.value.header.version, memory.held.image
    if status.director_root < held:
        return True
    full = secondary.verification is Verification.FULL and image is not None
    return full and image is not None and status.image_root < image.root.value.header.version


def _lacks_targets(memory: Memory, status: Status) -> bool:
    targets = memory.held.director.targets
    return targets is not None and status.targets_version < targets.value.header.version


def inform(means: Means, memory: Memory, secondary: Secondary) -> Workflow[AnyNeed, None]:
    """Bring one Secondary's Root links, time and metadata up to ours.

    Raises:
        Rejected: its check refused something.
        LinkFailure: it did not answer.
    """
    ecu = secondary.ecu

    def work() -> Workflow[AnyNeed, None]:
        status = yield from read_status(ecu)
        if lacks(memory, secondary, status):
            yield from in_session(ecu, Session.EXTENDED, lambda: _inform(means, memory, secondary, status))
            memory.statuses[ecu] = yield from read_status(ecu)

    yield from patiently(ecu, work)


def _inform(means: Means, memory: Memory, secondary: Secondary, status: Status) -> Workflow[AnyNeed, None]:
    ecu, full = secondary.ecu, secondary.verification is Verification.FULL
    yield from _roots(memory, ecu, Repository.DIRECTOR, status.director_root)
    if full:
        yield from _roots(memory, ecu, Repository.IMAGE, status.image_root)
    yield from _time(means, memory, ecu)
    if not _lacks_targets(memory, status):
        return
    yield Note(Step.METADATA, "metadata", ecu)
    targets = memory.held.director.targets
    assert targets is not None
    version = targets.value.header.version
    if full:
        for place, octets in _everything(memory, ecu):
            yield from deliver(ecu, place, octets, memory.blocks_of(ecu))
    else:
        yield from deliver(ecu, Place(Object.DIRECTOR_TARGETS), targets.octets, memory.blocks_of(ecu))
    option = CheckOption.EVERYTHING if full else CheckOption.DIRECTOR_TARGETS
    yield from check(ecu, option, lambda now: now.targets_version == version)


def _roots(memory: Memory, ecu: EcuId, repository: Repository, after: int) -> Workflow[AnyNeed, None]:
    """Deliver the Root links an ECU lacks, one by one: each is stored there before the next."""
    director = repository is Repository.DIRECTOR
    place = Place(Object.DIRECTOR_ROOT if director else Object.IMAGE_ROOT)
    option = CheckOption.DIRECTOR_ROOT if director else CheckOption.IMAGE_ROOT
    for version, octets in (yield from root_links(memory, repository, after)):
        yield from deliver(ecu, place, octets, memory.blocks_of(ecu))
        yield from check(ecu, option, _holds_root(version, director=director))


def _holds_root(version: int, *, director: bool) -> Callable[[Status], bool]:
    return lambda status: (status.director_root if director else status.image_root) >= version


def _time(means: Means, memory: Memory, ecu: EcuId) -> Workflow[AnyNeed, None]:
    """Deliver the attestation that was fetched with ours, or a fresh one if that is old or for another nonce.

    Without a time service the ECU verifies under the time it has: it will activate nothing.
    """
    nonce = yield from read_nonce(ecu)
    fetched = memory.attestations.pop(ecu, None)
    if fetched is None or not is_good_for(means, fetched, nonce, memory.utc((yield Now()))):
        try:
            fetched = (yield from attest({ecu: nonce}))[ecu]
        except LinkFailure as failure:
            yield Note(Step.TROUBLE, f"no attested time: {failure}", ecu)
            return
    yield from deliver(ecu, Place(Object.ATTESTATION), fetched, memory.blocks_of(ecu))
    # The nonce changes when it is accepted; the status only says whether there was any since power-up.
    yield from check(ecu, CheckOption.ATTESTATION, lambda status: status.time_attested)


def give_time(means: Means, memory: Memory, ecu: EcuId) -> Workflow[AnyNeed, None]:
    """Have the time attested for an ECU that lost power in the middle. Raises LinkFailure, Rejected."""
    yield from in_session(ecu, Session.EXTENDED, lambda: _time(means, memory, ecu))


def _everything(memory: Memory, ecu: EcuId) -> list[tuple[Place, bytes]]:
    """The Director's roles; for an ECU that is to install something the Image repository's too, and the delegated path.

    A full ECU with nothing to install reads no further than the Director's Targets.
    """
    match = None if memory.full is None else memory.full.matches.get(ecu)
    director, image = memory.held.director, None if match is None else memory.held.image
    files: list[tuple[Place, bytes]] = []
    for kind, file in (
        (Object.DIRECTOR_TIMESTAMP, director.timestamp),
        (Object.DIRECTOR_SNAPSHOT, director.snapshot),
        (Object.DIRECTOR_TARGETS, director.targets),
        (Object.IMAGE_TIMESTAMP, None if image is None else image.timestamp),
        (Object.IMAGE_SNAPSHOT, None if image is None else image.snapshot),
        (Object.IMAGE_TARGETS, None if image is None else image.targets),
    ):
        if file is not None:
            files.append((Place(kind), file.octets))
    for number, role in enumerate(() if match is None else match.roles):
        assert image is not None
        files.append((Place(Object.DELEGATED, number), image.delegated[role].octets))
    return files


# ---------------------------------------------------------------------------------------------------------- image


def is_prepared(status: Status, plan: Plan, ecu: EcuId) -> bool:
    """Whether the ECU holds its image of this bundle, checked and ready."""
    return status.state is EcuState.PREPARED and status.bundle == plan.bundle and ecu in plan.assignments


def prepare(memory: Memory, plan: Plan, secondary: Secondary) -> Workflow[AnyNeed, None]:
    """Have one Secondary hold its image, checked, in its other slot: resumed where an earlier try stopped.

    Raises:
        Rejected: its check refused the image, or the image may not be taken.
        Unsafe: its interlock says no.
        LinkFailure: it did not answer.
    """
    ecu = secondary.ecu

    def work() -> Workflow[AnyNeed, None]:
        status = yield from read_status(ecu)
        if not is_prepared(status, plan, ecu):
            yield from in_session(ecu, Session.PROGRAMMING, lambda: _prepare(plan, ecu, status, memory))
        memory.statuses[ecu] = yield from read_status(ecu)

    yield from patiently(ecu, work)
    yield Note(Step.PREPARE, "prepared", ecu)


def _prepare(plan: Plan, ecu: EcuId, status: Status, memory: Memory) -> Workflow[AnyNeed, None]:
    image = plan.image(ecu)
    if status.entry_digest != plan.digests[ecu]:
        yield from _erase(ecu)
    yield from send_image(ecu, image.length, from_cache(image, ecu), memory.blocks_of(ecu))
    yield from check(ecu, CheckOption.IMAGE, lambda now: is_prepared(now, plan, ecu))


def _erase(ecu: EcuId) -> Workflow[AnyNeed, None]:
    """Erase the other slot; a slot that holds the image already needs it not."""
    try:
        yield from erase(ecu)
    except Rejected as refusal:
        if refusal.check is not Check.INSTALL_ERASES:
            raise
        yield Note(Step.TROUBLE, f"not erased: {refusal}", ecu)


def from_cache(image: Image, ecu: EcuId) -> Source:
    """The octets of an image in the cache, noting how far they were sent."""

    def source(offset: int, length: int) -> Workflow[AnyNeed, bytes]:
        octets: bytes = yield ReadBlob(blob_of(image), offset, length)
        if len(octets) != length:
            raise LinkFailure(f"the cache no longer holds {image.filename}")
        yield Note(Step.TRANSFER, image.filename, ecu, offset + length, image.length)
        return octets

    return source
