"""Packages made from this checkout, and a root of its own for dpkg to install them in: no board, and no harm."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OLD, NEW = "0.1.0", "0.1.1"
MAKE_S = 900  # the first time; wheels and unpacked libraries are kept below build/


def why_not() -> str | None:
    """What is missing here to make and install packages; None when nothing is."""
    for program in ("dpkg", "dpkg-deb", "systemd-sysusers", "systemd-tmpfiles", "deb-systemd-helper"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    if os.geteuid() != 0:
        return "dpkg installs as root only, into a folder too"
    if not Path("/usr/bin/python3.11").exists():
        return "the packages are for Debian's Python 3.11, which is not here"
    return None


def architecture() -> str:
    """This machine's, as dpkg calls it."""
    return subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=True).stdout.strip()


def make(out: Path, role: str, version: str) -> Path:
    """One package of this checkout for this machine."""
    words = ["--architecture", architecture(), "--role", role, "--version", version, "--out", str(out), "--fast"]
    ran = subprocess.run(
        [sys.executable, "-m", "deploy", *words], cwd=ROOT, capture_output=True, text=True, check=False, timeout=MAKE_S
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return out / f"marque-{role}_{version}_{architecture()}.deb"


@dataclass
class Board:
    """A root that dpkg believes to be a board's; its packages' scripts run in it by DPKG_ROOT."""

    root: Path

    def __post_init__(self) -> None:
        (self.root / "var/lib/dpkg/info").mkdir(parents=True)
        (self.root / "var/lib/dpkg/updates").mkdir()
        (self.root / "var/lib/dpkg/status").touch()

    def command_of_dpkg(self, *words: str | Path) -> list[str]:
        return ["dpkg", f"--root={self.root}", "--force-depends", "--force-script-chrootless", *map(str, words)]

    def dpkg(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        command = self.command_of_dpkg(*words)
        return subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=120, stdin=subprocess.DEVNULL
        )

    def install(self, package: Path, *options: str) -> None:
        ran = self.dpkg("-i", *options, package)
        assert ran.returncode == 0, ran.stderr

    def state(self, package: str) -> str:
        """What dpkg says of a package: `installed 0.1.0`."""
        words = ("dpkg-query", f"--admindir={self.root}/var/lib/dpkg", "-W", "-f", "${db:Status-Status} ${Version}")
        return subprocess.run([*words, package], capture_output=True, text=True, check=False).stdout

    def path(self, inside: str) -> Path:
        return self.root / inside.removeprefix("/")

    def program(self, role: str) -> list[str]:
        """The package's own Python and modules, without the command, whose paths are a board's."""
        return [str(self.path(f"/usr/lib/marque/{role}/bin/python3")), "-I", "-m", role]

    def command(self, role: str) -> Path:
        """The package's command, with this root in front of its paths."""
        text = self.path(f"/usr/bin/marque-{role}").read_text()
        copy = self.root / f"marque-{role}"
        copy.write_text(text.replace("/usr/lib/marque", f"{self.root}/usr/lib/marque"))
        copy.chmod(0o755)
        return copy
