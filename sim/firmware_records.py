"""The records of the C core, said in the words of the Python core: what is durable means the same, octets differ.

Whoever looks at an ECU from outside (checkers, the judge of attacks) reads the records of the Python core. So each
record that the C core stores is read here, by its layout as firmware/core tells it, and written as the Python core
would. Of metadata the C core keeps what it acts on: such records are remembered with the envelope they were made of.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Final

from secondary import refusals, state
from secondary.needs import TAG_LENGTH, Progress
from sim.issued import read
from uptane.errors import BY_CODE
from uptane.model.ids import Bundle, Filename, Repository, Role
from uptane.model.metadata import Root
from uptane.model.reports import EcuState, InstalledImage, Outcome, Phase
from uptane.model.signed import PublicKey, Scheme
from uptane.moments import UtcTime
from uptane.verify import attested, record
from uptane.verify.installation import Installation
from uptane.verify.root import role_authority
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
# As the C core's machines have it in memory: all of them little-endian.
_TIME: Final = struct.Struct("<QQBxHI")
_INSTALLATION: Final = struct.Struct("<10B2xIIIII32sB33s2x")
_IMAGE: Final = struct.Struct("<B128s3xII32s")
_PAIR: Final = struct.Struct("<32sI")
_REFUSAL: Final = struct.Struct("<H2xI")
_PROGRESS: Final = struct.Struct(f"<B3xI{TAG_LENGTH}s")


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
        root = self._known.get((ROOT, records.get(ROOT, b"")), self._root)
        found = {
            NAMES[number]: self._known.get((number, octets)) or self.said(number, octets, root)
            for number, octets in records.items()
            if number < SLOT_0
        }
        return {NAMES[ROOT]: self._root, **found}

    @staticmethod
    def said(number: int, octets: bytes, root: bytes) -> bytes:
        """A record in the words of the Python core; `root` is the Root that is held beside it."""
        match number:
            case 3:
                return _time(octets, root)
            case 4:
                return record.dump(installation(octets))
            case 7:
                return refusals.dump({BY_CODE[code]: count for code, count in refused(octets)})
            case _:
                return octets


def installation(octets: bytes) -> Installation:
    """An installation as firmware/core/record.c lays it out."""
    form, state_, outcome, home, running, phase, *more = _INSTALLATION.unpack_from(octets)
    has_bundle, first, second, tried, version, released, boots, erases, under, bundle, scheme, key = more
    assert form == _FORMAT
    pairs = octets[_INSTALLATION.size + 2 * _IMAGE.size :]
    images = [_image(each) for each in _IMAGE.iter_unpack(octets[_INSTALLATION.size :][: 2 * _IMAGE.size])]
    return Installation(
        images=(images[0] if first else None, images[1] if second else None),
        state=_STATES[state_],
        outcome=_OUTCOMES[outcome],
        home=home,
        running=running,
        bundle=Bundle(bundle) if has_bundle else None,
        targets_version=version,
        coordinator=None if scheme == _NONE else PublicKey(_SCHEMES[scheme], key[: _LENGTHS[scheme]]),
        last_phase=None if phase == _NONE else _PHASES[phase],
        released_counter=released,
        boots=boots,
        erases=erases,
        erases_under=under,
        rolled_back=tuple((Bundle(each), under_) for each, under_ in _PAIR.iter_unpack(pairs[: tried * _PAIR.size])),
    )


def _image(fields: tuple[int, bytes, int, int, bytes]) -> InstalledImage:
    count, text, length, counter, sha256 = fields
    return InstalledImage(Filename(text[:count].decode("ascii")), length, sha256, counter)


def refused(octets: bytes) -> list[tuple[int, int]]:
    """Counts of refusals, by check (firmware/core/refusals.c)."""
    form, kinds = octets[:2]
    assert form == _FORMAT
    return list(_REFUSAL.iter_unpack(octets[4:][: kinds * _REFUSAL.size]))


def progress(octets: bytes) -> Progress:
    """How far a download goes (firmware/core/slots.c)."""
    form, offset, tag = _PROGRESS.unpack(octets)
    assert form == _FORMAT
    return Progress(tag, offset)


def _time(octets: bytes, root: bytes) -> bytes:
    """The latest proven time, the one before, and the keys under which it was attested (firmware/core/clock.c).

    Keys are told by their places in `root`, the Root that is held beside the record.
    """
    time, previous, form, places, _version = _TIME.unpack_from(octets)
    assert form == _FORMAT
    file = read(root)
    held: frozenset[PublicKey] = frozenset()
    if file is not None and isinstance(file.value, Root):
        authority = role_authority(file.value, Role.TIME)
        keys = frozenset() if authority is None else frozenset(authority.keys.values())
        told = frozenset(key.public for place, key in enumerate(file.value.keys) if places >> place & 1)
        held = keys & told or keys
    clock = attested.Clock(UtcTime(time), UtcTime(previous), attested=False, floor=UtcTime(0), keys=held)
    return attested.dump(clock)
