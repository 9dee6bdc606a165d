"""Tokens of SoftHSM in a folder of their own, and Debian's PyKCS11 where this process and its children find it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from uptane.model.signed import Scheme
from uptane.shell.pkcs11 import TokenSettings

MODULE = Path("/usr/lib/softhsm/libsofthsm2.so")
DEBIANS = Path("/usr/lib/python3/dist-packages/PyKCS11")
PIN, WRONG_PIN, OFFICER = "4321", "1234", "12345678"


def why_not() -> str | None:
    """What is missing here; None when nothing is."""
    if shutil.which("softhsm2-util") is None or not MODULE.exists():
        return "softhsm2 is not installed"
    if not list(DEBIANS.glob(f"_LowLevel.cpython-{sys.version_info.major}{sys.version_info.minor}-*.so")):
        return "python3-pykcs11 is not installed, or for another Python than this one"
    return None


class SoftTokens:
    """A place for tokens; made by the first test that wants one, and reached by two variables of the environment."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.store = folder / "tokens"
        self.store.mkdir(parents=True)
        configuration = folder / "softhsm2.conf"
        configuration.write_text(
            f"directories.tokendir = {self.store}\nobjectstore.backend = file\nlog.level = ERROR\n"
        )
        modules = folder / "modules"
        modules.mkdir()
        (modules / "PyKCS11").symlink_to(DEBIANS)
        patch.setenv("SOFTHSM2_CONF", str(configuration))
        patch.setenv("PYTHONPATH", str(modules))
        patch.syspath_prepend(str(modules))
        self.pin = self.pin_file("pin", PIN)

    def pin_file(self, name: str, pin: str, mode: int = 0o600) -> Path:
        file = self.folder / name
        file.write_text(f"{pin}\n")
        file.chmod(mode)
        return file

    def make(self, label: str) -> None:
        """A new token, empty."""
        words = ["--init-token", "--free", "--label", label, "--so-pin", OFFICER, "--pin", PIN]
        ran = subprocess.run(["softhsm2-util", *words], capture_output=True, text=True, check=False, timeout=60)
        assert ran.returncode == 0, ran.stderr

    def settings(self, token: str, key: str = "ecu", scheme: Scheme | None = None) -> TokenSettings:
        return TokenSettings(MODULE, token, key, self.pin, scheme)

    def table(self, token: str, scheme: Scheme | None = None, *, pin: Path | None = None) -> str:
        """[token] for a file of settings."""
        lines = [f'module = "{MODULE}"', f'token = "{token}"', 'key = "ecu"', f'pin = "{pin or self.pin}"']
        if scheme is not None:
            lines.append(f'scheme = "{scheme.value}"')
        return "\n".join(["", "[token]", *lines, ""])

    def unplug(self) -> None:
        """All of them are gone."""
        self.store.rename(self.folder / "unplugged")

    def plug_in(self) -> None:
        (self.folder / "unplugged").rename(self.store)
