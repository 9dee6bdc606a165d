"""A log that cannot be written fails nobody."""

import io

import pytest
import structlog

from uptane.shell.log_stream import log_stream


class Full(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")

    def flush(self) -> None:
        raise OSError(28, "No space left on device")


def test_what_is_written_arrives() -> None:
    stream = io.StringIO()
    logger = structlog.PrintLogger(log_stream(stream))
    logger.msg("admit")
    assert stream.getvalue() == "admit\n"


def test_a_full_disk_fails_nobody() -> None:
    with pytest.raises(OSError, match="space"):
        structlog.PrintLogger(Full()).msg("admit")
    structlog.PrintLogger(log_stream(Full())).msg("admit")
