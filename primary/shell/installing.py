"""What the core asks of an installer, in a thread of its own: nothing waits for it but the core."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final, TypeAlias

from primary.needs import Blob, CheckSlot, InstallSlot, MarkSlot, Place, Restart, RunningSlot
from primary.shell.files import Blobs
from primary.shell.installer import Installer, down
from uptane.errors import Rejected, StorageFailure
from uptane.shell.loop import Worker

RESTART_S: Final = 120.0  # that a machine takes to end our process; after that it is not going to
SLOTS: Final = (Blob(Place.SLOT_0), Blob(Place.SLOT_1))

Asked: TypeAlias = RunningSlot | InstallSlot | CheckSlot | MarkSlot | Restart


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
