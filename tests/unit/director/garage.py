"""One vehicle with a Primary and three Secondaries, its keys, and what its ECUs and the Image repository say."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

from director.catalogue import Catalogue, reloaded
from director.ceremony import first_root
from director.enrol import enrol
from director.fleet import Fleet
from director.inventory import Ecu, Vehicle, Verification
from director.issue import Fleetwide, Press, Signers, issue
from director.poll import Desk
from director.resolve import Resolution, Rule, resolve
from tests.builders import ImageRepo
from uptane.codec.oer import Oer
from uptane.crypto import Ed25519Signer, Sha2, valid
from uptane.model.ids import EcuId, Filename, HardwareId, Role, VehicleId
from uptane.model.metadata import LEVEL, DirectorTargets, Image, ImageTargets, Key, Root
from uptane.model.metadata import Fleet as FleetSpeaker
from uptane.model.reports import EcuReport, EcuState, InstalledImage, ManifestEntry, Outcome, VehicleManifest
from uptane.model.signed import Authority, Verified
from uptane.moments import UtcTime
from uptane.verify.delegations import Wanted
from uptane.verify.image import installed_image
from uptane.verify.roles import check_snapshot, check_targets, check_timestamp
from uptane.verify.root import first_root as check_first_root
from uptane.verify.signing import sign
from uptane.verify.threshold import Verifier

NOW = UtcTime(1_800_000_000)
DAY_S = 86_400
CODEC = Oer()
VERIFIER = Verifier(CODEC, valid, Sha2())
VIN = VehicleId("VIN1")
HARDWARE = {"body": "body-hw", "brake": "brake-hw", "door": "body-hw", "gw": "gw-hw"}


def signer(name: str) -> Ed25519Signer:
    return Ed25519Signer.from_seed(sha256(name.encode()).digest())


KEYS = {ecu: signer(f"{VIN}/{ecu}") for ecu in HARDWARE}
PRESS = Press(CODEC, Sha2(), Signers([signer("targets")], [signer("snapshot")], [signer("timestamp")]), DAY_S)


def image(name: str, *, counter: int = 1, hardware: str = "", content: bytes | None = None) -> Image:
    """`body-1` is for `body-hw` unless said otherwise."""
    octets = name.encode() if content is None else content
    kind = HardwareId(hardware or f"{name.split('-', maxsplit=1)[0]}-hw")
    plain = Image(Filename(name), 1_000, sha256(octets).digest(), None, (kind,), counter, b"")
    return CODEC.image(plain)


def factory(ecu: str) -> InstalledImage:
    kind = HARDWARE[ecu].removesuffix("-hw")
    return installed_image(image(f"{kind}-0", counter=0))


@dataclass
class Said:
    """The Image repository's word."""

    images: dict[str, Image] = field(default_factory=dict)
    known: bool = True

    def publish(self, *images: Image) -> None:
        self.images.update({image.filename: image for image in images})

    def find(self, filename: Filename, hardware: HardwareId) -> Image | None:
        found = self.images.get(filename)
        return found if found is not None and hardware in found.hardware else None


def ecus() -> list[Ecu]:
    described = []
    for number, (name, hardware) in enumerate(HARDWARE.items(), 1):
        primary = name == "gw"
        described.append(
            Ecu(
                id=EcuId(name),
                hardware=HardwareId(hardware),
                primary=primary,
                verification=Verification.FULL if primary else Verification.PARTIAL,
                bus="" if primary else "can0",
                address=0 if primary else number,
                filename="**",
                slot_size=4_096,
                key=KEYS[name].public,
                factory=factory(name),
            )
        )
    return described


def vehicle() -> Vehicle:
    return enrol(VIN, ecus(), "", NOW)


def report(ecu: str, **changes: Any) -> EcuReport:
    """What an ECU says that has never been updated; its first report."""
    said = EcuReport(
        level=LEVEL,
        vehicle=VIN,
        ecu=EcuId(ecu),
        hardware=HardwareId(HARDWARE.get(ecu, "no-hw")),
        counter=1,
        state=EcuState.IDLE,
        outcome=Outcome.NONE,
        bundle=None,
        targets_version=0,
        root_version=1,
        released_counter=0,
        image=factory(ecu) if ecu in HARDWARE else factory("gw"),
        time=UtcTime(NOW - 60),
        previous_time=UtcTime(NOW - 120),
        refusals=(),
    )
    return replace(said, **changes)


def signed_report(said: EcuReport, by: Ed25519Signer | None = None) -> bytes:
    return sign(CODEC, said, [by or KEYS[said.ecu]])


@dataclass
class Words:
    """What the vehicle's ECUs last said, to be put into manifests."""

    counter: int = 0
    reports: dict[str, bytes | None] = field(default_factory=dict)
    silent: dict[str, UtcTime] = field(default_factory=dict)

    @classmethod
    def first(cls) -> Words:
        return cls(reports={ecu: signed_report(report(ecu)) for ecu in HARDWARE})

    def say(self, ecu: str, **changes: Any) -> EcuReport:
        said = report(ecu, **changes)
        self.reports[ecu] = signed_report(said)
        return said

    def value(self, **changes: Any) -> VehicleManifest:
        self.counter += 1
        entries = tuple(
            ManifestEntry(EcuId(ecu), octets, self.silent.get(ecu)) for ecu, octets in sorted(self.reports.items())
        )
        return replace(VehicleManifest(LEVEL, VIN, EcuId("gw"), self.counter, entries), **changes)

    def manifest(self, **changes: Any) -> bytes:
        return sign(CODEC, self.value(**changes), [KEYS["gw"]])


def decide(
    present: Vehicle, word: Said, rules: tuple[Rule, ...] = (), *, utc: int = NOW, roots: tuple[int, int] = (1, 1)
) -> tuple[Vehicle, Resolution, str]:
    """Resolve and issue, as a poll does."""
    resolution = resolve(present, rules, word)
    issued, why = issue(present, resolution, fleet=Fleetwide(*roots, UtcTime(utc)), press=PRESS)
    return issued, resolution, why


def entries(present: Vehicle) -> dict[str, str]:
    """What the issued Targets assign: ECU to filename."""
    assert present.issued is not None
    targets = CODEC.parse(CODEC.open(present.issued.targets, 1 << 20).payload)
    assert isinstance(targets, DirectorTargets)
    return {entry.ecu: entry.image.filename for entry in targets.entries}


# --------------------------------------------------------------------------------------------------------- fleet

ROOT_KEYS = {role: signer(role.value) for role in (Role.ROOT, Role.TIMESTAMP, Role.SNAPSHOT, Role.TARGETS, Role.TIME)}


class Ring:
    """Online keys at hand: those of the roles, and what tests add."""

    def __init__(self, *more: Ed25519Signer) -> None:
        self.keys = [*ROOT_KEYS.values(), *more]

    def signers(self, authority: Authority) -> list[Ed25519Signer]:
        return [key for key in self.keys if key.public in authority.keys.values()]


def named(key: Ed25519Signer) -> Key:
    return Key(key.key_id, key.public)


def first() -> bytes:
    """The Director's Root 1."""
    root = first_root({role: [named(key)] for role, key in ROOT_KEYS.items()}, {}, NOW)
    return sign(CODEC, root, [ROOT_KEYS[Role.ROOT]])


def catalogue(word: Said) -> Catalogue:
    """The Image repository as heard at NOW, saying `word`."""
    repo = ImageRepo()
    repo.root()
    repo.issue()
    trusted = reloaded(VERIFIER, {"root": repo.offered["1.root"]})[0].trusted
    timestamp = check_timestamp(VERIFIER, repo.offered["timestamp"], trusted, utc=NOW)
    snapshot = check_snapshot(
        VERIFIER, repo.offered[f"{repo.versions['snapshot']}.snapshot"], trusted, timestamp=timestamp, utc=NOW
    )
    listed = snapshot.value.files.find("targets")
    assert listed is not None
    octets = repo.offered[f"{repo.versions['targets']}.targets"]
    targets = check_targets(VERIFIER, octets, trusted, ImageTargets, listed=listed.info, utc=NOW)
    held = replace(trusted, timestamp=timestamp, snapshot=snapshot, targets=targets)
    images = {Wanted(image.filename, kind): image for image in word.images.values() for kind in image.hardware}
    return Catalogue(held, images, NOW if word.known else None)


def fleet(word: Said, rules: tuple[Rule, ...] = ()) -> Fleet:
    """A fleet under Root 1."""
    octets = first()
    return Fleet((octets,), first_root_of(octets), rules, catalogue(word), 300)


def first_root_of(octets: bytes) -> Verified[Root]:
    return check_first_root(VERIFIER, octets, FleetSpeaker())


DESK = Desk(VERIFIER, PRESS)
