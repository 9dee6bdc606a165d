"""A vehicle of the fleet that runs the whole shipping core: one ECU, the Primary itself, with two slots of its own.

Everything is real but the buses: the core's cycles, its verification, its durable records, its restart into the other
slot, its self-test, its vote, its signed reports. Storage here keeps what it was given and never fails: faults of
single vehicles are the business of `marque-sim run`, not of a fleet.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final, Protocol

from primary.means import Means
from primary.needs import (
    Attest,
    Blob,
    Damaged,
    EraseBlob,
    FetchBlock,
    FetchMetadata,
    Forget,
    FreeSpace,
    ListCache,
    Load,
    LookAtVehicle,
    Measure,
    Names,
    Note,
    Perform,
    Place,
    Poll,
    ReadBlob,
    Restart,
    Save,
    SelfTest,
    Unreachable,
    VehicleState,
    WriteBlob,
)
from primary.primary import Core, CoreEvent, CycleEnded, Done, Pace, Start
from primary.state import INSTALLED
from sim.clock import NS_PER_MS, NS_PER_S, Clock
from uptane.link.isotp_values import Tick
from uptane.model.ids import VehicleId
from uptane.model.reports import InstalledImage
from uptane.verify import record
from uptane.verify.installation import Installation, factory

BOOT_NS: Final = 8 * NS_PER_S  # a small Linux board from power-up to its first poll
SELF_TEST_NS: Final = 2 * NS_PER_S
WATCHDOG_NS: Final = 60 * NS_PER_S
FREE: Final = 1 << 30  # octets: nobody runs out of room here

_PARKED: Final = VehicleState(parked=True, energy_s=None, consent=None)
_REMOTE: Final = (Poll, Attest, FetchMetadata, FetchBlock)


class Health(Enum):
    """What an image does on one vehicle."""

    GOOD = "passes its self-test"
    FAILS = "fails its self-test"
    HANGS = "hangs until the watchdog bites"


class Servers(Protocol):
    """The three servers, at the moment a request has arrived there."""

    def meet(self, vehicle: VehicleId, need: object) -> object:
        """Answer a need.

        Raises:
            Unreachable: they are down, or do not want to talk to this vehicle.
        """
        ...


@dataclass(frozen=True, slots=True)
class Road:
    """What all vehicles of a fleet share. `way_ns` draws how long a request and its answer are on their way."""

    clock: Clock
    servers: Servers
    way_ns: Callable[[], int]
    health: Callable[[int, bytes], Health]
    pace: Pace


class FullVehicle:
    """See the module. `place` is its number in the fleet; `records` is what its directory was provisioned with."""

    __slots__ = ("_cache", "_life", "_machine", "_means", "_records", "_road", "_slots", "awake", "place")

    def __init__(self, place: int, means: Means, road: Road, *, records: Mapping[str, bytes], image: bytes) -> None:
        self.place = place
        self.awake = False
        self._means = means
        self._road = road
        self._records = dict(records)
        self._slots = [image, b""]
        self._cache: dict[str, bytes] = {}
        self._machine: Core | None = None
        self._life = 0

    @property
    def id(self) -> VehicleId:
        """Its name."""
        return self._means.layout.vehicle

    @property
    def running(self) -> InstalledImage:
        """What it boots now: the truth, from its durable record and its slot."""
        installation = self._installation()
        image = installation.image
        assert self._means.hasher.sha256(self._slots[installation.running]) == image.sha256, "boots something else"
        return image

    def switch_on(self) -> None:
        """Switch it on: it boots."""
        assert not self.awake
        self.awake = True
        self._later(BOOT_NS, self._boot)

    def switch_off(self) -> None:
        """Switch it off: all but what is durable is gone."""
        assert self.awake
        self.awake = False
        self._end_life()

    def _installation(self) -> Installation:
        octets = self._records.get(INSTALLED)
        return factory(self._means.factory) if octets is None else record.load(octets)

    # ------------------------------------------------------------------------------------------------------- life

    def _boot(self) -> None:
        self._machine = Core(self._means, self._road.pace)
        self._give(Start())

    def _reboot(self) -> None:
        """The software starts anew, by itself or by the watchdog: what was on its way to the old one is lost."""
        self._end_life()
        self._later(BOOT_NS, self._boot)

    def _end_life(self) -> None:
        self._machine = None
        self._life += 1

    def _later(self, delay_ns: int, act: Callable[[], None]) -> None:
        life = self._life

        def in_this_life() -> None:
            if self._life == life:
                act()

        self._road.clock.after(delay_ns, in_this_life)

    def _give(self, event: CoreEvent) -> None:
        """Let the core handle an event, and what it asks for of this board, until it waits for something else."""
        events: deque[CoreEvent] = deque((event,))
        clock, machine = self._road.clock, self._machine
        assert machine is not None
        while events:
            for effect in machine.handle(events.popleft(), clock.instant):
                if isinstance(effect, Perform):
                    answered = self._perform(effect)
                    if self._machine is not machine:
                        return
                    if answered is not None:
                        events.append(answered)
                else:
                    assert isinstance(effect, Note | CycleEnded), f"{self.id} stopped: {effect}"
        deadline = machine.deadline()
        if deadline is not None:
            self._later(max(0, deadline * NS_PER_MS - clock.now_ns), self._tick)

    def _tick(self) -> None:
        machine = self._machine
        if machine is not None:
            self._give(Tick())

    # ------------------------------------------------------------------------------------------------------ needs

    def _perform(self, effect: Perform) -> Done | None:
        """Carry out a need: its answer, or None when that comes later."""
        ticket, need = effect.ticket, effect.need
        match need:
            case Restart():
                self._reboot()
            case SelfTest():
                self._self_test(ticket)
            case Poll() | Attest() | FetchMetadata() | FetchBlock():
                self._later(self._road.way_ns(), lambda: self._ask(ticket, need))
            case _:
                return Done(ticket, self._local(need))
        return None

    def _ask(self, ticket: int, need: object) -> None:
        answer: object
        try:
            answer = self._road.servers.meet(self.id, need)
        except Unreachable as failure:
            answer = failure
        self._give(Done(ticket, answer))

    def _self_test(self, ticket: int) -> None:
        health = self._road.health(self.place, self._installation().image.sha256)
        if health is Health.HANGS:
            self._later(WATCHDOG_NS, self._reboot)
        else:
            self._later(SELF_TEST_NS, lambda: self._give(Done(ticket, health is Health.GOOD)))

    def _local(self, need: object) -> object:
        match need:
            case Save(name=name, octets=octets):
                self._records[name] = octets
            case Forget(name=name):
                self._records.pop(name, None)
            case Load(name=name):
                return self._records.get(name)
            case Names(prefix=prefix):
                return [name for name in sorted(self._records) if name.startswith(prefix)]
            case Damaged():
                return ()
            case LookAtVehicle():
                return _PARKED
            case ListCache():
                return tuple(self._cache)
            case FreeSpace():
                return FREE
            case _:
                return self._blobs(need)
        return None

    def _blobs(self, need: object) -> object:
        match need:
            case Measure(blob=blob):
                return len(self._held(blob))
            case ReadBlob(blob=blob, offset=offset, length=length):
                return self._held(blob)[offset : offset + length]
            case WriteBlob(blob=blob, offset=offset, octets=octets):
                held = self._held(blob)
                assert offset == len(held), "written out of order"
                self._hold(blob, held + octets)
            case EraseBlob(blob=blob):
                self._hold(blob, b"")
            case _:
                raise AssertionError(need)
        return None

    def _held(self, blob: Blob) -> bytes:
        return self._cache.get(blob.name, b"") if blob.place is Place.CACHE else self._slots[blob.place is Place.SLOT_1]

    def _hold(self, blob: Blob, octets: bytes) -> None:
        if blob.place is not Place.CACHE:
            slot = int(blob.place is Place.SLOT_1)
            assert slot != self._installation().running, "writes or erases what runs"
            self._slots[slot] = octets
        elif octets:
            self._cache[blob.name] = octets
        else:
            self._cache.pop(blob.name, None)
