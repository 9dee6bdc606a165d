"""A task of the UDS server as a workflow: carried out, or refused, counted, and answered with a code."""

from __future__ import annotations

from typing import Final, TypeVar, assert_never

from secondary import delivered, install
from secondary.needs import Need
from secondary.report import draw_nonce, renew
from secondary.state import State, count
from uptane.errors import Check, Malformed, Rejected, StorageFailure, check_of
from uptane.link import uds_tasks as uds
from uptane.link.uds_objects import CheckOption
from uptane.link.uds_values import Nrc, Refused
from uptane.machine import Workflow
from uptane.model.ids import Repository

ResultT = TypeVar("ResultT")

_CODES: Final = {
    Check.LINK_SEQUENCE: Nrc.SEQUENCE,
    Check.LINK_RANGE: Nrc.RANGE,
    Check.INSTALL_STATE: Nrc.CONDITIONS,
    Check.TIME_UNATTESTED: Nrc.CONDITIONS,
}
# After these there may be something new to report.
_MOVING: Final = (uds.Erase, uds.Verify, uds.PrepareRestart)


def attempt(state: State, task: uds.Task) -> Workflow[Need, Nrc | None]:
    """Carry out a task of the server; return None when it is done, or the code it is refused with."""
    nrc: Nrc | None = None
    try:
        yield from _work(state, task)
    except Refused as refused:
        nrc = refused.nrc
    except (Rejected, Malformed) as refusal:
        state.notes.append(f"refused: {refusal}")
        yield from heeded(state, count(state, check_of(refusal)))
        nrc = _code(check_of(refusal), task)
    except StorageFailure as failure:
        state.notes.append(f"storage: {failure}")
        state.latest_refusal = None
        nrc = Nrc.PROGRAMMING
    if isinstance(task, _MOVING):
        yield from settle(state)
    return nrc


def settle(state: State, *, cycle: bool = False) -> Workflow[Need, None]:
    """Whatever has just happened, or a cycle begins: there is a nonce to be read, and the report says what is.

    A nonce that a full disk kept from being drawn is drawn here as soon as there is room: without one nobody could give
    this ECU the time, and nothing that changes it would ever be asked of it again.
    """
    if state.nonce is None:
        yield from heeded(state, draw_nonce(state))
    yield from heeded(state, renew(state, cycle=cycle))


def heeded(state: State, work: Workflow[Need, ResultT]) -> Workflow[Need, ResultT | None]:
    """Run a workflow that nobody waits for; when storage fails, say so and go on. The next one tries again."""
    try:
        return (yield from work)
    except StorageFailure as failure:
        state.notes.append(f"storage: {failure}")
        return None


def _work(state: State, task: uds.Task) -> Workflow[Need, None]:
    match task:
        case uds.WriteBlock(octets=octets):
            if state.objects.is_coming:
                state.objects.add(octets)
            else:
                yield from install.write_block(state, octets)
        case uds.BeginObject(place=place, size=size):
            state.objects.begin(place, size)
        case uds.BeginImage(offset=offset, size=size):
            state.objects.abandon()
            yield from install.begin_image(state, offset, size)
        case uds.EndTransfer():
            if state.objects.is_coming:
                state.objects.end()
            else:
                yield from install.end_image(state)
        case uds.Erase():
            yield from install.erase(state)
        case uds.Verify(option=option):
            yield from _verify(state, option)
        case uds.Dependencies():
            install.check_dependencies(state)
        case uds.PrepareRestart():
            yield from install.prepare_restart(state)
        case _:
            assert_never(task)


def _verify(state: State, option: CheckOption) -> Workflow[Need, None]:
    """The checks of routine 0202; partial verification is no way around full verification."""
    full = state.facts.full
    match option:
        case CheckOption.IMAGE:
            return install.check_image(state)
        case CheckOption.DIRECTOR_ROOT:
            return delivered.take_root(state, Repository.DIRECTOR)
        case CheckOption.ATTESTATION:
            return delivered.take_attestation(state)
        case CheckOption.ORDER:
            return delivered.take_order(state)
        case CheckOption.DIRECTOR_TARGETS if not full:
            return delivered.take_targets(state)
        case CheckOption.IMAGE_ROOT if full:
            return delivered.take_root(state, Repository.IMAGE)
        case CheckOption.EVERYTHING if full:
            return delivered.take_everything(state)
        case CheckOption.DIRECTOR_TARGETS | CheckOption.IMAGE_ROOT | CheckOption.EVERYTHING:
            raise Refused(Nrc.RANGE)
        case _:
            assert_never(option)


def _code(check: Check, task: uds.Task) -> Nrc:
    if check is Check.LINK_UNVERIFIED:
        return Nrc.DOWNLOAD if isinstance(task, uds.BeginImage) else Nrc.CONDITIONS
    return _CODES.get(check, Nrc.DOWNLOAD if isinstance(task, uds.BeginImage) else Nrc.PROGRAMMING)
