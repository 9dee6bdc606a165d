"""Probing a rig: one thing after the other, each with what was found, and what to do when it is not as it should be."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from statistics import median
from typing import Final

from rig.console import Console
from rig.session import Rig
from rig.settings import EcuSettings
from rig.under_test import AT_REST, UnderTest
from rig.update import attest, roots
from uptane.errors import Check, LinkFailure, MarqueError, Rejected
from uptane.link.uds_values import P2_MS, Did, Session

QUESTIONS: Final = 3  # before an ECU counts as silent
LISTEN_MS: Final = 500
READS: Final = 10
OFF_MS: Final = 300  # how long silence is looked for after power went


class Verdict(Enum):
    """How a step ended."""

    GOOD = "good"
    NOTE = "note"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    """One step's outcome."""

    ecu: str
    step: str
    verdict: Verdict
    text: str


class Unreached(LinkFailure):
    """What comes after this step makes no sense."""


def probe(rig: Rig, ecu: EcuSettings, *, power: bool) -> Iterator[Finding]:
    """Everything about one ECU, in the order of the wires; `power` lets its switch be tried."""

    def found(step: str, verdict: Verdict, text: str) -> Finding:
        return Finding(ecu.ecu, step, verdict, text)

    try:
        under_test = rig.ecu(ecu.ecu)
    except MarqueError as error:
        yield found("channel", Verdict.BAD, str(error))
        return
    settings = under_test.bus.settings
    yield found(
        "channel", Verdict.GOOD, f"{settings.interface} {settings.channel}, {'FD' if settings.fd else 'classic'}"
    )
    for name, step in STEPS:
        if name == "power" and not power:
            continue
        try:
            yield found(name, *step(under_test))
        except Unreached as error:
            yield found(name, Verdict.BAD, str(error))
            return
        except MarqueError as error:
            yield found(name, Verdict.BAD, str(error))
    if under_test.bus.malformed:
        count = under_test.bus.malformed
        yield found(
            "noise", Verdict.NOTE, f"{count} things came in that were no frames; check cable, ground, baud rate"
        )


def answer(ecu: UnderTest) -> tuple[Verdict, str]:
    """Is there anybody?"""
    for _ in range(QUESTIONS):
        if ecu.tester.answers():
            return Verdict.GOOD, f"0x{ecu.settings.address:02X} answers 0x{ecu.tester.own:02X}"
    ecu.tester.idle(LISTEN_MS)
    others = sum(not frame.sent for frame in ecu.journal.frames)
    noise = ecu.bus.malformed
    if noise:
        why = f"{noise} things came in that were no frames: is the bit rate (or the baud rate) right?"
    elif others:
        why = f"{others} frames of others came in: are [[ecu]] address and the bus right? does it speak FD?"
    elif not ecu.bus.up:
        why = f"the channel is gone: {ecu.journal.events[-1].text}"
    else:
        why = "nothing came in at all: has it power? are CAN-H, CAN-L and both terminators connected?"
    raise Unreached(f"no answer from 0x{ecu.settings.address:02X}; {why}")


def identity(ecu: UnderTest) -> tuple[Verdict, str]:
    """Is it the one the rig file describes?"""
    wanted = {Did.VEHICLE: ecu.backend.vehicle, Did.ECU: ecu.settings.ecu, Did.HARDWARE: ecu.settings.hardware}
    for did, word in wanted.items():
        read = ecu.tester.read(did).decode("ascii", "backslashreplace")
        if read != word:
            return Verdict.BAD, f"{did.name.lower()} is {read!r}, the rig file says {word!r}"
    return Verdict.GOOD, f"{ecu.settings.ecu} of {ecu.backend.vehicle}, {ecu.settings.hardware}"


def state(ecu: UnderTest) -> tuple[Verdict, str]:
    """Where does it stand?"""
    status = ecu.tester.status()
    text = f"{status.state.value}, slot {status.running_slot}, Root {status.director_root}"
    text += f", Targets {status.targets_version}"
    if status.director_root > ecu.backend.latest_root():
        return Verdict.BAD, f"{text}; this bench has issued Roots up to {ecu.backend.latest_root()}: whose ECU is it?"
    return (Verdict.GOOD if status.state in AT_REST else Verdict.NOTE), text


def report(ecu: UnderTest) -> tuple[Verdict, str]:
    """Is its word its own?"""
    try:
        told = ecu.tester.report()
    except Rejected as error:
        return Verdict.BAD, f"{error}; was it provisioned anew? set report_key"
    text = f"{told.image.filename}, release counter {told.released_counter}"
    if ecu.key is None:
        return Verdict.NOTE, f"{text}; not verified: set report_key, or provision it with `marque-rig provision`"
    return Verdict.GOOD, f"{text}, signed"


def trust(ecu: UnderTest) -> tuple[Verdict, str]:
    """Does it believe this bench?"""
    try:
        ecu.tester.session(Session.EXTENDED)
        roots(ecu.tester, ecu.backend)
        attest(ecu.tester, ecu.backend)
    except Rejected as error:
        remedy = {
            Check.TIME_BACKWARDS: "this host's clock is behind what the ECU knows",
            Check.TIME_SIGNATURES: "it was provisioned by another bench; provision it with this one's keys",
            Check.ROOT_SIGNATURES: "it was provisioned by another bench; provision it with this one's keys",
        }
        return Verdict.BAD, f"{error}; {remedy.get(error.check, 'see docs/checks.md')}"
    finally:
        ecu.tester.leave()
    return Verdict.GOOD, "takes this bench's Root and time"


def interlock(ecu: UnderTest) -> tuple[Verdict, str]:
    """Would it let itself be programmed?"""
    nrc = ecu.tester.nrc(b"\x31\x01\x02\x03")
    if nrc is None:
        return Verdict.GOOD, "safe"
    return Verdict.BAD, f"not safe (NRC {nrc:02X}): its interlock forbids programming; updates will be refused"


def latency(ecu: UnderTest) -> tuple[Verdict, str]:
    """How long does an answer take?"""
    times = []
    for _ in range(READS):
        ecu.tester.ask(b"\x3e\x00")
        station = ecu.tester.line.station
        times.append(((station.heard_ns or time.monotonic_ns()) - station.sent_ns) / 1e6)
    text = f"median {median(times):.1f} ms, slowest {max(times):.1f} ms"
    if max(times) > P2_MS + ecu.settings.tolerance_ms:
        return Verdict.NOTE, f"{text}: beyond P2 and tolerance_ms; raise tolerance_ms if the adapter is slow"
    return Verdict.GOOD, text


def console(ecu: UnderTest) -> tuple[Verdict, str]:
    """Does anybody talk there?"""
    if ecu.console is None:
        return Verdict.NOTE, "none in the rig file"
    assert isinstance(ecu.console, Console)
    lines = ecu.console.since(0)
    return Verdict.GOOD, f"open, {len(lines)} lines so far"


def power(ecu: UnderTest) -> tuple[Verdict, str]:
    """Does the switch switch?"""
    if not ecu.power.there:
        return Verdict.NOTE, "no switch in the rig file: power cuts are left out"
    ecu.power.off()
    ecu.tester.reset()
    ecu.tester.idle(OFF_MS)
    silent = not ecu.tester.answers()
    ecu.power.on()
    began = time.monotonic()
    ecu.tester.reset()
    ecu.tester.awake()
    if not silent:
        return Verdict.BAD, "the ECU answers while it is off: is this its switch? are on and off exchanged?"
    return Verdict.GOOD, f"silent without it, answers {time.monotonic() - began:.1f} s after it is back"


STEPS: Final[tuple[tuple[str, Callable[[UnderTest], tuple[Verdict, str]]], ...]] = (
    ("answer", answer),
    ("identity", identity),
    ("state", state),
    ("report", report),
    ("trust", trust),
    ("interlock", interlock),
    ("latency", latency),
    ("console", console),
    ("power", power),
)
