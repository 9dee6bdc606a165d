"""What firmware/port/measure plays: facts of an ECU, and CAN frames that bring it the Director's Targets.

One Root with a key for each role, one Ed25519 signature on everything, ids as long as real ones (bench.sizes). The
frames are a tester's; what the ECU answers is not waited for, since it answers at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

from bench.sizes import NOW, OER, SIGNER, VEHICLE, director_targets, header, image
from firmware.tools.facts import BoardFacts, encode
from uptane.crypto import Ed25519Signer
from uptane.link.can_frame import Address, can_id_of
from uptane.model.ids import Filename, Role
from uptane.model.metadata import Fleet, Key, RoleKeys, Root
from uptane.model.reports import InstalledImage
from uptane.verify.signing import sign

ECU, TESTER = 0x21, 0xF1
BLOCK: Final = 512  # octets of data in a TransferData: fw_limits.h, FW_BLOCK_MAX
TARGETS_AT: Final = 0xF300_0000
FRAME, PART, END = 1, 2, 0
SLOT: Final = 1_024  # octets of the factory image, which reads as zeros

_ROLES = (Role.ROOT, Role.TIMESTAMP, Role.SNAPSHOT, Role.TARGETS, Role.TIME)


def _signer(role: Role) -> Ed25519Signer:
    return Ed25519Signer.from_seed(sha256(role.value.encode()).digest())


TIME_SIGNER: Final = _signer(Role.TIME)


class Step(NamedTuple):
    """One request, and the part of the work that ends with it (empty: it goes on)."""

    request: bytes
    part: str = ""


def bench_facts() -> BoardFacts:
    """The ECU that receives: the first of the vehicle."""
    picture = image(0)
    zeros = InstalledImage(Filename("factory/0.bin"), SLOT, sha256(bytes(SLOT)).digest(), 0)
    return BoardFacts(
        vehicle=VEHICLE,
        ecu="ecu-serial-000000",
        hardware=picture.hardware[0],
        accepts="**",
        address=ECU,
        fd=False,
        slow_floor=0,
        floor=NOW,
        secret=bytes(32),
        seed=sha256(b"ecu").digest(),
        factory=zeros,
        root=_root(),
    )


def _root() -> bytes:
    signers = {role: _signer(role) for role in _ROLES} | {Role.TARGETS: SIGNER}
    keys = tuple(Key(signer.key_id, signer.public) for signer in signers.values())
    roles = tuple(RoleKeys(role, (signer.key_id,), 1) for role, signer in signers.items())
    return sign(OER, Root(header(Fleet()), keys, roles), [signers[Role.ROOT]])


def steps(ecus: int) -> list[Step]:
    """Targets for a vehicle of so many ECUs: delivered, then verified and stored; then a report is read."""
    octets = director_targets(ecus, coordinated=True)
    found = [Step(bytes((0x10, 3)), "session")]
    found.append(Step(bytes((0x34, 0, 0x44)) + TARGETS_AT.to_bytes(4) + len(octets).to_bytes(4)))
    blocks = [octets[at : at + BLOCK] for at in range(0, len(octets), BLOCK)]
    found += [Step(bytes((0x36, number & 0xFF)) + block) for number, block in enumerate(blocks, 1)]
    found.append(Step(b"\x37", "delivery"))
    found.append(Step(bytes((0x31, 1, 2, 2, 0xF3)), "verification"))
    return found


def frames(request: bytes) -> Iterator[bytes]:
    """ISO-TP on classic CAN, padded."""
    if len(request) <= 7:
        yield (bytes((len(request),)) + request).ljust(8, b"\xaa")
        return
    yield bytes((0x10 | len(request) >> 8, len(request) & 0xFF)) + request[:6]
    for number, at in enumerate(range(6, len(request), 7), 1):
        yield (bytes((0x20 | number & 0xF,)) + request[at : at + 7]).ljust(8, b"\xaa")


def write(folder: Path, ecus: int) -> list[str]:
    """Write script.h for measure.c; the names of the parts in their order."""
    script = bytearray()
    parts = []
    for step in steps(ecus):
        for data in frames(step.request):
            script += bytes((FRAME,)) + data
        if step.part:
            script.append(PART)
            parts.append(step.part)
    script.append(END)
    octets = encode(bench_facts())
    text = (
        "/* Written by bench/firmware_script.py. */\n"
        f"#define SCRIPT_ID 0x{can_id_of(Address(ECU, TESTER)):08X}u\n"
        f"#define SCRIPT_FRAME {FRAME}u\n#define SCRIPT_END {END}u\n"
        f"static const uint8_t script[] = {{{_numbers(script)}}};\n"
        f"static const uint8_t facts_octets[] = {{{_numbers(octets)}}};\n"
        f"static const uint32_t facts_length = {len(octets)}u;\n"
    )
    (folder / "script.h").write_text(text)
    return parts


def _numbers(octets: bytes | bytearray) -> str:
    return ",".join(map(str, octets))
