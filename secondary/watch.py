"""Slow retrieval (Uptane 2.1.0, section 4.3): a delivery that crawls is an attack, though nothing of it is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from uptane.moments import SECOND_MS, Instant

GRACE_MS: Final = 5 * SECOND_MS  # before this an average says nothing; a session without requests ends by then


@dataclass(slots=True)
class Watch:
    """One delivery under way: when it began, and how much has come. `floor` is in octets a second, 0 for no watch."""

    floor: int
    begun: Instant
    octets: int = 0
    told: bool = False

    def is_slow(self, now: Instant) -> bool:
        """Whether the average so far is below the floor; True once only."""
        elapsed_ms = now - self.begun
        if self.told or elapsed_ms < GRACE_MS or self.octets * SECOND_MS >= self.floor * elapsed_ms:
            return False
        self.told = True
        return True
