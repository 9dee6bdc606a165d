"""An installer that is a command of the integrator's (docs/integrating.md, "Installer").

    COMMAND running                             prints 0 or 1
    COMMAND write SLOT FILE SHA256 LENGTH       puts the file into the slot, and checks it there
    COMMAND check SLOT SHA256 LENGTH            passes when the slot is as it was written
    COMMAND activate SLOT | good SLOT | bad SLOT
    COMMAND restart

Exit 0: done. 1: no, not this image or slot (write and check). 75: not now. Anything else: a fault. Each may come again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from primary.needs import Mark
from primary.shell.hook import Command, HookFailure
from primary.shell.installer import InstallerSettings, down, refused
from uptane.model.reports import InstalledImage

DONE: Final = 0
NO: Final = 1
NOT_NOW: Final = 75  # EX_TEMPFAIL
QUICK_S: Final = 30  # for everything that writes no image, or reads one again
VERBS: Final = {Mark.ACTIVE: "activate", Mark.GOOD: "good", Mark.BAD: "bad"}


class Hook:
    """See the module and `Installer`."""

    def __init__(self, settings: InstallerSettings) -> None:
        self._settings = settings
        self._command = Command()

    def running(self) -> int:
        """The slot that this boot runs."""
        output = self._do("running").strip()
        if output not in {"0", "1"}:
            raise down(f"{self._settings.command[0]} running: said {output!r}; it has to print 0 or 1")
        return int(output)

    def install(self, slot: int, file: Path, image: InstalledImage) -> None:
        """Put the octets of `file` to where `slot` boots from, and check them there."""
        self._do("write", str(slot), str(file.absolute()), image.sha256.hex(), str(image.length))

    def check(self, slot: int, image: InstalledImage) -> None:
        """Pass when `slot` is as `install` has left it."""
        self._do("check", str(slot), image.sha256.hex(), str(image.length))

    def mark(self, slot: int, mark: Mark) -> None:
        """Tell the bootloader, durably."""
        self._do(VERBS[mark], str(slot))

    def restart(self) -> None:
        """Have the machine restarted."""
        if self._settings.restart:
            restart_by(self._command, self._settings.restart)
        else:
            self._do("restart")

    def stop(self) -> None:
        """End what is under way, soon."""
        self._command.stop()

    def _do(self, verb: str, *arguments: str) -> str:
        name = f"{self._settings.command[0]} {verb}"
        timeout_s = self._settings.timeout_s if verb in {"write", "check"} else QUICK_S
        try:
            said = self._command.run([*self._settings.command, verb, *arguments], timeout_s)
        except HookFailure as failure:
            raise down(f"{verb}: {failure}") from failure
        if said.status == DONE:
            return said.output
        if said.status == NO and verb in {"write", "check"}:
            raise refused(f"{name}: {said.output or 'refused, and said nothing'}")
        if said.status == NOT_NOW:
            raise down(f"{name}: not now, and is asked again: {said.output}")
        how = f"exit {said.status}" if said.status >= 0 else f"ended by signal {-said.status}"
        raise down(f"{name}: {how}, which means nothing (0 done, 1 refused, 75 not now): {said.output}")


def restart_by(command: Command, words: tuple[str, ...]) -> None:
    """Restart the machine by a command. Raises Rejected: INSTALLER_DOWN."""
    try:
        said = command.run(words, QUICK_S)
    except HookFailure as failure:
        raise down(f"restart: {failure}") from failure
    if said.status:
        raise down(f"{words[0]}: exit {said.status}, so nothing restarts: {said.output}")
