"""What the parts of the firmware cost in flash and RAM: `python -m firmware.tools.sizes [ELF]`.

Every symbol of the linked image is counted for the file that it was written in, as its debug information tells; so
functions that the compiler made part of others count for those. The port is told apart: boards differ in it.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

FIRMWARE: Final = Path(__file__).resolve().parent.parent
ELF: Final = FIRMWARE.parent / "build" / "firmware" / "qemu" / "marque-secondary.elf"
CROSS: Final = "arm-none-eabi-"
PORT: Final = "port"
CRYPTO: Final = "crypto"

# By the file that a symbol was written in; the first that matches. What has no file is a library's.
_PARTS: Final = (
    (CRYPTO, r"core/crypto|sources/|port/bare/|^$"),
    (PORT, r"port/"),
    ("link", r"core/(isotp|uds)"),
    ("ASN.1", r"core/(oer|schema|object|octets)"),
    ("verification", r"core/(threshold|trusted|root|targets|clock|orders|patterns|report)"),
    ("slots and records", r"core/(slots|store|record|boot|install)"),
    ("transaction", r"core/"),
)
_SYMBOL = re.compile(r"^([0-9a-f]+) ([0-9a-f]+) ([A-Za-z]) (\S+)(?:\t(.*):\d+)?$")
_RAM_BEGIN: Final = 0x2000C000  # layout.h, BOARD_DATA_RAM: what lies below is the image


def symbols(elf: Path) -> Iterator[tuple[int, int, str, str]]:
    """Address, octets, name and file of every symbol that has a size."""
    command = [CROSS + "nm", "--print-size", "--line-numbers", str(elf)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for line in text.splitlines():
        if found := _SYMBOL.match(line):
            address, size, _kind, name, file = found.groups()
            yield int(address, 16), int(size, 16), name, file or _file_of_table(name.partition(".")[0])


@cache
def _file_of_table(name: str) -> str:
    """Where a table is written, of which optimising programs as a whole has lost the place; nowhere for a library's."""
    table = re.compile(rf"^[a-z].*\b{re.escape(name)}(\[.*)? = ", re.MULTILINE)
    for folder in ("core", "port"):
        for path in sorted((FIRMWARE / folder).rglob("*.c")):
            if table.search(path.read_text(encoding="utf-8")):
                return path.relative_to(FIRMWARE).as_posix()
    return ""


def part_of(file: str) -> str:
    """The part to which a file belongs."""
    return next((name for name, pattern in _PARTS if re.search(pattern, file)), PORT)


def flash(elf: Path) -> Counter[str]:
    """Octets of flash of every part."""
    found: Counter[str] = Counter()
    for address, size, _name, file in symbols(elf):
        if address < _RAM_BEGIN:
            found[part_of(file)] += size
    return found


def core(found: Counter[str]) -> int:
    """Octets of all that is no port."""
    return sum(size for part, size in found.items() if part != PORT)


def ram(elf: Path) -> dict[str, int]:
    """Octets of everything that lies in RAM, by its name; the stack is not among it."""
    return {name: size for address, size, name, _file in symbols(elf) if address >= _RAM_BEGIN}


def main(words: list[str]) -> None:
    """Print the table; with --json, an object for programs."""
    as_json = "--json" in words
    elf = next((Path(word) for word in words if not word.startswith("-")), ELF)
    found = flash(elf)
    if as_json:
        print(json.dumps({"flash": dict(found), "core": core(found), "ram": ram(elf)}))
        return
    for part, size in sorted(found.items(), key=lambda item: -item[1]):
        print(f"{size:7,}  {part}")
    print(f"{core(found):7,}  core and crypto")
    for name, size in sorted(ram(elf).items(), key=lambda item: -item[1])[:6]:
        print(f"{size:7,}  RAM: {name}")


if __name__ == "__main__":
    main(sys.argv[1:])
