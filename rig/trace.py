"""The frames of a case as files: candump (.log), Vector's ASC and BLF, by python-can's own writers."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import Final

import can

from rig.journal import Journal

CHANNEL: Final = 0


class Kind(Enum):
    """The formats; the value is what the command line says."""

    CANDUMP = "candump"
    ASC = "asc"
    BLF = "blf"


SUFFIX: Final = {Kind.CANDUMP: ".log", Kind.ASC: ".asc", Kind.BLF: ".blf"}


def write(journal: Journal, stem: Path, kinds: Sequence[Kind]) -> list[Path]:
    """Write the frames of `journal` beside `stem`, once per kind; none when there were no frames."""
    if not journal.frames:
        return []
    written = []
    for kind in kinds:
        path = stem.with_name(stem.name + SUFFIX[kind])
        with _writer(kind, path) as writer:
            for message in messages(journal):
                writer.on_message_received(message)
        written.append(path)
    return written


def messages(journal: Journal) -> Iterator[can.Message]:
    """The frames as python-can has them, with the time of day."""
    epoch = time.time() - journal.clock_ns() / 1e9
    for recorded in journal.frames:
        frame = recorded.frame
        yield can.Message(
            timestamp=epoch + recorded.at_ns / 1e9,
            arbitration_id=frame.can_id,
            is_extended_id=recorded.extended,
            data=frame.data,
            is_fd=frame.fd,
            bitrate_switch=frame.brs,
            is_rx=not recorded.sent,
            channel=CHANNEL,
        )


def _writer(kind: Kind, path: Path) -> can.CanutilsLogWriter | can.ASCWriter | can.BLFWriter:
    match kind:
        case Kind.CANDUMP:
            return can.CanutilsLogWriter(path)
        case Kind.ASC:
            return can.ASCWriter(path)
        case Kind.BLF:
            return can.BLFWriter(path)
