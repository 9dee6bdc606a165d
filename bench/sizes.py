"""Octets of what goes over the bus beside an image, and what carrying it costs: metadata, time, orders, reports.

Ids have the lengths of real ones: 17 octets for the vehicle (a VIN) and the ECU, 20 for the hardware, 30 for a path.
Every file has one Ed25519 signature and SHA-256. The peers say the same in the shape of the Uptane reference
implementation's DER, and in TUF's JSON (reference.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple

from bench import reference
from bench.carried import Carried, checking, delivery, reading, total
from bench.figures import Peer, Row, at_most, plain
from uptane.codec.oer import Oer
from uptane.crypto import Ed25519Signer
from uptane.link.uds_objects import CheckOption, Object, Place
from uptane.link.uds_values import Did
from uptane.model.ids import Bundle, EcuId, Filename, HardwareId, Role, RoleName, VehicleId
from uptane.model.metadata import (
    Assignment,
    DirectorTargets,
    FileInfo,
    Fleet,
    ForVehicle,
    Header,
    Image,
    ImageRepository,
    ImageTargets,
    Key,
    RoleKeys,
    Root,
    Snapshot,
    SnapshotFile,
    Speaker,
    Timestamp,
)
from uptane.model.reports import (
    EcuReport,
    EcuState,
    InstalledImage,
    Outcome,
    Phase,
    TimeAttestation,
    VehicleOrder,
)
from uptane.moments import UtcTime
from uptane.ports import Payload
from uptane.verify.signing import sign

ECUS = (1, 5, 50, 100)
FIRST_ECU_MAX, FURTHER_ECU_MAX = 240, 115  # octets
VEHICLE = VehicleId("WVWZZZ1KZAW000001")
IMAGES_OF_SUPPLIERS = 5  # in the Image repository's Targets that a full Secondary reads

OER = Oer()
SIGNER = Ed25519Signer.from_seed(bytes(range(32)))
NOW, LATER = UtcTime(1_800_000_000), UtcTime(1_900_000_000)
INFO = FileInfo(7, 300, sha256(b"file").digest())
BUNDLE = Bundle(sha256(b"entries").digest())


def header(speaker: Speaker) -> Header:
    """The header of any role's payload."""
    return Header(1, speaker, 7, LATER, NOW)


def signed(payload: Payload) -> bytes:
    """The envelope of a payload with one signature."""
    return sign(OER, payload, [SIGNER])


def image(number: int) -> Image:
    """An image of 300 KB."""
    filename = Filename(f"supplier/part-{number:06}/1.2.3.bin")
    digest = sha256(number.to_bytes(4)).digest()
    hardware = HardwareId("hardware-id-20-octet")
    assert (len(filename), len(hardware)) == (30, 20)
    return OER.image(Image(filename, 300_000, digest, None, (hardware,), number + 1, b""))


def assignments(count: int) -> list[Assignment]:
    """One image for each of `count` ECUs."""
    return [Assignment(EcuId(f"ecu-serial-{number:06}"), image(number)) for number in range(count)]


def director_targets(count: int, *, coordinated: bool) -> bytes:
    """A Director's Targets for a vehicle of `count` ECUs."""
    coordinator = SIGNER.public if coordinated else None
    entries = OER.assignments(assignments(count))
    return signed(DirectorTargets(header(ForVehicle(VEHICLE)), coordinator, False, entries))


def root(speaker: Speaker, roles: Sequence[Role]) -> bytes:
    """A Root with one key for each role."""
    signers = [Ed25519Signer.from_seed(sha256(role.value.encode()).digest()) for role in roles]
    keys = tuple(Key(signer.key_id, signer.public) for signer in signers)
    named = tuple(RoleKeys(role, (key.key_id,), 1) for role, key in zip(roles, keys, strict=True))
    return signed(Root(header(speaker), keys, named))


def snapshot(speaker: Speaker) -> bytes:
    """A Snapshot that lists one Targets."""
    return signed(Snapshot(header(speaker), OER.files([SnapshotFile(RoleName("targets"), INFO)])))


def report() -> bytes:
    """An ECU's report within a transaction, nothing refused."""
    picture = image(1)
    installed = InstalledImage(picture.filename, picture.length, picture.sha256, picture.release_counter)
    ecu = EcuId("ecu-serial-000001")
    return signed(
        EcuReport(
            level=1,
            vehicle=VEHICLE,
            ecu=ecu,
            hardware=picture.hardware[0],
            counter=9,
            state=EcuState.VOTED,
            outcome=Outcome.NONE,
            bundle=BUNDLE,
            targets_version=7,
            root_version=2,
            released_counter=1,
            image=installed,
            time=NOW,
            previous_time=NOW,
            refusals=(),
        )
    )


class Part(NamedTuple):
    """One thing a Secondary receives: its octets, where it goes, what it is checked as, and the peer's octets."""

    name: str
    octets: bytes
    place: Place
    check: CheckOption | None
    peer: bytes | None = None


def of_every_ecu() -> list[Part]:
    """What every Secondary receives in an update of a vehicle of five ECUs, its Targets aside."""
    four = (Role.ROOT, Role.TIMESTAMP, Role.SNAPSHOT, Role.TARGETS)
    root_place, time_place, order_place = Place(Object.DIRECTOR_ROOT), Place(Object.ATTESTATION), Place(Object.ORDER)
    attestation = signed(TimeAttestation(1, NOW, b"nonce of 16 oct."))
    orders = {phase: signed(VehicleOrder(1, VEHICLE, BUNDLE, 7, phase)) for phase in Phase}
    return [
        Part(
            "Director Root",
            root(Fleet(), (*four, Role.TIME)),
            root_place,
            CheckOption.DIRECTOR_ROOT,
            reference.root(),
        ),
        Part("time attestation", attestation, time_place, CheckOption.ATTESTATION, reference.attestation()),
        *(Part(f"order: {phase.value}", orders[phase], order_place, CheckOption.ORDER) for phase in Phase),
    ]


def of_full_ecus() -> list[Part]:
    """What a Secondary with full verification receives besides; all but the Root is checked together."""
    four = (Role.ROOT, Role.TIMESTAMP, Role.SNAPSHOT, Role.TARGETS)
    ours, images = ForVehicle(VEHICLE), ImageRepository()
    of_suppliers = [image(number) for number in range(IMAGES_OF_SUPPLIERS)]
    targets = signed(ImageTargets(header(images), OER.images(of_suppliers)))
    stamp, shot = reference.timestamp(), reference.snapshot()
    return [
        Part(
            "Director Timestamp", signed(Timestamp(header(ours), INFO)), Place(Object.DIRECTOR_TIMESTAMP), None, stamp
        ),
        Part("Director Snapshot", snapshot(ours), Place(Object.DIRECTOR_SNAPSHOT), None, shot),
        Part("Image Root", root(images, four), Place(Object.IMAGE_ROOT), CheckOption.IMAGE_ROOT, reference.root()),
        Part("Image Timestamp", signed(Timestamp(header(images), INFO)), Place(Object.IMAGE_TIMESTAMP), None, stamp),
        Part("Image Snapshot", snapshot(images), Place(Object.IMAGE_SNAPSHOT), None, shot),
        Part(
            f"Image Targets of {IMAGES_OF_SUPPLIERS} images",
            targets,
            Place(Object.IMAGE_TARGETS),
            None,
            reference.targets(of_suppliers),
        ),
    ]


# ----------------------------------------------------------------------------------------------------------- rows


def targets_rows() -> list[Row]:
    """A Director's Targets for vehicles of several sizes."""
    table = []
    for count in ECUS:
        name = f"Director Targets, {count} ECU" + "s" * (count > 1)
        limit = FIRST_ECU_MAX + (count - 1) * FURTHER_ECU_MAX
        length = len(director_targets(count, coordinated=False))
        der = Peer("reference DER", len(reference.targets(assignments(count))))
        json = Peer("JSON", len(reference.json_targets(assignments(count))))
        table.append(at_most(name, "octets", length, limit=limit, peer=der))
        table.append(plain(name, "octets", length, json))
        coordinated = len(director_targets(count, coordinated=True))
        table.append(at_most(f"{name}, with coordinator", "octets", coordinated, limit=limit, peer=der))
    return table


def carried_rows(name: str, carried: Carried) -> list[Row]:
    """What carrying something costs the bus."""
    return [
        plain(f"{name}: ISO-TP frames, classic", "frames", carried.frames),
        plain(f"{name}: bus time at 500 kbit/s", "ms", carried.bus_ms),
    ]


def part_rows(part: Part) -> tuple[list[Row], Carried]:
    """One thing's octets and what carrying it costs."""
    peer = None if part.peer is None else Peer("reference DER", len(part.peer))
    carried = delivery(part.octets, part.place, part.check)
    return [plain(part.name, "octets", len(part.octets), peer), *carried_rows(part.name, carried)], carried


def rows() -> list[Row]:
    """All figures of this module; takes a second."""
    table = targets_rows()
    targets = Part(
        "Director Targets, 5 ECUs, with coordinator",
        director_targets(5, coordinated=True),
        Place(Object.DIRECTOR_TARGETS),
        CheckOption.DIRECTOR_TARGETS,
    )
    partial = delivery(targets.octets, targets.place, targets.check)
    table += carried_rows(targets.name, partial)
    full = delivery(targets.octets, targets.place, None)
    for part in of_every_ecu():
        more, carried = part_rows(part)
        table += more
        if part.name != f"order: {Phase.ROLL_BACK.value}":  # it takes the place of another
            partial, full = total(partial, carried), total(full, carried)
    for part in of_full_ecus():
        more, carried = part_rows(part)
        table += more
        full = total(full, carried)
    full = total(full, checking(CheckOption.EVERYTHING))
    table += carried_rows("everything beside the image, partial Secondary", partial)
    table += carried_rows("everything beside the image, full Secondary", full)
    answer = report()
    table.append(plain("signed report, voted", "octets", len(answer)))
    table += carried_rows("signed report, voted", reading(Did.REPORT, answer))
    return table
