"""A CAN adapter on a serial line (LAWICEL's slcan, with CANable's frames of CAN FD), read strictly.

The dialect is python-can's. Read here and not by python-can, for what happens on a bench: noise is counted and passed
over instead of being raised or taken for a frame, a line that takes no more octets neither blocks the rig nor cuts a
frame in two, and pyserial's URLs (socket://, rfc2217://) are read in more than one octet at a time.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import time
from typing import Any, Final

import serial

from rig.serial_line import hang_up
from uptane.errors import LinkFailure
from uptane.link.bus_time import BusSpeed
from uptane.link.can_frame import CAN_ID_MAX, DATA_LENGTHS, CanFrame
from uptane.shell.can_port import CanSettings
from uptane.shell.can_wire import Arrival, failure

BAUDRATE: Final = 115_200
SLEEP_S: Final = 2.0  # after opening: many adapters restart then, as python-can knows, too
BACKLOG_MAX: Final = 4_096  # octets waiting for the line: 0.3 s of it; what is behind waits where it can still be timed
READ_MAX: Final = 65_536
LINE_MAX: Final = 10 + 2 * 64 + 4  # octets of the longest frame, with a time stamp; beyond that it is noise
_BITRATES: Final = {
    10_000: "S0",
    20_000: "S1",
    50_000: "S2",
    100_000: "S3",
    125_000: "S4",
    250_000: "S5",
    500_000: "S6",
    750_000: "S7",
    1_000_000: "S8",
}
_DATA_BITRATES: Final = {2_000_000: "Y2", 5_000_000: "Y5"}
_ENDS: Final = re.compile(rb"[\r\a]")
_FRAME: Final = re.compile(rb"(?:([TDB])([0-9A-Fa-f]{8})|([tdb])([0-9A-Fa-f]{3}))([0-9A-Fa-f])((?:[0-9A-Fa-f]{2})*)")
_ANSWERS: Final = re.compile(rb"[zZ]?|[VNF][0-9A-Za-z]{1,8}|[rR][0-9A-Fa-f]{4,9}")  # and requests without data
_ID_11_BIT_MAX: Final = 0x7FF


class SlcanWire:
    """The adapter that `settings` name; a Wire. Raises LinkFailure when it cannot be opened."""

    def __init__(self, settings: CanSettings) -> None:
        self._name = f"slcan {settings.channel}"
        self.heard_at_start = False
        self.malformed = 0
        options = dict(settings.options)
        url, _, baudrate = settings.channel.partition("@")
        speed_options = {"baudrate": int(baudrate) if baudrate.isdigit() else options.pop("tty_baudrate", BAUDRATE)}
        sleep_s = options.pop("sleep_after_open", SLEEP_S)
        if "rtscts" in options:
            speed_options["rtscts"] = options.pop("rtscts")
        if options or not isinstance(sleep_s, int | float):
            raise LinkFailure(f"CAN {self._name}: its options are tty_baudrate, sleep_after_open and rtscts")
        commands = opening(self._name, settings.speed, fd=settings.fd)
        try:
            self._port: Any = serial.serial_for_url(url, timeout=0, write_timeout=0, **speed_options)
        except (OSError, ValueError, TypeError) as error:
            raise failure(self._name, error) from error
        self._number = _number(self._port)
        self._rest = b""
        self._backlog = commands
        time.sleep(sleep_s)
        self._flush()

    @property
    def busy(self) -> bool:
        """Whether octets wait for the line."""
        return bool(self._backlog)

    def fileno(self) -> int | None:
        """As of Wire."""
        return self._number

    def put(self, frame: CanFrame, start_ns: int) -> bool:
        """As of Wire."""
        del start_ns
        self._flush()
        if len(self._backlog) > BACKLOG_MAX:
            return False
        self._backlog += encoded(frame)
        self._flush()
        return True

    def take(self, now_ns: int) -> list[Arrival]:
        """As of Wire."""
        self._flush()
        *lines, self._rest = _ENDS.split(self._rest + self._read())
        if len(self._rest) > LINE_MAX:
            self._rest = b""
            self.malformed += 1
        arrivals: list[Arrival] = []
        for line in lines:
            if _ANSWERS.fullmatch(line):
                continue
            frame = parsed(line)
            if frame is None:
                self.malformed += 1
            else:
                arrivals.append((frame[0], now_ns, frame[1]))
        return arrivals

    def close(self) -> None:
        """Give the line back; the adapter leaves the bus."""
        with contextlib.suppress(OSError, LinkFailure):
            self._backlog = b"C\r"
            self._flush()
        hang_up(self._port)

    def _read(self) -> bytes:
        """What has come: read until there is no more, so that frames are handed on together."""
        came = b""
        try:
            while len(came) < READ_MAX:
                if self._number is None:
                    octets = bytes(self._port.read(READ_MAX))
                elif select.select((self._number,), (), (), 0)[0]:
                    octets = os.read(self._number, READ_MAX)
                    if not octets:
                        raise LinkFailure(f"CAN {self._name}: the other end has hung up")
                else:
                    octets = b""
                if not octets:
                    break
                came += octets
        except (OSError, ValueError) as error:
            raise failure(self._name, error) from error
        return came

    def _flush(self) -> None:
        """Give the line as much as it takes now."""
        if not self._backlog:
            return
        try:
            if self._number is None:
                self._port.write(self._backlog)
                self._backlog = b""
            elif select.select((), (self._number,), (), 0)[1]:
                self._backlog = self._backlog[os.write(self._number, self._backlog) :]
        except BlockingIOError:
            return
        except (OSError, ValueError) as error:
            self._backlog = b""
            raise failure(self._name, error) from error


def opening(name: str, speed: BusSpeed, *, fd: bool) -> bytes:
    """What brings an adapter onto a bus of this speed. Raises LinkFailure when it has no word for it."""
    commands = ["C", _BITRATES.get(speed.nominal, "")]
    if fd:
        commands.append(_DATA_BITRATES.get(speed.data, ""))
    if "" in commands:
        rates = f"bitrate {', '.join(map(str, _BITRATES))}; data_bitrate {', '.join(map(str, _DATA_BITRATES))}"
        raise LinkFailure(f"CAN {name}: {speed.nominal}/{speed.data} bit/s is none of an slcan adapter's: {rates}")
    return "".join(f"{command}\r" for command in [*commands, "O"]).encode()


def encoded(frame: CanFrame) -> bytes:
    """A frame with a 29-bit identifier as a line."""
    kind = "T" if not frame.fd else "B" if frame.brs else "D"
    return f"{kind}{frame.can_id:08X}{DATA_LENGTHS.index(len(frame.data)):X}{frame.data.hex().upper()}\r".encode()


def parsed(line: bytes) -> tuple[CanFrame, bool] | None:
    """The frame of a line, and whether its identifier has 29 bits; None for what is none."""
    found = _FRAME.fullmatch(line)
    if found is None:
        return None
    kind, digits = (found[1], found[2]) if found[1] else (found[3], found[4])
    extended, fd = found[1] is not None, kind in b"DdBb"
    can_id, code, data = int(digits, 16), int(found[5], 16), bytes.fromhex(found[6].decode())
    if can_id > (CAN_ID_MAX if extended else _ID_11_BIT_MAX) or len(data) != DATA_LENGTHS[code]:
        return None
    if not fd and len(data) > 8:
        return None
    return CanFrame(can_id, data, fd, kind in b"Bb"), extended


def _number(port: Any) -> int | None:  # noqa: ANN401 (pyserial ships no types)
    try:
        return int(port.fileno())
    except (OSError, AttributeError, NotImplementedError):
        return None
