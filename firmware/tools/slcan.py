"""CAN frames as lines of text, as python-can's slcan and CANable adapters write them (ASCII, ended by CR).

A line that is no frame of 29 bits is passed over: answers of an adapter, frames of 11 bits; noise, which is counted.
Nothing that comes in on a serial line raises anything here.
"""

from __future__ import annotations

import re
from typing import Final

from uptane.link.can_frame import CAN_ID_MAX, DATA_LENGTHS, CanFrame

END: Final = b"\r"
LINE_LENGTH_MAX: Final = 256  # octets: the longest frame has 138, so whatever is longer has lost its end

_FRAME = re.compile(rb"([TDB])([0-9A-Fa-f]{8})([0-9A-Fa-f])((?:[0-9A-Fa-f]{2})*)")
_OTHER = re.compile(rb"|[VvNF][0-9A-Fa-f]{0,8}|[zZ]|[tdbrR][0-9A-Fa-f]*")  # what an adapter may also say
_BELL = b"\x07"  # how an adapter says no


def line_of(frame: CanFrame) -> bytes:
    """The line of a frame."""
    kind = "T" if not frame.fd else "B" if frame.brs else "D"
    code = DATA_LENGTHS.index(len(frame.data))
    return f"{kind}{frame.can_id:08X}{code:X}{frame.data.hex().upper()}\r".encode()


class Lines:
    """The receiving end of a serial line. `noise` counts the lines that were nothing."""

    def __init__(self) -> None:
        self._rest = b""
        self._overlong = False
        self.noise = 0

    def take(self, octets: bytes) -> list[CanFrame]:
        """The frames that are complete with these octets."""
        *lines, self._rest = (self._rest + octets.replace(_BELL, END)).split(END)
        frames = []
        for line in lines:
            overlong, self._overlong = self._overlong, False
            frame = None if overlong else _frame(line)
            if frame is not None:
                frames.append(frame)
            elif overlong or not _OTHER.fullmatch(line):
                self.noise += 1
        if len(self._rest) > LINE_LENGTH_MAX:
            self._rest, self._overlong = b"", True
        return frames


def _frame(line: bytes) -> CanFrame | None:
    found = _FRAME.fullmatch(line)
    if found is None:
        return None
    kind, can_id, code, data = found.groups()
    number, length = int(can_id, 16), DATA_LENGTHS[int(code, 16)]
    if number > CAN_ID_MAX or len(data) != 2 * length or (kind == b"T" and length > 8):
        return None
    return CanFrame(number, bytes.fromhex(data.decode()), kind != b"T", kind == b"B")
