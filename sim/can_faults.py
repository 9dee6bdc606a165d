"""What goes wrong on a CAN bus, and when: the dice are rolled once for a fault and not for each frame."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from random import Random
from typing import Final, NamedTuple

_STEPS: Final = 40  # halvings: a gap is at most 2**40 frames, ten years of a full bus


@dataclass(frozen=True, slots=True)
class BusFaults:
    """Shares of the frames, 0 to 1, and together at most 1.

    Raises:
        ValueError: they are not.
    """

    loss: float = 0.0  # a receiver that was too busy to take it misses it, and nobody knows
    corruption: float = 0.0  # somebody sees a wrong bit: an error frame, and once again
    duplication: float = 0.0  # the end of the frame was wrong for some: the others hear it twice

    def __post_init__(self) -> None:
        rates = (self.loss, self.corruption, self.duplication)
        if min(rates) < 0 or sum(rates) > 1:
            raise ValueError(f"bus faults {rates}: shares of 0 to 1, together at most 1")


QUIET: Final = BusFaults()


class Kind(Enum):
    """What happens to one frame."""

    LOSS = auto()
    CORRUPTION = auto()
    DUPLICATION = auto()


class Fault(NamedTuple):
    """One fault to come; the numbers, 0 to below 1, are drawn before it is known whom they concern."""

    kind: Kind
    where: float
    whom: float
    whether: float


def gap(dice: Random, rate: float) -> int:
    """How many good frames come before one that is hit with a chance of `rate`: geometric, with one roll.

    Only multiplies and compares, so that it is the same on any machine; a logarithm need not be.
    """
    powers = [1.0 - rate]
    for _ in range(_STEPS):
        powers.append(powers[-1] * powers[-1])
    roll, reached, count = dice.random(), 1.0, 0
    for step in reversed(range(_STEPS + 1)):
        if reached * powers[step] > roll:
            reached *= powers[step]
            count += 1 << step
    return count


class Faults:
    """The faults of one bus, one after the other."""

    def __init__(self, dice: Random, rates: BusFaults) -> None:
        self._dice = dice
        self.rates = rates
        self.good: int | None = None  # frames that pass before the next fault; None when there is none
        self.next = Fault(Kind.LOSS, 0, 0, 0)
        self.draw()

    def draw(self) -> None:
        """The next fault."""
        rates, dice = self.rates, self._dice
        total = rates.loss + rates.corruption + rates.duplication
        if not total:
            self.good = None
            return
        self.good = gap(dice, total)
        roll = dice.random() * total
        kind = (
            Kind.LOSS
            if roll < rates.loss
            else Kind.CORRUPTION
            if roll < rates.loss + rates.corruption
            else Kind.DUPLICATION
        )
        self.next = Fault(kind, dice.random(), dice.random(), dice.random())

    def passed(self, frames: int) -> None:
        """So many good frames have passed."""
        if self.good is not None:
            self.good = max(0, self.good - frames)  # the frame on the wire when the rates changed was judged before


class Noise:
    """Windows of time in which every frame, or every frame of one node, has a wrong bit."""

    def __init__(self, dice: Random) -> None:
        self._dice = dice
        self._until_ns: dict[str, int] = {}
        self.where = dice.random()  # of the next wrong bit

    def begin(self, node: str, until_ns: int) -> None:
        """From now on; `node` is empty for all."""
        self._until_ns[node] = max(until_ns, self._until_ns.get(node, 0))

    def hits(self, node: str, now_ns: int) -> bool:
        """Whether a frame of this node would be hit now."""
        return bool(self._until_ns) and now_ns < max(self._until_ns.get(node, 0), self._until_ns.get("", 0))

    def draw(self) -> None:
        """Another bit the next time."""
        self.where = self._dice.random()
