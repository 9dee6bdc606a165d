"""The checkers: told of everything that is carried out, they hold it against the rules and end a run that broke one.

    checkers = Checkers(director.records.vehicles.get)
    checkers.founded(director, image)           # listen to the servers, which have issued something before
    checkers.booted(node)                       # a machine is about to begin, from what is durable
    checkers.before(node), after(node, effect)  # an effect is about to be carried out; it was
    checkers.issued(vehicle, files)             # the Director has made metadata of a vehicle durable
    checkers.rooted(octets)                     # ... or a Root
    checkers.published(files, images)           # the Image repository has made files durable
    checkers.acknowledged(vehicle, digest)      # the Director has admitted a manifest
    checkers.attested(envelopes)                # the time service has answered
    checkers.unsettled(ordered), settled(...)   # the end: what is not where it should be

A call costs next to nothing unless something durable has changed; frames are not looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, TypeAlias

from director.inventory import Vehicle
from primary import state as primary_state
from primary.needs import EraseBlob, Forget, LookAtVehicle, Perform, Poll, Save, WriteBlob
from secondary.needs import Delete, EraseSlot, PowerCycle, Running, Store, WriteSlot
from sim import check_bundle, check_installation, check_reports, check_rest, check_slots, check_trust
from sim.check_bundle import VehicleTruth
from sim.check_reports import Acknowledged
from sim.check_servers import Shelf
from sim.check_slots import SLOT_OF
from sim.director_server import DirectorServer, issued_files
from sim.image_server import ImageServer
from sim.issued import Issued, read
from sim.rules import Rule, Violated, Violation
from sim.truth import (
    TARGETS,
    TIME,
    EcuTruth,
    Held,
    SimEcu,
    born,
    clock_of,
    identity,
    installed_name,
    is_floor,
    known_as,
    look,
    names,
    nonce_name,
    octets_of,
    stored_as,
)
from uptane.errors import StorageFailure
from uptane.model.ids import EcuId, Filename, Repository, VehicleId
from uptane.model.reports import TimeAttestation
from uptane.verify import record
from uptane.verify.installation import Installation, factory
from uptane.verify.trusted import ROOT_FILE

Finding: TypeAlias = tuple[Rule, str]
Recorded: TypeAlias = Callable[[VehicleId], Vehicle | None]


class Checkers:
    """See the module.

    `recorded` is what the Director durably knows of a vehicle. `halt`: the first broken rule raises Violated; if not,
    all of them are collected in `violations`.
    """

    def __init__(self, recorded: Recorded, *, halt: bool = True) -> None:
        self.violations: list[Violation] = []
        self.said: Final = Issued()
        self._shelf = Shelf()
        self._answers: dict[bytes, set[int]] | None = None
        self._recorded = recorded
        self._halt = halt
        self._ecus: dict[object, EcuTruth] = {}
        self._vehicles: dict[VehicleId, VehicleTruth] = {}
        self._admitted: dict[VehicleId, Acknowledged] = {}
        self._acts: Final[dict[type[Any], Callable[[EcuTruth, Any], Iterable[Finding]]]] = {
            Store: lambda truth, need: self._stored(truth, need.name, need.octets),
            Delete: lambda truth, need: self._touched(truth, need.name),
            Save: lambda truth, need: self._stored(truth, known_as(need.name), need.octets),
            Forget: lambda truth, need: self._touched(truth, known_as(need.name)),
            EraseSlot: check_slots.erased,
            WriteSlot: lambda truth, need: check_slots.touched(truth, need.slot),
            EraseBlob: check_slots.erased_blob,
            WriteBlob: lambda truth, need: check_slots.touched(truth, SLOT_OF.get(need.blob.place)),
            PowerCycle: lambda truth, _need: check_slots.restarted(truth),
            LookAtVehicle: lambda truth, _need: check_slots.looked(truth),
            Running: self._running,
            Poll: lambda truth, need: check_reports.polled(self._of(truth), need.manifest),
        }

    # ------------------------------------------------------------------------------------------------- the servers

    def founded(self, director: DirectorServer, image: ImageServer) -> None:
        """Listen to these servers; what they have issued before is as good."""
        self._find("director", self._enter(director.records.roots))
        for vehicle in director.records.vehicles.values():
            if vehicle.issued is not None:
                self._find("director", self._enter(issued_files(vehicle.issued).values()))
        by_version = sorted(image.records.files.items(), key=lambda file: file[0][1])
        self.published({f"{version}.{role}": octets for (role, version), octets in by_version}, image.records.blobs)
        director.listeners.on_root = self.rooted
        director.listeners.on_issue = self.issued
        director.listeners.on_admitted = self.acknowledged
        image.on_publish = self.published

    def rooted(self, octets: bytes) -> None:
        """The Director has made its next Root durable."""
        self._find("director", self._enter([octets]))

    def issued(self, vehicle: VehicleId, files: Mapping[str, bytes]) -> None:
        """The Director has made these files durable for a vehicle."""
        self._find("director", self._enter(files.values()))
        self._judge_director(vehicle)

    def published(self, files: Mapping[str, bytes], images: Mapping[bytes, bytes]) -> None:
        """The Image repository has made these files durable, and before them these images, by SHA-256."""
        self._find("image", self._enter(files.values()))
        self._shelf.take(images)
        for octets in files.values():
            self._find("image", self._shelf.judge(octets))

    def acknowledged(self, vehicle: VehicleId, digest: bytes) -> None:
        """The Director has durably admitted the manifest with this digest."""
        truth = self._vehicle(vehicle)
        known = self._admitted.setdefault(vehicle, Acknowledged())
        self._find("director", check_reports.acknowledged(truth, known, digest))
        self._judge_director(vehicle)

    def attested(self, envelopes: Iterable[bytes]) -> None:
        """The time service has given these answers. Once it was told of one, no ECU may hold another time."""
        self._answers = {} if self._answers is None else self._answers
        for octets in envelopes:
            file = read(octets)
            if file is not None and isinstance(file.value, TimeAttestation):
                self._answers.setdefault(file.value.nonce, set()).add(file.value.time)

    def _enter(self, files: Iterable[bytes]) -> Iterator[Finding]:
        for octets in files:
            if wrong := self.said.add(octets):
                yield Rule.FORWARD, wrong

    def _judge_director(self, vehicle: VehicleId) -> None:
        recorded = self._recorded(vehicle)
        if recorded is not None:
            known = self._admitted.setdefault(vehicle, Acknowledged())
            self._find("director", check_reports.on_record(self._vehicle(vehicle), known, recorded))

    # ---------------------------------------------------------------------------------------------------- the nodes

    def before(self, node: SimEcu) -> None:
        """An effect is about to be carried out: the first one of a life is preceded by its boot."""
        truth = self._ecus.get(node)
        if truth is None or truth.life != node.life:
            self.booted(node)
            truth = self._ecus[node]
        truth.now = node.now
        check_slots.look_around(truth)

    def after(self, node: SimEcu, effect: object) -> None:
        """An effect was carried out, or was refused by storage."""
        need = effect.need if isinstance(effect, Perform) else effect
        act = self._acts.get(type(need))
        if act is None:
            return
        truth = self._ecus.get(node)
        if truth is None:
            self.booted(node)
            truth = self._ecus[node]
        self._find(truth.name, act(truth, need))

    def booted(self, node: SimEcu) -> None:
        """A machine begins in this node, from what is durable: whatever a power cut left of an effect is seen now."""
        truth = self._ecus.get(node)
        if truth is None or truth.key != identity(node):
            truth = self._ecus[node] = born(node)
            vehicle = self._vehicle(truth.vehicle)
            vehicle.enter(truth)
            self._learn_all(truth)
            return
        self._find(truth.name, self._looked_at(truth))  # what was under way belongs to the life before
        truth.life, truth.now = node.life, node.now
        truth.booting, truth.attested, truth.unattested, truth.tested = True, False, False, None
        truth.unsafe_since = None
        check_trust.boot_clock(truth)
        known = truth.records.get(installed_name(truth), _NOTHING)
        if known.octets is not None or known.sound:  # one that lost it does not start: nobody knows what the slots hold
            self._find(truth.name, check_installation.bootable(truth))

    def tested(self, node: SimEcu, *, passed: bool) -> None:
        """The self-test of what runs has said this."""
        truth = self._ecus.get(node)
        if truth is not None:
            truth.tested = passed
            truth.unproven = 0 if passed else truth.unproven

    # ------------------------------------------------------------------------------------------------------ the end

    def unsettled(self, ordered: Mapping[VehicleId, Mapping[EcuId, Filename]]) -> list[str]:
        """What keeps the fleet from being where it should be; `ordered` is what the Director took last, by ECU."""
        found: list[str] = []
        for name, vehicle in self._vehicles.items():
            recorded = self._recorded(name)
            if recorded is not None:
                found += check_rest.unsettled(vehicle, recorded, ordered.get(name, {}))
        return found

    def settled(self, ordered: Mapping[VehicleId, Mapping[EcuId, Filename]]) -> None:
        """The time that every vehicle has to come to rest is over."""
        self._find("checkers", ((Rule.CONVERGED, text) for text in self.unsettled(ordered)))

    # ------------------------------------------------------------------------------------------------------ records

    def _looked_at(self, truth: EcuTruth) -> Iterator[Finding]:
        """Every record as it is now."""
        try:
            there = [known_as(name) for name in names(truth.node)]
        except StorageFailure:
            there = []
        for name in dict.fromkeys((*truth.records, *there)):
            yield from self._touched(truth, name)
        for repository in Repository if truth.lost else ():
            check_trust.stand_under(truth, repository)

    def _stored(self, truth: EcuTruth, name: str, octets: bytes) -> Iterator[Finding]:
        yield from self._touched(truth, name)
        if name == TIME and octets_of(truth, TIME) == octets:
            yield from check_trust.attested(truth, self._answers)

    def _touched(self, truth: EcuTruth, name: str) -> Iterator[Finding]:
        """A record may be another one now."""
        if truth.primary and name.endswith(f".{ROOT_FILE}"):
            return
        held = look(truth.node.records, stored_as(truth, name))
        before = truth.records.get(name, _NOTHING)
        if held is None or held == before:
            return
        truth.records[name] = held
        if held.octets == before.octets:
            return
        back = not held.sound and held.generation <= before.generation
        if back:
            truth.lost.add(name)
        yield from self._changed(truth, name, moved=not back)

    def _changed(self, truth: EcuTruth, name: str, *, moved: bool) -> Iterator[Finding]:
        """`moved`: the ECU has written it; if not, storage has brought back an older one, or has lost it."""
        if name == installed_name(truth):
            yield from self._installed(truth, moved=moved)
        elif name == nonce_name(truth):
            if moved:
                yield from check_trust.counted(truth)
            yield from self._first_nonce(truth)
        elif name == TIME:
            if moved:
                yield from check_trust.clocked(truth)
            else:
                truth.clock = clock_of(truth, truth.records[TIME].octets)
        elif is_floor(name):
            if moved:
                yield from check_trust.kept(truth, name, self.said)
            else:
                _restore_floor(truth, name)
            if name == TARGETS:
                truth.remember()
        elif truth.primary:
            yield from self._of_primary(truth, name, moved=moved)

    def _of_primary(self, truth: EcuTruth, name: str, *, moved: bool) -> Iterator[Finding]:
        octets = truth.records[name].octets
        vehicle = self._of(truth)
        if name == primary_state.TRANSACTION:
            if moved:
                yield from check_bundle.journaled(vehicle, octets)
            else:
                check_bundle.brought_back(vehicle, octets)
        elif name == primary_state.MANIFEST and octets is not None:
            if moved:
                yield from check_reports.manifested(vehicle, truth, octets)
            vehicle.latest = octets
        elif name == primary_state.ADMITTED and octets is not None and moved:
            yield from check_reports.told(vehicle, self._recorded(truth.vehicle), octets)
        elif name.startswith(primary_state.REPORTS) and octets is not None and moved:
            lives = vehicle.lives.get(EcuId(name.removeprefix(primary_state.REPORTS)), [])
            yield from check_reports.reported(lives, octets)

    def _installed(self, truth: EcuTruth, *, moved: bool) -> Iterator[Finding]:
        octets = truth.records[installed_name(truth)].octets
        old = truth.installation
        truth.installation = now = factory(truth.factory) if octets is None else record.load(octets)
        if not moved:
            self._installation_back(truth, old)
            return
        yield from check_installation.moved(truth, old, self.said)
        if check_installation.ended_by_going_back(old, now) and now.bundle is not None:
            truth.tried.append((now.bundle, now.targets_version))
        truth.remember()
        yield from check_bundle.joined(self._of(truth), truth, old)

    def _installation_back(self, truth: EcuTruth, old: Installation) -> None:
        """Storage has brought back an older record: nobody can hold the ECU to what it no longer knows."""
        truth.tried = list(truth.installation.rolled_back)
        truth.erases.clear()
        truth.remember()
        vehicle = self._of(truth)
        for bundle, version in ((old.bundle, old.targets_version), truth.attempt or (None, 0)):
            if bundle is not None:
                vehicle.of((bundle, version)).spared.add(truth.ecu)

    def _learn_all(self, truth: EcuTruth) -> None:
        """What an ECU is met with, beside its own state, which stands as it is."""
        for name in list(truth.records):
            if truth.primary and not is_floor(name) and name not in {installed_name(truth), nonce_name(truth), TIME}:
                self._find(truth.name, self._of_primary(truth, name, moved=True))

    # ------------------------------------------------------------------------------------------------- other effects

    def _running(self, truth: EcuTruth, need: Running) -> Iterator[Finding]:
        truth.booting = False
        yield from check_installation.booted(truth, need.slot)

    def _first_nonce(self, truth: EcuTruth) -> Iterator[Finding]:
        """A Primary draws its first nonce when it has decided what boots."""
        if truth.primary and truth.booting:
            truth.booting = False
            yield from check_installation.booted(truth, truth.installation.running)

    # ------------------------------------------------------------------------------------------------------ details

    def _vehicle(self, vehicle: VehicleId) -> VehicleTruth:
        return self._vehicles.setdefault(vehicle, VehicleTruth(vehicle))

    def _of(self, truth: EcuTruth) -> VehicleTruth:
        return self._vehicle(truth.vehicle)

    def _find(self, node: str, findings: Iterable[Finding]) -> None:
        for rule, text in findings:
            violation = Violation(rule, node, text)
            self.violations.append(violation)
            if self._halt:
                raise Violated(violation)


_NOTHING: Final = Held()


def _restore_floor(truth: EcuTruth, name: str) -> None:
    file = truth.file(name)
    if file is None:
        truth.floors.pop(name, None)
    else:
        truth.floors[name] = file
