"""A bootloader with two slots and a counter of tries, and the installer in front of it: fakes with behaviour.

A slot that was written is bad until it is selected; selected, it gets three tries; a boot costs one; good gives them
back. Without tries the other slot boots.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from primary.needs import CheckSlot, InstallSlot, Mark, MarkSlot, Restart, RunningSlot
from uptane.errors import Check, Rejected

TRIES = 3


class Bootloader:
    """`factory`: slots that nobody has written since. `dead`: slots that never come up.

    `down`: the installer does not answer; `refuses`: no image is to its taste; `stuck`: nothing can be selected.
    """

    def __init__(self, running: int = 0) -> None:
        self.running = running
        self.order = [running, 1 - running]
        self.tries = [TRIES, TRIES]
        self.tries[1 - running] = 0
        self.good = {running}
        self.written: dict[int, bytes] = {}
        self.factory = {running}
        self.dead: set[int] = set()
        self.down = False
        self.refuses = False
        self.no_restart = False
        self.stuck = False
        self.log: list[str] = []

    def boot(self) -> None:
        """Power comes, or a restart."""
        for slot in self.order:
            while self.tries[slot]:
                self.tries[slot] -= 1
                if slot not in self.dead:
                    self.running = slot
                    self.log.append(f"boot {slot}")
                    return
        raise AssertionError(f"nothing boots any more: {self.log}")

    def meet(self, need: Any, blobs: list[bytearray]) -> Any:
        if self.down:
            return Rejected(Check.INSTALLER_DOWN, "no such service")
        try:
            return self._meet(need, blobs)
        except Rejected as refusal:
            return refusal

    def _meet(self, need: Any, blobs: list[bytearray]) -> Any:
        match need:
            case RunningSlot():
                return self.running
            case InstallSlot(slot=slot, image=image):
                assert slot != self.running, "writes what runs"
                assert sha256(blobs[slot]).digest() == image.sha256, "shown something that was not verified"
                self.tries[slot] = 0
                self.good.discard(slot)
                self.written.pop(slot, None)
                self.factory.discard(slot)
                if self.refuses:
                    raise Rejected(Check.INSTALLER_REFUSED, "signature verification failed")
                self.written[slot] = image.sha256
                self.log.append(f"install {slot}")
            case CheckSlot(slot=slot, image=image):
                if slot not in self.factory and self.written.get(slot) != image.sha256:
                    raise Rejected(Check.INSTALLER_REFUSED, "written by somebody else since")
            case MarkSlot(slot=slot, mark=mark):
                self._mark(slot, mark)
            case Restart():
                if self.no_restart:
                    raise Rejected(Check.INSTALLER_DOWN, "not authorised")
                self.boot()
            case _:
                raise AssertionError(need)
        return None

    def _mark(self, slot: int, mark: Mark) -> None:
        if mark is Mark.ACTIVE and self.stuck:
            raise Rejected(Check.INSTALLER_DOWN, "its environment is read only")
        self.log.append(f"{mark.value} {slot}")
        if mark is Mark.ACTIVE:
            self.order = [slot, 1 - slot]
            self.tries[slot] = TRIES
        elif mark is Mark.GOOD:
            assert slot == self.running, "only what runs is known to be good"
            self.tries[slot] = TRIES
            self.good.add(slot)
        else:
            assert slot != self.running, "bad is what runs"
            self.tries[slot] = 0
            self.good.discard(slot)
