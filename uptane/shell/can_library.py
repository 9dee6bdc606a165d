"""CAN interfaces by python-can: slcan, virtual, and every other one it knows."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Mapping

import can

from uptane.link.bus_time import BusSpeed
from uptane.link.can_frame import CAN_ID_MAX, DATA_LENGTHS, CanFrame
from uptane.shell.can_wire import ARRIVALS_MAX, Arrival, Option, failure

_QUEUE_FULL = frozenset({errno.ENOBUFS, errno.EAGAIN})
_ID_11_BIT_MAX = 0x7FF


class LibraryWire:
    """One interface of python-can. `options` go to its class after our own arguments."""

    def __init__(
        self, interface: str, channel: str, *, fd: bool, speed: BusSpeed, options: Mapping[str, Option]
    ) -> None:
        self._name = f"{interface} {channel}"
        self._fd = fd
        self.heard_at_start = interface in {"virtual", "udp_multicast"}
        self.malformed = 0
        arguments: dict[str, Option] = {"bitrate": speed.nominal}
        if interface == "slcan":
            arguments["timeout"] = 0.0  # of each read: take() must not wait
        else:
            arguments["fd"] = fd
        if fd:
            arguments["data_bitrate"] = speed.data
        arguments |= options
        try:
            # Nothing but these arguments: python-can's configuration files and environment are not read.
            self._bus = can.Bus(channel, interface, None, ignore_config=True, **arguments)
        except (can.CanError, OSError, ValueError, TypeError, ImportError, NotImplementedError) as error:
            raise failure(self._name, error) from error

    def fileno(self) -> int | None:
        """The interface's file descriptor; None for one that has none, as virtual."""
        try:
            number = self._bus.fileno()
        except (NotImplementedError, can.CanError):
            return None
        return number if number >= 0 else None

    def put(self, frame: CanFrame, start_ns: int) -> bool:
        """Hand a frame to the controller, which starts it when the bus is free."""
        del start_ns
        message = can.Message(
            arbitration_id=frame.can_id, is_extended_id=True, data=frame.data, is_fd=frame.fd, bitrate_switch=frame.brs
        )
        try:
            self._bus.send(message, timeout=0)
        except can.CanTimeoutError:
            return False
        except can.CanOperationError as error:
            # python-can's own "queue full" has neither a number nor a cause.
            if error.error_code in _QUEUE_FULL or (error.error_code is None and error.__cause__ is None):
                return False
            raise failure(self._name, error) from error
        except (can.CanError, OSError, ValueError) as error:
            raise failure(self._name, error) from error
        return True

    def take(self, now_ns: int) -> list[Arrival]:
        """Frames that came in; noise on an adapter's line is counted and passed over."""
        arrivals: list[Arrival] = []
        for _ in range(ARRIVALS_MAX):
            try:
                message = self._bus.recv(timeout=0)
            except (ValueError, IndexError):  # slcan's parser takes hexadecimal as it comes
                self.malformed += 1
                continue
            except can.CanOperationError as error:
                if not isinstance(error.__cause__, UnicodeDecodeError):
                    raise failure(self._name, error) from error
                self._flush()
                self.malformed += 1
                continue
            except (can.CanError, OSError) as error:
                raise failure(self._name, error) from error
            if message is None:
                break
            if message.is_error_frame or message.is_remote_frame:
                continue
            if _is_frame(message):
                frame = CanFrame(message.arbitration_id, bytes(message.data), message.is_fd, message.bitrate_switch)
                arrivals.append((frame, now_ns, message.is_extended_id))
            else:
                self.malformed += 1
        return arrivals

    def close(self) -> None:
        """Give the interface back; one that has failed already may fail again."""
        with contextlib.suppress(can.CanError, OSError, ValueError):
            self._bus.shutdown()

    def _flush(self) -> None:
        """Throw away what slcan cannot decode: its buffer keeps it, and would fail at each read from now on."""
        flush = getattr(self._bus, "flush", None)
        if callable(flush):
            flush()


def _is_frame(message: can.Message) -> bool:
    """Whether a message could have been on a bus: slcan's parser lets impossible lengths and identifiers through."""
    length = len(message.data)
    id_max = CAN_ID_MAX if message.is_extended_id else _ID_11_BIT_MAX
    return (
        0 <= message.arbitration_id <= id_max
        and message.dlc == length
        and (length in DATA_LENGTHS if message.is_fd else length <= 8)
    )
