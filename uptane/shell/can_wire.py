"""What a CAN port needs of an interface, and words for everything that can go wrong with one."""

from __future__ import annotations

import errno
from typing import Protocol, TypeAlias

from uptane.errors import LinkFailure
from uptane.link.can_frame import CanFrame

Option: TypeAlias = str | int | float | bool
"""A further option of one of python-can's interfaces."""

Arrival: TypeAlias = tuple[CanFrame, int, bool]
"""A data frame, the monotonic ns it came at, and whether its identifier has 29 bits (False: 11, not for us)."""

ARRIVALS_MAX = 256  # frames read at one go: more than fit a socket's default buffer, few enough to answer in between

_WORDS = {
    errno.ENODEV: "no such interface",
    errno.ENXIO: "no such interface",
    errno.ENOENT: "no such device",
    errno.ENETDOWN: "the interface is down",
    errno.ENETUNREACH: "no network that reaches the group",
    errno.EACCES: "no permission",
    errno.EPERM: "no permission",
    errno.EAFNOSUPPORT: "this kernel has no CAN",
    errno.EPROTONOSUPPORT: "this kernel has no CAN",
}


class Wire(Protocol):
    """One CAN interface; nothing here blocks.

    `heard_at_start`: frames are handed over when they begin; a controller does so when they have come in whole.
    `malformed` counts what came in and was no frame.
    """

    heard_at_start: bool
    malformed: int

    def fileno(self) -> int | None:
        """What to wait for; None when there is nothing but asking again."""
        ...

    def put(self, frame: CanFrame, start_ns: int) -> bool:
        """Send a frame that begins at `start_ns`; False when the interface takes none now. Raises LinkFailure."""
        ...

    def take(self, now_ns: int) -> list[Arrival]:
        """Up to ARRIVALS_MAX frames that came in, our own too where an interface echoes them. Raises LinkFailure."""
        ...

    def close(self) -> None:
        """Give the interface back."""
        ...


def failure(name: str, error: Exception) -> LinkFailure:
    """What went wrong with interface `name`, in words for whoever set it up."""
    cause: BaseException | None = error
    while cause is not None:
        number = getattr(cause, "error_code", None) or getattr(cause, "errno", None)  # of can.CanError, of OSError
        if number in _WORDS:
            return LinkFailure(f"CAN {name}: {_WORDS[number]} ({error})")
        cause = cause.__cause__
    return LinkFailure(f"CAN {name}: {error}")
