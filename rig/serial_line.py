"""What pyserial leaves to do for those who open and close lines that come and go."""

from __future__ import annotations

import contextlib
from typing import Any


def hang_up(port: Any) -> None:  # noqa: ANN401 (pyserial ships no types)
    """Close a port, however it has failed: of a socket:// whose other end has gone, pyserial would leave the socket."""
    line = getattr(port, "_socket", None)
    with contextlib.suppress(OSError):
        port.close()
    if line is not None:
        line.close()
