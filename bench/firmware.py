"""The C firmware: flash and RAM by part, instructions to verify Targets, how fast an image gets into the board.

Needs what `make firmware` built, the cross compiler and QEMU. Instructions are QEMU's count (-icount), not cycles: a
Cortex-M3 takes between one and two cycles for each. Peers are published figures, with where they stand; nobody else's
firmware is built here.
"""

from __future__ import annotations

import contextlib
import select
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from bench import firmware_board, firmware_script
from bench.figures import Peer, Row, at_most, plain
from firmware.tools import builds, sizes
from firmware.tools.board import MACHINE, QEMU

ROOT: Final = Path(__file__).resolve().parent.parent
FIRMWARE: Final = ROOT / "firmware"
MEASURE: Final = FIRMWARE / "port" / "measure"
OBJECTS: Final = builds.FOLDER
COMPILER: Final = "arm-none-eabi-gcc"
WARNINGS: Final = ("-std=c11", "-Wall", "-Wextra", "-Werror")
ECUS: Final = (5, 100)
MEASURED_S: Final = 120.0  # it takes two on an idle machine
RAM_MAX: Final = 8 * 1024
CRYPTO_MAX = 17 * 1024
FIGURES: Final = ROOT / "build" / "firmware" / "figures"
PARTS: Final = {"link", "ASN.1", "verification", "slots and records", "transaction"}
PROFILES: Final = (
    ("ed25519", "profile S with Ed25519", 32 * 1024),
    ("small", "profile S with a small Ed25519 (CRYPTO=small)", 32 * 1024),
    ("p256", "profile S with Ed25519 and P-256", 36 * 1024),
    ("h", "profile H with ML-DSA-44", None),
)

# wolfBoot verifies and swaps images; it knows no metadata, time, orders or reports, and no link. libuptane has
# published no figure: its README calls it "mostly incomplete", and it needs Linux, so there is no row of it.
WOLFBOOT: Final = "wolfBoot's limit in its CI, STM32F4 (tools/test.mk at 07512ec, 2026)"
WOLFBOOT_ED25519 = 11_696  # octets of flash


class Unbuilt(Exception):
    """Something is missing; the text says what to do."""


def rows() -> list[Row]:
    """All figures of the firmware; takes half a minute."""
    if shutil.which(COMPILER) is None:
        raise Unbuilt(f"{COMPILER} is missing; firmware/tools/toolchain.sh installs it")
    builds.require()
    return [*size_rows(), *instruction_rows(), *rate_rows()]


# -------------------------------------------------------------------------------------------------------- sizes


def size_rows() -> list[Row]:
    """Flash of the Cortex-M3 build by part and by profile; the port and the boot stub are the board's, and apart."""
    _run(("make", "-s", "figures"))
    table: list[Row] = []
    for profile, text, limit in PROFILES:
        found = sizes.flash(FIGURES / f"{profile}.elf")
        peer = Peer(WOLFBOOT, WOLFBOOT_ED25519) if profile == "ed25519" else None
        name = f"Cortex-M3 flash, {text}"
        core, crypto = sizes.core(found), found[sizes.CRYPTO]
        if limit is None:
            table += [plain(f"{name}: all", "octets", core), plain(f"{name}: crypto", "octets", crypto)]
            continue
        table.append(at_most(f"{name}: all", "octets", core, limit=limit, peer=peer))
        table.append(at_most(f"{name}: crypto", "octets", crypto, limit=CRYPTO_MAX))
        if profile == "ed25519":
            rest = sorted(((size, part) for part, size in found.items() if part in PARTS), reverse=True)
            table += [plain(f"{name}: {part}", "octets", size) for size, part in rest]
    port = sizes.flash(sizes.ELF)[sizes.PORT]
    return [*table, plain("Cortex-M3 flash, the emulated board's port, not among these", "octets", port)]


# ------------------------------------------------------------------------------------------------- instructions


def instruction_rows() -> list[Row]:
    """What verifying takes, and the RAM it needs."""
    found: list[Row] = []
    for ecus in ECUS:
        told = measured(ecus)
        name = f"Cortex-M3, Director Targets of {ecus} ECUs"
        found.append(plain(f"{name}: received and read in one pass", "instructions", told["delivery"]))
        found.append(plain(f"{name}: verified and stored", "instructions", told["verification"]))
        if ecus == max(ECUS):
            found.append(plain(f"{name}: stack at its deepest", "octets", told["stack"]))
            ram = told["state"] + told["stack"]
            found.append(at_most(f"{name}: RAM with stack, profile S", "octets", ram, limit=RAM_MAX))
    return found


def measured(ecus: int) -> Mapping[str, int]:
    """Instructions by part, octets of `state` and `stack`, of a Secondary that verifies Targets for so many ECUs."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        parts = firmware_script.write(folder, ecus)
        elf = _linked(folder)
        lines = [line.split() for line in _played(elf)]
    told = {words[0]: (int(words[1], 16), int(words[2], 16)) for words in lines if words[0] != "part"}
    ticks, instructions = told["loop"]
    counts = {
        parts[int(words[1], 16)]: int(words[2], 16) * instructions // ticks for words in lines if words[0] == "part"
    }
    if told["end"] != (7, 1):
        raise Unbuilt(f"the firmware did not take the Targets: {told['end']}")
    return counts | {"state": told["size"][0], "stack": told["size"][1]}


def _linked(folder: Path) -> Path:
    """The measuring port with the objects of the board's build, by the flags of the board's build."""
    flags = _run(("make", "-s", "-C", str(FIRMWARE), "--eval", "told: ; @echo $(ARM)", "told")).split()
    objects = sorted(map(str, core_objects()))
    includes = [f"-I{path}" for path in (folder, "include", "core", "port")]
    elf = folder / "measure.elf"
    script = ("-flto", "-nostdlib", "-Wl,--gc-sections", f"-Wl,-T,{MEASURE / 'measure.ld'}")
    compiled = str(folder / "measure.o")
    _run((COMPILER, *flags, *WARNINGS, *includes, "-c", str(MEASURE / "measure.c"), "-o", compiled))
    _run((COMPILER, *flags, *script, compiled, *objects, "-lgcc", "-o", str(elf)))
    return elf


def core_objects() -> Iterator[Path]:
    """Everything of the board's build but what is the board's own."""
    own = {"qemu", "1", "2", "fails", "hangs"}
    for path in OBJECTS.rglob("*.o"):
        if not own & set(path.relative_to(OBJECTS).parts):
            yield path


def _run(words: Sequence[str]) -> str:
    done = subprocess.run(words, cwd=FIRMWARE, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Unbuilt(f"{words[0]}: {done.stderr.strip()[-400:]}")
    return done.stdout


def _played(elf: Path) -> list[str]:
    """What the measuring port prints, to its last line."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        line = f"socket,id=told,fd={theirs.fileno()}"
        words = [QEMU, "-M", MACHINE, "-kernel", str(elf), "-icount", "shift=0", "-nodefaults", "-display", "none"]
        process = subprocess.Popen(
            [*words, "-chardev", line, "-serial", "chardev:told"],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(theirs.fileno(),),
        )
        try:
            return _read(ours, time.monotonic() + MEASURED_S)
        finally:
            process.kill()
            process.wait()


def _read(line: socket.socket, end: float) -> list[str]:
    said = b""
    while not (b"\nend " in said and said.endswith(b"\n")):
        ready, _, _ = select.select([line], [], [], max(0.0, end - time.monotonic()))
        if not ready:
            raise Unbuilt(f"the measuring port stopped at {said[-80:]!r}")
        with contextlib.suppress(BlockingIOError):
            said += line.recv(4_096)
    return said.decode().splitlines()


# -------------------------------------------------------------------------------------------------------- rates


def rate_rows() -> list[Row]:
    """An image into the emulated board by UDS, beside what its line carries."""
    first, second = map(builds.built, builds.RELEASES)
    rates = firmware_board.rates(builds.STUB, first, second)
    peer = Peer("the line itself: 7 octets a frame, nobody answers", rates.link)
    return [plain("an image into the emulated board, classic CAN over slcan", "octets/s", rates.image, peer)]
