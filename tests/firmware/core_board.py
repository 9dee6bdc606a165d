"""A board of tests/unit/secondary on which the C core runs alone; its power fails at any operation of its flash."""

from collections.abc import Callable
from hashlib import sha256
from typing import Any, Final

from secondary.needs import Effect, Event, PowerCycle, PowerUp, SelfTest, SelfTested
from sim.firmware import Firmware
from sim.firmware_chip import Area, Chip, Geometry, Library, PowerFailed
from sim.firmware_records import INSTALLATION, Translator, installation
from sim.shell.firmware import board_octets
from tests.builders import Pair
from tests.unit.secondary.board import Board
from uptane.link import isotp_values as isotp
from uptane.model.ids import EcuId
from uptane.moments import Instant
from uptane.verify.installation import Installation, factory

SMALL: Final = Geometry(page=1_024, unit=8, slot_size=8_192, state_size=16_384)
"""A small controller's flash: more operations, so more places at which power may fail."""


class CoreBoard(Board):
    """See the module."""

    library: Library

    def __init__(self, pair: Pair, ecu: EcuId, *, geometry: Geometry = SMALL, seed: int = 0) -> None:
        super().__init__(pair, ecu)
        root = self.records["director/root"]
        octets = board_octets(self.facts, sha256(f"ecu {ecu}".encode()).digest(), root)
        self.chip = Chip(self.library, octets, geometry, seed=seed)
        self.chip.load(Area.SLOT_0, bytes(self.slots[0].octets[: self.facts.factory.length]))
        self.translator = Translator(root)

    def _boot(self) -> None:
        self.boots += 1
        held = self.translator.all(self.chip.records())
        self.machine: Any = Firmware(
            self.chip, lambda: self.interlock, factory(self.facts.factory), self.translator, held
        )
        self._events.append(PowerUp())

    def _handle(self, event: Event) -> None:
        """One event to its end. Raises PowerFailed; then the board is to be powered up."""
        machine = self.machine
        try:
            effects = machine.handle(event, Instant(self.now))
        except PowerFailed:
            self._events.clear()
            machine.interrupted()
            raise
        for effect in effects:
            answer = self._carried(effect)
            if self.machine is not machine:
                return
            if answer is not None:
                self._events.append(answer)

    def _carried(self, effect: Effect) -> Event | None:
        match effect:
            case isotp.SendFrames(frames=frames):
                for tester in self.testers:
                    tester.hear(frames)
            case PowerCycle():
                self._events.clear()
                self._boot()
            case SelfTest(slot=slot, length=length, sha256=digest):
                assert sha256(self.chip.read(Area(slot), 0, length)).digest() == digest, "boots what is not whole"
                return SelfTested(self.verdict)
            case _:
                pass
        return None

    # --------------------------------------------------------------------------------------------------- looking

    @property
    def installation(self) -> Installation:
        """What a boot would find."""
        octets = self.chip.records().get(INSTALLATION)
        return factory(self.facts.factory) if octets is None else installation(octets)

    def runs(self) -> bytes:
        """What the running slot holds: always one whole image."""
        now = self.installation
        octets = self.chip.read(Area(now.running), 0, now.image.length)
        assert sha256(octets).digest() == now.image.sha256, "runs something that is not whole"
        return octets

    def lasts(self, walk: Callable[[], object], operations: int | None) -> bool:
        """Walk, with power for so many operations of the flash; whether it lasted."""
        self.chip.cut_after(operations)
        try:
            walk()
        except PowerFailed:
            return False
        finally:
            self.chip.cut_after(None)
        return True
