"""A Secondary whose core is the C core: the same node on the same bus, with a chip where the others have their disk.

    maker = Maker(Library(path), encode)
    board = maker.board(facts, root, image, dice)         # a factory-new chip
    node = FirmwareNode(name, facts, stage, board=board, bus=bus, around=around)

What is durable is the chip's flash (Durable). `records` and `slots` show it to whoever looks from outside, in the words
of the Python core. The core handles an event at one instant; its effects are carried out one after the other and take
as long as those of the Python core, and what comes meanwhile waits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256, sha512
from random import Random
from typing import Final, cast

from secondary.needs import Delete, Effect, EraseSlot, Event, PowerUp, Progress, Store, SyncSlot, WriteSlot
from secondary.state import INSTALLATION, Facts
from sim.disk import Copy, Disk, Health, Pair
from sim.firmware import Firmware, NotUp
from sim.firmware_chip import Area, Chip, Entry, Kind, Library
from sim.firmware_flash import Durable
from sim.firmware_records import NAMES, ROOT, SLOT_0, SLOT_1, TARGETS, Translator, progress
from sim.firmware_rot import rot_all, rot_newest
from sim.flash import Flash
from sim.node import state_in
from sim.power import PowerLost
from sim.secondary_node import AGAIN_NS, TAKES_NS, Board, SecondaryNode
from sim.storage import RecordFaults, Records
from sim.verbs import Verb
from uptane.link.uds_objects import Object, parse_status
from uptane.link.uds_values import Did
from uptane.moments import Instant
from uptane.verify.image import Content
from uptane.verify.installation import factory

Encode = Callable[[Facts, bytes], bytes]
"""Facts of an ECU and the Root it starts from, as octets for a board's memory (firmware/tools/facts.py)."""

AREAS: Final = (Area.SLOT_0, Area.SLOT_1)
ROOT_NAME: Final = NAMES[ROOT]
TARGETS_NAME: Final = NAMES[TARGETS]


class ChipRecords(Records):
    """The records of a chip as the Python core would have them; `show` says which there are now."""

    def show(self, held: dict[str, bytes], rotten: str | None = None) -> None:
        """These are durable, and no others; of `rotten` a newer copy was there."""
        for name in self.names():
            if name not in held:
                self.forget(name)
        for name, octets in held.items():
            if self.peek(name) != octets:
                self.save(name, octets)
        if rotten in held:
            generation = max(copy.generation for copy in self._pairs[rotten].copies if copy is not None)
            self.forget(rotten)
            pair = Pair()
            self._put(rotten, pair, 0, Copy(generation - 1, held[rotten]))
            self._put(rotten, pair, 1, Copy(generation, b"newer", Health.ROTTEN))
        elif rotten is not None:
            self.save(rotten, b"newer")
            self.damage(rotten, copies=2)


class ChipSlot(Flash):
    """A slot of a chip, for who looks from outside."""

    def __init__(self, durable: Durable, area: Area, size: int, dice: Random) -> None:
        super().__init__(dice, size)
        self._durable, self._area = durable, area
        self.mark: Progress | None = None

    def progress(self) -> Progress | None:
        """How far the latest download into the slot got."""
        return self.mark

    def read(self, offset: int, length: int) -> bytes:
        """What the cells hold."""
        return self._durable.read(self._area, offset, length)

    def content(self, length: int) -> Content:
        """Hash the first octets of the slot."""
        octets = self.read(0, length)
        return Content(len(octets), sha256(octets).digest(), sha512(octets).digest())

    def install(self, image: bytes) -> None:
        """Put a whole image into the slot, as a factory does."""
        self._durable.install(self._area, image)

    def flip(self, offset: int, mask: int) -> None:
        """Turn bits of one octet over."""
        self._durable.damage(self._area, offset, mask)

    def digest(self) -> str:
        """A name for all that is durable here."""
        return sha256(self.read(0, self.size)).hexdigest()


@dataclass(frozen=True, slots=True)
class ChipBoard(Board):
    """A board that is a chip."""

    chip: Chip
    durable: Durable
    translator: Translator
    dice: Random


class FirmwareNode(SecondaryNode):
    """See the module."""

    machine: Firmware | None

    def install(self, board: Board) -> None:
        """Put in another chip; the power is off."""
        assert isinstance(board, ChipBoard)
        super().install(board)
        self._chip, self._durable, self._translator = board.chip, board.durable, board.translator
        self._dice = board.dice
        self._waiting: deque[Event] = deque()
        self._effects: Sequence[Effect] = ()
        self._parts: Sequence[Sequence[Entry]] = ()
        self._done = 0  # effects of the latest event that were carried out
        self._busy = False  # storage takes its time

    # ------------------------------------------------------------------------------------------------------ power

    def boot(self) -> None:
        """Begin with what is durable; an ECU that has no state to start from stays dead."""
        self._durable.give(self._chip)
        held = {name: octets for name in self.records.names() if (octets := self.records.peek(name)) is not None}
        self.machine = Firmware(self._chip, self._interlock, factory(self.facts.factory), self._translator, held)
        self.dead = ""
        self.can.listening = True
        try:
            self.give(PowerUp())
        except NotUp as error:
            self.dead = f"{error}"
            self.say(Verb.TROUBLE, f"does not boot: {self.dead}")
            self.restart(AGAIN_NS)

    def lose_power(self, during: object) -> None:
        """The flash holds what was done to it so far; of an effect that had begun, some."""
        if self._done < len(self._parts) and during is not None:
            self._durable.tear(self._parts[self._done], self._dice)
        rotten = self._rot(self.records.faults)
        self._durable.give(self._chip)
        found = self._chip.records()
        self.records.faults = RecordFaults()
        self.records.cut()
        assert isinstance(self.records, ChipRecords)
        self.records.show(self._translator.all(found), rotten)
        for slot, number in zip(self.slots, (SLOT_0, SLOT_1), strict=True):
            _mark(slot, found.get(number))
        self.reset_links()

    def _rot(self, faults: RecordFaults) -> str | None:
        """Which record's newest copy, or every copy, has rotted."""
        self._durable.give(self._chip)
        if faults.both and self._dice.random() < faults.both:
            return rot_all(self._durable, self._chip, self._dice, faults.vital)
        if faults.newest and self._dice.random() < faults.newest:
            return rot_newest(self._durable, self._chip, self._dice)
        return None

    def belief(self) -> tuple[int, bool] | None:
        """What time it believes it is, and whether that was attested since power-up."""
        if self.machine is None:
            return None
        octets = self._chip.reading(Did.STATUS)
        assert octets is not None
        return self._chip.utc(), parse_status(octets).time_attested

    # ---------------------------------------------------------------------------------------------------- effects

    def give(self, event: object) -> None:
        """Let the core handle an event, when it has done with those before."""
        if self.machine is None:
            return
        self._waiting.append(cast("Event", event))
        if not self._busy:
            self._go_on()
            self.set_alarm()

    def set_alarm(self) -> None:
        """Have the core woken at its deadline, unless it works."""
        if not self._busy:
            super().set_alarm()

    def _go_on(self) -> None:
        """Carry out what is left of an event, and handle the next ones, until storage takes its time."""
        while not self._busy and self.machine is not None:
            if self._done < len(self._effects):
                self._carry_on(self._effects[self._done])
            elif self._waiting:
                for slot, area in zip(self.slots, AREAS, strict=True):
                    self._chip.fail(area, erases=slot.faults.endurance is not None, writes=False)
                self._effects = self.machine.handle(self._waiting.popleft(), self.now)
                self._parts, self._done = self.machine.parts, 0
            else:
                break

    def _carry_on(self, effect: Effect) -> None:
        life = self.life
        try:
            self.stage.watch.before(self, effect)
        except PowerLost as lost:
            self.cut(effect if lost.during else None)
            return
        self.carry_out(effect)
        self.stage.watch.after(self, effect)
        takes_ns = TAKES_NS.get(type(effect), 0)
        if takes_ns and self.life == life:
            self._busy = True
            self.later(takes_ns, self._rested)

    def _rested(self) -> None:
        self._busy = False
        self._go_on()
        self.set_alarm()

    def reset_links(self) -> None:
        """Nothing queued leaves any more, and nothing that was heard is looked at."""
        super().reset_links()
        self._waiting.clear()
        self._effects, self._parts = (), ()
        self._busy = False

    def carry_out(self, effect: object) -> None:
        """Carry out one effect: the core has done its part, and now it counts."""
        part = self._parts[self._done]
        self._done += 1
        self._durable.apply(part)
        for entry in part:
            if entry.kind is Kind.STORED and entry.b and entry.a >= SLOT_0:
                _mark(self.slots[entry.a - SLOT_0], entry.octets)
        match effect:
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
            case WriteSlot(slot=slot, offset=offset, octets=octets):
                self.say(Verb.WRITE, f"slot {slot} at {offset} {len(octets)} octets")
            case SyncSlot(slot=slot):
                self.say(Verb.SYNC, f"slot {slot}")
            case _:
                super().carry_out(effect)


def _mark(slot: Flash, octets: bytes | None) -> None:
    assert isinstance(slot, ChipSlot)
    slot.mark = None if octets is None else progress(octets)


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes Secondaries whose core is the C core of a library."""

    library: Library
    encode: Encode

    def board(self, facts: Facts, born: Mapping[str, bytes], image: bytes, dice: Random) -> ChipBoard:
        """A factory-new chip for an ECU that runs this image and was given the Root and Targets of `born`."""
        root = born[ROOT_NAME]
        chip = Chip(self.library, self.encode(facts, root), seed=dice.getrandbits(32))
        chip.power_up(Instant(0))
        assert chip.take(Object.DIRECTOR_TARGETS, born[TARGETS_NAME]), "provisioning hands out what holds"
        chip.take_log()
        translator = Translator(root)
        found = chip.records()
        for number in (ROOT, TARGETS):
            translator.learn(number, found[number], born[NAMES[number]])
        durable = Durable(chip)
        size = chip.geometry.slot_size
        slots = (ChipSlot(durable, Area.SLOT_0, size, dice), ChipSlot(durable, Area.SLOT_1, size, dice))
        slots[0].install(image)
        records = ChipRecords(dice, born={ROOT_NAME: root})  # what a chip that lost everything begins with again
        records.show(translator.all(found))
        return ChipBoard(Disk(), records, slots, chip=chip, durable=durable, translator=translator, dice=dice)
