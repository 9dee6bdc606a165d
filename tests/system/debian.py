"""Real firmware from Debian's package firmware-microbit-micropython, fetched into build/ when it is not installed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.system.fleet import ROOT

PACKAGE = "firmware-microbit-micropython"
INSTALLED = Path("usr/share") / PACKAGE / "firmware.hex"
FOLDER = ROOT / "build" / "debian"
FETCH_S = 60


def microbit_firmware() -> Path | None:
    """The MicroPython runtime for the micro:bit; None when it can be had nowhere."""
    for root in (Path("/"), FOLDER):
        if (root / INSTALLED).is_file():
            return root / INSTALLED
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        return None
    FOLDER.mkdir(parents=True, exist_ok=True)
    try:
        _run("apt-get", "download", PACKAGE)
        (package,) = FOLDER.glob(f"{PACKAGE}_*.deb")
        _run("dpkg", "-x", package.name, ".")
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return FOLDER / INSTALLED if (FOLDER / INSTALLED).is_file() else None


def _run(*command: str) -> None:
    subprocess.run(command, cwd=FOLDER, check=True, capture_output=True, timeout=FETCH_S, stdin=subprocess.DEVNULL)
