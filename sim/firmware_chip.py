"""The C core (firmware/) on a chip in this process: its library by ctypes, and the log of all that it does.

    library = Library(path)                   # whoever does I/O says where it lies
    chip = Chip(library, octets_of_facts)
    chip.power_up(now)
    chip.heard(frame, now), chip.tick(now), chip.tested(verdict, now)
    for entry in chip.take_log(): ...         # what came of it, in order

The library is firmware/port/host: a board in memory. Its flash keeps NOR's rules; its power can fail at any operation.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from secondary.needs import Verdict
from uptane.link.can_frame import CanFrame
from uptane.link.uds_objects import Object
from uptane.link.uds_tasks import Interlock
from uptane.moments import Instant

NEVER: Final = 2**64 - 1
_VERDICTS: Final = (Verdict.PASSED, Verdict.FAILED, Verdict.DEAD)
_INTERLOCKS: Final = (Interlock.SAFE, Interlock.UNSAFE, Interlock.MOVING)
_U8, _U16, _U32, _U64 = ctypes.c_uint8, ctypes.c_uint16, ctypes.c_uint32, ctypes.c_uint64
_HOST = ctypes.c_void_p


class Area(IntEnum):
    """Where flash is (fw_area)."""

    SLOT_0 = 0
    SLOT_1 = 1
    STATE = 2


class Start(IntEnum):
    """What a power-up comes to (fw_start)."""

    UP = 0
    NO_ROOT = 1
    NO_INSTALLATION = 2
    NO_STORAGE = 3


class Kind(IntEnum):
    """What an entry of the log is about (FW_NOTE_* of port/host/host.h)."""

    ERASE = 1  # a: area, b: offset of the page
    WRITE = 2  # a: area, b: offset
    FRAME = 3  # a: identifier, b: 1 for CAN FD
    TRAFFIC = 4  # a: messages, b: faults
    SELF_TEST = 5  # a: slot
    RESTART = 6
    TASK = 7  # a: fw_task_kind, b: its option, or where an image begins; octets: of a block
    DONE = 8  # a: fw_nrc, b: the check that refused last
    STORING = 9  # a: fw_record
    STORED = 10  # a: fw_record, b: whether it is durable
    DELETING = 11  # a: fw_record, b: whether it was there
    DELETED = 12  # a: fw_record, b: whether it was there and is no more
    READ = 13  # a: a slot, b: offset
    FAILED = 14  # a: area, b: offset: flash did not do as told


class Task(IntEnum):
    """What the core was asked to do (fw_task_kind)."""

    BEGIN_OBJECT = 0
    BEGIN_IMAGE = 1
    WRITE_BLOCK = 2
    END_TRANSFER = 3
    ERASE = 4
    VERIFY = 5
    DEPENDENCIES = 6
    PREPARE_RESTART = 7


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing the core did."""

    kind: Kind
    a: int
    b: int
    octets: bytes = b""


@dataclass(frozen=True, slots=True)
class Geometry:
    """As fw_geometry; pages and units as in sim/flash.py. `state_size`: two halves of two pages."""

    page: int = 4_096
    unit: int = 32
    slot_size: int = 20_480
    state_size: int = 16_384

    def size(self, area: Area) -> int:
        """Octets of an area."""
        return self.state_size if area is Area.STATE else self.slot_size


DEFAULT: Final = Geometry()


class PowerFailed(Exception):
    """The power failed at the flash operation that `cut_after` set; the chip holds what a torn operation leaves."""


class Library:
    """The C core built for this machine: libmarque_firmware.so.

    Raises:
        OSError: it is not there, or none.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.c: Any = ctypes.CDLL(path)
        for name, (result, *arguments) in _PROTOTYPES.items():
            function = getattr(self.c, name)
            function.restype, function.argtypes = result, arguments


_PROTOTYPES: Final[dict[str, tuple[Any, ...]]] = {
    "fw_host_create": (_HOST, ctypes.c_char_p, _U32, _U32, _U32, _U32, _U32),
    "fw_host_destroy": (None, _HOST),
    "fw_host_power_up": (ctypes.c_int, _HOST, _U64),
    "fw_host_heard": (ctypes.c_bool, _HOST, _U32, ctypes.c_char_p, _U8, ctypes.c_bool, _U64),
    "fw_host_tick": (ctypes.c_bool, _HOST, _U64),
    "fw_host_tested": (ctypes.c_bool, _HOST, ctypes.c_int, _U64),
    "fw_host_deadline": (_U64, _HOST),
    "fw_host_log": (_U32, _HOST, ctypes.POINTER(ctypes.POINTER(_U8))),
    "fw_host_clear": (None, _HOST),
    "fw_host_ecu": (ctypes.c_void_p, _HOST),
    "fw_host_interlock": (None, _HOST, ctypes.c_int),
    "fw_host_seed": (None, _HOST, _U64),
    "fw_host_cut": (None, _HOST, _U64),
    "fw_host_fail": (None, _HOST, _U8, ctypes.c_bool, ctypes.c_bool),
    "fw_host_operations": (_U64, _HOST),
    "fw_host_abuses": (_U32, _HOST),
    "fw_host_read": (None, _HOST, _U8, _U32, ctypes.c_char_p, _U32),
    "fw_host_load": (None, _HOST, _U8, ctypes.c_char_p, _U32),
    "fw_host_damage": (None, _HOST, _U8, _U32, _U8),
    "fw_host_report": (_U16, _HOST, ctypes.c_char_p),
    "fw_host_refusals": (_U8, _HOST, ctypes.POINTER(_U16), ctypes.POINTER(_U32)),
    "fw_host_record": (_U32, _HOST, _U8, ctypes.c_char_p),
    "fw_do": (ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p),
    "fw_read": (ctypes.c_int, ctypes.c_void_p, _U16, ctypes.c_char_p, _U16),
    "fw_utc": (_U64, ctypes.c_void_p),
}

_HEAD: Final = struct.Struct("=IIII")  # of an entry: kind, a, b, how many octets follow
_RECORD_MAX: Final = 65_536
_REPORT_MAX: Final = 4_096
_READ_MAX: Final = 256
_KINDS_MAX: Final = 8
_BLOCK: Final = 512
RECORDS: Final = 10  # FW_RECORDS


class _Task(ctypes.Structure):
    """fw_task."""

    _fields_ = (
        ("kind", ctypes.c_int),
        ("option", _U8),
        ("offset", _U32),
        ("size", _U32),
        ("octets", ctypes.c_char_p),
        ("length", _U16),
    )


class Chip:
    """A chip with its flash, blank at first, and the ECU that runs on it with power. `seed`: of torn octets."""

    def __init__(self, library: Library, facts: bytes, geometry: Geometry = DEFAULT, *, seed: int = 0) -> None:
        self.library, self.geometry = library, geometry
        self._c = library.c
        self._host = self._c.fw_host_create(
            facts, len(facts), geometry.page, geometry.unit, geometry.slot_size, geometry.state_size
        )
        assert self._host, "these are no facts"
        self._facts = facts
        self._c.fw_host_seed(self._host, seed)

    def __del__(self) -> None:
        """Give the memory back."""
        if getattr(self, "_host", None):
            self._c.fw_host_destroy(self._host)

    # ------------------------------------------------------------------------------------------------------- events

    def power_up(self, now: Instant) -> Start:
        """Begin with what is in the flash. Raises PowerFailed, as every event."""
        found = self._c.fw_host_power_up(self._host, now)
        _lasted(found >= 0)
        return Start(found)

    def heard(self, frame: CanFrame, now: Instant) -> None:
        """A frame has come."""
        _lasted(self._c.fw_host_heard(self._host, frame.can_id, frame.data, len(frame.data), frame.fd, now))

    def tick(self, now: Instant) -> None:
        """The deadline has come."""
        _lasted(self._c.fw_host_tick(self._host, now))

    def tested(self, verdict: Verdict, now: Instant) -> None:
        """The self-test has ended."""
        _lasted(self._c.fw_host_tested(self._host, _VERDICTS.index(verdict), now))

    def deadline(self) -> Instant | None:
        """When it wants to be woken."""
        at = self._c.fw_host_deadline(self._host)
        return None if at == NEVER else Instant(at)

    def take_log(self) -> Sequence[Entry]:
        """All that has happened since this was asked last, in order."""
        where = ctypes.POINTER(_U8)()
        length = self._c.fw_host_log(self._host, ctypes.byref(where))
        if not length:
            return ()
        octets = ctypes.string_at(where, length)
        self._c.fw_host_clear(self._host)
        return tuple(_entries(octets))

    def take(self, item: Object, octets: bytes) -> bool:
        """Have the core take an object and verify it, with nobody on the bus: what a factory does. Whether it did."""
        begin = _Task(kind=Task.BEGIN_OBJECT, option=item, size=len(octets))
        parts = [octets[at : at + _BLOCK] for at in range(0, len(octets), _BLOCK)]
        blocks = [_Task(kind=Task.WRITE_BLOCK, octets=part, length=len(part)) for part in parts]
        tasks = (begin, *blocks, _Task(kind=Task.END_TRANSFER), _Task(kind=Task.VERIFY, option=item))
        return not any(self._c.fw_do(self._c.fw_host_ecu(self._host), ctypes.byref(task)) for task in tasks)

    # ------------------------------------------------------------------------------------------------ surroundings

    def set_interlock(self, word: Interlock) -> None:
        """What the vehicle says from now on."""
        self._c.fw_host_interlock(self._host, _INTERLOCKS.index(word))

    def fail(self, area: Area, *, erases: bool, writes: bool) -> None:
        """From now on this area is not erased, or not written, when it is to be."""
        self._c.fw_host_fail(self._host, area, erases, writes)

    def cut_after(self, operations: int | None) -> None:
        """Let the power fail in the flash operation that comes after so many others; None: it lasts."""
        self._c.fw_host_cut(self._host, NEVER if operations is None else operations)

    @property
    def operations(self) -> int:
        """Operations of the flash so far."""
        return int(self._c.fw_host_operations(self._host))

    @property
    def abuses(self) -> int:
        """How often the core broke a rule of the flash."""
        return int(self._c.fw_host_abuses(self._host))

    # -------------------------------------------------------------------------------------------------------- flash

    def read(self, area: Area, offset: int = 0, length: int | None = None) -> bytes:
        """What an area holds, from outside; fewer octets at its end."""
        rest = self.geometry.size(area) - offset
        length = rest if length is None else max(0, min(length, rest))
        octets = ctypes.create_string_buffer(length or 1)
        self._c.fw_host_read(self._host, area, offset, octets, length)
        return octets.raw[:length]

    def load(self, area: Area, octets: bytes) -> None:
        """Have an area hold these from its beginning on, as a factory does; units of FF may be written to."""
        self._c.fw_host_load(self._host, area, octets, len(octets))

    def damage(self, area: Area, offset: int, mask: int) -> None:
        """Turn bits of an octet over, as worn cells do."""
        self._c.fw_host_damage(self._host, area, offset, mask)

    def twin(self) -> Chip:
        """Another chip with the same facts, whose flash holds the same; no ECU runs there yet."""
        other = Chip(self.library, self._facts, self.geometry)
        for area in Area:
            other.load(area, self.read(area))
        return other

    def records(self) -> dict[int, bytes]:
        """The records that a boot would find, by number. The chip itself is left as it is."""
        looker = self.twin()
        found = {number: looker.record(number) for number in range(RECORDS)}
        return {number: octets for number, octets in found.items() if octets}

    def record(self, number: int) -> bytes:
        """One record as a boot would find it, empty for none; the flash is made ready for that boot."""
        octets = ctypes.create_string_buffer(_RECORD_MAX)
        length = self._c.fw_host_record(self._host, number, octets)
        return octets.raw[:length]

    # ------------------------------------------------------------------------------------------- the ECU from outside

    def reading(self, did: int) -> bytes | None:
        """What service 0x22 reads, but for the report."""
        octets = ctypes.create_string_buffer(_READ_MAX)
        length = self._c.fw_read(self._c.fw_host_ecu(self._host), did, octets, _READ_MAX)
        return None if length < 0 else octets.raw[:length]

    def report(self) -> bytes | None:
        """The latest report."""
        octets = ctypes.create_string_buffer(_REPORT_MAX)
        length = self._c.fw_host_report(self._host, octets)
        return octets.raw[:length] if length else None

    def refusals(self) -> dict[int, int]:
        """What was refused, by check, and how often; in the order in which it came."""
        checks, counts = (_U16 * _KINDS_MAX)(), (_U32 * _KINDS_MAX)()
        kinds = self._c.fw_host_refusals(self._host, checks, counts)
        return dict(zip(checks[:kinds], counts[:kinds], strict=True))

    def utc(self) -> int:
        """What time it believes it is."""
        return int(self._c.fw_utc(self._c.fw_host_ecu(self._host)))


def _lasted(lasted: bool) -> None:  # noqa: FBT001 (what the library returns)
    if not lasted:
        raise PowerFailed


def _entries(octets: bytes) -> Iterator[Entry]:
    at = 0
    while at < len(octets):
        kind, a, b, length = _HEAD.unpack_from(octets, at)
        at += _HEAD.size
        yield Entry(Kind(kind), a, b, octets[at : at + length])
        at += length
