"""The installer of the settings, and what the core asks of it, in a thread of its own: only the core waits for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, TypeAlias

from primary.needs import Blob, CheckSlot, InstallSlot, MarkSlot, Place, Restart, RunningSlot
from primary.shell.files import Blobs
from primary.shell.installer import Installer, InstallerSettings, Kind, down
from uptane.errors import Rejected, StorageFailure
from uptane.shell.checkup import Finding, bad, good
from uptane.shell.loop import Worker

RESTART_S: Final = 120.0  # that a machine takes to end our process; after that it is not going to
SLOTS: Final = (Blob(Place.SLOT_0), Blob(Place.SLOT_1))

Asked: TypeAlias = RunningSlot | InstallSlot | CheckSlot | MarkSlot | Restart


def open_installer(settings: InstallerSettings, notes: Path) -> Installer | None:
    """The installer; None for this process's own files. `notes`: a folder for what it must remember."""
    match settings.kind:
        case Kind.DIRECTORY:
            return None
        case Kind.RAUC:
            from primary.shell.installer_rauc import Rauc  # noqa: PLC0415  (loads D-Bus)

            return Rauc(settings, notes)
        case Kind.COMMAND:
            from primary.shell.installer_command import Hook  # noqa: PLC0415  (loads what starts processes)

            return Hook(settings)


def look_at_installer(settings: InstallerSettings, notes: Path) -> Iterator[Finding]:
    """For the doctor: whether it answers, and what runs. Nothing is changed."""
    installer = open_installer(settings, notes)
    if installer is None:
        return
    try:
        yield good("installer", f"{settings.kind.value}: slot {installer.running()} runs")
    except Rejected as refusal:
        yield bad("installer", str(refusal), "[installer] in the settings; docs/integrating.md, section 3")


class Installing:
    """Carries out needs one after the other."""

    def __init__(self, installer: Installer, blobs: Blobs, restart_s: float = RESTART_S) -> None:
        self._installer = installer
        self._blobs = blobs
        self._restart_s = restart_s
        self._worker = Worker("installer")
        self._ending = threading.Event()

    def do(self, need: Asked, post: Callable[[object], None]) -> None:
        """Carry out `need` and post its answer, or the MarqueError that is its answer."""

        def job() -> object:
            try:
                return self._carry_out(need)
            except (Rejected, StorageFailure) as failure:
                return failure

        self._worker.do(job, post)

    def stop(self) -> None:
        """End what is under way."""
        self._ending.set()
        self._installer.stop()
        self._worker.stop()

    def _carry_out(self, need: Asked) -> object:
        match need:
            case RunningSlot():
                return self._installer.running()
            case InstallSlot(slot=slot, image=image):
                self._installer.install(slot, self._blobs.path(SLOTS[slot]), image)
            case CheckSlot(slot=slot, image=image):
                self._installer.check(slot, image)
            case MarkSlot(slot=slot, mark=mark):
                self._installer.mark(slot, mark)
            case Restart():
                self._installer.restart()
                if not self._ending.wait(self._restart_s):
                    raise down(f"asked for a restart {self._restart_s:g} s ago, and this machine still runs")
        return None
