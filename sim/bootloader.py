"""A bootloader with two slots and a counter of tries, and the installer before it: what outlives a Primary's power.

Selected, a slot gets three tries; a boot costs one, good gives them back; without any the other slot boots. Now and
then a slot that nobody has called good does not come up (`falls_back`), as often as it is tried.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final, TypeAlias

from primary.needs import CheckSlot, InstallSlot, Mark, MarkSlot, RunningSlot
from uptane.errors import Check, Rejected

TRIES: Final = 3

SlotNeed: TypeAlias = RunningSlot | InstallSlot | CheckSlot | MarkSlot


class Bootloader:
    """`say` gets what it does. Slot 0 was written at the factory."""

    def __init__(self, dice: Random, falls_back: float, say: Callable[[str], None]) -> None:
        self.running = 0
        self._dice, self._falls_back, self._say = dice, falls_back, say
        self._first = 0
        self._tries = [TRIES, 0]
        self._good = {0}
        self._factory = {0}
        self._written: dict[int, bytes] = {}

    def calm(self) -> None:
        """From now on every slot that was written whole boots."""
        self._falls_back = 0.0

    def boot(self) -> None:
        """Power comes."""
        for slot in (self._first, 1 - self._first):
            if self._tries[slot] and slot not in self._good and self._dice.random() < self._falls_back:
                self._tries[slot] = 0
            if self._tries[slot]:
                self._tries[slot] -= 1
                self.running = slot
                self._say(f"boots slot {slot}")
                return
        # As RAUC's scripts for boot loaders do: what was good once gets its tries back.
        assert self._good, "nothing boots any more"
        self._tries = [TRIES if slot in self._good else 0 for slot in (0, 1)]
        self._say("no tries are left")
        self.boot()

    def meet(self, need: SlotNeed) -> int | Rejected | None:
        """Carry out a need; its answer."""
        match need:
            case RunningSlot():
                return self.running
            case InstallSlot(slot=slot, image=image):
                self.cut(need)
                self._written[slot] = image.sha256
            case CheckSlot(slot=slot, image=image):
                if slot not in self._factory and self._written.get(slot) != image.sha256:
                    return Rejected(Check.INSTALLER_REFUSED, "not as it was written")
            case MarkSlot(slot=slot, mark=mark):
                self._mark(slot, mark)
        return None

    def cut(self, during: object) -> None:
        """The power fails in the middle of `during`: a slot that is being written is nothing."""
        if isinstance(during, InstallSlot):
            assert during.slot != self.running, "writes what runs"
            self._tries[during.slot] = 0
            self._good.discard(during.slot)
            self._factory.discard(during.slot)
            self._written.pop(during.slot, None)
        elif isinstance(during, MarkSlot) and self._dice.random() < 0.5:
            self._mark(during.slot, during.mark)

    def _mark(self, slot: int, mark: Mark) -> None:
        self._say(f"slot {slot} {mark.value}")
        self._tries[slot] = 0 if mark is Mark.BAD else TRIES
        if mark is Mark.ACTIVE:
            self._first = slot
        elif mark is Mark.GOOD:
            assert slot == self.running, "only what runs is known to be good"
            self._good.add(slot)
        else:
            assert slot != self.running, "bad is what runs"
            self._good.discard(slot)
