"""From power-up to the first cycle: what is durable into memory, our own boot, its proof; the journal if it is lost.

A record that was lost is made anew where that is safe, and the loss is reported. What is not safe to guess stops the
Primary with a clear error: its own installation, and a Root that even provisioning does not offer any more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from primary import journal as journals
from primary import own, state
from primary.collect import COUNTER_MAX, collect, look
from primary.journal import Transactions
from primary.means import Means
from primary.needs import AnyNeed, Damaged, Forget, Load, Names, Note, Now, Step, Unreachable
from primary.refresh import next_nonce, poll
from primary.reports import verified_report
from primary.state import Memory, Told, metadata_name
from uptane.errors import Check, Malformed, Rejected, StorageFailure
from uptane.link.uds_client import Pause
from uptane.machine import Workflow
from uptane.model.ids import EcuId, Repository
from uptane.model.reports import EcuState
from uptane.moments import SECOND_MS, UtcTime
from uptane.verify import attested, record
from uptane.verify.installation import factory
from uptane.verify.stored import reload_director, reload_image
from uptane.verify.trusted import TIME_FILE, Held

ValueT = TypeVar("ValueT")

PROOFS_MAX: Final = 3  # tries to hear an ECU, and to have a manifest accepted, before new software is given up
PROOF_PAUSE_MS: Final = 3 * SECOND_MS


# ---------------------------------------------------------------------------------------------------------- memory


def load(means: Means) -> Workflow[AnyNeed, Memory]:
    """All that is durable, verified again where it is signed.

    Raises:
        StorageFailure: a record that must not be guessed is damaged, or the storage fails.
        Rejected, Malformed: the trusted Root is missing or is none; it has to be provisioned anew.
    """
    lost: list[str] = []
    held = yield from _load_held(means, lost)
    written: bytes | None = yield Load(state.INSTALLED)
    transactions, journal_lost = yield from _load_transactions(lost)
    manifest = yield from _loaded(state.MANIFEST, lost)
    admitted = yield from _loaded(state.ADMITTED, lost)
    silent = yield from _numbers(state.SILENT, lost)
    refusals = yield from _numbers(state.REFUSALS, lost)
    nonces = yield from _numbers(state.NONCES, lost)
    reports = yield from _load_reports(means, lost)
    said = state.manifest_said(means.codec, manifest)
    memory = Memory(
        held=held,
        clock_at=(yield Now()),
        installation=factory(means.factory) if written is None else record.load(written),
        transactions=transactions,
        reports=reports,
        silent={EcuId(ecu): UtcTime(since) for ecu, since in silent.items()},
        manifest=manifest if manifest is not None and said is not None else b"",
        manifest_said=said,
        admitted=admitted or b"",
        refusals={int(code): count for code, count in refusals.items() if code.isdecimal()},
        nonces=nonces.get("drawn", 0),
        filling=(yield from _loaded(state.FILLING, lost)) or b"",
        journal_lost=journal_lost,
        recorded=written is not None,
    )
    lost.extend((yield Damaged()))
    # An older copy may have come in place of the newest: what was decided since is not in it, but ECUs were told.
    memory.journal_lost = memory.journal_lost or state.TRANSACTION in lost
    _count_above(means, memory, lost)
    for name in dict.fromkeys(lost):
        yield Note(Step.TROUBLE, f"the record {name} was damaged")
        yield from state.count_refusal(memory, Check.STATE_DAMAGED.code)
    return memory


def _count_above(means: Means, memory: Memory, lost: list[str]) -> None:
    """No nonce, and no counter of a report or manifest, may be met again with other content.

    The newest copy of its record counted one more than the one before. Where no copy is left: no ECU draws or signs
    once a second, so the time is above it.
    """
    own, time = means.layout.ecu, memory.held.clock.time & COUNTER_MAX
    if state.NONCES in lost:
        memory.nonces, memory.nonces_lost = max(memory.nonces + 1, time), True
    if state.REPORTS + own in lost:
        known = memory.reports.get(own)
        memory.report_floor = max(0 if known is None else known.report.counter + 1, time)
    if state.MANIFEST in lost:
        said = memory.manifest_said
        memory.manifest_floor = max(0 if said is None else said.counter + 1, time)


def _load_held(means: Means, lost: list[str]) -> Workflow[AnyNeed, Held]:
    director = reload_director(means.verifier, (yield from _files(Repository.DIRECTOR, lost)), means.layout.vehicle)
    image = reload_image(means.verifier, (yield from _files(Repository.IMAGE, lost)))
    for repository, dropped in ((Repository.DIRECTOR, director.dropped), (Repository.IMAGE, image.dropped)):
        for file in dropped:
            yield Forget(metadata_name(repository, file))
    written = yield from _loaded(metadata_name(Repository.DIRECTOR, TIME_FILE), lost)
    try:
        clock = attested.load(written, director.trusted.root, means.floor)
    except StorageFailure:
        clock = attested.load(None, director.trusted.root, means.floor)
    return Held(director.trusted, image.trusted, clock)


def _files(repository: Repository, lost: list[str]) -> Workflow[AnyNeed, dict[str, bytes]]:
    """The files of one repository; those Root links that are only kept to be handed on are not read."""
    prefix = metadata_name(repository, "")
    files: dict[str, bytes] = {}
    for name in (yield Names(prefix)):
        file = name.removeprefix(prefix)
        if file.endswith(".root") or file == TIME_FILE:
            continue
        octets = yield from _loaded(name, lost)
        if octets is not None:
            files[file] = octets
    return files


def _load_reports(means: Means, lost: list[str]) -> Workflow[AnyNeed, dict[EcuId, Told]]:
    """Every report that still holds. One that does not is dropped, and read again: the ECU has another key now."""
    reports: dict[EcuId, Told] = {}
    for ecu in means.layout.inventory():
        octets = yield from _loaded(state.REPORTS + ecu, lost)
        if octets is None:
            continue
        try:
            reports[ecu] = verified_report(means, ecu, octets)
        except (Rejected, Malformed) as refusal:
            yield Note(Step.TROUBLE, f"its report on record no longer holds: {refusal}", ecu)
            yield Forget(state.REPORTS + ecu)
    return reports


def _load_transactions(lost: list[str]) -> Workflow[AnyNeed, tuple[Transactions, bool]]:
    octets = yield from _loaded(state.TRANSACTION, lost)
    transactions = _or_lost(state.TRANSACTION, lost, lambda: journals.load(octets), Transactions())
    return transactions, state.TRANSACTION in lost


def _numbers(name: str, lost: list[str]) -> Workflow[AnyNeed, dict[str, int]]:
    octets = yield from _loaded(name, lost)
    return _or_lost(name, lost, lambda: state.numbers_in(octets), {})


def _loaded(name: str, lost: list[str]) -> Workflow[AnyNeed, bytes | None]:
    """A record that can be made anew: None, and named in `lost`, when no copy of it is whole."""
    try:
        octets: bytes | None = yield Load(name)
    except StorageFailure:
        lost.append(name)
        return None
    return octets


def _or_lost(name: str, lost: list[str], read: Callable[[], ValueT], empty: ValueT) -> ValueT:
    try:
        return read()
    except StorageFailure:
        lost.append(name)
        return empty


# ---------------------------------------------------------------------------------------------------- boot and proof


def boot(means: Means, memory: Memory) -> Workflow[AnyNeed, None]:
    """Boot the slot that the record names; new software proves itself, and votes. May end in a restart."""
    yield from own.boot(means, memory)
    yield from next_nonce(memory)
    if not own.is_new(memory):
        return
    if memory.installation.state is EcuState.TRIAL:
        yield from own.vote(means, memory, passed=(yield from _proven(means, memory)))
    else:
        yield from own.vote(means, memory, passed=(yield from own.self_test(means, memory)))


def _proven(means: Means, memory: Memory) -> Workflow[AnyNeed, bool]:
    """Self-test, CAN up, trusted state readable (it has been loaded); with a network also one accepted manifest."""
    if not (yield from own.self_test(means, memory)):
        yield Note(Step.TROUBLE, "the self-test failed", means.layout.ecu)
        return False
    if not (yield from _hears_somebody(means, memory)):
        yield Note(Step.TROUBLE, "no ECU answers on any bus", means.layout.ecu)
        return False
    return (yield from _accepted(means, memory))


def _hears_somebody(means: Means, memory: Memory) -> Workflow[AnyNeed, bool]:
    for _ in range(PROOFS_MAX):
        yield from look(means, memory)
        if memory.statuses or not means.layout.secondaries:
            return True
        yield Pause(PROOF_PAUSE_MS)
    return False


def _accepted(means: Means, memory: Memory) -> Workflow[AnyNeed, bool]:
    """Whether the Director accepts a manifest that this software made; absence of a network never reverts."""
    for _ in range(PROOFS_MAX):
        manifest = yield from collect(means, memory)
        try:
            polled = yield from poll(means, memory, manifest)
        except Unreachable as failure:
            yield Note(Step.POLL, f"no network to prove ourselves by: {failure}")
            return True
        if not polled.refused:
            return True
        yield Pause(PROOF_PAUSE_MS)
    yield Note(Step.TROUBLE, "the Director refuses what this software says", means.layout.ecu)
    return False
