"""A Primary on virtual I/O: the shipping machine, its records and blobs, a controller on each bus, calls to servers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from primary.buses import OnBus, SendOn
from primary.cycle import Result
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
    Poll,
    ReadBlob,
    Restart,
    RunningSlot,
    Save,
    SelfTest,
    VehicleState,
    WriteBlob,
)
from primary.primary import CycleEnded, Done, Pace, Primary, Start, Stopped
from primary.state import INSTALLED
from sim.bootloader import Bootloader
from sim.can_bus import CanBus
from sim.can_controller import Controller
from sim.clock import NS_PER_MS
from sim.disk import Disk
from sim.network import Need
from sim.node import Node, brief, state_in
from sim.power import Stage
from sim.storage import Blobs, RecordFaults, Records
from sim.verbs import Verb
from uptane.errors import StorageFailure
from uptane.link.can_frame import address_of
from uptane.link.isotp_values import FramesHeard, FramesSent, IsoTpSettings, Tick
from uptane.link.uds_values import PRIMARY_ADDRESS
from uptane.model.ids import EcuId
from uptane.verify import record
from uptane.verify.installation import factory

BOOT_NS: Final = 400 * NS_PER_MS
SELF_TEST_NS: Final = 500 * NS_PER_MS
AGAIN_NS: Final = 5_000 * NS_PER_MS  # before a process that ended is started again
POLL_S: Final = 300
ROOTS: Final = ("metadata/director/root", "metadata/image/root")
FD_BUS: Final = "fast"
FAST: Final = IsoTpSettings(64, fd=True, brs=True)

_SAVE_NS: Final = 4 * NS_PER_MS
_WRITE_NS: Final = 1 * NS_PER_MS
_INSTALL_NS: Final = 900 * NS_PER_MS
_READ_NS: Final = NS_PER_MS // 10

_ENDS: Final = (Result.DONE, Result.ROLLED_BACK)
_REMOTE: Final = (Poll, Attest, FetchMetadata, FetchBlock)


class Servers(Protocol):
    """The way from a vehicle to the servers."""

    def ask(self, caller: PrimaryNode, need: Need, answered: Callable[[object], None]) -> None:
        """Carry a need to its server; `answered` gets the answer, or the MarqueError that stands for it."""
        ...

    def cut(self, caller: PrimaryNode) -> None:
        """The caller has lost its power: nothing that is on its way reaches it."""
        ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the vehicle around the Primary says, and how its own image tests itself."""

    state: Callable[[], VehicleState]
    passes: Callable[[EcuId], bool]


@dataclass(frozen=True, slots=True)
class Computer:
    """What of a Primary outlives its power, all on one disk; `bootloader`: who chooses the slot, if not its record."""

    disk: Disk
    records: Records
    blobs: Blobs
    bootloader: Bootloader | None = None


class PrimaryNode(Node):
    """See the module."""

    def __init__(
        self,
        name: str,
        means: Means,
        stage: Stage,
        *,
        computer: Computer,
        buses: Mapping[str, CanBus],
        around: Surroundings,
        servers: Servers,
        ppm: int = 0,
    ) -> None:
        super().__init__(name, stage, ppm=ppm)
        self.means = means
        self.disk = computer.disk
        self.records = computer.records
        self.blobs = computer.blobs
        self.bootloader = computer.bootloader
        self.latest: CycleEnded | None = None
        self.cycles = 0
        self.updates = 0
        self._around = around
        self._servers = servers
        self._cans = {bus: self._attach(bus, each) for bus, each in buses.items()}

    def _attach(self, bus: str, can: CanBus) -> Controller:
        controller = can.attach(self.name, _accepts, lambda frames: self.give(OnBus(bus, FramesHeard(frames))))
        controller.listening = False
        return controller

    @property
    def ecu(self) -> EcuId:
        """Which ECU this is."""
        return self.means.layout.ecu

    def is_at_rest(self) -> bool:
        """Whether the latest cycle of this life found nothing to do."""
        return self.machine is not None and self.latest is not None and self.latest.finished.result is Result.IDLE

    # ------------------------------------------------------------------------------------------------------ power

    def boot(self) -> None:
        """A new machine, which begins with what is durable."""
        self.latest = None
        if self.bootloader is not None:
            self.bootloader.boot()
        settings = {bus: FAST if bus == FD_BUS else IsoTpSettings() for bus in self._cans}
        means = replace(self.means, bootloader=self.bootloader is not None)
        self.machine = Primary(means, Pace(poll_s=POLL_S), settings)
        for controller in self._cans.values():
            controller.listening = True
        self._say_what_runs()
        with suppress(StorageFailure):
            self.records.mend(*ROOTS)  # as its shell does (primary/shell/provision.py)
        self.give(Start())

    def _say_what_runs(self) -> None:
        with suppress(StorageFailure):
            octets = self.records.peek(INSTALLED)
            now = factory(self.means.factory) if octets is None else record.load(octets)
            self.say(Verb.RUNNING, f"slot {now.running} {now.image.filename}")

    def lose_power(self, during: object) -> None:
        """Storage keeps what it promised; the controllers fall silent."""
        need = during.need if isinstance(during, Perform) else None
        self.records.cut(need if isinstance(need, Save | Forget) else None)
        self.records.faults = RecordFaults()
        if self.bootloader is not None:
            self.bootloader.cut(need)
        self.blobs.cut(need if isinstance(need, WriteBlob | EraseBlob) else None)
        self.reset_links()

    def reset_links(self) -> None:
        """Nothing queued leaves any more."""
        self._servers.cut(self)
        for controller in self._cans.values():
            controller.reset()
            controller.listening = False

    # ---------------------------------------------------------------------------------------------------- effects

    def tick(self) -> None:
        """The deadline has come."""
        self.give(Tick())

    def carry_out(self, effect: object) -> None:
        """Carry out one effect."""
        match effect:
            case SendOn(bus=bus, frames=run):
                life = self.life
                ticket = run.ticket
                sent = (lambda: self._sent(life, bus, ticket)) if ticket else None
                self._cans[bus].send(run.frames, run.separation_us, sent)
            case Perform(ticket=ticket, need=need):
                self._perform(ticket, need)
            case Note(step=step, text=text, ecu=ecu):
                self.say(Verb.NOTE, f"{step.value}: {f'{ecu} ' if ecu else ''}{text}")
            case CycleEnded(finished=finished):
                self.latest = effect
                self.cycles += 1
                self.updates += finished.result in _ENDS
                self.say(Verb.DONE, f"cycle {finished.result.value}")
            case Stopped(outcome=outcome):
                self.say(Verb.TROUBLE, f"stopped: {outcome}")
                self.restart(AGAIN_NS)
            case _:
                raise AssertionError(effect)

    def _sent(self, life: int, bus: str, ticket: int) -> None:
        if self.life == life:
            self.give(OnBus(bus, FramesSent(ticket)))

    def _perform(self, ticket: int, need: object) -> None:
        if isinstance(need, Restart):
            self.say(Verb.RESTART)
            self.restart(BOOT_NS)
            return
        if isinstance(need, _REMOTE):
            self._check_what_runs()
            life = self.life

            def answered(answer: object) -> None:
                if self.life == life:
                    self.give(Done(ticket, answer))

            self._servers.ask(self, need, answered)
            return
        if isinstance(need, SelfTest):
            self.later(SELF_TEST_NS, lambda: self._tested(ticket))
            return
        try:
            answer: Any = self._local(need)
        except StorageFailure as failure:
            self.say(Verb.FULL, f"{brief(need)}: {failure}")
            answer = failure
        self.later(_takes_ns(need), lambda: self.give(Done(ticket, answer)))

    def _check_what_runs(self) -> None:
        """Nothing is said of slots to anybody before the record is what the bootloader has booted."""
        if self.bootloader is not None and (octets := self.records.peek(INSTALLED)) is not None:
            assert record.load(octets).running == self.bootloader.running, "speaks for software that does not run"

    def _tested(self, ticket: int) -> None:
        passed = self._around.passes(self.ecu)
        self.say(Verb.TEST, "passed" if passed else "failed")
        self.stage.watch.tested(self, passed=passed)
        self.give(Done(ticket, passed))

    def _local(self, need: object) -> object:
        match need:
            case Save(name=name, octets=octets):
                self.say(Verb.STORE, f"{name} {len(octets)} octets")
                self.records.save(name, octets)
                if name == INSTALLED:
                    self.say(Verb.STATE, state_in(octets))
            case Forget(name=name):
                self.say(Verb.DELETE, name)
                self.records.forget(name)
            case Load(name=name):
                return self.records.load(name)
            case Names(prefix=prefix):
                return self.records.names(prefix)
            case Damaged():
                return self.records.damaged()
            case RunningSlot() | InstallSlot() | CheckSlot() | MarkSlot():
                assert self.bootloader is not None, "only asked where a bootloader keeps the slots"
                return self.bootloader.meet(need)
            case LookAtVehicle():
                return self._around.state()
            case WriteBlob(blob=blob, offset=offset, octets=octets):
                self.say(Verb.WRITE, f"{_named(blob)} at {offset} {len(octets)} octets")
                return self.blobs.meet(need)
            case EraseBlob(blob=blob):
                self.say(Verb.ERASE, _named(blob))
                return self.blobs.meet(need)
            case Measure() | ReadBlob() | ListCache() | FreeSpace():
                return self.blobs.meet(need)
            case _:
                raise AssertionError(need)
        return None


def _accepts(can_id: int) -> bool:
    address = address_of(can_id)
    return address is not None and address.target == PRIMARY_ADDRESS


def _named(blob: Blob) -> str:
    return blob.place.value if not blob.name else f"{blob.place.value} {blob.name[:8]}"


def _takes_ns(need: object) -> int:
    if isinstance(need, Save | Forget | MarkSlot):
        return _SAVE_NS
    if isinstance(need, InstallSlot):
        return _INSTALL_NS
    return _WRITE_NS if isinstance(need, WriteBlob | EraseBlob) else _READ_NS
