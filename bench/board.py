"""What a board's flash has to hold: each package as it is fetched, and as it is installed. `make deb` makes them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from bench.figures import BUILD, MEGABYTE, Row, plain

FOLDER = BUILD / "deb"
ROLES, ARCHITECTURES = ("primary", "secondary"), ("amd64", "arm64", "armhf")  # deploy's


def rows() -> list[Row]:
    """Of every role and architecture, in megabytes; made first if one is missing."""
    if any(_newest(role, architecture) is None for role in ROLES for architecture in ARCHITECTURES):
        subprocess.run([sys.executable, "-m", "deploy"], check=True, cwd=BUILD.parent, stdout=subprocess.DEVNULL)
    return [row for role in ROLES for architecture in ARCHITECTURES for row in _rows_of(role, architecture)]


def _rows_of(role: str, architecture: str) -> list[Row]:
    file = _newest(role, architecture)
    assert file is not None, "made above"
    name = f"marque-{role}, {architecture}"
    return [
        plain(f"{name}: package", "MB", file.stat().st_size / MEGABYTE),
        plain(f"{name}: installed", "MB", _installed_octets(file) / MEGABYTE),
    ]


def _newest(role: str, architecture: str) -> Path | None:
    found = FOLDER.glob(f"marque-{role}_*_{architecture}.deb")
    return max(found, key=lambda file: file.stat().st_mtime, default=None)


def _installed_octets(file: Path) -> int:
    """What dpkg says it takes; Python and systemd, which are Debian's, not counted."""
    command = ["dpkg-deb", "--field", str(file), "Installed-Size"]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout) * 1_024
