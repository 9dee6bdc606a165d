"""ECU version reports (Uptane 2.1.0, section 5.4.2.1.2) and nonces: what this ECU says of itself and asks for the time.

A report is signed when something changed or a cycle begins, never because it was read. Its counter only rises: counters
are reserved durably in advance, so that nobody on the bus can wear out the flash by asking for reports.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from secondary.needs import Need, Store
from secondary.refusals import reported
from secondary.state import COUNTERS_RESERVED, NONCE, REPORT, Report, State, counter_octets, recount
from uptane.machine import Workflow
from uptane.model.metadata import LEVEL
from uptane.model.reports import NONCE_LENGTH, EcuReport, EcuState
from uptane.moments import SECOND_MS
from uptane.verify.signing import sign

CYCLE_MS: Final = SECOND_MS  # a cycle that begins sooner after a report gets that one

_AT_REST: Final = frozenset({EcuState.IDLE, EcuState.RELEASED})
_NONCE_LABEL: Final = b"marque time nonce\0"


def renew(state: State, *, cycle: bool = False) -> Workflow[Need, None]:
    """Sign a new report if this ECU's state is not the one reported, or when a cycle begins."""
    latest = state.report
    present = _present(state)
    if latest is not None:
        unchanged = replace(present, counter=latest.value.counter, refusals=latest.value.refusals) == latest.value
        unchanged = unchanged and _order_of(present) == _order_of(latest.value)
        if unchanged and not (cycle and state.now - latest.signed_at >= CYCLE_MS):
            return
    counter = state.report_counter + 1
    if counter > state.report_ceiling:
        ceiling = counter + COUNTERS_RESERVED - 1
        yield from recount(state, REPORT, state.report_ceiling)
        yield Store(REPORT, counter_octets(ceiling))
        state.report_ceiling = ceiling
    state.report_counter = counter
    value = replace(_present(state), counter=counter)
    octets = sign(state.facts.verifier.codec, value, [state.facts.signer])
    state.report = Report(value, octets, state.now)


def _order_of(report: EcuReport) -> frozenset[tuple[int, int]]:
    """What was refused, how often to a power of two: the Director learns at once, and nobody makes us sign for ever."""
    return frozenset((refusal.check, refusal.count.bit_length()) for refusal in report.refusals)


def draw_nonce(state: State) -> Workflow[Need, None]:
    """Take the next nonce: at power-up, and when an attestation was accepted; no nonce is ever used twice."""
    counter = state.nonce_counter + 1
    state.nonce = None
    yield from recount(state, NONCE, state.nonce_counter)
    yield Store(NONCE, counter_octets(counter))
    state.nonce_counter = counter
    # A pseudo-random function: SHA-256 keyed by a secret prefix, over inputs of one length.
    digest = state.facts.verifier.hasher.sha256(_NONCE_LABEL + state.facts.secret + counter_octets(counter))
    state.nonce = digest[:NONCE_LENGTH]


def _present(state: State) -> EcuReport:
    """What a report would say now, but for its counter."""
    own, installation, clock = state.facts.own, state.installation, state.held.clock
    targets = state.targets
    floor = 0 if targets is None else targets.value.header.version
    # At rest the version says which Targets are too old to be taken any more; else which ones are acted on.
    at_rest = installation.state in _AT_REST
    return EcuReport(
        level=LEVEL,
        vehicle=own.vehicle,
        ecu=own.ecu,
        hardware=own.hardware,
        counter=0,
        state=installation.state,
        outcome=installation.outcome,
        bundle=installation.bundle,
        targets_version=max(installation.targets_version, floor) if at_rest else installation.targets_version,
        root_version=state.held.director.root.value.header.version,
        released_counter=installation.released_counter,
        image=installation.image,
        time=clock.time,
        previous_time=clock.previous,
        refusals=reported(state.refusals),
    )
