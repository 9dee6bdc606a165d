"""The records of the C core, said in the words of the Python core: what is durable means the same, octets differ.

Whoever looks at an ECU from outside (checkers, the judge of attacks) reads the records of the Python core. So each
record that the C core stores is read here, by its layout as firmware/core tells it, and written as the Python core
would. Of metadata the C core keeps what it acts on: such records are remembered with the envelope they were made of.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from secondary import refusals, state
from secondary.needs import TAG_LENGTH, Progress
from uptane.errors import BY_CODE
from uptane.model.ids import Bundle, Filename, Repository
from uptane.model.reports import EcuState, InstalledImage, Outcome, Phase
from uptane.model.signed import PublicKey, Scheme
from uptane.moments import UtcTime
from uptane.verify import attested, record
from uptane.verify.installation import Installation
from uptane.verify.trusted import PREVIOUS_FILE, ROOT_FILE, TARGETS_FILE, TIME_FILE

_DIRECTOR: Final = f"{Repository.DIRECTOR.value}/"
NAMES: Final = (
    *(_DIRECTOR + file for file in (ROOT_FILE, TARGETS_FILE, PREVIOUS_FILE, TIME_FILE)),
    *(state.INSTALLATION, state.REPORT, state.NONCE, state.REFUSALS),
    *("slot 0", "slot 1"),
)
"""Records by their number (fw_record). The last two have no twin: how far the download into a slot goes."""
ROOT, TARGETS, PREVIOUS, TIME, INSTALLATION, REPORT, NONCE, REFUSALS, SLOT_0, SLOT_1 = range(len(NAMES))
METADATA: Final = frozenset({ROOT, TARGETS, PREVIOUS})

_FORMAT: Final = 1
_NONE: Final = 0xFF
_STATES: Final = tuple(EcuState)
_OUTCOMES: Final = tuple(outcome for outcome in Outcome if outcome is not Outcome.OTHER)
_PHASES: Final = tuple(Phase)
_SCHEMES: Final = tuple(Scheme)
_LENGTHS: Final = (32, 33)  # of public keys, by scheme
KEY_LENGTH: Final = 34  # sizeof(fw_key) of profile S
_TIME_HEAD: Final = struct.Struct("<QQBB6x")  # as the C core's machines have it in memory: all of them little-endian


@dataclass(slots=True)
class Cursor:
    """Reads big-endian fields one after the other."""

    octets: bytes
    at: int = 0

    def take(self, length: int) -> bytes:
        """The next octets."""
        assert self.at + length <= len(self.octets), "a record that is too short"
        self.at += length
        return self.octets[self.at - length : self.at]

    def number(self, length: int = 4) -> int:
        """The next octets as a number."""
        return int.from_bytes(self.take(length))


class Translator:
    """Says the records of a chip in the words of the Python core. `root` is the Root it was born with."""

    def __init__(self, root: bytes) -> None:
        self._root = root
        self._known: dict[tuple[int, bytes], bytes] = {}

    def learn(self, number: int, octets: bytes, said: bytes) -> None:
        """A record with these octets was stored, and this is what it means."""
        self._known[number, octets] = said

    def all(self, records: Mapping[int, bytes]) -> dict[str, bytes]:
        """The records that were found at a boot, by name."""
        found = {
            NAMES[number]: self._known.get((number, octets)) or self.said(number, octets)
            for number, octets in records.items()
            if number < SLOT_0
        }
        return {NAMES[ROOT]: self._root, **found}

    @staticmethod
    def said(number: int, octets: bytes) -> bytes:
        """A record in the words of the Python core."""
        match number:
            case 3:
                return _time(octets)
            case 4:
                return record.dump(installation(octets))
            case 7:
                return refusals.dump({BY_CODE[code]: count for code, count in refused(octets)})
            case _:
                return octets


def installation(octets: bytes) -> Installation:
    """An installation as firmware/core/record.c lays it out."""
    at = Cursor(octets)
    assert at.number(1) == _FORMAT
    state_, outcome, home, running, phase, flags, tried = at.take(7)
    version, released, boots, erases, under = (at.number() for _ in range(5))
    bundle = Bundle(at.take(32)) if flags & 1 else None
    coordinator = _key(at)
    images = [_image(at) if flags & bit else None for bit in (2, 4)]
    return Installation(
        images=(images[0], images[1]),
        state=_STATES[state_],
        outcome=_OUTCOMES[outcome],
        home=home,
        running=running,
        bundle=bundle,
        targets_version=version,
        coordinator=coordinator,
        last_phase=None if phase == _NONE else _PHASES[phase],
        released_counter=released,
        boots=boots,
        erases=erases,
        erases_under=under,
        rolled_back=tuple((Bundle(at.take(32)), at.number()) for _ in range(tried)),
    )


def _key(at: Cursor) -> PublicKey | None:
    scheme = at.number(1)
    octets = at.take(at.number(2))
    return None if scheme == _NONE else PublicKey(_SCHEMES[scheme], octets)


def _image(at: Cursor) -> InstalledImage:
    filename = Filename(at.take(at.number(1)).decode("ascii"))
    length, counter = at.number(), at.number()
    return InstalledImage(filename, length, at.take(32), counter)


def refused(octets: bytes) -> list[tuple[int, int]]:
    """Counts of refusals, by check (firmware/core/refusals.c)."""
    at = Cursor(octets)
    assert at.number(1) == _FORMAT
    return [(at.number(2), at.number()) for _ in range((len(octets) - 1) // 6)]


def progress(octets: bytes) -> Progress:
    """How far a download goes (firmware/core/slots.c)."""
    at = Cursor(octets)
    assert at.number(1) == _FORMAT
    offset = at.number()
    return Progress(at.take(TAG_LENGTH), offset)


def _time(octets: bytes) -> bytes:
    """The latest proven time, the one before, and the keys under which it was attested (firmware/core/clock.c)."""
    time, previous, form, count = _TIME_HEAD.unpack_from(octets)
    assert form == _FORMAT
    keys = (octets[_TIME_HEAD.size + place * KEY_LENGTH :][:KEY_LENGTH] for place in range(count))
    held = frozenset(PublicKey(_SCHEMES[key[0]], key[1 : 1 + _LENGTHS[key[0]]]) for key in keys)
    clock = attested.Clock(UtcTime(time), UtcTime(previous), attested=False, floor=UtcTime(0), keys=held)
    return attested.dump(clock)
