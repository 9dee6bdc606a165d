"""UDS as a Primary asks it: sessions, reads, deliveries, routines and restarts, as workflows over `Ask`.

One exchange is a request and its answer; `ask` repeats what may be repeated, waits while the ECU says "pending", and
raises what the ECU refused. Whatever must not be done twice by accident (a check, an erase, a restart) is asked once,
and the caller looks at the status when the answer was lost. Images are uds_transfer.py's; frames, timers and
keep-alive are uds_line.py's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from uptane.errors import BY_CODE, Check, LinkFailure, MarqueError, Rejected
from uptane.link.uds import encode_request, parse_block_length, parse_reply
from uptane.link.uds_objects import CheckOption, Status, parse_refusal, parse_status
from uptane.link.uds_values import (
    P2_MS,
    P2_STAR_MS,
    Did,
    Download,
    Negative,
    Nrc,
    OpenSession,
    Pending,
    Positive,
    Read,
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
from uptane.machine import Workflow
from uptane.model.ids import EcuId

ATTEMPTS_MAX: Final = 5  # of one exchange: at 1 % loss per frame and 14 frames a status, one in 20,000 fails
PENDING_MAX: Final = 60  # "pending" in a row: 5 minutes, beyond any erase or hash of a slot
STALE_MAX: Final = 4  # answers to earlier requests, passed over while ours is awaited
BUSY_PAUSE_MS: Final = 1_000  # while another tester holds the session; its S3 ends in 5 s
ANSWER_MS: Final = P2_MS + 450  # an ECU's own P2, and what a loaded bus and a loaded host put on top of it
REPORT_MS: Final = 3_000  # a report with a hybrid signature takes 0.6 s on a bus of 125 kbit/s
PENDING_MS: Final = P2_STAR_MS + 500

# ---------------------------------------------------------------------------------------------------------- needs


@dataclass(frozen=True, slots=True)
class Ask:
    """Send a request to `ecu`, wait `answer_ms` (1 or more) after its last frame. Answer: the octets, None if none."""

    ecu: EcuId
    octets: bytes
    answer_ms: int


@dataclass(frozen=True, slots=True)
class Listen:
    """Wait `answer_ms` for one more message of `ecu`. Answer as for Ask."""

    ecu: EcuId
    answer_ms: int


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait `duration_ms` (0 or more). Answer: None."""

    duration_ms: int


Need: TypeAlias = Ask | Listen | Pause


class Silent(LinkFailure):
    """An ECU did not answer, however often it was asked."""


class Denied(LinkFailure):
    """An ECU answered a request in the negative, with `nrc`; asking again later may help."""

    def __init__(self, ecu: EcuId, service: Service, nrc: int) -> None:
        """`ecu` refused `service` with `nrc`."""
        self.ecu = ecu
        self.service = service
        self.nrc = nrc
        known = {int(item): item.name for item in Nrc}
        super().__init__(f"{ecu} refused {service.name} with NRC {nrc:02X} ({known.get(nrc, 'unknown')})")


class Unsafe(Denied):
    """An ECU says that the vehicle is not in a safe state: its interlock decides, nothing else helps."""


# ------------------------------------------------------------------------------------------------------ exchanges


def exchange(ecu: EcuId, request: Request) -> Workflow[Need, Positive | Negative | None]:
    """Ask once; the answer, or None when it did not come. "Pending" is waited out, at most PENDING_MAX times."""
    answer_ms = REPORT_MS if request == Read(Did.REPORT) else ANSWER_MS
    octets: bytes | None = yield Ask(ecu, encode_request(request), answer_ms)
    pending = stale = 0
    while octets is not None and pending < PENDING_MAX and stale < STALE_MAX:
        try:
            reply = parse_reply(request, octets)
        except LinkFailure:  # what an earlier request got, late
            stale += 1
            octets = yield Listen(ecu, answer_ms)
            continue
        if not isinstance(reply, Pending):
            return reply
        pending += 1
        octets = yield Listen(ecu, PENDING_MS)
    return None


def ask(ecu: EcuId, request: Request) -> Workflow[Need, bytes]:
    """Ask until there is an answer, at most ATTEMPTS_MAX times; return its data. For requests that may be repeated.

    Raises:
        Silent: no answer came.
        Denied: the ECU refuses.
    """
    for _ in range(ATTEMPTS_MAX):
        reply = yield from exchange(ecu, request)
        if isinstance(reply, Positive):
            return reply.data
        if isinstance(reply, Negative):
            if reply.nrc != Nrc.BUSY:
                raise denied(ecu, request, reply.nrc)
            yield Pause(BUSY_PAUSE_MS)
    raise Silent(f"{ecu} does not answer {service_of(request).name}")


def ask_once(ecu: EcuId, request: Request) -> Workflow[Need, bytes | None]:
    """Ask once; the data of the answer, or None when it did not come and the request may or may not have been heard.

    Raises:
        Denied: the ECU refuses.
    """
    reply = yield from exchange(ecu, request)
    if isinstance(reply, Negative):
        raise denied(ecu, request, reply.nrc)
    return None if reply is None else reply.data


def denied(ecu: EcuId, request: Request, nrc: int) -> Denied:
    """The refusal as an exception: `Unsafe` when it is the interlock's word that the vehicle moves."""
    kind = Unsafe if nrc == Nrc.MOVING else Denied
    return kind(ecu, service_of(request), nrc)


# ---------------------------------------------------------------------------------------------------------- reads


def read_status(ecu: EcuId) -> Workflow[Need, Status]:
    """Where the ECU stands (DID FD00). Raises Silent, Denied, LinkFailure."""
    return parse_status((yield from ask(ecu, Read(Did.STATUS))))


def read_report(ecu: EcuId) -> Workflow[Need, bytes]:
    """The ECU's latest signed report, an envelope nobody here has verified (DID FD01). Raises Silent, Denied."""
    return (yield from ask(ecu, Read(Did.REPORT)))


def read_nonce(ecu: EcuId) -> Workflow[Need, bytes]:
    """The nonce that the ECU wants the time attested with (DID FD02). Raises Silent, Denied."""
    return (yield from ask(ecu, Read(Did.NONCE)))


def read_refusal(ecu: EcuId) -> Workflow[Need, Check | None]:
    """The check that refused something last (DID FD03); None for none, or for one this software does not know."""
    return BY_CODE.get(parse_refusal((yield from ask(ecu, Read(Did.REFUSAL)))))


# ------------------------------------------------------------------------------------------------------- sessions


def open_session(ecu: EcuId, session: Session) -> Workflow[Need, None]:
    """Enter `session`. Raises Silent; Unsafe when the interlock forbids it; Denied when another tester holds one."""
    try:
        yield from ask(ecu, OpenSession(session))
    except Denied as refusal:
        raise (yield from explained(ecu, refusal)) from refusal


def close_session(ecu: EcuId) -> Workflow[Need, None]:
    """Go back to the default session; an ECU that does not answer leaves by itself after S3."""
    yield from exchange(ecu, OpenSession(Session.DEFAULT))


def preconditions(ecu: EcuId) -> Workflow[Need, bool]:
    """Whether the ECU's interlock says that the vehicle is in a safe state. Raises Silent."""
    try:
        yield from ask(ecu, StartRoutine(Routine.PRECONDITIONS))
    except Denied:
        return False
    return True


# ------------------------------------------------------------------------------------------- objects and routines


def download(ecu: EcuId, address: int, size: int) -> Workflow[Need, int]:
    """Announce `size` octets for `address`; how many octets one block may carry. Raises Silent, Denied, Rejected."""
    try:
        data = yield from ask(ecu, Download(address, size))
    except Denied as refusal:
        raise (yield from explained(ecu, refusal)) from refusal
    return parse_block_length(data)


def put_block(ecu: EcuId, counter: int, octets: bytes) -> Workflow[Need, bool]:
    """Send one block once; whether it was acknowledged. Raises Denied."""
    return (yield from ask_once(ecu, Transfer(counter, octets))) is not None


def finish_transfer(ecu: EcuId) -> Workflow[Need, None]:
    """Say that all blocks were sent; said again, it is acknowledged again. Raises Silent, Denied, Rejected."""
    try:
        yield from ask(ecu, TransferExit())
    except Denied as refusal:
        raise (yield from explained(ecu, refusal)) from refusal


def check(ecu: EcuId, option: CheckOption, done: Callable[[Status], bool]) -> Workflow[Need, None]:
    """Have the ECU verify what was delivered. When the answer is lost, `done` judges by the status.

    Raises:
        Rejected: the ECU's check refused it.
        Denied: the ECU refused for another reason.
        LinkFailure: the answer was lost and the status says that nothing was accepted; deliver again.
    """
    try:
        data = yield from ask_once(ecu, StartRoutine(Routine.CHECK, bytes((option,))))
    except Denied as refusal:
        raise (yield from explained(ecu, refusal)) from refusal
    if data is None and not done((yield from read_status(ecu))):
        raise LinkFailure(f"{ecu}: the answer to the check of {option.name} was lost, and nothing was accepted")


def erase(ecu: EcuId) -> Workflow[Need, None]:
    """Erase the other slot: asked once, since each erase counts. Raises Denied, Rejected.

    A lost answer is no harm: if the slot was not erased, the download that follows is refused.
    """
    try:
        yield from ask_once(ecu, StartRoutine(Routine.ERASE))
    except Denied as refusal:
        raise (yield from explained(ecu, refusal)) from refusal


def dependencies(ecu: EcuId) -> Workflow[Need, bool]:
    """Whether the ECU is prepared and nothing hinders its activation. Raises Silent."""
    try:
        yield from ask(ecu, StartRoutine(Routine.DEPENDENCIES))
    except Denied:
        return False
    return True


def restart(ecu: EcuId) -> Workflow[Need, None]:
    """Have the ECU restart: asked once, since a second restart would revert a trial. Raises Denied, Rejected.

    A lost answer is no harm: the status tells which slot runs.
    """
    try:
        yield from ask_once(ecu, Reset())
    except Denied as refusal:
        raise (yield from explained(ecu, refusal)) from refusal


def explained(ecu: EcuId, refusal: Denied) -> Workflow[Need, MarqueError]:
    """The refusal in the terms of the check that made it, where the ECU names one (DID FD03)."""
    if refusal.nrc not in _EXPLAINED:
        return refusal
    found = yield from read_refusal(ecu)
    if found is None:
        return refusal
    if found is Check.LINK_INTERLOCK:
        return Unsafe(ecu, refusal.service, refusal.nrc)
    return Rejected(found, str(refusal))


# The codes under which docs/wire.md, section 7, files what a check refused.
_EXPLAINED: Final = frozenset({Nrc.PROGRAMMING, Nrc.DOWNLOAD, Nrc.CONDITIONS})
