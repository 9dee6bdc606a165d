"""The C core as a machine: events of a Secondary in, its effects out, as secondary/ecu.py has them.

The C core is synchronous: an event is handled to its end, flash and all, and the log says what was done. Here the log
becomes the effects of the Python core, in order: a record stored, a slot erased, frames sent. Needs are met already
when they are told, so nobody answers them. `parts` says which operations of the flash belong to which effect.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from secondary.needs import (
    Delete,
    Effect,
    EraseSlot,
    Event,
    Note,
    PowerCycle,
    PowerUp,
    Running,
    SelfTest,
    SelfTested,
    Store,
    SyncSlot,
    Tick,
    WriteSlot,
)
from sim.firmware_chip import Area, Chip, Entry, Kind, Start, Task
from sim.firmware_records import INSTALLATION, METADATA, NAMES, PREVIOUS, ROOT, SLOT_0, TARGETS, Translator, progress
from uptane.errors import BY_CODE
from uptane.link.can_frame import CanFrame
from uptane.link.isotp_values import FramesHeard, FramesSent, SendFrames
from uptane.link.uds_tasks import Interlock, Traffic
from uptane.moments import Instant
from uptane.verify import record
from uptane.verify.installation import Installation

NO_TAG: Final = bytes(32)  # of an erase that failed: nobody says what for


class NotUp(Exception):
    """The core has no state to start from."""


@dataclass(slots=True)
class Deliveries:
    """What comes over the link, as the core is given it: `whole` is the envelope that is verified next."""

    coming: bytearray | None = None
    whole: bytes = b""

    def hear(self, task: Entry) -> None:
        """The core was given a task."""
        match task.a:
            case Task.BEGIN_OBJECT:
                self.coming = bytearray()
            case Task.BEGIN_IMAGE:
                self.coming = None
            case Task.WRITE_BLOCK if self.coming is not None:
                self.coming += task.octets
            case Task.END_TRANSFER if self.coming is not None:
                self.whole, self.coming = bytes(self.coming), None
            case _:
                pass


@dataclass
class Firmware:
    """One boot of the C core, a Machine[Event, Effect]; its first event is PowerUp.

    `held` are the records as the Python core would have them, by name: those that were there, then those it stores.
    """

    chip: Chip
    interlock: Callable[[], Interlock]
    born: Installation
    translator: Translator
    held: dict[str, bytes]
    deliveries: Deliveries = field(default_factory=Deliveries)
    parts: list[Sequence[Entry]] = field(default_factory=list)

    def handle(self, event: Event, now: Instant) -> Sequence[Effect]:
        """Take one event; the effects are to be carried out in order.

        Raises:
            NotUp: there is nothing to start from; only to PowerUp.
        """
        self.chip.set_interlock(self.interlock())
        match event:
            case FramesHeard(frames=frames):
                for frame in frames:
                    self.chip.heard(frame, now)
            case Tick():
                self.chip.tick(now)
            case SelfTested(verdict=verdict):
                self.chip.tested(verdict, now)
            case PowerUp():
                start = self.chip.power_up(now)
                if start is not Start.UP:
                    raise NotUp(start.name)
            case FramesSent():
                return ()
            case _:
                raise AssertionError(event)
        return self._told(self.chip.take_log(), booting=isinstance(event, PowerUp))

    def deadline(self) -> Instant | None:
        """When it wants to be woken."""
        return self.chip.deadline()

    def interrupted(self) -> None:
        """The power failed in the middle of an event: what it stored before that is remembered with what it means."""
        self._told(self.chip.take_log(), booting=False)

    @property
    def installation(self) -> Installation:
        """The installation, as durable as `held` is."""
        octets = self.held.get(NAMES[INSTALLATION])
        return self.born if octets is None else record.load(octets)

    # -------------------------------------------------------------------------------------------------- the log

    def _told(self, entries: Sequence[Entry], *, booting: bool) -> Sequence[Effect]:
        """The log as effects, and in `parts` the operations of the flash of each."""
        effects: list[Effect] = []
        self.parts = []
        part: list[Entry] = []
        for entry in entries:
            part.append(entry)
            if booting and entry.kind in {Kind.SELF_TEST, Kind.FRAME}:
                booting = False
                self._add(effects, self._running(), ())
            for effect in self._effects_of(entry, part):
                self._add(effects, effect, part)
                part = []
        if booting:
            self._add(effects, self._running(), part)
            part = []
        if part and not effects:
            self._add(effects, Note("flash put in order"), part)
        elif part:
            self.parts[-1] = (*self.parts[-1], *part)
        self._learn(entries)
        return effects

    def _add(self, effects: list[Effect], effect: Effect, part: Sequence[Entry]) -> None:
        last = effects[-1] if effects else None
        if isinstance(effect, SendFrames) and isinstance(last, SendFrames):
            effects[-1] = last._replace(frames=(*last.frames, *effect.frames))
            self.parts[-1] = (*self.parts[-1], *part)
            return
        effects.append(effect)
        self.parts.append(tuple(part))

    def _effects_of(self, entry: Entry, part: Sequence[Entry]) -> Iterator[Effect]:
        match entry.kind:
            case Kind.FRAME:
                yield SendFrames((CanFrame(entry.a, entry.octets, bool(entry.b), bool(entry.b)),), 0, 0)
            case Kind.STORED if entry.b and entry.a >= SLOT_0:
                yield _progressed(entry, part)
            case Kind.STORED | Kind.DELETED if entry.b and entry.a < SLOT_0:
                yield self._changed(entry)
            case Kind.WRITE if entry.a != Area.STATE:
                yield WriteSlot(entry.a, entry.b, entry.octets)
            case Kind.FAILED if entry.a != Area.STATE:
                yield EraseSlot(entry.a, NO_TAG)
            case Kind.TRAFFIC:
                yield Traffic(bool(entry.a), bool(entry.b))
            case Kind.SELF_TEST:
                image = self.installation.image
                yield SelfTest(entry.a, image.length, image.sha256)
            case Kind.RESTART:
                yield PowerCycle()
            case Kind.TASK:
                self.deliveries.hear(entry)
            case Kind.DONE if entry.a and entry.b in BY_CODE:
                yield Note(f"refused: {BY_CODE[entry.b].name} (0x{entry.b:04X})")
            case _:
                pass

    def _changed(self, entry: Entry) -> Effect:
        name = NAMES[entry.a]
        if entry.kind is Kind.DELETED:
            self.held.pop(name, None)
            return Delete(name)
        if entry.a == PREVIOUS:
            octets = self.held[NAMES[TARGETS]]
        elif entry.a in METADATA:  # at the first boot it is the Root that the chip was born with
            octets = self.deliveries.whole or self.held[name]
        else:
            octets = self.translator.said(entry.a, entry.octets, self.held[NAMES[ROOT]])
        self.held[name] = octets
        return Store(name, octets)

    def _learn(self, entries: Sequence[Entry]) -> None:
        """Records that cannot be read alone are remembered with what they mean, for the next boot."""
        for entry in entries:
            if entry.kind is Kind.STORED and entry.b and entry.a < SLOT_0:
                said = self.held.get(NAMES[entry.a])
                if said is not None:
                    self.translator.learn(entry.a, entry.octets, said)

    def _running(self) -> Running:
        return Running(self.installation.running, self.installation.image.filename)


def _progressed(entry: Entry, part: Sequence[Entry]) -> Effect:
    """How far a download goes is a record of its own: the first one after an erase ends it, others are a sync."""
    slot = entry.a - SLOT_0
    found = progress(entry.octets)
    erased = any(each.kind is Kind.ERASE and each.a == slot for each in part)
    return EraseSlot(slot, found.tag) if erased and not found.next_offset else SyncSlot(slot)
