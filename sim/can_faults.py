"""What goes wrong on a CAN bus, and how often."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BusFaults:
    """Shares of the frames, 0 to 1, and together at most 1."""

    loss: float = 0.0  # a receiver that was too busy to take it misses it, and nobody knows
    corruption: float = 0.0  # somebody sees a wrong bit: an error frame, and once again
    duplication: float = 0.0  # the last bit but one was wrong for some: the others hear it twice

    def __post_init__(self) -> None:
        rates = (self.loss, self.corruption, self.duplication)
        if min(rates) < 0 or sum(rates) > 1:
            raise ValueError(f"bus faults {rates}: shares of 0 to 1, together at most 1")


QUIET = BusFaults()
