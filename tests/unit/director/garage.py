"""One vehicle with a Primary and three Secondaries, its keys, and what its ECUs and the Image repository say."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

from director.enrol import enrol
from director.inventory import Ecu, Vehicle, Verification
from director.issue import Fleetwide, Press, Signers, issue
from director.resolve import Resolution, Rule, resolve
from uptane.codec.oer import Oer
from uptane.crypto import Ed25519Signer, Sha2, valid
from uptane.model.ids import EcuId, Filename, HardwareId, VehicleId
from uptane.model.metadata import LEVEL, DirectorTargets, Image
from uptane.model.reports import EcuReport, EcuState, InstalledImage, ManifestEntry, Outcome, VehicleManifest
from uptane.moments import UtcTime
from uptane.verify.image import installed_image
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
PRESS = Press(CODEC, Sha2(), Signers(signer("targets"), signer("snapshot"), signer("timestamp")), DAY_S)


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
