"""The power switch of one ECU: a command, a relay on a serial line, or none.

A command's exit status other than 0 is a failure that is said with what it printed; a relay is believed.
"""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Final

import serial

from rig.journal import Journal
from rig.settings import PowerKind, PowerSettings
from uptane.errors import LinkFailure

OUTPUT_MAX: Final = 400  # characters of a failed command that are repeated
RELAY_WRITE_S: Final = 2.0


class NoSwitch(LinkFailure):
    """This ECU's power cannot be cut."""


class PowerFailure(LinkFailure):
    """The switch does not work; the text says what was tried and what came of it."""


class Power:
    """The switch that `settings` describe; commands run in `folder`."""

    def __init__(self, settings: PowerSettings, folder: Path, journal: Journal) -> None:
        self.settings = settings
        self.journal = journal
        self._folder = folder

    @property
    def there(self) -> bool:
        """Whether there is a switch."""
        return self.settings.kind is not PowerKind.NONE

    def off(self) -> None:
        """Cut the power. Raises NoSwitch, PowerFailure."""
        self._turn("off", self.settings.off)

    def on(self) -> None:
        """Give power. Raises NoSwitch, PowerFailure."""
        self._turn("on", self.settings.on)

    def cycle(self) -> None:
        """Off, long enough for capacitors, and on. Raises NoSwitch, PowerFailure."""
        self.off()
        time.sleep(self.settings.off_ms / 1_000)
        self.on()

    def _turn(self, word: str, what: tuple[str, ...]) -> None:
        if not self.there:
            raise NoSwitch("no power switch; describe one in [ecu.power], or switch by hand")
        self.journal.note("power", word)
        if self.settings.kind is PowerKind.COMMAND:
            run(what, self._folder, self.settings.timeout_s)
        else:
            self._relay(bytes.fromhex(what[0]))

    def _relay(self, octets: bytes) -> None:
        try:
            with serial.serial_for_url(
                self.settings.url, baudrate=self.settings.baudrate, write_timeout=RELAY_WRITE_S
            ) as line:
                line.write(octets)
                line.flush()
        except (OSError, ValueError) as error:
            raise PowerFailure(f"power relay {self.settings.url}: {error}; check [ecu.power] url") from error


def run(command: tuple[str, ...], folder: Path, timeout_s: float) -> None:
    """Run a command of the rig file to its end. Raises PowerFailure when it does not do as told."""
    shown = " ".join(command)
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise PowerFailure(f"`{shown}` did not end within {timeout_s:.0f} s") from error
    except OSError as error:
        raise PowerFailure(f"`{shown}` cannot be run: {error.strerror}; commands run in {folder}") from error
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip()[-OUTPUT_MAX:]
        raise PowerFailure(f"`{shown}` ended with {done.returncode}: {said or 'it said nothing'}")
