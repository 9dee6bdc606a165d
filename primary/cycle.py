"""One update cycle (Uptane 2.1.0, section 5.4.2), steps (5) to (11) of docs/data-path.md, and what comes after it.

    the journal first -> collect -> poll -> refresh -> download -> distribute -> transaction -> collect and poll again

Each step looks at what is so and does what is missing; so a cycle can end anywhere, by a failure or a power cut, and
the next one begins clean. Nothing waits for ever: a step that cannot go on ends the cycle with a reason, and the next
cycle comes after a pause that grows while nothing changes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from primary import own, transaction
from primary.adopt import is_heard, recover, stranded
from primary.collect import collect, on_buses
from primary.distribute import inform, lacks, prepare
from primary.download import fetch_image, make_room
from primary.journal import Journal
from primary.layout import Secondary
from primary.means import Means
from primary.needs import AnyNeed, Note, Now, Polled, Step, Together
from primary.plan import Plan, plan_of, unmatched
from primary.refresh import is_stale, poll, refresh, refresh_time
from primary.state import Memory, count_refusal
from uptane.errors import Check, LinkFailure, Malformed, MarqueError, Rejected, StorageFailure, check_of
from uptane.machine import Workflow
from uptane.model.ids import EcuId
from uptane.model.metadata import Image


class Result(Enum):
    """How a cycle ended."""

    IDLE = "nothing to do"
    DONE = "the update is released on every ECU"
    ROLLED_BACK = "the update was rolled back on every ECU"
    WAITING = "waiting for the vehicle"
    TRYING = "an ECU does not do its part yet"
    UNREACHABLE = "a server cannot be reached"
    REFUSED = "a check refused what was offered"
    STORAGE = "storage failed"


@dataclass(frozen=True, slots=True)
class Finished:
    """The end of a cycle; `poll_again_s` is what the Director asked for, 0 for nothing; `at_once`: there is more."""

    result: Result
    text: str = ""
    poll_again_s: int = 0
    at_once: bool = False


def cycle(means: Means, memory: Memory) -> Workflow[AnyNeed, Finished]:
    """Run one cycle; never raises for what may happen to a vehicle."""
    try:
        return (yield from _cycle(means, memory))
    except (Rejected, Malformed) as refusal:
        yield Note(Step.TROUBLE, str(refusal))
        return (yield from _refused(means, memory, refusal))
    except LinkFailure as failure:
        return Finished(Result.UNREACHABLE, str(failure))
    except StorageFailure as failure:
        return Finished(Result.STORAGE, str(failure))


def _refused(means: Means, memory: Memory, refusal: Rejected | Malformed) -> Workflow[AnyNeed, Finished]:
    """Count what was refused, and tell the Director if it can be reached."""
    try:
        yield from count_refusal(memory, check_of(refusal).code)
        yield from _report(means, memory)
    except StorageFailure as failure:
        return Finished(Result.STORAGE, f"{failure}; before that: {refusal}")
    except LinkFailure as failure:
        yield Note(Step.TROUBLE, f"not reported yet: {failure}")
    return Finished(Result.REFUSED, str(refusal))


def _cycle(means: Means, memory: Memory) -> Workflow[AnyNeed, Finished]:
    ended = yield from _resume(means, memory)
    polled = yield from _converse(means, memory)
    if ended is not None:
        over = memory.transactions.journal is None
        if over:
            yield from make_room((), frozenset())
        return replace(_finished(ended, polled), at_once=over)
    if memory.journal_lost or stranded(means, memory):
        known = yield from recover(means, memory)
        return Finished(Result.TRYING, "no journal is left: asking the ECUs what was decided", at_once=known)
    plan = plan_of(means.layout, memory, means.hasher)
    if plan is None:
        return _finished(Finished(Result.IDLE, "the Director has assigned nothing yet"), polled)
    yield from _vouch(means, memory, plan)
    yield from own.follow(means, memory, plan)
    journal = yield from transaction.open_journal(means, memory, plan)
    informed = yield from _inform_all(means, memory)
    if journal is None:
        finished = _failed(informed) or Finished(Result.IDLE)
    else:
        finished = yield from _update(means, memory, plan, journal)
    if informed or journal is not None:
        polled = yield from _report(means, memory)
    return _finished(finished, polled)


def _finished(finished: Finished, polled: Polled) -> Finished:
    """With what the Director said last: metadata it has ready are fetched at once."""
    return Finished(finished.result, finished.text, polled.poll_again_s, at_once=bool(polled.files))


def _resume(means: Means, memory: Memory) -> Workflow[AnyNeed, Finished | None]:
    """Before anything else: take a transaction that has begun as far as it goes. None when there is none."""
    journal = memory.transactions.journal
    if memory.journal_lost or journal is None or not journal.begun:
        return None
    yield Note(Step.COLLECT, f"resuming: {journal.stage.value}")
    return (yield from _carry_on(means, memory, None))


def _carry_on(means: Means, memory: Memory, plan: Plan | None) -> Workflow[AnyNeed, Finished]:
    rolled_back = memory.transactions.rolled_back
    if not (yield from transaction.carry_on(means, memory, plan)):
        return Finished(Result.TRYING, "an ECU has not acknowledged what was decided")
    if memory.transactions.rolled_back != rolled_back:
        return Finished(Result.ROLLED_BACK, memory.transactions.rolled_back[-1].reason)
    return Finished(Result.DONE)


# -------------------------------------------------------------------------------------------------- with the servers


def _converse(means: Means, memory: Memory) -> Workflow[AnyNeed, Polled]:
    """Collect, poll, and verify what is new; nothing is verified anew while all is as it was and still fresh."""
    manifest = yield from collect(means, memory)
    polled = yield from poll(means, memory, manifest)
    utc = memory.utc((yield Now()))
    if polled.files or memory.full is None or is_stale(means, memory, utc):
        if polled.files or memory.held.director.timestamp is not None:
            yield from refresh(means, memory, polled.files)
        yield from _excuse_silent(means, memory)
        if polled.files:
            return Polled(False, polled.admitted_digest, polled.poll_again_s, polled.refused, {})
    return polled


def _vouch(means: Means, memory: Memory, plan: Plan) -> Workflow[AnyNeed, None]:
    """See to it that the Image repository vouches for every image that is to be taken.

    When all ECUs seemed to run what is assigned, verification ended before it was asked (full.py, step 6). If one of
    them is to take its image after all, it is asked now: the Director alone installs nothing.

    Raises: as `refresh`.
    """
    due = unmatched(memory, plan)
    if due:
        yield from refresh(means, memory, {}, due=due)
        left = unmatched(memory, plan)
        if left:
            raise Rejected(Check.IMAGE_MISMATCH, f"not matched: {', '.join(sorted(left))}")


def _report(means: Means, memory: Memory) -> Workflow[AnyNeed, Polled]:
    """Tell the Director at once what has come of it: reports are the only proof of success."""
    if memory.slow:
        memory.slow = False
        yield from count_refusal(memory, Check.SLOW_RETRIEVAL.code)
    return (yield from poll(means, memory, (yield from collect(means, memory))))


def _excuse_silent(means: Means, memory: Memory) -> Workflow[AnyNeed, None]:
    """No longer wait for an ECU that is not heard and that newer Targets leave out: the Director has given it up."""
    journal, targets = memory.transactions.journal, memory.held.director.targets
    if journal is None or not journal.begun or targets is None:
        return
    if targets.value.header.version <= journal.targets_version:
        return
    for ecu in journal.counting():
        gone = ecu != means.layout.ecu and not is_heard(memory, ecu)
        if gone and targets.value.entries.find(ecu) is None:
            yield Note(Step.TROUBLE, "not heard, and no longer assigned anything: left out", ecu)
            yield from transaction.excuse(memory, ecu)


# ------------------------------------------------------------------------------------------------- with the vehicle


def _inform_all(means: Means, memory: Memory) -> Workflow[AnyNeed, list[tuple[EcuId, object]]]:
    """Bring every Secondary that lacks some up to our metadata; what came of each of those."""
    due = [
        [each for each in bus if (now := memory.statuses.get(each.ecu)) is not None and lacks(memory, each, now)]
        for bus in means.layout.buses()
    ]
    if not any(due):
        return []
    outcomes = yield from on_buses([bus for bus in due if bus], lambda each: inform(means, memory, each))
    for ecu, outcome in outcomes:
        if isinstance(outcome, MarqueError):
            yield Note(Step.TROUBLE, str(outcome), ecu)
    return outcomes


def _failed(outcomes: list[tuple[EcuId, object]]) -> Finished | None:
    """The first failure among `outcomes`, if any."""
    for ecu, outcome in outcomes:
        if isinstance(outcome, MarqueError):
            return Finished(Result.TRYING, f"{ecu}: {outcome}")
    return None


def _update(means: Means, memory: Memory, plan: Plan, journal: Journal) -> Workflow[AnyNeed, Finished]:
    """Download, prepare all, ask the gate, and carry the transaction through."""
    forbidden = transaction.forbidden_because(means, plan)
    if forbidden is not None:
        raise Rejected(Check.ORDER_COORDINATOR, forbidden)
    unheard = [ecu for ecu in plan.participants if ecu != means.layout.ecu and ecu not in memory.statuses]
    yield from _download(means, memory, plan, journal)
    failure = yield from _prepare_all(means, memory, plan, journal)
    if failure is not None or unheard:
        return failure or Finished(Result.TRYING, f"silent: {', '.join(unheard)}")
    if not memory.held.clock.attested:
        yield from refresh_time(means, memory)
    shut = yield from transaction.gate(means, memory, plan, journal)
    if shut:
        return Finished(Result.WAITING, "; ".join(shut))
    yield from transaction.begin(memory, journal)
    finished = yield from _carry_on(means, memory, plan)
    if memory.transactions.journal is None:
        yield from make_room((), frozenset())
    return finished


def _download(means: Means, memory: Memory, plan: Plan, journal: Journal) -> Workflow[AnyNeed, None]:
    """Fetch every image that a participant still lacks; also the old ones of ECUs that cannot keep them."""
    due = {plan.image(ecu).sha256: plan.image(ecu) for ecu in plan.participants if not _holds(means, memory, plan, ecu)}
    for ecu in journal.safe_set:
        known = memory.reports.get(ecu)
        if known is not None:
            old = known.report.image
            due[old.sha256] = Image(old.filename, old.length, old.sha256, None, (), old.release_counter, b"")
    images = tuple(due.values())
    yield from make_room(images, frozenset(plan.image(ecu).sha256 for ecu in plan.participants))
    for image in images:
        done = yield from fetch_image(image, means.hasher)
        memory.slow = memory.slow or done.slow


def _holds(means: Means, memory: Memory, plan: Plan, ecu: EcuId) -> bool:
    """Whether a participant has its image, or enough of it in its other slot that the cache is not needed."""
    if ecu == means.layout.ecu:
        return own.is_prepared(memory, plan)
    status = memory.statuses.get(ecu)
    if status is None:
        return False
    whole = status.entry_digest == plan.digests[ecu] and status.next_offset == plan.image(ecu).length
    return whole and ecu in plan.assignments


def _prepare_all(means: Means, memory: Memory, plan: Plan, journal: Journal) -> Workflow[AnyNeed, Finished | None]:
    """Have every participant prepared, the buses side by side and this ECU beside them; the first failure, if any.

    ECUs with one slot are written later: they would lose what they run.
    """

    def now(each: Secondary) -> bool:
        return each.ecu in plan.participants and each.ecu not in journal.safe_set and each.ecu in memory.statuses

    buses = [[each for each in bus if now(each)] for bus in means.layout.buses()]
    work: list[Workflow[AnyNeed, list[tuple[EcuId, object]]]] = [
        on_buses([bus for bus in buses if bus], lambda each: prepare(memory, plan, each))
    ]
    if means.layout.ecu in plan.participants:
        work.append(_prepare_own(means, memory, plan))
    outcomes: list[tuple[EcuId, object]] = []
    for found in (yield Together(tuple(work))):
        outcomes.extend([(means.layout.ecu, found)] if isinstance(found, MarqueError) else found)
    for ecu, outcome in outcomes:
        if isinstance(outcome, MarqueError):
            yield Note(Step.TROUBLE, str(outcome), ecu)
    return _failed(outcomes)


def _prepare_own(means: Means, memory: Memory, plan: Plan) -> Workflow[AnyNeed, list[tuple[EcuId, object]]]:
    try:
        yield from own.prepare(means, memory, plan)
    except Rejected as refusal:
        yield from count_refusal(memory, refusal.check.code)
        raise
    yield Note(Step.PREPARE, "prepared", means.layout.ecu)
    return []
