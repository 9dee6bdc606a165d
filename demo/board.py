"""The brake controller as the C firmware on an emulated board, updated from one real build of itself to the next."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from demo.processes import DemoFailure, command

BUILT = Path(__file__).resolve().parent.parent / "build" / "firmware" / "qemu"
STUB = BUILT / "boot.elf"
BUILDS = (BUILT / "marque-secondary-1.bin", BUILT / "marque-secondary-2.bin")
QEMU = "qemu-system-arm"


@dataclass(frozen=True)
class Emulated:
    """What is needed of an emulated brake controller: its builds, the first of them from the factory; its slots."""

    builds: tuple[Path, ...]
    versions: tuple[str, ...]
    slot_size: int

    def build(self, release: int) -> Path:
        """The build that is published as `release`, 1 being the factory's."""
        return self.builds[release - 1]


def emulated() -> Emulated:
    """Find the builds; raise DemoFailure when one is missing, or the emulator."""
    if shutil.which(QEMU) is None:
        raise DemoFailure(f"BRAKE=qemu needs {QEMU}; on Debian: apt-get install qemu-system-arm")
    missing = [path for path in (STUB, *BUILDS) if not path.is_file()]
    if missing:
        raise DemoFailure(f"BRAKE=qemu needs {missing[0]}; `make firmware` builds it")
    told = json.loads(command("firmware", "info", "--json", *map(str, BUILDS)))
    return Emulated(BUILDS, tuple(image["version"] for image in told["images"]), told["slot_size"])


def run_words(board: Path, config: Path) -> tuple[str, ...]:
    """The module and words that run a board; its memory is made when there is none yet."""
    return "firmware", "run", str(board), "--config", str(config), "--stub", str(STUB)
