"""A whole vehicle in one process under virtual time: the Primary, real Secondaries, every frame, and fake servers.

Fakes have behaviour: the Director judges every manifest as the Standard says and remembers counters, the stores lose
nothing that was acknowledged, the power of the Primary (or of the whole vehicle) fails before whichever effect.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import sha256
from itertools import count
from random import Random
from typing import Any

from primary.buses import OnBus, SendOn
from primary.cycle import Finished
from primary.layout import Layout, Secondary, Verification
from primary.means import Means
from primary.needs import (
    Attest,
    Blob,
    CheckSlot,
    Damaged,
    EraseBlob,
    FetchBlock,
    FetchMetadata,
    Forget,
    FreeSpace,
    InstallSlot,
    ListCache,
    Load,
    LookAtVehicle,
    MarkSlot,
    Measure,
    Names,
    Note,
    Perform,
    Place,
    Poll,
    Polled,
    ReadBlob,
    Reason,
    RefusedByDirector,
    Restart,
    RunningSlot,
    Save,
    SelfTest,
    Unreachable,
    VehicleState,
    WriteBlob,
)
from primary.primary import CycleEnded, Done, Pace, Primary, Start, Stopped
from secondary import needs as node_needs
from tests.builders import (
    BODY,
    BRAKE,
    BUILT,
    CAMERA,
    CODEC,
    COORDINATOR,
    FULL_ECUS,
    HARDWARE,
    PRIMARY,
    TIME,
    VEHICLE,
    VERIFIER,
    Pair,
    PowerLost,
    key,
    sealed,
)
from tests.unit.primary.bootloader import Bootloader
from tests.unit.secondary.board import Board
from uptane.errors import Check, Malformed, Rejected, StorageFailure
from uptane.link import isotp_values as isotp
from uptane.link.isotp_values import IsoTpSettings, SendFrames, Tick
from uptane.model.ids import EcuId
from uptane.model.reports import EcuReport, EcuState, InstalledImage, TimeAttestation, VehicleManifest
from uptane.moments import SECOND_MS, Instant, UtcTime
from uptane.verify.threshold import accept_from, opened
from uptane.verify.trusted import Ecu

SECONDARIES = (BRAKE, BODY, CAMERA)
BUS_OF = {BRAKE: "classic", BODY: "classic", CAMERA: "fast"}
FRAMES_MS = 1
SERVER_MS = 20
REBOOT_MS = 800


def image_octets(image: InstalledImage) -> bytes:
    return f"{image.filename} {image.release_counter}".encode() * 50


class Node(Board):
    """A Secondary of the world."""

    def __init__(self, world: World, ecu: EcuId, address: int) -> None:
        self.world = world
        super().__init__(world.pair, ecu)
        self.facts = replace(self.facts, address=address)
        self.dead = False
        self.now = world.now

    def _carry_out(self, effect: Any) -> Any:
        if isinstance(effect, SendFrames):
            self.world.from_node(self, effect)
            return None
        return super()._carry_out(effect)

    def take(self, event: Any) -> None:
        if self.dead:
            return
        self.now = self.world.now
        self._events.append(event)
        self.settle()


class FakeDirector:
    """Serves the pair's Director files, and judges manifests; `reports` are the latest genuine ones."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.admitted = b""
        self.counter = 0
        self.reports: dict[EcuId, EcuReport] = {}
        self.silent: set[EcuId] = set()
        self.refusals: list[Check] = []
        self.polls: list[Poll] = []
        self.refuse_all = False

    def poll(self, poll: Poll) -> Polled:
        self.polls.append(poll)
        refused: tuple[RefusedByDirector, ...] = ()
        if poll.manifest:
            try:
                self._admit(poll.manifest)
            except (Rejected, Malformed) as refusal:
                check = refusal.check if isinstance(refusal, Rejected) else Check.ENCODING
                self.refusals.append(check)
                refused = (RefusedByDirector(check.code, str(refusal)),)
        wanted = not poll.manifest and poll.manifest_digest != self.admitted
        return Polled(wanted, self.admitted, 0, refused, self._files(poll))

    def _files(self, poll: Poll) -> dict[str, bytes]:
        repo, files = self.world.pair.director, {}
        for version in range(poll.held.root + 1, repo.versions["root"] + 1):
            files[f"{version}.root"] = repo.offered[f"{version}.root"]
        if repo.versions["timestamp"] > poll.held.timestamp:
            files["timestamp"] = repo.offered["timestamp"]
        for role, held in (("snapshot", poll.held.snapshot), ("targets", poll.held.targets)):
            if repo.versions[role] > held:
                files[f"{repo.versions[role]}.{role}"] = repo.offered[f"{repo.versions[role]}.{role}"]
        return files

    def _admit(self, octets: bytes) -> None:
        if self.refuse_all:
            raise Rejected(Check.MANIFEST_PRIMARY, "as the test wants it")
        if sha256(octets).digest() == self.admitted:
            return
        manifest = accept_from(
            VERIFIER,
            opened(VERIFIER, octets, 1 << 20),
            COORDINATOR.public,
            VehicleManifest,
            check=Check.MANIFEST_SIGNATURE,
        ).value
        if manifest.counter <= self.counter:
            raise Rejected(Check.MANIFEST_COUNTER)
        assert [entry.ecu for entry in manifest.entries] == sorted([PRIMARY, *SECONDARIES])
        reports = {entry.ecu: self._report(entry.ecu, entry.report) for entry in manifest.entries if entry.report}
        self.silent = {entry.ecu for entry in manifest.entries if entry.silent_since is not None}
        self.reports |= reports
        self.counter, self.admitted = manifest.counter, sha256(octets).digest()

    def _report(self, ecu: EcuId, octets: bytes) -> EcuReport:
        signer = COORDINATOR if ecu == PRIMARY else key(f"ecu {ecu}")
        report = accept_from(
            VERIFIER, opened(VERIFIER, octets, 8_192), signer.public, EcuReport, check=Check.REPORT_SIGNATURE
        ).value
        known = self.reports.get(ecu)
        assert (report.vehicle, report.ecu) == (VEHICLE, ecu)
        if known is not None and (
            report.counter < known.counter or (report.counter == known.counter and report != known)
        ):
            raise Rejected(Check.REPORT_COUNTER, f"{ecu}: {report.counter} after {known.counter}")
        return report

    def proven(self) -> dict[EcuId, str]:
        """What the Director knows for certain that ECUs run."""
        sure = {EcuState.COMMITTED, EcuState.RELEASED}
        return {ecu: report.image.filename for ecu, report in self.reports.items() if report.state in sure}


class World:
    """The vehicle and its servers.

    `fuse`: how many more effects of the Primary that `burns` accepts are carried out before its power fails.
    """

    def __init__(self, pair: Pair | None = None, *, once: bool = True, loss: float = 0.0, seed: int = 1) -> None:
        self.pair = pair or Pair()
        self.now = 10_000
        self.epoch = self.pair.now - self.now // SECOND_MS
        self.once = once
        self.bootloader: Bootloader | None = None
        self.records: dict[str, bytes] = {}
        self.cache: dict[str, bytearray] = {}
        self.slots = [bytearray(), bytearray()]
        self.free = 10_000_000
        self.full_disk = False
        self.damaged: list[str] = []
        self.broken: set[str] = set()
        self.state = VehicleState(parked=True, energy_s=None, consent=None)
        self.self_test = True
        self.down: set[str] = set()
        self.fuse: int | None = None
        self.burns: Callable[[Any], bool] = lambda _effect: True
        self.effects: list[Any] = []
        self.notes: list[Note] = []
        self.ended: list[CycleEnded] = []
        self.stopped: Any = None
        self.starts = 0
        self.lose: Callable[[str, Any], bool] | None = None
        self.loss, self.dice = loss, Random(seed)
        self.frames = 0
        self.director = FakeDirector(self)
        self.images = {each.sha256: each for each in self.pair.factory.values()}
        self._mail: list[tuple[int, int, Callable[[], None]]] = []
        self._number = count()
        self._life = 0
        self.machine: Primary | None = None
        self.nodes = {ecu: Node(self, ecu, 0x21 + place) for place, ecu in enumerate(SECONDARIES)}
        for node in self.nodes.values():
            node.power_up()
        self._provision()

    # ------------------------------------------------------------------------------------------------- the vehicle

    def _provision(self) -> None:
        for repo in (self.pair.director, self.pair.image):
            files = {"root": f"{repo.versions['root']}.root", "timestamp": "timestamp"}
            files |= {role: f"{repo.versions[role]}.{role}" for role in ("snapshot", "targets")}
            for file, name in files.items():
                self.records[f"metadata/{repo.repository.value}/{file}"] = repo.offered[name]
        self.slots[0][:] = image_octets(self.pair.factory[PRIMARY])

    @property
    def means(self) -> Means:
        kinds = {ecu: Verification.FULL if ecu in FULL_ECUS else Verification.PARTIAL for ecu in SECONDARIES}
        secondaries = tuple(
            Secondary(ecu, HARDWARE[ecu], kinds[ecu], BUS_OF[ecu], 0x21 + place, key(f"ecu {ecu}").public)
            for place, ecu in enumerate(SECONDARIES)
        )
        layout = Layout(VEHICLE, PRIMARY, HARDWARE[PRIMARY], "*/*", 20_000, secondaries)
        own = Ecu(VEHICLE, PRIMARY, HARDWARE[PRIMARY], "*/*", 20_000)
        return Means(
            layout=layout,
            own=own,
            verifier=VERIFIER,
            signer=COORDINATOR,
            secret=b"p" * 32,
            floor=BUILT,
            factory=self.pair.factory[PRIMARY],
            jitter=lambda most: most // 2,
            bootloader=self.bootloader is not None,
        )

    def update(self, counter: int = 2, **changes: Any) -> None:
        """The Director assigns new images to every ECU."""
        self.pair.update(counter)
        self.know()

    def know(self) -> None:
        """Images that are assigned now can be fetched."""
        for entry in self.pair.director.entries.values():
            image = entry.image
            self.images[image.sha256] = InstalledImage(
                image.filename, image.length, image.sha256, image.release_counter
            )

    def runs(self) -> dict[EcuId, str]:
        """What every ECU runs: a whole image each."""
        found = {ecu: str(node.state.installation.image.filename) for ecu, node in self.nodes.items()}
        for node in self.nodes.values():
            node.runs()
        found[PRIMARY] = str(self.own.image.filename)
        assert self.bootloader is None or self.bootloader.running == self.own.running, "the record is not what runs"
        octets = bytes(self.slots[self.own.running])
        assert sha256(octets[: self.own.image.length]).digest() == self.own.image.sha256
        return found

    @property
    def own(self) -> Any:
        """This ECU's own installation, as durable."""
        from uptane.verify import record
        from uptane.verify.installation import factory

        octets = self.records.get("installed/own")
        return factory(self.pair.factory[PRIMARY]) if octets is None else record.load(octets)

    # --------------------------------------------------------------------------------------------------- running

    def power_up(self) -> None:
        """Start the Primary from what is durable."""
        self.starts += 1
        self._life += 1
        self.stopped = None
        classic, fast = IsoTpSettings(), IsoTpSettings()
        self.machine = Primary(self.means, Pace(poll_s=60, once=self.once), {"classic": classic, "fast": fast})
        self._post(0, lambda: self._give(Start()))

    def cut(self, *, vehicle: bool = False, machine: bool = True) -> None:
        """The Primary is killed, and its machine with it; with `vehicle` the power of every ECU fails."""
        self.machine = None
        self._life += 1
        self._mail.clear()
        self.fuse = None
        if self.bootloader is not None and machine:
            self.bootloader.boot()
        for node in self.nodes.values():
            if vehicle:
                node.now = self.now
                node.power_up()
        self.now += 1_000

    def run(self, until: Callable[[], bool] | None = None, *, limit_s: int = 3_600) -> Any:
        """Let everything happen until `until` holds or, without it, until the Primary has stopped by itself."""
        if self.machine is None:
            self.power_up()
        done = until or (lambda: self.stopped is not None)
        end = self.now + limit_s * SECOND_MS
        while not done():
            due = self._due()
            assert due is not None, "nothing will ever happen"
            self.now = max(self.now, due)
            assert self.now <= end, f"takes too long; latest: {self.notes[-5:]}"
            if self._mail and self._mail[0][0] <= self.now:
                heapq.heappop(self._mail)[2]()
                continue
            self._tick()
        return None if self.stopped is None else self.stopped.outcome

    def once_more(self) -> Finished:
        """Run one more `once` from what is durable; how it ended."""
        self.machine = None
        outcome = self.run()
        assert isinstance(outcome, Finished), outcome
        return outcome

    def _due(self) -> int | None:
        times = [self._mail[0][0]] if self._mail else []
        machines = [self.machine, *(None if node.dead else node.machine for node in self.nodes.values())]
        times += [at for each in machines if each is not None and (at := each.deadline()) is not None]
        return min(times, default=None)

    def _tick(self) -> None:
        if self.machine is not None and (at := self.machine.deadline()) is not None and at <= self.now:
            self._give(Tick())
        for node in self.nodes.values():
            at = None if node.dead or node.machine is None else node.machine.deadline()
            if at is not None and at <= self.now:
                node.take(node_needs.Tick())

    def _post(self, ms: int, act: Callable[[], None]) -> None:
        heapq.heappush(self._mail, (self.now + ms, next(self._number), act))

    def _give(self, event: Any) -> None:
        machine = self.machine
        if machine is None:
            return
        for effect in machine.handle(event, Instant(self.now)):
            if self.machine is not machine:
                return
            self._carry(effect)

    def _carry(self, effect: Any) -> None:
        if isinstance(effect, Perform | SendOn):
            if self.fuse is not None and self.burns(effect):
                if self.fuse == 0:
                    raise PowerLost
                self.fuse -= 1
            self.effects.append(effect)
        match effect:
            case SendOn(bus=bus, frames=frames):
                self._from_primary(bus, frames)
            case Perform(ticket=ticket, need=need):
                self._perform(ticket, need)
            case Note():
                self.notes.append(effect)
            case CycleEnded():
                self.ended.append(effect)
            case Stopped():
                self.stopped = effect
            case _:
                raise AssertionError(effect)

    # ------------------------------------------------------------------------------------------------------- buses

    def _lost(self, bus: str, frame: Any) -> bool:
        self.frames += 1
        return (self.loss and self.dice.random() < self.loss) or (self.lose is not None and self.lose(bus, frame))

    def _from_primary(self, bus: str, run: SendFrames) -> None:
        frames = [frame for frame in run.frames if not self._lost(bus, frame)]
        on_bus = [node for ecu, node in self.nodes.items() if BUS_OF[ecu] == bus]

        def heard() -> None:
            for node in on_bus:
                node.take(isotp.FramesHeard(frames))

        self._post(FRAMES_MS, heard)
        self._sent_by_us(bus, run.ticket)

    def _sent_by_us(self, bus: str, ticket: int) -> None:
        life = self._life

        def sent() -> None:
            if life == self._life:
                self._give(OnBus(bus, isotp.FramesSent(ticket)))

        if ticket:
            self._post(FRAMES_MS, sent)

    def from_node(self, node: Node, run: SendFrames) -> None:
        bus = BUS_OF[node.ecu]
        frames = [frame for frame in run.frames if not self._lost(bus, frame)]
        life, boot = self._life, node.machine

        def heard() -> None:
            if life == self._life:
                self._give(OnBus(bus, isotp.FramesHeard(frames)))

        def sent() -> None:
            if node.machine is boot:
                node.take(isotp.FramesSent(run.ticket))

        self._post(FRAMES_MS, heard)
        if run.ticket:
            self._post(FRAMES_MS, sent)

    # ------------------------------------------------------------------------------------------------------- needs

    def _perform(self, ticket: int, need: Any) -> None:
        if isinstance(need, InstallSlot | CheckSlot | RunningSlot | MarkSlot | Restart) and self.bootloader is not None:
            answer = self.bootloader.meet(need, self.slots)
            if not isinstance(need, Restart) or answer is not None:
                self._post(0, lambda: self._give(Done(ticket, answer)))
                return
        if isinstance(need, Restart):
            self.machine = None
            self._life += 1
            life = self._life

            def reboot() -> None:
                if life == self._life:
                    self.power_up()

            self._post(REBOOT_MS, reboot)
            return
        remote = isinstance(need, Poll | Attest | FetchMetadata | FetchBlock)
        try:
            answer = self._remote(need) if remote else self._local(need)
        except (StorageFailure, Unreachable) as failure:
            answer = failure
        life = self._life

        def done() -> None:
            if life == self._life:
                self._give(Done(ticket, answer))

        self._post(SERVER_MS if remote else 0, done)

    def _remote(self, need: Any) -> Any:
        names: dict[type, str] = {Poll: "director", Attest: "time", FetchMetadata: "image", FetchBlock: "image"}
        server = names[type(need)]
        if server in self.down:
            raise Unreachable(server, Reason.DOWN)
        match need:
            case Poll():
                return self.director.poll(need)
            case Attest(nonces=nonces):
                return tuple(self.attest(nonce) for nonce in nonces)
            case FetchMetadata(name=name, length_max=length_max):
                octets = self.pair.image.offered.get(name)
                return None if octets is None else octets[: length_max + 1]
            case FetchBlock(sha256=digest, offset=offset):
                image = self.images.get(digest)
                return None if image is None else image_octets(image)[offset : offset + 1_000]
            case _:
                raise AssertionError(need)

    @property
    def utc(self) -> UtcTime:
        return UtcTime(self.epoch + self.now // SECOND_MS)

    def attest(self, nonce: bytes) -> bytes:
        return sealed(CODEC.encode(TimeAttestation(1, self.utc, nonce)), [TIME])

    def _blob(self, blob: Blob) -> bytearray | None:
        if blob.place is Place.CACHE:
            return self.cache.get(blob.name)
        return self.slots[blob.place is Place.SLOT_1]

    def _local(self, need: Any) -> Any:
        if self.full_disk and isinstance(need, Save | WriteBlob):
            raise StorageFailure("no space left on device")
        match need:
            case Save(name=name, octets=octets):
                self.records[name] = octets
                self.broken.discard(name)
            case Forget(name=name):
                self.records.pop(name, None)
            case Load(name=name):
                if name in self.broken:
                    raise StorageFailure(f"{name}: no whole copy is left")
                return self.records.get(name)
            case Names(prefix=prefix):
                return [name for name in sorted(self.records) if name.startswith(prefix)]
            case Damaged():
                found, self.damaged = tuple(self.damaged), []
                return found
            case LookAtVehicle():
                return self.state
            case SelfTest():
                return self.self_test
            case ListCache():
                return tuple(self.cache)
            case FreeSpace():
                return self.free
            case _:
                return self._blobs(need)
        return None

    def _blobs(self, need: Any) -> Any:
        match need:
            case Measure(blob=blob):
                return len(self._blob(blob) or b"")
            case ReadBlob(blob=blob, offset=offset, length=length):
                return bytes((self._blob(blob) or b"")[offset : offset + length])
            case WriteBlob(blob=blob, offset=offset, octets=octets):
                octets_held = (
                    self.cache.setdefault(blob.name, bytearray()) if blob.place is Place.CACHE else self._blob(blob)
                )
                assert octets_held is not None
                assert blob.place is Place.CACHE or octets_held is not self.slots[self.own.running], "writes what runs"
                assert offset == len(octets_held), "written out of order"
                octets_held += octets
            case EraseBlob(blob=blob):
                if blob.place is Place.CACHE:
                    self.cache.pop(blob.name, None)
                else:
                    held = self._blob(blob)
                    assert held is not None
                    assert held is not self.slots[self.own.running], "erases what runs"
                    held.clear()
            case _:
                raise AssertionError(need)
        return None


OLD = {
    ecu: f"{name}/app-1" for ecu, name in ((PRIMARY, "primary"), (BRAKE, "brakes"), (BODY, "body"), (CAMERA, "camera"))
}
NEW = {ecu: name.replace("-1", "-2") for ecu, name in OLD.items()}


def texts(notes: Sequence[Note]) -> str:
    return "\n".join(f"{note.step.value}: {note.ecu or ''} {note.text}" for note in notes)
