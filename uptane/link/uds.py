"""UDS (ISO 14229-1:2020) as both ends speak it: requests and replies as octets.

One place, strict and bounded; docs/wire.md, "CAN, ISO-TP, UDS" describes it. A server reads with `parse_request` and
answers with `positive` or `negative`; a client asks with `encode_request` and reads with `parse_reply`. The values are
uds_values.py's, what lies at which address is uds_objects.py's, sessions, timers and sequences are uds_server.py's and
uds_client.py's.
"""

from __future__ import annotations

import struct
from collections.abc import Container
from typing import assert_never

from uptane.errors import LinkFailure
from uptane.link.uds_values import (
    BLOCK_LENGTH_MAX,
    BLOCK_OVERHEAD,
    NEGATIVE,
    P2_MS,
    P2_STAR_MS,
    POSITIVE_OFFSET,
    QUIET,
    SERVICES,
    Communication,
    Download,
    DtcSetting,
    Negative,
    Nrc,
    OpenSession,
    Pending,
    Positive,
    Present,
    Read,
    Refused,
    Reply,
    Request,
    Reset,
    Routine,
    Service,
    Session,
    StartRoutine,
    Transfer,
    TransferExit,
    service_of,
)

_DOWNLOAD = struct.Struct(">BBBII")
_PLAIN = 0x00  # dataFormatIdentifier: neither compressed nor encrypted
_FOUR_FOUR = 0x44  # addressAndLengthFormatIdentifier: four octets each
_START = 0x01  # of a routine
_SESSIONS = tuple(Session)
_ROUTINES = tuple(Routine)
_HARD_RESET = 0x01
_DTC_ON, _DTC_OFF = 0x01, 0x02
_COMMUNICATION_KINDS = range(0x01, 0x04)  # normal messages, network management, both; our own network only


def parse_request(octets: bytes) -> Request:
    """Read a request.

    Raises:
        Refused: it is none of ours, with the code the standard demands: 11, 12, 13 or 31, in this order.
    """
    service = SERVICES.get(octets[0]) if octets else None
    match service:
        case None:
            raise Refused(Nrc.SERVICE)
        case Service.TRANSFER:  # the one that comes a thousand times
            if not BLOCK_OVERHEAD < len(octets) <= BLOCK_LENGTH_MAX:
                raise Refused(Nrc.LENGTH)
            return Transfer(octets[1], octets[2:])
        case Service.READ:
            _length(octets, 3)
            return Read(int.from_bytes(octets[1:3]))
        case Service.DOWNLOAD:
            return _parse_download(octets)
        case Service.EXIT:
            _length(octets, 1)
            return TransferExit()
        case _:
            return _parse_sub_function(service, octets)


def _parse_sub_function(service: Service, octets: bytes) -> Request:
    """The services with a sub-function, whose highest bit asks for silence."""
    if len(octets) < 2:
        raise Refused(Nrc.LENGTH)
    function, quiet = octets[1] & ~QUIET, bool(octets[1] & QUIET)
    match service:
        case Service.SESSION:
            _sub_function(function, _SESSIONS)
            _length(octets, 2)
            return OpenSession(Session(function), quiet)
        case Service.RESET:
            _sub_function(function, (_HARD_RESET,))
            _length(octets, 2)
            return Reset(quiet)
        case Service.PRESENT:
            _sub_function(function, (0,))
            _length(octets, 2)
            return Present(quiet)
        case Service.DTC:
            _sub_function(function, (_DTC_ON, _DTC_OFF))
            _length(octets, 2)
            return DtcSetting(function == _DTC_ON, quiet)
        case Service.COMMUNICATION:
            _sub_function(function, range(4))
            _length(octets, 3)
            if octets[2] not in _COMMUNICATION_KINDS:
                raise Refused(Nrc.RANGE)
            return Communication(function, octets[2], quiet)
        case Service.ROUTINE:
            return _parse_routine(function, octets, quiet=quiet)
        case Service.READ | Service.DOWNLOAD | Service.TRANSFER | Service.EXIT:
            raise AssertionError(f"{service.name} has no sub-function")
        case _:
            assert_never(service)


def _parse_routine(function: int, octets: bytes, *, quiet: bool) -> StartRoutine:
    _sub_function(function, (_START,))
    if len(octets) < 4:
        raise Refused(Nrc.LENGTH)
    number = int.from_bytes(octets[2:4])
    if number not in _ROUTINES:
        raise Refused(Nrc.RANGE)
    routine = Routine(number)
    _length(octets, 5 if routine == Routine.CHECK else 4)
    return StartRoutine(routine, octets[4:], quiet)


def _parse_download(octets: bytes) -> Download:
    _length(octets, _DOWNLOAD.size)
    _, data_format, lengths, address, size = _DOWNLOAD.unpack(octets)
    if data_format != _PLAIN or lengths != _FOUR_FOUR or size == 0:
        raise Refused(Nrc.RANGE)
    return Download(address, size)


def _length(octets: bytes, expected: int) -> None:
    if len(octets) != expected:
        raise Refused(Nrc.LENGTH)


def _sub_function(function: int, known: Container[int]) -> None:
    if function not in known:
        raise Refused(Nrc.SUBFUNCTION)


def encode_request(request: Request) -> bytes:
    """The octets of a request; the client's half of `parse_request`."""
    service = service_of(request)
    match request:
        case OpenSession(session=session, quiet=quiet):
            return bytes((service, session | (QUIET if quiet else 0)))
        case Reset(quiet=quiet):
            return bytes((service, _HARD_RESET | (QUIET if quiet else 0)))
        case Present(quiet=quiet):
            return bytes((service, QUIET if quiet else 0))
        case DtcSetting(on=on, quiet=quiet):
            return bytes((service, (_DTC_ON if on else _DTC_OFF) | (QUIET if quiet else 0)))
        case Communication(control=control, kind=kind, quiet=quiet):
            return bytes((service, control | (QUIET if quiet else 0), kind))
        case StartRoutine(routine=routine, option=option, quiet=quiet):
            return bytes((service, _START | (QUIET if quiet else 0))) + routine.to_bytes(2) + option
        case Read(did=did):
            return bytes((service,)) + did.to_bytes(2)
        case Download(address=address, size=size):
            return _DOWNLOAD.pack(service, _PLAIN, _FOUR_FOUR, address, size)
        case Transfer(counter=counter, octets=octets):
            assert 0 < len(octets) <= BLOCK_LENGTH_MAX - BLOCK_OVERHEAD
            return bytes((service, counter)) + octets
        case TransferExit():
            return bytes((service,))
        case _:
            assert_never(request)


# ------------------------------------------------------------------------------------------------------- replies


def positive(request: Request, data: bytes = b"") -> bytes:
    """The positive answer to `request` with its `data`."""
    return _echo(request) + data


def negative(service: int, nrc: Nrc) -> bytes:
    """A negative answer: exactly three octets."""
    return bytes((NEGATIVE, service, nrc))


def session_data(session: Session) -> bytes:
    """What follows the echo in the answer to OpenSession: P2 in milliseconds, P2* in units of 10 ms."""
    assert session in _SESSIONS
    return _TIMING.pack(P2_MS, P2_STAR_MS // 10)


def download_data(block_length_max: int) -> bytes:
    """What follows the echo in the answer to Download: the longest Transfer request taken."""
    return _BLOCK_LENGTH.pack(_TWO_OCTETS, block_length_max)


ROUTINE_DATA = b"\x00"  # routine completed

_TIMING = struct.Struct(">HH")
_BLOCK_LENGTH = struct.Struct(">BH")
_TWO_OCTETS = 0x20  # lengthFormatIdentifier
_DATA_LENGTH_MAX = 8_192 + 16  # a signed report is the longest answer there is


def parse_reply(request: Request, octets: bytes) -> Reply:
    """Read the answer to `request`.

    Raises:
        LinkFailure: the octets are no answer to it.
    """
    service = service_of(request)
    if len(octets) == 3 and octets[0] == NEGATIVE and octets[1] == service:
        return Pending() if octets[2] == Nrc.PENDING else Negative(octets[2])
    echo = _echo(request)
    if not octets.startswith(echo) or len(octets) - len(echo) not in _data_lengths(request):
        raise LinkFailure(f"{octets[:8].hex(' ')} (of {len(octets)} octets) is no answer to {service.name}")
    return Positive(octets[len(echo) :])


def parse_timing(data: bytes) -> tuple[int, int]:
    """P2 and P2*, in milliseconds, from the answer to OpenSession."""
    p2_ms = int.from_bytes(data[:2])
    return p2_ms, int.from_bytes(data[2:]) * 10


def parse_block_length(data: bytes) -> int:
    """The longest Transfer request the server takes, from the answer to Download; at most ours.

    Raises:
        LinkFailure: none that could carry a block.
    """
    block_length = int.from_bytes(data[1:])
    if data[0] != _TWO_OCTETS or block_length <= BLOCK_OVERHEAD:
        raise LinkFailure(f"maxNumberOfBlockLength {data.hex(' ')}: expected 20 and at least 3 octets")
    return min(block_length, BLOCK_LENGTH_MAX)


def _echo(request: Request) -> bytes:
    """How a positive answer to `request` begins."""
    service = service_of(request) + POSITIVE_OFFSET
    match request:
        case OpenSession(session=session):
            return bytes((service, session))
        case Reset():
            return bytes((service, _HARD_RESET))
        case Present():
            return bytes((service, 0))
        case DtcSetting(on=on):
            return bytes((service, _DTC_ON if on else _DTC_OFF))
        case Communication(control=control):
            return bytes((service, control))
        case StartRoutine(routine=routine):
            return bytes((service, _START)) + routine.to_bytes(2)
        case Read(did=did):
            return bytes((service,)) + did.to_bytes(2)
        case Transfer(counter=counter):
            return bytes((service, counter))
        case Download() | TransferExit():
            return bytes((service,))
        case _:
            assert_never(request)


def _data_lengths(request: Request) -> Container[int]:
    """How many octets may follow the echo."""
    match request:
        case OpenSession():
            return (_TIMING.size,)
        case StartRoutine():
            return (len(ROUTINE_DATA),)
        case Download():
            return (_BLOCK_LENGTH.size,)
        case Read():
            return range(1, _DATA_LENGTH_MAX)
        case Reset() | Present() | DtcSetting() | Communication() | Transfer() | TransferExit():
            return (0,)
        case _:
            assert_never(request)
