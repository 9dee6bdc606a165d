"""A disk that several stores share, and the two files of a record on it, each of which may break."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from hashlib import sha256
from typing import Final, NamedTuple

from uptane.errors import StorageFailure

CAPACITY: Final = 1 << 30  # octets of a disk nobody has said anything about: never full by itself


@dataclass(slots=True)
class Disk:
    """How many octets it takes, and how it refuses.

    `full`: nothing can be added. `failing`: nothing can be done at all, reading included. `syncs`: if not, a record is
    refused only after it was put in place, when its directory is to be synced.
    """

    capacity: int = CAPACITY
    used: int = 0
    full: bool = False
    failing: bool = False
    syncs: bool = True

    @property
    def free(self) -> int:
        """Octets that can still be written."""
        return 0 if self.full else max(self.capacity - self.used, 0)

    def touch(self) -> None:
        """Raise StorageFailure when the disk does nothing any more."""
        if self.failing:
            raise StorageFailure("input/output error")

    def has_room(self, octets: int) -> None:
        """Raise StorageFailure when there is no room for a file of `octets`, however few."""
        if octets > self.free or self.full:
            raise StorageFailure("no space left on device")


class Health(Enum):
    """Whether a copy can be read; ROTTEN still shows its generation, HEADLESS does not."""

    WHOLE = "whole"
    ROTTEN = "rotten"
    HEADLESS = "headless"


class Copy(NamedTuple):
    """One of the two files of a record."""

    generation: int
    octets: bytes
    health: Health = Health.WHOLE


class Pair:
    """The two files of a record. `known`: the newest whole one as the process of `life` knows it: place, generation."""

    __slots__ = ("copies", "known", "life", "plain")

    def __init__(self) -> None:
        self.copies: list[Copy | None] = [None, None]
        self.known = (1, 0)
        self.life = -1
        self.plain = True  # every copy is whole, and nothing is known that the disk may not hold

    def put(self, place: int, copy: Copy | None) -> None:
        """Replace one file."""
        self.copies[place] = copy
        other = self.copies[1 - place]
        self.plain = (copy is None or copy.health is Health.WHOLE) and (other is None or other.health is Health.WHOLE)

    def newest_first(self) -> list[int]:
        """The places that are taken, as they are tried: those whose generation cannot be read before all others."""
        ranks = [
            (-1 if copy.health is Health.HEADLESS else 0, -copy.generation, place)
            for place, copy in enumerate(self.copies)
            if copy is not None
        ]
        return [place for _, _, place in sorted(ranks)]

    def damaged_before_whole(self) -> tuple[bool, int | None]:
        """Whether a damaged copy is met on the way to the newest whole one, and where that is."""
        met = False
        for place in self.newest_first():
            copy = self.copies[place]
            assert copy is not None
            if copy.health is Health.WHOLE:
                return met, place
            met = True
        return met, None

    @property
    def spare(self) -> bool:
        """Whether both copies are whole, so that one may break."""
        return self.plain and None not in self.copies

    def hash(self, name: str) -> int:
        """A number for both files under `name`."""
        digest = sha256(name.encode())
        for copy in self.copies:
            digest.update(b"\0" if copy is None else f" {copy.generation} {copy.health.value} ".encode() + copy.octets)
        return int.from_bytes(digest.digest())
