"""Parts of the firmware's ECU for tests: built with ecu_bench.c, and its durable records written and read in Python.

The layouts here are written after the descriptions in the firmware's files (store.h, record.c), not after its code.
"""

from __future__ import annotations

import ctypes
import shutil
import struct
import subprocess
from itertools import takewhile
from pathlib import Path
from typing import Any, Final

from uptane.errors import BY_CODE, Check
from uptane.model.ids import Bundle, Filename
from uptane.model.metadata import Image
from uptane.model.reports import EcuState, InstalledImage, Outcome, Phase
from uptane.model.signed import PublicKey, Scheme
from uptane.verify.image import Assigned, Content
from uptane.verify.installation import Installation

ROOT: Final = Path(__file__).resolve().parents[2]
FIRMWARE: Final = ROOT / "firmware"
BOOT: Final = ("boot", "installation", "pen", "record", "refusals", "states", "store", "store_scan")
PARTS: Final = (*BOOT, "slots")
HOST: Final = ("host_flash", "host_log", "host_snapshot")
RECORD_MAX: Final = 65_535
INSTALLATION_MAX: Final = 1024
CUT: Final = -1
NONE: Final = 0xFF
SLOT_0, SLOT_1, STATE = range(3)

_STATES, _PHASES, _SCHEMES = tuple(EcuState), tuple(Phase), (Scheme.ED25519, Scheme.P256)
_OUTCOMES = tuple(each for each in Outcome if each is not Outcome.OTHER)


class Cut(Exception):
    """The power failed."""


def build(folder: Path) -> ctypes.CDLL:
    """The library; undefined behaviour ends the process."""
    compiler = shutil.which("gcc")
    assert compiler is not None, "no gcc: firmware/tools/toolchain.sh installs it"
    made = folder / "libmarque_ecu.so"
    sources = [Path(__file__).with_name("ecu_bench.c")]
    sources += [FIRMWARE / "core" / f"{part}.c" for part in PARTS]
    sources += [FIRMWARE / "port" / "host" / f"{part}.c" for part in HOST]
    flags = ["-std=c11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-fsanitize=undefined", "-fno-sanitize-recover"]
    flags += [f"-I{FIRMWARE / each}" for each in ("include", "core", "port/host")]
    subprocess.run([compiler, *flags, "-shared", "-fPIC", *map(str, sources), "-o", str(made)], check=True)
    built = ctypes.CDLL(str(made))
    built.bench_create.restype = built.bench_store.restype = ctypes.c_void_p
    built.bench_progress.restype = ctypes.c_int64
    built.fw_host_operations.restype = ctypes.c_uint64
    for name in ("bench_end", "bench_offset", "fw_host_abuses", "fw_host_erases"):
        getattr(built, name).restype = ctypes.c_uint32
    built.bench_damaged.restype = ctypes.c_uint16
    return built


def link_boot(folder: Path) -> None:
    """Link what decides a boot with a port's flash and nothing else; CalledProcessError when something is missing."""
    compiler = shutil.which("gcc")
    assert compiler is not None
    port = folder / "port.c"
    port.write_text('#include "fw_port.h"\nuint64_t fw_port_breathe(fw_port *port) { return port != 0; }\n')
    sources = [port, *(FIRMWARE / "core" / f"{part}.c" for part in BOOT)]
    sources += [FIRMWARE / "port" / "host" / f"{part}.c" for part in HOST]
    include = [f"-I{FIRMWARE / each}" for each in ("include", "core", "port/host")]
    flags = ["-std=c11", "-O1", "-shared", "-fPIC", "-Wl,--no-undefined"]
    subprocess.run([compiler, *flags, *include, *map(str, sources), "-o", str(folder / "boot.so")], check=True)


# ------------------------------------------------------------------------------------------------- installations in C


class Input(ctypes.Structure):
    """bench_input."""

    _fields_ = (
        *((name, ctypes.c_uint8) for name in ("has_entry", "has_sha512", "measured_sha512", "attested", "scheme")),
        *((name, ctypes.c_uint8) for name in ("name_length", "phase", "passed")),
        *((name, ctypes.c_uint32) for name in ("version", "length", "counter", "measured_length")),
        *((name, ctypes.c_uint32) for name in ("erases", "erases_under")),
        ("bundle", ctypes.c_uint8 * 32),
        ("key", ctypes.c_uint8 * 32),
        ("name", ctypes.c_uint8 * 128),
        ("sha256", ctypes.c_uint8 * 32),
        ("sha512", ctypes.c_uint8 * 64),
        ("measured256", ctypes.c_uint8 * 32),
        ("measured512", ctypes.c_uint8 * 64),
    )


def fill(given: Input, name: str, octets: bytes) -> None:
    ctypes.memmove(getattr(given, name), octets, len(octets))


def inputs(assigned: Assigned | None = None, content: Content | None = None, **others: int) -> Input:
    """What a function is given besides the record."""
    given = Input(scheme=NONE, **others)
    if assigned is not None:
        given.version = assigned.targets_version
        fill(given, "bundle", assigned.bundle)
        if assigned.coordinator is not None:
            given.scheme = _SCHEMES.index(assigned.coordinator.scheme)
            fill(given, "key", assigned.coordinator.octets)
        if assigned.image is not None:
            _fill_image(given, assigned.image)
    if content is not None:
        given.measured_length = content.length
        fill(given, "measured256", content.sha256)
        given.measured_sha512 = content.sha512 is not None
        fill(given, "measured512", content.sha512 or b"")
    return given


def _fill_image(given: Input, image: Image) -> None:
    given.has_entry = 1
    given.length, given.counter, given.name_length = image.length, image.release_counter, len(image.filename)
    fill(given, "name", image.filename.encode())
    fill(given, "sha256", image.sha256)
    given.has_sha512 = image.sha512 is not None
    fill(given, "sha512", image.sha512 or b"")


def apply(built: ctypes.CDLL, what: str, now: Installation, given: Input) -> tuple[Check | None, Installation]:
    """What the C makes of a record: the check that refuses, and the record after it."""
    octets, after, length = encode(now), ctypes.create_string_buffer(INSTALLATION_MAX), ctypes.c_uint16()
    code = built.bench_apply(what.encode(), octets, len(octets), ctypes.byref(given), after, ctypes.byref(length))
    assert code >= 0, f"the record of {now} is refused"
    return (BY_CODE[code] if code else None), decode(after.raw[: length.value])


# ---------------------------------------------------------------------------------------------------- their record


_HEAD = struct.Struct("<10B2xIIIII32sB33s2x")
_IMAGE = struct.Struct("<B128s3xII32s")
_PAIR = struct.Struct("<32sI")
PAIRS_AT: Final = _HEAD.size + 2 * _IMAGE.size


def encode(now: Installation) -> bytes:
    """The record as record.c says it is written."""
    phase = NONE if now.last_phase is None else _PHASES.index(now.last_phase)
    scheme = NONE if now.coordinator is None else _SCHEMES.index(now.coordinator.scheme)
    octets = _HEAD.pack(
        *(1, _STATES.index(now.state), _OUTCOMES.index(now.outcome), now.home, now.running, phase),
        *(now.bundle is not None, *(image is not None for image in now.images), len(now.rolled_back)),
        *(now.targets_version, now.released_counter, now.boots, now.erases, now.erases_under),
        *(now.bundle or b"", scheme, b"" if now.coordinator is None else now.coordinator.octets),
    )
    octets += b"".join(bytes(_IMAGE.size) if image is None else _encode_image(image) for image in now.images)
    return octets + b"".join(_PAIR.pack(*pair) for pair in now.rolled_back)


def _encode_image(image: InstalledImage) -> bytes:
    name = image.filename.encode()
    return _IMAGE.pack(len(name), name, image.length, image.release_counter, image.sha256)


def _decode_image(octets: bytes) -> InstalledImage:
    length, name, size, counter, sha256 = _IMAGE.unpack(octets)
    assert not any(name[length:]), "what is not said is zeros"
    return InstalledImage(Filename(name[:length].decode()), size, sha256, counter)


def decode(octets: bytes) -> Installation:
    """The installation of a record."""
    form, state, outcome, home, running, phase, *more = _HEAD.unpack_from(octets)
    has_bundle, first, second, rolled_back, targets_version, released_counter, boots, erases, under, *keys = more
    bundle, scheme, key = keys
    images = (octets[_HEAD.size :][: _IMAGE.size], octets[_HEAD.size + _IMAGE.size :][: _IMAGE.size])
    pairs = tuple((Bundle(each), version) for each, version in _PAIR.iter_unpack(octets[PAIRS_AT:]))
    assert form == 1
    assert len(pairs) == rolled_back
    return Installation(
        images=(_decode_image(images[0]) if first else None, _decode_image(images[1]) if second else None),
        state=_STATES[state],
        outcome=_OUTCOMES[outcome],
        home=home,
        running=running,
        bundle=Bundle(bundle) if has_bundle else None,
        targets_version=targets_version,
        coordinator=None if scheme == NONE else PublicKey(_SCHEMES[scheme], key[: 32 + scheme]),
        last_phase=None if phase == NONE else _PHASES[phase],
        released_counter=released_counter,
        boots=boots,
        erases=erases,
        erases_under=under,
        rolled_back=pairs,
    )


# ----------------------------------------------------------------------------------------------------- flash in C


class Bench:
    """The log of records and the slots on flash that tears, `page`s of `unit`s; seeded by what it is made of."""

    def __init__(self, built: Any, page: int = 1024, unit: int = 8, *, slot: int = 8192, state: int = 16384) -> None:
        self.c, self.page, self.unit = built, page, unit
        self.sizes = {SLOT_0: slot, SLOT_1: slot, STATE: state}
        self.port = ctypes.c_void_p(built.bench_create(page, unit, slot, state))

    def __del__(self) -> None:
        self.c.bench_destroy(self.port)

    def seed(self, seed: int) -> None:
        self.c.fw_host_seed(self.port, ctypes.c_uint64(seed))

    def cut_after(self, operations: int | None) -> None:
        self.c.fw_host_cut(self.port, ctypes.c_uint64(2**64 - 1 if operations is None else operations))

    def fail(self, area: int, *, erases: bool, writes: bool) -> None:
        self.c.fw_host_fail(self.port, area, erases, writes)

    def endure(self, erases: int) -> None:
        self.c.fw_host_endure(self.port, erases)

    @property
    def operations(self) -> int:
        return int(self.c.fw_host_operations(self.port))

    @property
    def abuses(self) -> int:
        return int(self.c.fw_host_abuses(self.port))

    def erases(self, area: int) -> list[int]:
        return [self.c.fw_host_erases(self.port, area, page) for page in range(self.sizes[area] // self.page)]

    def flash(self, area: int) -> bytes:
        octets = ctypes.create_string_buffer(self.sizes[area])
        self.c.fw_host_read(self.port, area, 0, octets, self.sizes[area])
        return octets.raw

    def load(self, area: int, octets: bytes) -> None:
        self.c.fw_host_load(self.port, area, octets, len(octets))

    def damage(self, area: int, offset: int, flip: int = 0x10) -> None:
        self.c.fw_host_damage(self.port, area, offset, flip)

    # ------------------------------------------------------------------------------------------------------ records

    def open(self) -> bool:
        return _done(self.c.bench_open(self.port))

    def put(self, record: int, octets: bytes) -> bool:
        return _done(self.c.bench_put(self.port, record, octets, len(octets)))

    def put_in_parts(self, record: int, octets: bytes, part: int) -> bool:
        return _done(self.c.bench_put_in_parts(self.port, record, octets, len(octets), part))

    def give_up(self, record: int, octets: bytes, added: int) -> bool:
        return _done(self.c.bench_give_up(self.port, record, octets, len(octets), added))

    def delete(self, record: int) -> bool:
        return _done(self.c.bench_delete(self.port, record))

    def tidy(self) -> None:
        _done(self.c.bench_tidy(self.port))

    def get(self, record: int) -> bytes | None:
        octets = ctypes.create_string_buffer(RECORD_MAX)
        length = self.c.bench_get(self.port, record, octets)
        return None if length < 0 else octets.raw[:length]

    def all(self, records: int = 10) -> dict[int, bytes]:
        """Every record there is."""
        found = ((record, self.get(record)) for record in range(records))
        return {record: octets for record, octets in found if octets is not None}

    @property
    def damaged(self) -> set[int]:
        bits = int(self.c.bench_damaged(self.port))
        return {record for record in range(16) if bits >> record & 1}

    def offset(self, record: int) -> int:
        """Where a record's octets begin in the state area."""
        return int(self.c.bench_offset(self.port, record))

    @property
    def end(self) -> int:
        return int(self.c.bench_end(self.port))

    # ------------------------------------------------------------------------------------------------------ slots

    def slots(self, home: int = 0) -> bool:
        return _done(self.c.bench_slots(self.port, home))

    def erase(self, tag: bytes) -> bool:
        return _done(self.c.bench_erase(self.port, tag))

    def write(self, octets: bytes) -> bool:
        return _done(self.c.bench_write(self.port, octets, len(octets)))

    def sync(self) -> bool:
        return _done(self.c.bench_sync(self.port))

    def progress(self) -> tuple[int, bytes] | None:
        tag = ctypes.create_string_buffer(32)
        octets = self.c.bench_progress(self.port, tag)
        return None if octets < 0 else (octets, tag.raw)


def _done(result: int) -> bool:
    if result == CUT:
        raise Cut
    return bool(result)


def blank_from(octets: bytes) -> int:
    """How many octets stand before the blank end."""
    return len(octets) - sum(1 for _ in takewhile(lambda octet: octet == 0xFF, reversed(octets)))
