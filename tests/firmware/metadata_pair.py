"""The C core's reader and verification beside the Python ones: the same octets into both.

`Core` is an ECU of the host library with metadata_bench.c in front of it. `read_by_python` says what the C must have
read of an envelope, in the bench's words.
"""

import ctypes
import fcntl
import struct
import subprocess
from collections.abc import Iterable
from hashlib import sha256, sha512
from pathlib import Path
from typing import Any, Final

from firmware.tools.facts import BoardFacts, encode
from sim.firmware_chip import Kind, Library, Start
from tests.builders import BUILT, Pair, key
from uptane.codec.metadata_rows import ROLES, SCHEMES
from uptane.codec.oer import Oer
from uptane.errors import BY_CODE, Check, Disordered, Malformed, Rejected
from uptane.link.uds_objects import Object
from uptane.model.metadata import (
    Assignment,
    DirectorTargets,
    Fleet,
    ForVehicle,
    ImageRepository,
    ImageTargets,
    Root,
    Snapshot,
    Timestamp,
)
from uptane.model.reports import EcuReport, Phase, TimeAttestation, VehicleManifest, VehicleOrder
from uptane.model.signed import Envelope
from uptane.verify.root import check_root_keys
from uptane.verify.trusted import Ecu

ROOT: Final = Path(__file__).resolve().parents[2]
MADE: Final = ROOT / "build" / "firmware" / "metadata"

OK: Final = 0
STORAGE: Final = 0xFFFF
ROOT_KEYS_MAX: Final = 16  # FW_ROOT_KEYS_MAX
SIGNATURES_MAX: Final = 8  # FW_SIGNATURES_MAX
KEY_MAX: Final = 33  # FW_KEY_MAX of profile S
SIGNATURE_LENGTH: Final = 64  # FW_SIGNATURE_MAX of profile S
OUT_MAX: Final = 4_096
SLOT_SIZE: Final = 100_352
HEAD: Final = struct.Struct("=IIII")  # of an entry of the log
RECORDS: Final = (
    "root",
    "targets",
    "previous",
    "time",
    "installation",
    "report",
    "nonce",
    "refusals",
    "slot 0",
    "slot 1",
)
TAKING: Final = {
    Object.DIRECTOR_ROOT: "fw_take_root",
    Object.DIRECTOR_TARGETS: "fw_take_targets",
    Object.ATTESTATION: "fw_take_attestation",
}
OER: Final = Oer()

_KINDS: Final = (
    Root,
    Timestamp,
    Snapshot,
    DirectorTargets | ImageTargets,
    EcuReport,
    VehicleManifest,
    TimeAttestation,
    VehicleOrder,
)


def bench(host: Path) -> ctypes.CDLL:
    """metadata_bench.c, built against the host library."""
    MADE.mkdir(parents=True, exist_ok=True)
    made = MADE / "libmarque_metadata.so"
    source = Path(__file__).with_name("metadata_bench.c")
    folders = [f"-I{ROOT / 'firmware' / folder}" for folder in ("include", "core", "port/host", "port")]
    flags = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-g", "-O1", "-DFW_WITH_P256"]
    with (MADE / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        newest = max(path.stat().st_mtime for path in (source, host))
        if not made.exists() or made.stat().st_mtime < newest:
            link = [str(source), f"-L{host.parent}", f"-Wl,-rpath,{host.parent}", "-lmarque_firmware", "-o", str(made)]
            subprocess.run(["gcc", *flags, *folders, *link], check=True)
    return ctypes.CDLL(str(made))


def _numbers(*values: int) -> bytes:
    return b"".join(value.to_bytes(8) for value in values)


def read_by_python(octets: bytes, own: Ecu) -> bytes:
    """What the C must read of an object that was delivered."""
    try:
        envelope = OER.open(octets, 1 << 26)
    except Malformed:
        return _numbers(Check.ENCODING.code)
    said = _numbers(OK) + _signatures(envelope)
    try:
        value = OER.parse(envelope.payload)
    except Disordered:
        return said + _numbers(Check.TARGETS_ENTRY_ORDER.code)
    except Malformed:
        return said + _numbers(Check.ENCODING.code)
    fault, entry = OK, None
    if isinstance(value, DirectorTargets):
        try:
            entry = value.entries.find(own.ecu)
        except Malformed:
            fault = Check.ENCODING.code
    return said + _numbers(OK, fault) + _payload(value, own, entry)


def _signatures(envelope: Envelope) -> bytes:
    said = _numbers(len(envelope.signatures))
    for signature in envelope.signatures[:SIGNATURES_MAX]:
        held = signature.octets if len(signature.octets) <= SIGNATURE_LENGTH else b""
        said += signature.key_id + _numbers(len(signature.octets)) + held.ljust(SIGNATURE_LENGTH, b"\0")
    return said + sha512(envelope.payload).digest()


def _payload(value: Any, own: Ecu, entry: Assignment | None) -> bytes:
    tag = next(tag for tag, kind in enumerate(_KINDS) if isinstance(value, kind))
    header = getattr(value, "header", value)
    said = _numbers(tag, header.level)
    speaker = getattr(header, "speaker", None)
    if speaker is not None:
        number = 0 if isinstance(speaker, Fleet) else 1 if isinstance(speaker, ImageRepository) else 3
        number = 2 if isinstance(speaker, ForVehicle) else number
        said += _numbers(number, header.version, header.expires, header.issued)
    if isinstance(speaker, ForVehicle):
        said += _numbers(speaker.vehicle == own.vehicle)
    match value:
        case Root():
            return said + _root(value)
        case DirectorTargets() | ImageTargets():
            return said + _targets(value, own, entry)
        case TimeAttestation():
            return said + _numbers(value.time) + value.nonce
        case VehicleOrder():
            phase = tuple(Phase).index(value.phase)
            return said + _numbers(value.vehicle == own.vehicle) + value.bundle + _numbers(value.targets_version, phase)
        case _:
            return said


def _root(root: Root) -> bytes:
    try:
        check_root_keys(root)
        is_sound = True
    except Rejected:
        is_sound = False
    if len(root.keys) > ROOT_KEYS_MAX:
        return _numbers(1)
    said = _numbers(0, not is_sound)
    if not is_sound:
        return said
    for each in root.keys:
        long = len(each.public.octets) > KEY_MAX
        held = sha256(each.public.octets).digest() if long else each.public.octets[:32]
        said += each.key_id + _numbers(SCHEMES.index(each.public.scheme)) + held
    numbers = {each.key_id: number for number, each in enumerate(root.keys)}
    named = {role.role: role for role in root.roles}
    for role in ROLES:
        ids = named[role].key_ids if role in named else ()
        said += _numbers(sum(1 << numbers[key_id] for key_id in ids), named[role].threshold if ids else 0)
    return said


def _targets(targets: DirectorTargets | ImageTargets, own: Ecu, entry: Assignment | None) -> bytes:
    coordinator = targets.coordinator if isinstance(targets, DirectorTargets) else None
    scheme = 0xFF if coordinator is None else SCHEMES.index(coordinator.scheme)
    said = sha256(targets.entries.octets).digest() + _numbers(scheme, targets.delegations is not None)
    octets = targets.entries.find_octets(own.ecu) if isinstance(targets, DirectorTargets) else None
    said += _numbers(octets is not None)
    if octets is None:
        return said
    said += sha256(octets).digest()
    if entry is None:
        return said
    image = entry.image
    said += _numbers(own.hardware in image.hardware, entry.encrypted is not None) + image.filename.encode()
    said += _numbers(image.length, image.release_counter) + image.sha256 + _numbers(image.sha512 is not None)
    return said + (image.sha512 or bytes(64))


def facts_octets(pair: Pair, own: Ecu) -> bytes:
    """The facts of an ECU of the pair's vehicle, provisioned with the Director's first Root."""
    signer = key(f"ecu {own.ecu}")
    facts = BoardFacts(
        vehicle=own.vehicle,
        ecu=own.ecu,
        hardware=own.hardware,
        accepts=own.filename,
        address=0x21,
        fd=False,
        slow_floor=0,
        floor=BUILT,
        secret=bytes(32),
        seed=sha256(f"ecu {own.ecu}".encode()).digest(),
        factory=pair.factory[own.ecu],
        root=pair.director.offered["1.root"],
    )
    assert signer.public.octets in encode(facts)
    return encode(facts)


class Core:
    """An ECU of the C core, called function by function. `tools` is metadata_bench.c."""

    def __init__(self, host: Path, facts: bytes) -> None:
        self.tools = bench(host)
        self.c = Library(str(host)).c
        for name in TAKING.values():
            getattr(self.c, name).restype = ctypes.c_uint16
            getattr(self.c, name).argtypes = [ctypes.c_void_p]
        self.c.fw_recheck.restype, self.c.fw_recheck.argtypes = ctypes.c_uint16, [ctypes.c_void_p]
        self.port = self.c.fw_host_create(facts, len(facts), 1_024, 4, SLOT_SIZE, 64 * 1_024)
        assert self.port, "no facts"
        self.ecu = ctypes.c_void_p(self.c.fw_host_ecu(self.port))
        self._out = ctypes.create_string_buffer(2 * OUT_MAX)

    def __del__(self) -> None:
        """Its board goes with it."""
        if getattr(self, "port", None):
            self.c.fw_host_destroy(self.port)

    def power_up(self) -> Start:
        """Begin with what is in the flash."""
        start = Start(self.c.fw_host_power_up(self.port, 0))
        self.log()
        return start

    def read(self, octets: bytes) -> bytes:
        """What is read of an object, which must not depend on how it is sliced."""
        read = self.said("bench_read", octets, len(octets))
        assert read, octets.hex()
        return read

    def deliver(self, kind: int, octets: bytes | None) -> None:
        """Deliver an object, if there is one."""
        if octets is not None:
            self.tools.bench_deliver(self.ecu, kind, octets, len(octets), 0)

    def take(self, what: Object, octets: bytes | None) -> Check | None:
        """Deliver an object and have it verified."""
        self.deliver(what, octets)
        return check_of(getattr(self.c, TAKING[what])(self.ecu))

    def order(self, octets: bytes | None) -> Check | Phase:
        """Deliver an order and have it verified."""
        self.deliver(Object.ORDER, octets)
        found: int = self.tools.bench_order(self.ecu)
        return tuple(Phase)[found - 0x10000] if found >= 0x10000 else BY_CODE[found]

    def recheck(self) -> Check | None:
        """Whether what is held still stands."""
        return check_of(self.c.fw_recheck(self.ecu))

    def said(self, function: str, *given: Any) -> bytes:
        """What a function of the bench writes."""
        count: int = getattr(self.tools, function)(self.ecu, *given, self._out)
        return self._out.raw[:count]

    def log(self) -> list[str]:
        """The records stored and deleted since this was asked last, in order."""
        where = ctypes.POINTER(ctypes.c_uint8)()
        length = self.c.fw_host_log(self.port, ctypes.byref(where))
        octets = ctypes.string_at(where, length) if length else b""
        self.c.fw_host_clear(self.port)
        done, at = [], 0
        while at < len(octets):
            kind, record, well, more = HEAD.unpack_from(octets, at)
            at += HEAD.size + more
            if kind in {Kind.STORED, Kind.DELETED} and well:
                done.append(("" if kind == Kind.STORED else "-") + RECORDS[record])
        return done


def check_of(code: int) -> Check | None:
    """The check of a code, None for FW_OK."""
    assert code != STORAGE, "the flash failed"
    return None if code == OK else BY_CODE[code]


def mutants(octets: bytes, step: int = 1) -> Iterable[bytes]:
    """Every bit flipped, every octet removed, doubled or made extreme, everything cut off at every place."""
    for at in range(0, len(octets), step):
        octet = octets[at]
        yield octets[:at]
        yield octets[:at] + octets[at + 1 :]
        yield octets[: at + 1] + octets[at:]
        for other in {octet ^ (1 << bit) for bit in range(8)} | {0, 1, 127, 128, 129, 255} - {octet}:
            yield octets[:at] + bytes((other,)) + octets[at + 1 :]
