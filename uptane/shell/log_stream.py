"""Where a server's log goes: written as long as it can be. What a server does never fails because its log does."""

from __future__ import annotations

import io
from contextlib import suppress
from typing import TextIO, cast


def log_stream(stream: TextIO) -> TextIO:
    """`stream`, but that it never fails."""
    return cast("TextIO", _LogStream(stream))  # a TextIO has more methods than a logger calls


class _LogStream(io.TextIOBase):
    """Passes on to `stream`; lines that a full disk, or a reader who is gone, does not take are left out."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write what can be written; there is nobody to tell about the rest."""
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """As `write`."""
        with suppress(OSError):
            self._stream.flush()
