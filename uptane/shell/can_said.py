"""What is said of an interface's troubles: each reason once, so that a broken bus does not fill a journal."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

from uptane.errors import LinkFailure

QUIET_NS: Final = 60_000_000_000  # a reason that has not come up for so long is news again

log = logging.getLogger("marque.can")


class Said:
    """Says that an interface is `lost`, if the reason is news, and that it is `back` after a loss that was said."""

    def __init__(self, clock_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._clock_ns = clock_ns
        self._came_ns: dict[str, int] = {}
        self._is_lost = False

    def lost(self, failure: LinkFailure) -> None:
        """It cannot be used."""
        now_ns, reason = self._clock_ns(), str(failure)
        self._came_ns = {text: came_ns for text, came_ns in self._came_ns.items() if now_ns - came_ns < QUIET_NS}
        if reason not in self._came_ns:
            self._is_lost = True
            log.warning("%s; opened again every second", reason)
        self._came_ns[reason] = now_ns

    def back(self, name: str) -> None:
        """It could be opened."""
        if self._is_lost:
            self._is_lost = False
            log.warning("CAN %s: the interface is back", name)
