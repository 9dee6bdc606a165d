"""A Secondary on virtual I/O: the shipping machine, two slots of flash, records, one controller on one bus."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from secondary.ecu import Secondary
from secondary.needs import (
    Answered,
    Breathe,
    Delete,
    EraseSlot,
    Event,
    Found,
    HashSlot,
    Note,
    PowerCycle,
    PowerUp,
    Running,
    SelfTest,
    SelfTested,
    Store,
    SyncSlot,
    Tick,
    Verdict,
    WriteSlot,
)
from secondary.state import INSTALLATION, Facts
from sim.can_bus import CanBus
from sim.clock import NS_PER_MS
from sim.disk import Disk
from sim.flash import Flash
from sim.node import Node, brief, state_in
from sim.power import Stage
from sim.storage import RecordFaults, Records
from sim.verbs import Verb
from uptane.errors import Malformed, Rejected, StorageFailure
from uptane.link.can_frame import FUNCTIONAL_TARGET, address_of
from uptane.link.isotp_values import FramesHeard, FramesSent, SendFrames
from uptane.link.uds_tasks import Interlock, Traffic
from uptane.model.ids import EcuId
from uptane.verify.image import Content

BOOT_NS: Final = 100 * NS_PER_MS
SELF_TEST_NS: Final = 300 * NS_PER_MS
AGAIN_NS: Final = 5_000 * NS_PER_MS  # before a process that ended is started again

# How long storage takes: those of a microcontroller's flash, so that order and overlap are what they would be there.
TAKES_NS: Final[dict[type[Any], int]] = {
    Store: 3 * NS_PER_MS,
    Delete: 1 * NS_PER_MS,
    EraseSlot: 80 * NS_PER_MS,
    WriteSlot: NS_PER_MS // 4,
    SyncSlot: 1 * NS_PER_MS,
    HashSlot: 2 * NS_PER_MS,
    Breathe: 0,
}


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the vehicle around a Secondary says: whether reprogramming is safe, and how an image tests itself."""

    interlock: Callable[[], Interlock]
    verdict: Callable[[EcuId, bytes], Verdict]


@dataclass(frozen=True, slots=True)
class Board:
    """What of a Secondary outlives its power: records and two slots, all on one chip."""

    disk: Disk
    records: Records
    slots: tuple[Flash, Flash]


class SecondaryNode(Node):
    """See the module. `facts` never change, but when a workshop exchanges the ECU."""

    def __init__(
        self, name: str, facts: Facts, stage: Stage, *, board: Board, bus: CanBus, around: Surroundings, ppm: int = 0
    ) -> None:
        super().__init__(name, stage, ppm=ppm)
        self.facts = facts
        self.install(board)
        self.traffic = Traffic(messages=True, faults=True)
        self.dead = ""
        self._around = around
        self.can = bus.attach(name, self._accepts, lambda frames: self.give(FramesHeard(frames)))
        self.can.listening = False

    def install(self, board: Board) -> None:
        """Put in another board; the power is off."""
        assert not self.powered
        self.disk, self.records, self.slots = board.disk, board.records, board.slots

    @property
    def ecu(self) -> EcuId:
        """Which ECU this is."""
        return self.facts.own.ecu

    def _accepts(self, can_id: int) -> bool:
        address = address_of(can_id)
        return address is not None and address.target in {self.facts.address, FUNCTIONAL_TARGET}

    # ------------------------------------------------------------------------------------------------------ power

    def boot(self) -> None:
        """Begin with what is durable; an ECU that has no state to start from stays dead."""
        try:
            self.machine = Secondary(self.facts, self._found(), self._interlock, self.now)
        except (Rejected, Malformed, StorageFailure) as error:
            self.dead = f"{type(error).__name__}: {error}"
            self.say(Verb.TROUBLE, f"does not boot: {self.dead}")
            self.restart(AGAIN_NS)
            return
        self.dead = ""
        self.can.listening = True
        self.give(PowerUp())

    def _found(self) -> Found:
        """What is durable, as secondary/shell/provision.py finds it.

        Raises:
            StorageFailure: the installation's record is lost: nobody can know what the slots hold.
        """
        self.records.load(INSTALLATION)
        found = self.records.everything()
        return Found(found, (self.slots[0].progress(), self.slots[1].progress()), self.records.damaged())

    def lose_power(self, during: object) -> None:
        """Storage keeps what it promised; the controller falls silent."""
        self.records.cut(during if isinstance(during, Store | Delete) else None)
        self.records.faults = RecordFaults()
        hit = during if isinstance(during, EraseSlot | WriteSlot | SyncSlot | HashSlot) else None
        for number, slot in enumerate(self.slots):
            slot.cut(hit if hit is not None and hit.slot == number else None)
        self.reset_links()

    def belief(self) -> tuple[int, bool] | None:
        """What time it believes it is, and whether that was attested since power-up; None without power."""
        if self.machine is None:
            return None
        state = self.machine._state  # noqa: SLF001 (a belief can be seen nowhere else)
        return int(state.utc), bool(state.held.clock.attested)

    def reset_links(self) -> None:
        """Nothing queued leaves any more."""
        self.can.reset()
        self.can.listening = False
        self.traffic = Traffic(messages=True, faults=True)

    def _interlock(self) -> Interlock:
        return self._around.interlock()

    # ---------------------------------------------------------------------------------------------------- effects

    def tick(self) -> None:
        """The deadline has come."""
        self.give(Tick())

    def carry_out(self, effect: object) -> None:
        """Carry out one effect; needs are answered when storage has done what it takes."""
        match effect:
            case SendFrames(frames=frames, ticket=ticket, separation_us=separation_us):
                life = self.life
                sent = (lambda: self._sent(life, ticket)) if ticket else None
                self.can.send(frames, separation_us, sent)
            case Store() | Delete() | EraseSlot() | WriteSlot() | SyncSlot() | HashSlot() | Breathe():
                self._meet(effect)
            case PowerCycle():
                self.say(Verb.RESTART)
                self.restart(BOOT_NS)
            case SelfTest(sha256=digest):
                self.later(SELF_TEST_NS, lambda: self._tested(digest))
            case Running(slot=slot, filename=filename):
                self.say(Verb.RUNNING, f"slot {slot} {filename}")
            case Traffic():
                self.traffic = effect
            case Note(text=text):
                self.say(Verb.NOTE, text)
            case _:
                raise AssertionError(effect)

    def _sent(self, life: int, ticket: int) -> None:
        if self.life == life:
            self.give(FramesSent(ticket))

    def _tested(self, digest: bytes) -> None:
        verdict = self._around.verdict(self.ecu, digest)
        self.say(Verb.TEST, verdict.value)
        self.stage.watch.tested(self, passed=verdict is Verdict.PASSED)
        self.give(SelfTested(verdict))

    def _meet(self, need: object) -> None:
        try:
            answer: Content | StorageFailure | None = self._perform(need)
        except StorageFailure as failure:
            self.say(Verb.FULL, f"{brief(need)}: {failure}")
            answer = failure
        event: Event = Answered(answer)
        self.later(TAKES_NS[type(need)], lambda: self.give(event))

    def _perform(self, need: object) -> Content | None:
        match need:
            case Store(name=name, octets=octets):
                self.say(Verb.STORE, f"{name} {len(octets)} octets")
                self.records.save(name, octets)
                if name == INSTALLATION:
                    self.say(Verb.STATE, state_in(octets))
            case Delete(name=name):
                self.say(Verb.DELETE, name)
                self.records.forget(name)
            case EraseSlot(slot=slot, tag=tag):
                self.say(Verb.ERASE, f"slot {slot} for {tag.hex()[:8]}")
                self.slots[slot].erase(tag)
            case WriteSlot(slot=slot, offset=offset, octets=octets):
                self.say(Verb.WRITE, f"slot {slot} at {offset} {len(octets)} octets")
                self.slots[slot].write(offset, octets)
            case SyncSlot(slot=slot):
                self.say(Verb.SYNC, f"slot {slot}")
                self.slots[slot].sync()
            case HashSlot(slot=slot, length=length):
                return self.slots[slot].content(length)
            case Breathe():
                pass
            case _:
                raise AssertionError(need)
        return None
