"""UDS (ISO 14229-1:2020): services, codes, routines, identifiers, requests and replies as values; timings and sizes.

How they look on the wire is uds.py's.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, unique
from typing import TypeAlias, assert_never

PRIMARY_ADDRESS = 0xF0
TESTER_ADDRESSES = range(0xF1, 0xFF)
ECU_ADDRESSES = range(0x01, 0xF0)

P2_MS = 50  # an answer, or "pending", comes within this
P2_STAR_MS = 5_000  # after "pending", the answer or the next "pending"
S3_MS = 5_000  # a session without a request ends
BLOCK_LENGTH_MAX = 4_095  # one TransferData request, service and counter included: one ISO-TP message without escape
BLOCK_OVERHEAD = 2  # service and counter
NEGATIVE = 0x7F
POSITIVE_OFFSET = 0x40
QUIET = 0x80  # suppressPosRspMsgIndicationBit


@unique
class Service(IntEnum):
    """The services of an update (ISO 14229-1:2020, Table 2)."""

    SESSION = 0x10
    RESET = 0x11
    READ = 0x22
    COMMUNICATION = 0x28
    ROUTINE = 0x31
    DOWNLOAD = 0x34
    TRANSFER = 0x36
    EXIT = 0x37
    PRESENT = 0x3E
    DTC = 0x85


SERVICES = {int(service): service for service in Service}


@unique
class Nrc(IntEnum):
    """Negative response codes (ISO 14229-1:2020, Annex A.1) that an ECU of ours sends."""

    SERVICE = 0x11
    SUBFUNCTION = 0x12
    LENGTH = 0x13
    BUSY = 0x21
    CONDITIONS = 0x22
    SEQUENCE = 0x24
    RANGE = 0x31
    DOWNLOAD = 0x70
    SUSPENDED = 0x71
    PROGRAMMING = 0x72
    BLOCK_COUNTER = 0x73
    PENDING = 0x78
    SUBFUNCTION_SESSION = 0x7E
    SERVICE_SESSION = 0x7F
    MOVING = 0x88


@unique
class Session(IntEnum):
    """Diagnostic sessions."""

    DEFAULT = 0x01
    PROGRAMMING = 0x02
    EXTENDED = 0x03


@unique
class Routine(IntEnum):
    """Routines of service 0x31, all started (sub-function 01)."""

    CHECK = 0x0202
    PRECONDITIONS = 0x0203
    ERASE = 0xFF00
    DEPENDENCIES = 0xFF01


@unique
class Did(IntEnum):
    """What service 0x22 reads."""

    FILENAME = 0xF195
    ECU = 0xF18C
    VEHICLE = 0xF190
    HARDWARE = 0xF191
    STATUS = 0xFD00
    REPORT = 0xFD01
    NONCE = 0xFD02
    REFUSAL = 0xFD03


class Refused(Exception):
    """A request answered in the negative with `nrc`."""

    def __init__(self, nrc: Nrc) -> None:
        """Refuse with `nrc`."""
        self.nrc = nrc
        super().__init__(nrc)


# ------------------------------------------------------------------------------------------------------ requests


@dataclass(frozen=True, slots=True)
class OpenSession:
    """10: enter `session`. `quiet` in any request: no positive answer is wanted."""

    session: Session
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Reset:
    """11 01: restart, into the new image when it is to be activated."""

    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Read:
    """22: one data identifier, known or not (0 to 0xFFFF)."""

    did: int


@dataclass(frozen=True, slots=True)
class Communication:
    """28: `control` 0 enables receiving and sending, 1 receiving only, 2 sending only, 3 none, for `kind` 1 to 3."""

    control: int
    kind: int
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class DtcSetting:
    """85: record faults or not."""

    on: bool
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class StartRoutine:
    """31 01: start `routine` with its option record."""

    routine: Routine
    option: bytes = b""
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Download:
    """34 00 44: take `size` octets for `address` (both 32 bit)."""

    address: int
    size: int


@dataclass(frozen=True, slots=True)
class Transfer:
    """36: one block (1 to 4,093 octets); `counter` 0 to 255, the first is 1."""

    counter: int
    octets: bytes


@dataclass(frozen=True, slots=True)
class TransferExit:
    """37: the transfer is complete."""


@dataclass(frozen=True, slots=True)
class Present:
    """3E: keep the session."""

    quiet: bool = False


Request: TypeAlias = (
    OpenSession
    | Reset
    | Read
    | Communication
    | DtcSetting
    | StartRoutine
    | Download
    | Transfer
    | TransferExit
    | Present
)


def service_of(request: Request) -> Service:
    """The service a request asks for."""
    return _SERVICE_OF[type(request)]


_SERVICE_OF: dict[type[Request], Service] = {
    OpenSession: Service.SESSION,
    Reset: Service.RESET,
    Read: Service.READ,
    Communication: Service.COMMUNICATION,
    DtcSetting: Service.DTC,
    StartRoutine: Service.ROUTINE,
    Download: Service.DOWNLOAD,
    Transfer: Service.TRANSFER,
    TransferExit: Service.EXIT,
    Present: Service.PRESENT,
}


def is_quiet(request: Request) -> bool:
    """Whether no positive answer is wanted."""
    match request:
        case OpenSession() | Reset() | Communication() | DtcSetting() | StartRoutine() | Present():
            return request.quiet
        case Read() | Download() | Transfer() | TransferExit():
            return False
        case _:
            assert_never(request)


# ------------------------------------------------------------------------------------------------------- replies


@dataclass(frozen=True, slots=True)
class Positive:
    """The request was carried out; `data` is what follows the echo of service, sub-function and identifier."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Negative:
    """The request was refused; `nrc` may be one that is none of Nrc."""

    nrc: int


@dataclass(frozen=True, slots=True)
class Pending:
    """The answer takes longer: wait for P2* more."""


Reply: TypeAlias = Positive | Negative | Pending
