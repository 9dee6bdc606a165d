"""What was delivered is verified here, by the very workflows a Primary uses, and stored; then it is in RAM no more.

One check of routine 0202 is one workflow. Root links and the time are taken one at a time; Director Targets alone on an
ECU that verifies partially, everything on one that verifies fully; orders of the coordinator move the transaction.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import Any, TypeVar

from secondary.install import follow
from secondary.needs import Breathe, Delete, Need, Store
from secondary.report import draw_nonce
from secondary.state import State, forget_refusals, install
from uptane.errors import Check, Rejected
from uptane.link.uds_objects import Object
from uptane.machine import Workflow
from uptane.model.ids import MetaName, Repository, Role, RoleName
from uptane.model.metadata import DirectorTargets, ImageTargets, Snapshot, Timestamp
from uptane.model.reports import EcuState
from uptane.model.signed import Verified
from uptane.verify import installation, needs
from uptane.verify.chain import root_link, set_time
from uptane.verify.full import full
from uptane.verify.orders import check_order
from uptane.verify.partial import partial
from uptane.verify.trusted import Trusted

ResultT = TypeVar("ResultT")

_ROOTS = {Repository.DIRECTOR: Object.DIRECTOR_ROOT, Repository.IMAGE: Object.IMAGE_ROOT}


def take_root(state: State, repository: Repository) -> Workflow[Need, None]:
    """Take the next link of a Root chain.

    Raises:
        Rejected, Malformed: as `root_link`; LINK_SEQUENCE when none was delivered.
    """
    octets = _delivered(state, _ROOTS[repository])
    yield from _stored(state, root_link(state.facts.verifier, state.held, repository, octets=octets))
    yield from follow(state)


def take_attestation(state: State) -> Workflow[Need, None]:
    """Set the clock by an attestation for the present nonce; the next nonce is another.

    Raises:
        Rejected, Malformed: as `set_time`; LINK_SEQUENCE when none was delivered.
    """
    octets = _delivered(state, Object.ATTESTATION)
    if state.nonce is None:
        raise Rejected(Check.TIME_NONCE, "no nonce is durable yet")
    verifier, nonce = state.facts.verifier, state.nonce
    state.held = yield from _stored(state, set_time(verifier, state.held, attestation=octets, nonce=nonce))
    state.clock_set = state.now
    yield from draw_nonce(state)


def take_targets(state: State) -> Workflow[Need, None]:
    """Partial verification of the Director's Targets.

    Raises:
        Rejected, Malformed: as `partial`; LINK_SEQUENCE when none was delivered.
    """
    octets = _delivered(state, Object.DIRECTOR_TARGETS)
    work = partial(state.facts.verifier, state.held_now, state.vehicle, octets=octets)
    result = yield from _stored(state, work)
    state.held = replace(result.held, clock=state.held.clock)
    yield from follow(state)


def take_everything(state: State) -> Workflow[Need, None]:
    """Full verification of all that was delivered; Root links that were not checked one by one are, first.

    Raises:
        Rejected, Malformed: as `full`. Root links stand; of the rest nothing is kept.
    """
    yield Breathe()
    try:
        for repository, item in _ROOTS.items():
            if state.objects.holds(item):
                yield from take_root(state, repository)
        result = yield from _stored(state, full(state.facts.verifier, state.held_now, state.vehicle))
        state.held = replace(result.held, clock=state.held.clock)
        state.judge()
    finally:
        state.objects.clear()
    yield from follow(state)


def take_order(state: State) -> Workflow[Need, None]:
    """Obey an order of the coordinator.

    Raises:
        Rejected, Malformed: as `check_order` and `installation.obey`; LINK_SEQUENCE when none was delivered.
    """
    octets = _delivered(state, Object.ORDER)
    now = state.installation
    newest = None if state.targets is None else state.targets.value.coordinator
    order = check_order(state.facts.verifier, octets, now, vehicle=state.facts.own.vehicle, newest=newest)
    obeyed = installation.obey(now, order)
    yield from install(state, obeyed)
    if obeyed.state is EcuState.RELEASED and now.state is not EcuState.RELEASED:
        yield from forget_refusals(state)


def _delivered(state: State, item: Object) -> bytes:
    octets = state.objects.take(item)
    if octets is None:
        raise Rejected(Check.LINK_SEQUENCE, f"{item.name} was not delivered")
    return octets


def _stored(state: State, work: Generator[needs.Need, Any, ResultT]) -> Workflow[Need, ResultT]:
    """Run a verification workflow: what it fetches is looked up, what it keeps is stored."""
    answer: bytes | None = None
    try:
        while True:
            need = work.send(answer)
            answer = None
            match need:
                case needs.Fetch(repository=repository, name=name, length_max=length_max):
                    found = _find(state, repository, name)
                    answer = None if found is None else found[: length_max + 1]
                case needs.Keep(repository=repository, file=file, octets=octets):
                    yield Store(f"{repository.value}/{file}", octets)
                case needs.Drop(repository=repository, file=file):
                    yield Delete(f"{repository.value}/{file}")
                case needs.Stands(held=held, clock_reset=reset):
                    state.stand(held, clock_reset=reset)
    except StopIteration as done:
        result: ResultT = done.value
        return result


def _find(state: State, repository: Repository, name: MetaName) -> bytes | None:
    """What was delivered; else what is stored already, since a Primary hands over only what is new."""
    delivered = state.objects.find(repository, name, state.facts.verifier.codec)
    if delivered is not None:
        return delivered
    trusted = state.held.director if repository is Repository.DIRECTOR else state.held.image
    return None if trusted is None else _held(trusted, name)


def _held(trusted: Trusted[DirectorTargets] | Trusted[ImageTargets], name: MetaName) -> bytes | None:
    file: Verified[Timestamp] | Verified[Snapshot] | Verified[DirectorTargets] | Verified[ImageTargets] | None
    match name.role:
        case Role.TIMESTAMP.value:
            file = trusted.timestamp
        case Role.SNAPSHOT.value:
            file = trusted.snapshot
        case Role.TARGETS.value:
            file = trusted.targets
        case _:
            file = trusted.delegated.get(RoleName(name.role))
    return file.octets if file is not None and name.version in {None, file.value.header.version} else None
