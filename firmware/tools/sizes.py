"""What the parts of an image cost in flash, by the linker's map: `python -m firmware.tools.sizes [MAP]`.

A part is what a reader of the code calls one; the boot stub and the port are told apart from the core, because they differ
from board to board.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

MAP: Final = Path(__file__).resolve().parents[2] / "build" / "firmware" / "qemu" / "marque-secondary-1.map"
PORT: Final = "port"
CRYPTO: Final = "crypto"

# By the file that an octet comes from; the first that matches.
_PARTS: Final = (
    (CRYPTO, r"core/crypto|sources/|port/bare/|libgcc"),
    (PORT, r"port/"),
    ("link", r"core/(isotp|uds)"),
    ("ASN.1", r"core/(oer|schema|object|octets)"),
    ("verification", r"core/(threshold|trusted|root|targets|clock|orders|patterns|report|recheck)"),
    ("slots and records", r"core/(slots|store|record|boot|install)"),
    ("transaction", r"core/"),
)
_INPUT = re.compile(r"^ (\.\S+)(?:\n\s+| +)0x([0-9a-f]+)\s+0x([0-9a-f]+) (\S+)$", re.MULTILINE)
_FLASH = (".text", ".rodata", ".vectors", ".mark", ".data")


def inputs(text: str) -> Iterator[tuple[str, str, int]]:
    """Section, file and octets of everything that was linked, as the map tells."""
    linked = text[text.index("Linker script and memory map") :]
    for section, address, size, file in _INPUT.findall(linked):
        if int(address, 16) or section in {".vectors"}:
            yield section, file, int(size, 16)


def part_of(file: str) -> str:
    """The part to which a file belongs."""
    return next((name for name, pattern in _PARTS if re.search(pattern, file)), PORT)


def sizes(text: str) -> Counter[str]:
    """Octets of flash of every part."""
    found: Counter[str] = Counter()
    for section, file, size in inputs(text):
        if section.startswith(_FLASH):
            found[part_of(file)] += size
    return found


def main(path: Path = MAP) -> None:
    """Print the table, and the core's sum."""
    found = sizes(path.read_text(encoding="utf-8"))
    for part, size in sorted(found.items(), key=lambda item: -item[1]):
        print(f"{size:7,}  {part}")
    core = sum(size for part, size in found.items() if part != PORT)
    print(f"{core:7,}  core and crypto")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
