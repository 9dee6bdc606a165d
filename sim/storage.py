"""Durable records as uptane/shell/files.py keeps them, whole or not at all, in two generations; and what breaks them.

What a power cut in the middle leaves is drawn, and so is damage. Octets of images are blobs.py's, and flash.py's.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from types import MappingProxyType
from typing import Final, TypeAlias

from primary.needs import Forget, Save
from secondary.needs import Delete, Store
from sim.blobs import Blobs
from sim.disk import Copy, Disk, Health, Pair
from uptane.errors import StorageFailure

__all__ = ["Blobs", "Disk", "Health", "RecordFaults", "Records"]

_NOTHING: Final[Mapping[str, bytes]] = MappingProxyType({})

Writing: TypeAlias = Save | Store | Forget | Delete


@dataclass(frozen=True, slots=True)
class RecordFaults:
    """How likely a power cut damages the newest copy of some record, and how likely every copy of one.

    The first is what the two generations are for: it never hits a record that has no whole older one. The second costs
    a record, as a worn chip does; those in `vital`, whose loss ends an ECU by design, are spared.
    """

    newest: float = 0.0
    both: float = 0.0
    vital: frozenset[str] = frozenset()


class Records:
    """Named records of one component. `born`: what provisioning leaves, durable from the start.

    `writes` and `octets_written` count what reached the disk.
    """

    def __init__(
        self,
        dice: Random,
        *,
        disk: Disk | None = None,
        born: Mapping[str, bytes] = _NOTHING,
        faults: RecordFaults | None = None,
    ) -> None:
        self.disk = disk or Disk()
        self.faults = faults or RecordFaults()
        self.writes = self.octets_written = 0
        self._dice = dice
        self._born = born
        self._pairs: dict[str, Pair] = {}
        self._sorted: tuple[str, ...] | None = None
        self._damaged: list[str] = []
        self._life = 0
        self._latest = ""
        self._to_rot = 0
        self._unsure: dict[tuple[str, int], Copy | None] = {}
        self._stale: set[str] = set()
        self._hashes: dict[str, int] = {}
        self._sum = 0
        for name, octets in born.items():
            self.save(name, octets)

    # --------------------------------------------------------------------------------------- what shells promise

    def load(self, name: str) -> bytes | None:
        """The record, or None if there is none.

        Raises:
            StorageFailure: no copy of it is whole.
        """
        self.disk.touch()
        pair = self._pairs.get(name)
        if pair is None:
            return None
        place = pair.known[0] if pair.plain and pair.life == self._life else self._look(name, pair)
        if place is None:
            raise StorageFailure(f"{name}: no whole copy is left")
        copy = pair.copies[place]
        assert copy is not None
        return copy.octets

    def save(self, name: str, octets: bytes) -> None:
        """Keep `octets` as `name`: durable when this returns.

        Raises:
            StorageFailure: what was kept before still is; but for a disk that does not sync, where it may be either.
        """
        self._write(name, octets, tidy=True)

    def _write(self, name: str, octets: bytes, *, tidy: bool) -> None:
        """Save, where what is left of a lost record is removed after it, or not any more."""
        self.disk.touch()
        pair = self._pairs.get(name) or Pair()
        lost = False
        if pair.life != self._life:
            lost = self._look(name, pair) is None
        place, generation = pair.known if pair.life == self._life else (1, 0)
        place, generation = 1 - place, generation + 1
        self.disk.has_room(len(octets))  # beside what it replaces: the new file is whole before the old one goes
        replaced = pair.copies[place]
        self._put(name, pair, place, Copy(generation, octets))
        self.writes += 1
        self.octets_written += len(octets)
        self._latest = name
        if not self.disk.syncs:
            self._unsure.setdefault((name, place), replaced)
            pair.plain = False
            raise StorageFailure("input/output error when the directory was synced")
        if self._unsure:
            self._synced(name)
        pair.known, pair.life = (place, generation), self._life
        if lost and tidy:
            self._put(name, pair, 1 - place, None)

    def forget(self, name: str) -> None:
        """Delete a record, durably, if it is there.

        Raises:
            StorageFailure: it is there still.
        """
        self.disk.touch()
        pair = self._pairs.get(name)
        if pair is not None:
            self._remove(name, pair, 2)
            self._synced(name)

    def names(self, prefix: str = "") -> tuple[str, ...]:
        """The names of all records that begin with `prefix`, ascending, whole or not."""
        self.disk.touch()
        if self._sorted is None:
            self._sorted = tuple(sorted(self._pairs))
        return tuple(name for name in self._sorted if name.startswith(prefix)) if prefix else self._sorted

    def damaged(self) -> tuple[str, ...]:
        """The names of records of which a damaged copy was met since this was asked last."""
        found = tuple(self._damaged)
        self._damaged.clear()
        return found

    def everything(self) -> dict[str, bytes]:
        """All records, as a Secondary's shell finds them: one that is lost is as it was born, or missing.

        Raises:
            StorageFailure: a vital one is lost; the ECU cannot start.
        """
        found = {}
        for name in self.names():
            try:
                octets = self.load(name)
            except StorageFailure:
                if name in self.faults.vital or self.disk.failing:
                    raise
                octets = self._born.get(name)
            if octets is not None:
                found[name] = octets
        return found

    def mend(self, *names: str) -> None:
        """Save those of `names` as they were born that are lost or missing: what a Primary's shell does with Roots.

        Raises:
            StorageFailure: they cannot be written either.
        """
        for name in names:
            try:
                lost = self.load(name) is None
            except StorageFailure:
                lost = True
            if lost:
                self.save(name, self._born[name])

    # -------------------------------------------------------------------------------------------- what goes wrong

    def cut(self, during: Writing | None = None) -> None:
        """The power fails, in the middle of `during` or between two effects; what the process knew is gone."""
        match during:
            case Save(name=name, octets=octets) | Store(name=name, octets=octets):
                if (drawn := self._dice.random()) < 0.5:
                    with suppress(StorageFailure):
                        self._write(name, octets, tidy=drawn < 0.25)
            case Forget(name=name) | Delete(name=name):
                if (pair := self._pairs.get(name)) is not None and not self.disk.failing:
                    self._remove(name, pair, self._dice.randint(0, 2))
            case None:
                pass
        if self._unsure:
            self._settle()
        self._life += 1
        self._damaged.clear()
        faults, rots, self._to_rot = self.faults, self._to_rot, 0
        if rots == 1 or (faults.newest and self._dice.random() < faults.newest):
            self._damage_newest()
        if rots == 2 or (faults.both and self._dice.random() < faults.both):
            self._damage_both()

    def rot(self, copies: int = 1) -> None:
        """Have the next cut damage the newest copy of some record (1) or every copy of one (2)."""
        assert copies in {1, 2}
        self._to_rot = copies

    def damage(self, name: str, *, copies: int = 1, health: Health = Health.ROTTEN) -> None:
        """Break the newest copy of `name`, or both."""
        pair = self._pairs[name]
        for place in pair.newest_first()[:copies]:
            copy = pair.copies[place]
            assert copy is not None
            self._put(name, pair, place, copy._replace(health=health))

    def peek(self, name: str) -> bytes | None:
        """What a boot would find as `name`, for who looks from outside: no process learns anything by it."""
        pair = self._pairs.get(name)
        place = None if pair is None else pair.damaged_before_whole()[1]
        copy = None if pair is None or place is None else pair.copies[place]
        return None if copy is None else copy.octets

    def digest(self) -> str:
        """A name for all that is durable here, in hex; it costs what has changed since it was asked last."""
        while self._stale:
            name = self._stale.pop()  # in any order: the sum is the same
            self._sum ^= self._hashes.pop(name, 0)
            if (pair := self._pairs.get(name)) is not None:
                self._hashes[name] = pair.hash(name)
                self._sum ^= self._hashes[name]
        return f"{self._sum:064x}"

    def _damage_newest(self) -> None:
        """A sync that was none hits what was written last; worn cells hit anything."""
        able = [name for name, pair in self._pairs.items() if pair.spare]
        if able:
            latest = self._latest in able and self._dice.random() < 0.5
            name = self._latest if latest else self._dice.choice(able)
            self.damage(name, health=self._dice.choice((Health.ROTTEN, Health.HEADLESS)))

    def _damage_both(self) -> None:
        able = [name for name in self._pairs if name not in self.faults.vital]
        if able:
            name = self._dice.choice(able)
            self.damage(name, copies=2, health=self._dice.choice((Health.ROTTEN, Health.HEADLESS)))

    def _settle(self) -> None:
        """What was in place, but not synced, is there after the cut or is not."""
        for (name, place), before in self._unsure.items():
            if self._dice.random() < 0.5:
                self._put(name, self._pairs.get(name) or Pair(), place, before)
        self._unsure.clear()

    def _synced(self, name: str) -> None:
        """The directory of `name` was synced, with all that was put into it."""
        directory = name.rpartition("/")[0]
        for key in [key for key in self._unsure if key[0].rpartition("/")[0] == directory]:
            del self._unsure[key]

    def _look(self, name: str, pair: Pair) -> int | None:
        """Where the newest whole copy is, which the process knows from now on; None if there is none."""
        met, place = pair.damaged_before_whole()
        if met and name not in self._damaged:
            self._damaged.append(name)
        if place is not None:
            copy = pair.copies[place]
            assert copy is not None
            pair.known, pair.life = (place, copy.generation), self._life
        return place

    def _put(self, name: str, pair: Pair, place: int, copy: Copy | None) -> None:
        before = pair.copies[place]
        self.disk.used += (0 if copy is None else len(copy.octets)) - (0 if before is None else len(before.octets))
        pair.put(place, copy)
        self._stale.add(name)
        if copy is None and pair.copies[1 - place] is None:
            self._pairs.pop(name, None)
            self._sorted = None
        elif name not in self._pairs:
            self._pairs[name] = pair
            self._sorted = None

    def _remove(self, name: str, pair: Pair, copies: int) -> None:
        """Remove the oldest copies first: an older one never returns."""
        for place in list(reversed(pair.newest_first()))[:copies]:
            self._put(name, pair, place, None)
