"""The brake controller as the C firmware on an emulated board, updated from one real build of itself to the next."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from demo.processes import DemoFailure, command


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
    """What `make firmware` has built; raise DemoFailure when something is missing, the emulator included."""
    try:
        told = json.loads(command("firmware", "info", "--json"))
    except DemoFailure as failure:
        raise DemoFailure(f"BRAKE=qemu: {str(failure).splitlines()[-1]}") from failure
    rows = told["images"]
    return Emulated(tuple(Path(row["file"]) for row in rows), tuple(row["version"] for row in rows), told["slot_size"])


def run_words(board: Path, config: Path) -> tuple[str, ...]:
    """The module and words that run a board; its memory is made when there is none yet."""
    return "firmware", "run", str(board), "--config", str(config)
