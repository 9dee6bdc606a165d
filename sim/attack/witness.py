"""What happened to each ECU, as durable octets tell: what it booted, which files it kept, which time it took for true.

The witness looks after every effect, from outside. What an ECU says of itself is nowhere asked, with one exception:
what it believes to be the newest metadata is a belief, so freeze is judged by it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from primary import state as primary_state
from primary.needs import Blob, Note, Perform, Place, Save
from primary.primary import CycleEnded
from secondary import needs as secondary_needs
from secondary import state as secondary_state
from secondary.needs import EraseSlot, Running, Store
from sim.attack.forge import LENGTH_MAX, read
from sim.attack.keys import EcuClass
from sim.attack.scene import CLASS_OF, ECUS, HEAD, VEHICLE, EcuNode, Scene, Seen, hardware_of
from sim.clock import NS_PER_S
from sim.founding import SUPPLIER
from sim.power import Powered
from sim.secondary_node import SecondaryNode
from sim.signatures import CODEC, HASHER, VERIFIER
from uptane.errors import Check, Malformed, Rejected, StorageFailure
from uptane.model.ids import TOP_TARGETS, EcuId, Filename, HardwareId, Repository, VehicleId
from uptane.model.metadata import DirectorTargets, ForVehicle, ImageTargets
from uptane.moments import UtcTime
from uptane.verify import attested, record
from uptane.verify.installation import Installation, factory
from uptane.verify.recheck import recheck
from uptane.verify.roles import SNAPSHOT, TIMESTAMP, check_expiry
from uptane.verify.stored import reload_director, reload_image
from uptane.verify.trusted import TIME_FILE, Held

TIME_IS_KNOWN = True  # the control group takes it away: then nobody can know that it was not told the time
SKEW_S: Final = 300  # what the Director allows between clocks
_REFUSAL: Final = re.compile(r"\b([A-Z][A-Z_]+) \(0x[0-9A-F]{4}")
_SLOTS: Final = (Place.SLOT_0, Place.SLOT_1)
_TIME: Final = f"{Repository.DIRECTOR.value}/{TIME_FILE}"
_PREFIX: Final = primary_state.metadata_name(Repository.DIRECTOR, "").removesuffix(f"{Repository.DIRECTOR.value}/")


@dataclass(frozen=True, slots=True)
class Genuine:
    """An image that was honestly published: its names with their counters, and the hardware it is for."""

    names: Mapping[Filename, int]
    hardware: frozenset[HardwareId]

    @property
    def counter(self) -> int:
        """The highest release counter it was given."""
        return max(self.names.values())


def genuine_images(seen: Seen) -> dict[bytes, Genuine]:
    """Every image that was ever published, by SHA-256."""
    found: dict[bytes, Genuine] = {}
    for octets in dict.fromkeys(files[role] for files in seen.repository for role in (TOP_TARGETS, SUPPLIER)):
        for image in read(octets, ImageTargets).entries:
            known = found.get(image.sha256, Genuine({}, frozenset()))
            names = {**known.names, image.filename: image.release_counter}
            found[image.sha256] = Genuine(names, known.hardware | set(image.hardware))
    return found


@dataclass(frozen=True, slots=True)
class Boot:
    """An image that an ECU ran, and when it began to: the SHA-256 of the octets in its slot, not of what it says."""

    at_ns: int
    ecu: EcuId
    sha256: bytes
    released: int  # the highest genuine counter the ECU had released before


@dataclass
class Witness:
    """See the module. `kept_foreign` and `false_time` name ECUs that kept what they should not have."""

    scene: Scene
    boots: list[Boot] = field(default_factory=list)
    kept_foreign: set[EcuId] = field(default_factory=set)
    false_time: dict[EcuId, int] = field(default_factory=dict)
    erases: dict[EcuId, int] = field(default_factory=dict)
    cycle_ended_ns: int = 0
    cycles: list[tuple[int, str]] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.began_ns = self.scene.clock.now_ns
        self.began_utc = self.scene.clock.utc
        self.sets_before = len(self.scene.seen.sets)
        self.used_before = self.scene.car.primary.disk.used
        self.released = {ecu: self._counter_of(ecu) for ecu in ECUS}
        self.scene.on_after.append(self.after)

    def _counter_of(self, ecu: EcuId) -> int:
        found = genuine_images(self.scene.seen).get(self.running(ecu))
        return 0 if found is None else found.counter

    # ------------------------------------------------------------------------------------------------- effects

    def after(self, node: Powered, effect: object) -> None:
        """An effect was carried out."""
        if not node.name.startswith("v1."):
            return
        node_: Any = node
        match effect:
            case Running():
                self._booted(node_.ecu)
            case Perform(need=Save(name=primary_state.INSTALLED)):
                self._booted(node_.ecu)
            case Perform(need=Save(name=name, octets=octets)):
                self._stored(node_, name.removeprefix(_PREFIX), octets)
            case Store(name=secondary_state.INSTALLATION):
                self._released(node_.ecu)
            case Store(name=name, octets=octets):
                self._stored(node_, name, octets)
            case Note(text=text) | secondary_needs.Note(text=text):
                self.refused |= {name for name in _REFUSAL.findall(text) if name in Check.__members__}
            case EraseSlot():
                self.erases[node_.ecu] = self.erases.get(node_.ecu, 0) + 1
            case CycleEnded(finished=finished):
                self.cycle_ended_ns = self.scene.clock.now_ns
                self.cycles.append((self.scene.clock.now_ns, finished.result.name))
            case _:
                pass

    def _booted(self, ecu: EcuId) -> None:
        now = self.running(ecu)
        if not self.boots or self.latest(ecu) != now:
            self.boots.append(Boot(self.scene.clock.now_ns, ecu, now, self.released[ecu]))
        self._released(ecu)

    def _released(self, ecu: EcuId) -> None:
        installation = self.installation(ecu)
        if installation.state.value == "released" and installation.running == installation.home:
            self.released[ecu] = max(self.released[ecu], self._counter_of(ecu))

    def latest(self, ecu: EcuId) -> bytes | None:
        """What an ECU was last seen to boot since the attack began."""
        return next((boot.sha256 for boot in reversed(self.boots) if boot.ecu == ecu), None)

    def _stored(self, node: EcuNode, name: str, octets: bytes) -> None:
        if name == _TIME:
            said = int(json.loads(octets)["time"])
            if abs(said - self.scene.clock.utc) > SKEW_S and said > self._floor(node):
                self.false_time[node.ecu] = said - self.scene.clock.utc
        elif name.startswith(f"{Repository.DIRECTOR.value}/"):
            speaker = speaker_of(octets)
            if isinstance(speaker, ForVehicle) and speaker.vehicle != VEHICLE:
                self.kept_foreign.add(node.ecu)

    def _floor(self, node: EcuNode) -> int:
        """Below this a clock is put back when a time key was replaced; that is no lie."""
        held = self.held(node.ecu)
        return 0 if held is None else int(held.director.root.value.header.issued)

    # --------------------------------------------------------------------------------------------------- truth

    def installation(self, ecu: EcuId) -> Installation:
        """The durable record of an ECU's installation."""
        node: Any = self.scene.node(ecu)
        name = primary_state.INSTALLED if ecu == HEAD else secondary_state.INSTALLATION
        octets = self.scene_record(node, name)
        given = node.means.factory if ecu == HEAD else node.facts.factory
        return factory(given) if octets is None else record.load(octets)

    @staticmethod
    def scene_record(node: EcuNode, name: str) -> bytes | None:
        """A record as it is durable, or None."""
        try:
            octets: bytes | None = node.records.load(name)
        except StorageFailure:
            return None
        return octets

    def slot(self, ecu: EcuId, number: int, length: int) -> bytes:
        """SHA-256 of what a slot holds; empty when it holds less."""
        node: Any = self.scene.node(ecu)
        if ecu == HEAD:
            octets: bytes = node.blobs.read(Blob(_SLOTS[number]), 0, length)
            return HASHER.sha256(octets) if len(octets) == length else b""
        content = node.slots[number].content(length)
        return bytes(content.sha256) if content.length == length else b""

    def running(self, ecu: EcuId) -> bytes:
        """SHA-256 of the octets that an ECU runs."""
        now = self.installation(ecu)
        return self.slot(ecu, now.running, now.image.length)

    def is_whole(self, ecu: EcuId) -> bool:
        """Whether what an ECU boots next is what its record says."""
        now = self.installation(ecu)
        return self.running(ecu) == now.image.sha256

    def held(self, ecu: EcuId) -> Held | None:
        """What an ECU would trust at its next start, from its durable files; None when it could not start."""
        node: Any = self.scene.node(ecu)
        prefix = _PREFIX if ecu == HEAD else ""
        records = {
            name.removeprefix(prefix): octets
            for name in node.records.names(prefix)
            if (octets := self.scene_record(node, name)) is not None
        }
        try:
            director = reload_director(VERIFIER, files_of(records, Repository.DIRECTOR), VEHICLE).trusted
            image = None
            if CLASS_OF[ecu] is not EcuClass.PARTIAL:
                image = reload_image(VERIFIER, files_of(records, Repository.IMAGE)).trusted
            floor = node.means.floor if ecu == HEAD else node.facts.floor
            clock = attested.load(records.get(_TIME), director.root, floor)
        except (Rejected, Malformed, StorageFailure):
            return None
        return Held(director, image, clock)

    def targets(self, ecu: EcuId) -> DirectorTargets | None:
        """The Director Targets an ECU keeps."""
        held = self.held(ecu)
        found = None if held is None else held.director.targets
        return None if found is None else found.value

    def believes(self, ecu: EcuId) -> bool:
        """Whether an ECU takes the metadata it holds for fresh: by its own clock, attested since its power came."""
        held, state = self.held(ecu), memory_of(self.scene, ecu)
        if held is None or state is None:
            return False
        utc, attested_now = state
        if TIME_IS_KNOWN and not attested_now:
            return False
        if not TIME_IS_KNOWN:
            return True
        try:
            # What the Image repository says is asked for only when something is to be installed.
            recheck(VERIFIER, Held(held.director, None, clock_at(held, utc)), ecu)
            if CLASS_OF[ecu] is not EcuClass.PARTIAL:
                for file, rules in ((held.director.timestamp, TIMESTAMP), (held.director.snapshot, SNAPSHOT)):
                    if file is None:
                        return False
                    check_expiry(file, rules, UtcTime(utc))
        except (Rejected, Malformed):
            return False
        return True


def memory_of(scene: Scene, ecu: EcuId) -> tuple[int, bool] | None:
    """What time an ECU believes it is, and whether it was attested since power-up; None without power."""
    node: Any = scene.node(ecu)
    if node.machine is None:
        return None
    if isinstance(node, SecondaryNode):
        return node.belief()
    frame = node.machine._core._tasks._main.gi_frame  # noqa: SLF001 (the memory of a Primary is in its main workflow)
    memory = None if frame is None else frame.f_locals.get("memory")
    if not isinstance(memory, primary_state.Memory):
        return None
    return int(memory.utc(node.now)), bool(memory.held.clock.attested)


def clock_at(held: Held, utc: int) -> attested.Clock:
    """The clock of an ECU at a time it believes in."""
    return attested.Clock(UtcTime(utc), held.clock.previous, attested=True, floor=held.clock.floor)


def files_of(records: Mapping[str, bytes], repository: Repository) -> dict[str, bytes]:
    """The files of one repository among records."""
    prefix = f"{repository.value}/"
    return {
        name.removeprefix(prefix): octets
        for name, octets in records.items()
        if name.startswith(prefix) and not name.endswith(".root")
    }


def speaker_of(octets: bytes) -> object:
    """Who a file says speaks; None when it is no file."""
    try:
        value: Any = CODEC.parse(CODEC.open(octets, LENGTH_MAX).payload)
    except Malformed:
        return None
    return getattr(getattr(value, "header", None), "speaker", None)


def bundles_of(sets: Iterable[DirectorTargets], ecu: EcuId, sha256: bytes) -> frozenset[int]:
    """Which of these Targets, by place, assign an image with this hash to an ECU."""
    return frozenset(
        place
        for place, targets in enumerate(sets)
        if (entry := targets.entries.find(ecu)) is not None and entry.image.sha256 == sha256
    )


def seconds(ns: int) -> int:
    """Whole seconds."""
    return ns // NS_PER_S


def fits(ecu: EcuId, image: Genuine) -> bool:
    """Whether an image is for an ECU's hardware."""
    return hardware_of(ecu) in image.hardware


__all__ = ["Boot", "Genuine", "VehicleId", "Witness", "genuine_images"]
