"""Twins: a board of tests/unit/secondary on which the Python core and the C core hear every event together.

    board = TwinBoard(Pair(), BRAKE).power_up()      # as Board; every event ends in a comparison

Compared are effects, in order: frames octet by octet, records by name, erases, self-tests, traffic, restarts; then what
an ECU shows of itself: status, report, nonce, refusals, time. Left out, since they are declared to differ: "pending"
(the C core says it when it works), pieces in which slots are written, octets of records, how far a download is durable.
"""

import os
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Final
from unittest import mock

from secondary.ecu import Secondary
from secondary.needs import (
    Delete,
    Effect,
    EraseSlot,
    Event,
    PowerCycle,
    PowerUp,
    Running,
    SelfTest,
    Store,
    SyncSlot,
    Tick,
)
from secondary.readings import reading
from sim.firmware import Firmware
from sim.firmware_chip import DEFAULT, Area, Chip, Library
from sim.firmware_records import SLOT_0, SLOT_1, Translator, progress
from sim.shell.firmware import board_octets
from tests.builders import Pair
from tests.unit.secondary.board import Board
from uptane.link import isotp_values as isotp
from uptane.link import uds_server
from uptane.link.uds_tasks import Traffic
from uptane.link.uds_values import Did
from uptane.model.ids import EcuId
from uptane.moments import Instant
from uptane.verify.installation import factory

ROOT: Final = Path(__file__).resolve().parents[2]
LIBRARY: Final = Path(os.environ.get("MARQUE_FIRMWARE", ROOT / "build/firmware/host/libmarque_firmware.so"))
BLOCK_MAX: Final = 514  # FW_BLOCK_MAX
SHOWN: Final = (Did.STATUS, Did.NONCE, Did.REFUSAL, Did.VEHICLE, Did.ECU, Did.HARDWARE, Did.FILENAME)
_AREAS: Final = (Area.SLOT_0, Area.SLOT_1)


class Differ(AssertionError):
    """The twins do not do the same."""


class TwinBoard(Board):
    """See the module. `library` is shared by all boards of a test run."""

    library: Library

    def __init__(self, pair: Pair, ecu: EcuId, **facts: Any) -> None:
        super().__init__(pair, ecu, **facts)
        self.facts = replace(self.facts, own=replace(self.facts.own, slot_size=DEFAULT.slot_size))
        del self.records["director/targets"]  # a chip is born with the Root alone
        root = self.records["director/root"]
        self.chip = Chip(self.library, board_octets(self.facts, sha256(f"ecu {ecu}".encode()).digest(), root))
        image = self.facts.factory
        self.chip.load(Area.SLOT_0, bytes(self.slots[0].octets[: image.length]))
        self.translator = Translator(root)
        self.twin: Firmware | None = None
        self.compared = 0

    # ------------------------------------------------------------------------------------------------------- power

    def power_up(self) -> "TwinBoard":
        """Boot with what is durable: how far downloads are, the chip says for both."""
        found = self.chip.records()
        self._events.clear()
        for flash, number in zip(self.slots, (SLOT_0, SLOT_1), strict=True):
            flash.lose_power()
            if self.twin is not None:
                flash.mark = progress(found[number]) if number in found else None
                flash.written = 0 if flash.mark is None else flash.mark.next_offset
        for tester in self.testers:
            tester.reset()
        self._boot()
        self.settle()
        return self

    def _boot(self) -> None:
        super()._boot()
        held = self.translator.all(self.chip.records())
        self.twin = Firmware(self.chip, lambda: self.interlock, factory(self.facts.factory), self.translator, held)

    # ------------------------------------------------------------------------------------------------------ events

    def _handle(self, event: Event) -> None:
        machine, twin = self.machine, self.twin
        assert machine is not None
        assert twin is not None
        for area in Area:
            self.chip.fail(area, erases=self.full_disk, writes=self.full_disk)
        theirs = twin.handle(event, Instant(self.now))
        ours = list(self._python(event))
        self._compare(event, ours, theirs)
        if any(isinstance(effect, PowerCycle) for effect in ours):
            self._carry_out(PowerCycle())
        else:
            self._look(event)

    def _python(self, event: Event) -> Iterator[Effect]:
        """All that the Python core does with an event, its needs answered at once."""
        machine = self.machine
        assert machine is not None
        waiting: deque[Event] = deque([event])
        while waiting:
            for effect in self._handled(machine, waiting.popleft()):
                self.log.append(effect)
                if not (isinstance(effect, Delete) and effect.name not in self.records):
                    yield effect
                if isinstance(effect, PowerCycle):
                    return
                answer = self._carry_out(effect)
                if isinstance(effect, SelfTest) and answer is not None:
                    self._events.append(answer)
                elif answer is not None:
                    waiting.append(answer)

    def _handled(self, machine: Secondary, event: Event) -> Sequence[Effect]:
        """The Python core offers blocks as short as the C core's."""
        with mock.patch.object(uds_server, "BLOCK_LENGTH_MAX", BLOCK_MAX):
            return machine.handle(event, Instant(self.now))

    # -------------------------------------------------------------------------------------------------- comparing

    def _compare(self, event: Event, ours: Sequence[Effect], theirs: Sequence[Effect]) -> None:
        self.compared += 1
        python, c = list(_plain(ours)), list(_plain(theirs))
        if self.boots == 1 and isinstance(event, PowerUp):
            c = [each for each in c if each != ("store", "director/root")]
        if python != c:
            raise Differ(f"{event}\npython: {_text(python, c)}\nc:      {_text(c, python)}")
        if any(isinstance(effect, SyncSlot) for effect in ours) and not self.full_disk:
            self._compare_slots()

    def _compare_slots(self) -> None:
        for flash, area in zip(self.slots, _AREAS, strict=True):
            if flash.mark is not None:
                held = self.chip.read(area, 0, flash.mark.next_offset)
                if held != bytes(flash.octets[: flash.mark.next_offset]):
                    raise Differ(f"slot {area}: the C core has written other octets")

    def _look(self, event: Event) -> None:
        """What the ECU shows of itself, to whoever asks."""
        state = self.state
        assert self.twin is not None
        python: dict[str, object] = {did.name: reading(state, did) for did in SHOWN}
        c: dict[str, object] = {did.name: self.chip.reading(did) for did in SHOWN}
        python |= {"report": reading(state, Did.REPORT), "utc": state.utc}
        c |= {"report": self.chip.report(), "utc": self.chip.utc()}
        python["refusals"] = {check.code: count for check, count in state.refusals.items()}
        c["refusals"] = self.chip.refusals()
        wrong = {name: (python[name], c[name]) for name in python if python[name] != c[name]}
        if wrong:
            raise Differ(f"{event}: (python, c) {wrong}")
        assert self.chip.abuses == 0, "the C core breaks the rules of its flash"

    def run(self, ms: int) -> None:
        """Let the time pass, waking everybody who wants to be woken."""
        end = self.now + ms
        while True:
            assert self.machine is not None
            assert self.twin is not None
            sources: list[Any] = [self.machine, self.twin, *(tester.isotp for tester in self.testers)]
            due = [at for at in (each.deadline() for each in sources) if at is not None and at <= end]
            if not due:
                break
            self.now = max(self.now, min(due))
            for tester in self.testers:
                tester.tick()
            self._events.append(Tick())
            self.settle()
        self.now = end


def _plain(effects: Sequence[Effect]) -> Iterator[tuple[object, ...]]:
    """Effects as they are compared."""
    for effect in effects:
        match effect:
            case isotp.SendFrames(frames=frames):
                yield from (
                    ("frame", f"{frame.can_id:08x}", frame.data.hex(), frame.fd)
                    for frame in frames
                    if not _is_pending(frame.data)
                )
            case Store(name=name):
                yield ("store", name)
            case Delete(name=name):
                yield ("delete", name)
            case EraseSlot(slot=slot):
                yield ("erase", slot)
            case SelfTest() | Running() | Traffic() | PowerCycle():
                yield (effect,)
            case _:
                pass


def _is_pending(data: bytes) -> bool:
    return data[:2] == b"\x03\x7f" and data[3:4] == b"\x78"


def _text(these: list[Any], others: list[Any]) -> str:
    """From the first difference on."""
    place = next((place for place, pair in enumerate(zip(these, others, strict=False)) if pair[0] != pair[1]), -1)
    place = min(len(these), len(others)) if place < 0 else place
    return f"after {place} that are alike: {these[place : place + 6]}"
