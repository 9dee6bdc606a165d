"""Attacks on ECUs that verify fully: Timestamp, Snapshot and Targets of both repositories, and their word compared.

Versions of all roles go up together, so what the ECU holds of each is the version of its Director Targets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from rig.backend import CODEC, Assigned, Backend, file_info
from rig.suite.metadata_rows import FULL, NEWER_LEVEL, OTHER_VEHICLE, Row, cut, other_kind, trailed
from rig.under_test import UnderTest
from rig.update import full_set
from uptane.errors import Check
from uptane.link.uds_objects import CheckOption, Object
from uptane.model.ids import Repository, Role, RoleName
from uptane.model.metadata import ForVehicle, Header, Snapshot, SnapshotFile, Timestamp
from uptane.moments import UtcTime

FILES: Final = {
    Repository.DIRECTOR: (Object.DIRECTOR_TIMESTAMP, Object.DIRECTOR_SNAPSHOT, Object.DIRECTOR_TARGETS),
    Repository.IMAGE: (Object.IMAGE_TIMESTAMP, Object.IMAGE_SNAPSHOT, Object.IMAGE_TARGETS),
}


@dataclass
class Offer:
    """What one repository offers of `version`, one above what the ECU holds: good, until a row changes it."""

    backend: Backend
    repository: Repository
    version: int
    what: Assigned
    files: dict[Object, bytes]

    @property
    def targets(self) -> bytes:
        """Its Targets."""
        return self.files[FILES[self.repository][2]]

    @property
    def snapshot(self) -> bytes:
        """Its Snapshot."""
        return self.files[FILES[self.repository][1]]

    def put_timestamp(self, octets: bytes) -> None:
        """Another Timestamp."""
        self.files[FILES[self.repository][0]] = octets

    def put_snapshot(self, octets: bytes, version: int | None = None) -> None:
        """Another Snapshot, which the Timestamp names."""
        self.files[FILES[self.repository][1]] = octets
        info = file_info(version or self.version, octets)
        make = self.backend.timestamp
        self.put_timestamp(make(self.repository, octets, self.version, edit=lambda each: replace(each, snapshot=info)))

    def put_targets(self, octets: bytes) -> None:
        """Another Targets, which the Snapshot lists."""
        self.files[FILES[self.repository][2]] = octets
        self.put_snapshot(self.backend.snapshot(self.repository, octets, self.version))


def rows() -> Iterator[Row]:
    """All of them."""
    for repository in Repository:
        yield from timestamp_rows(repository)
        yield from snapshot_rows(repository)
        yield from targets_rows(repository)
    yield from match_rows()


def full_row(repository: Repository, name: str, check: Check, change: Callable[[Offer], None]) -> Row:
    """A whole good set for a new image, changed, and then verified together."""

    def play(ecu: UnderTest) -> None:
        ecu.ready()
        what = ecu.image()
        version = ecu.tester.status().targets_version + 1
        targets = ecu.backend.targets([what.entry], version)
        offer = Offer(ecu.backend, repository, version, what, full_set(ecu.backend, what, targets, version))
        change(offer)
        for place, octets in offer.files.items():
            ecu.tester.deliver(place, octets)
        ecu.tester.check(CheckOption.EVERYTHING)

    return Row(f"{repository.value} {name}", check, play, FULL)


def _headers() -> Iterator[tuple[str, Check | None, Callable[[Header], Header]]]:
    """What may be wrong with any role's header; the check is None where each role has its own."""

    def expired(header: Header) -> Header:
        return replace(header, expires=UtcTime(header.issued))

    yield "have expired", None, expired
    yield "of a newer level", Check.LEVEL, lambda header: replace(header, level=NEWER_LEVEL)
    yield "of another vehicle", Check.SPEAKER, lambda header: replace(header, speaker=ForVehicle(OTHER_VEHICLE))


def timestamp_rows(repository: Repository) -> Iterator[Row]:
    """Timestamps."""

    def row(name: str, check: Check, change: Callable[[Offer], None]) -> Row:
        return full_row(repository, f"timestamp {name}", check, change)

    def made(edit: Callable[[Timestamp], Timestamp]) -> Callable[[Offer], None]:
        return lambda offer: offer.put_timestamp(
            offer.backend.timestamp(repository, offer.snapshot, offer.version, edit=edit)
        )

    def by(role: Role | None) -> Callable[[Offer], None]:
        def change(offer: Offer) -> None:
            backend = offer.backend
            signers = [backend.stranger] if role is None else backend.of(repository, role)
            offer.put_timestamp(backend.timestamp(repository, offer.snapshot, offer.version, signers=signers))

        return change

    def at(back: int) -> Callable[[Timestamp], Timestamp]:
        return lambda each: replace(each, header=replace(each.header, version=each.header.version - back))

    def older_snapshot(each: Timestamp) -> Timestamp:
        return replace(each, snapshot=replace(each.snapshot, version=each.snapshot.version - 2))

    def changed(change: Callable[[bytes], bytes]) -> Callable[[Offer], None]:
        return lambda offer: offer.put_timestamp(change(offer.files[FILES[repository][0]]))

    yield row("signed by a stranger", Check.TIMESTAMP_SIGNATURES, by(None))
    yield row("signed by another role", Check.TIMESTAMP_SIGNATURES, by(Role.SNAPSHOT))
    yield row("older", Check.TIMESTAMP_VERSION, made(at(2)))
    yield row("of the same version", Check.TIMESTAMP_SAME_VERSION, made(at(1)))
    yield row("that names an older snapshot", Check.TIMESTAMP_SNAPSHOT_VERSION, made(older_snapshot))
    for name, check, edit in _headers():
        yield row(name, check or Check.TIMESTAMP_EXPIRED, made(_with(edit)))
    yield row("cut short", Check.ENCODING, changed(cut))
    yield row("with an octet behind it", Check.ENCODING, changed(trailed))
    yield row(
        "that is an order",
        Check.KIND,
        lambda offer: offer.put_timestamp(other_kind(offer.backend.of(repository, Role.TIMESTAMP))),
    )


def _with(edit: Callable[[Header], Header]) -> Callable[[Timestamp], Timestamp]:
    return lambda each: replace(each, header=edit(each.header))


def snapshot_rows(repository: Repository) -> Iterator[Row]:
    """Snapshots."""

    def row(name: str, check: Check, change: Callable[[Offer], None]) -> Row:
        return full_row(repository, f"snapshot {name}", check, change)

    def made(edit: Callable[[Snapshot], Snapshot]) -> Callable[[Offer], None]:
        return lambda offer: offer.put_snapshot(
            offer.backend.snapshot(repository, offer.targets, offer.version, edit=edit)
        )

    def headed(edit: Callable[[Header], Header]) -> Callable[[Snapshot], Snapshot]:
        return lambda each: replace(each, header=edit(each.header))

    def by_stranger(offer: Offer) -> None:
        backend = offer.backend
        offer.put_snapshot(backend.snapshot(repository, offer.targets, offer.version, signers=[backend.stranger]))

    yield row("exchanged", Check.SNAPSHOT_HASH, _exchanged_snapshot)
    yield row("named as another version", Check.SNAPSHOT_NAMED_VERSION, _misnamed)
    yield row("signed by a stranger", Check.SNAPSHOT_SIGNATURES, by_stranger)
    yield row("that lists older targets", Check.SNAPSHOT_TARGETS_VERSION, made(_lists_older))
    yield row(
        "that has lost the targets",
        Check.SNAPSHOT_TARGETS_LOST,
        made(lambda each: replace(each, files=CODEC.files([]))),
    )
    for name, check, edit in _headers():
        yield row(name, check or Check.SNAPSHOT_EXPIRED, made(headed(edit)))
    yield row(
        "that is an order",
        Check.KIND,
        lambda offer: offer.put_snapshot(other_kind(offer.backend.of(repository, Role.SNAPSHOT))),
    )


def _exchanged_snapshot(offer: Offer) -> None:
    place = FILES[offer.repository][1]
    offer.files[place] = offer.backend.snapshot(offer.repository, offer.targets[:-1], offer.version)


def _misnamed(offer: Offer) -> None:
    offer.put_snapshot(offer.snapshot, offer.version + 1)


def _lists_older(each: Snapshot) -> Snapshot:
    info = next(iter(each.files)).info
    older = SnapshotFile(RoleName("targets"), replace(info, version=info.version - 2))
    return replace(each, files=CODEC.files([older]))


def targets_rows(repository: Repository) -> Iterator[Row]:
    """Targets as the Snapshot lists them."""

    def exchanged(offer: Offer) -> None:
        offer.files[FILES[repository][2]] = offer.targets[:-1] + bytes((offer.targets[-1] ^ 1,))

    def by_stranger(offer: Offer) -> None:
        backend, image = offer.backend, repository is Repository.IMAGE
        make = backend.image_targets([offer.what.image], offer.version, signers=[backend.stranger])
        offer.put_targets(
            make if image else backend.targets([offer.what.entry], offer.version, signers=[backend.stranger])
        )

    def mislisted(offer: Offer) -> None:
        backend, later = offer.backend, offer.version + 1
        make = backend.image_targets([offer.what.image], later)
        offer.put_targets(make if repository is Repository.IMAGE else backend.targets([offer.what.entry], later))

    yield full_row(repository, "targets exchanged", Check.TARGETS_HASH, exchanged)
    yield full_row(repository, "targets signed by a stranger", Check.TARGETS_SIGNATURES, by_stranger)
    yield full_row(repository, "targets listed as another version", Check.TARGETS_NAMED_VERSION, mislisted)


def match_rows() -> Iterator[Row]:
    """The Director says one thing, the Image repository another."""

    def unknown(offer: Offer) -> None:
        offer.put_targets(offer.backend.image_targets([], offer.version))

    def other(offer: Offer) -> None:
        image = CODEC.image(replace(offer.what.image, sha256=bytes(32)))
        offer.put_targets(offer.backend.image_targets([image], offer.version))

    yield full_row(Repository.IMAGE, "targets do not know the image", Check.DELEGATION_NOT_FOUND, unknown)
    yield full_row(Repository.IMAGE, "targets say another hash", Check.IMAGE_MISMATCH, other)
