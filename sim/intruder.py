"""Somebody without a key: on a bus, and between a vehicle and its servers. What they send was heard before, or noise.

They replay, mix and answer for others. Nothing of it is signed anew, so nothing of it may ever have an effect beyond
delay; attackers who hold keys are attack/'s.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Final

from primary.needs import Polled
from sim.can_bus import CanBus
from sim.clock import NS_PER_MS, Clock
from sim.network import Need
from uptane.errors import LinkFailure
from uptane.link.can_frame import FUNCTIONAL_TARGET, Address, CanFrame, can_id_of
from uptane.link.uds_values import PRIMARY_ADDRESS

HEARD_MAX: Final = 400  # frames kept for later: a few messages of every kind
ANSWERS_MAX: Final = 12  # answers of servers kept for later
PAUSE_MS: Final = (2, 60)  # between two things an intruder sends
TESTERS: Final = (PRIMARY_ADDRESS, 0xF1, 0xF5)  # whose place they take when they ask

# Single frames a tester could send: sessions, restart, tester present, silence, erase, status, half a download.
REQUESTS: Final = (
    bytes.fromhex("021002"),
    bytes.fromhex("021003"),
    bytes.fromhex("021101"),
    bytes.fromhex("023e00"),
    bytes.fromhex("0328030155"),
    bytes.fromhex("028502"),
    bytes.fromhex("043101ff00"),
    bytes.fromhex("043101ff01"),
    bytes.fromhex("0322fd00"),
    bytes.fromhex("100b340044000000"),
    bytes.fromhex("300000"),
    bytes.fromhex("320000"),
    bytes.fromhex("0137"),
    bytes.fromhex("037f3178"),
    bytes.fromhex("037f2210"),
)


class BusIntruder:
    """A node that hears a whole bus, and sends what it likes as long as `active`."""

    def __init__(self, bus: CanBus, targets: Sequence[int], clock: Clock, dice: Random) -> None:
        self.active = 0
        self._clock, self._dice = clock, dice
        self._targets = (*targets, PRIMARY_ADDRESS, FUNCTIONAL_TARGET)
        self._heard: deque[CanFrame] = deque(maxlen=HEARD_MAX)
        self._can = bus.attach("intruder", lambda _: True, self._heard.extend)

    def begin(self) -> None:
        """Go on the bus."""
        self.active += 1
        if self.active == 1:
            self._go_on()

    def end(self) -> None:
        """Fall silent."""
        self.active -= 1

    def _go_on(self) -> None:
        if not self.active:
            return
        if self._can.jobs:
            self._can.reset()  # nobody is there to hear it: others come first, or have no power
        frames = self._replayed() if self._heard and self._dice.random() < 0.6 else [self._made_up()]
        try:
            self._can.send(frames)
        except LinkFailure:
            self._can.reset()
        self._clock.after(self._dice.randint(*PAUSE_MS) * NS_PER_MS, self._go_on)

    def _replayed(self) -> list[CanFrame]:
        """Frames as they were heard, one of them or a few in a row."""
        start = self._dice.randrange(len(self._heard))
        return [self._heard[place] for place in range(start, min(start + self._dice.randint(1, 8), len(self._heard)))]

    def _made_up(self) -> CanFrame:
        """A request to an ECU, or an answer in the name of one."""
        dice = self._dice
        target = dice.choice(self._targets)
        source = dice.choice(self._targets if target == PRIMARY_ADDRESS else TESTERS)
        address = Address(target, source, functional=target == FUNCTIONAL_TARGET)
        data = dice.choice(REQUESTS) if dice.random() < 0.8 else dice.randbytes(dice.randint(1, 8))
        return CanFrame(can_id_of(address), data.ljust(8, b"\xaa"))


class Proxy:
    """Somebody between vehicles and servers: remembers answers, and gives old ones, and those of other vehicles."""

    def __init__(self, dice: Random) -> None:
        self.active = 0
        self._dice = dice
        self._answers: deque[Polled] = deque(maxlen=ANSWERS_MAX)
        self._blobs: deque[bytes] = deque(maxlen=ANSWERS_MAX)

    def tamper(self, _server: str, _need: Need, answer: object) -> object:
        """What reaches the vehicle in place of `answer`."""
        given = self._instead(answer) if self.active and self._dice.random() < 0.5 else answer
        if isinstance(answer, Polled) and answer.files:
            self._answers.append(answer)
        if isinstance(answer, bytes):
            self._blobs.append(answer)
        return given

    def _instead(self, answer: object) -> object:
        dice = self._dice
        match answer:
            case Polled() if self._answers:
                other = dice.choice(self._answers)
                whole = dice.random() < 0.5
                files = other.files if whole else answer.files | _some(other.files, dice)
                return replace(answer, files=files)
            case bytes() if self._blobs:
                return dice.choice(self._blobs)
            case _:
                return answer


def _some(files: dict[str, bytes], dice: Random) -> dict[str, bytes]:
    name = dice.choice(sorted(files))
    return {name: files[name]}
