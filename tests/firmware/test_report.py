"""Reports that the C core signs: Python reads and verifies them; digests tell when there is something new to say."""

import ctypes
import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.firmware_chip import Start
from tests.builders import BRAKE, FIRST, HARDWARE, VEHICLE, VERIFIER, Pair, key
from tests.firmware.metadata_pair import ROOT, SLOT_SIZE, Core, facts_octets
from tests.firmware.verify_pair import Both
from uptane.errors import Check
from uptane.model.ids import Bundle, EcuId, HardwareId, VehicleId
from uptane.model.reports import EcuReport, EcuState, Outcome, Refusal
from uptane.moments import UtcTime
from uptane.verify.threshold import accept_from, opened
from uptane.verify.trusted import Ecu

OUTCOMES: list[Outcome] = [outcome for outcome in Outcome if outcome is not Outcome.OTHER]
OWN = Ecu(VEHICLE, BRAKE, HARDWARE[BRAKE], "*/*", SLOT_SIZE)
LIMIT = int(re.findall(r"FW_REPORT_MAX (\d+)u", (ROOT / "firmware/include/fw_limits.h").read_text(encoding="ascii"))[0])


@dataclass
class Said:
    """What an ECU is to say."""

    state: EcuState = EcuState.IDLE
    outcome: Outcome = Outcome.NONE
    bundle: bytes | None = None
    targets_version: int = 0
    time: int = 5
    previous: int = 4
    refusals: Sequence[tuple[Check, int]] = ()


def tell(core: Core, said: Said) -> None:
    """Have an ECU be so."""
    state, outcome = list(EcuState).index(said.state), OUTCOMES.index(said.outcome)
    core.tools.bench_state(core.ecu, state, outcome, ctypes.c_uint32(said.targets_version), said.bundle)
    core.tools.bench_time(core.ecu, ctypes.c_uint64(said.time), ctypes.c_uint64(said.previous))
    checks = (ctypes.c_uint16 * 8)(*(check.code for check, _ in said.refusals))
    counts = (ctypes.c_uint32 * 8)(*(count for _, count in said.refusals))
    core.tools.bench_refuse(core.ecu, len(said.refusals), checks, counts)


def signed(core: Core, counter: int, ecu: str = BRAKE) -> EcuReport:
    """A report, verified; what it says."""
    octets = core.said("bench_report", ctypes.c_uint32(counter))[32:]
    envelope = opened(VERIFIER, octets, LIMIT)
    assert envelope.signatures[0].key_id == key(f"ecu {ecu}").key_id
    return accept_from(VERIFIER, envelope, key(f"ecu {ecu}").public, EcuReport, check=Check.REPORT_SIGNATURE).value


def digest(core: Core) -> bytes:
    """What tells whether there is something new to say."""
    out = ctypes.create_string_buffer(32)
    core.tools.bench_digest(core.ecu, out)
    assert core.said("bench_report", ctypes.c_uint32(1))[:32] == out.raw
    return out.raw


@pytest.fixture(scope="module")
def core(host_library: Path) -> Core:
    made = Core(host_library, facts_octets(Pair(), OWN))
    assert made.power_up() is Start.UP
    return made


said_values = st.builds(
    Said,
    state=st.sampled_from(EcuState),
    outcome=st.sampled_from(OUTCOMES),
    bundle=st.none() | st.binary(min_size=32, max_size=32),
    targets_version=st.integers(0, 2**32 - 1),
    time=st.integers(0, 2**64 - 1),
    previous=st.integers(0, 2**64 - 1),
    refusals=st.lists(
        st.tuples(st.sampled_from(Check), st.integers(1, 2**32 - 1)), max_size=8, unique_by=lambda each: each[0]
    ),
)


@settings(max_examples=150)
@given(said=said_values, counter=st.integers(0, 2**32 - 1))
def test_python_reads_what_was_said(core: Core, said: Said, counter: int) -> None:
    tell(core, said)
    assert signed(core, counter) == EcuReport(
        level=1,
        vehicle=VEHICLE,
        ecu=BRAKE,
        hardware=HARDWARE[BRAKE],
        counter=counter,
        state=said.state,
        outcome=said.outcome,
        bundle=None if said.bundle is None else Bundle(said.bundle),
        targets_version=said.targets_version,
        root_version=1,
        released_counter=1,
        image=Pair().factory[BRAKE],
        time=UtcTime(said.time),
        previous_time=UtcTime(said.previous),
        refusals=tuple(Refusal(check.code, count) for check, count in sorted(said.refusals, key=lambda e: e[0].code)),
    )


def test_at_rest_the_newest_targets_are_told_else_those_acted_on(host_library: Path) -> None:
    both = Both(host_library)
    assert both.time() is None
    assert both.targets() is None
    for state, version in ((EcuState.IDLE, FIRST), (EcuState.RELEASED, FIRST), (EcuState.VOTED, 3)):
        tell(both.core, Said(state=state, targets_version=3))
        assert signed(both.core, 1).targets_version == version
    tell(both.core, Said(targets_version=9))
    assert signed(both.core, 1).targets_version == 9


CHANGES: dict[str, dict[str, Any]] = {
    "state": {"state": EcuState.TRIAL},
    "outcome": {"outcome": Outcome.ROLLED_BACK},
    "bundle": {"bundle": bytes(32)},
    "version": {"targets_version": 1},
    "time": {"time": 6},
    "previous time": {"previous": 5},
    "another refusal": {"refusals": [(Check.LEVEL, 4), (Check.KIND, 1)]},
    "twice as many": {"refusals": [(Check.LEVEL, 8)]},
    "none": {"refusals": []},
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_that_is_worth_a_report_changes_the_digest(core: Core, change: dict[str, Any]) -> None:
    tell(core, Said(refusals=[(Check.LEVEL, 4)]))
    before = digest(core)
    tell(core, Said(**{"refusals": [(Check.LEVEL, 4)]} | change))
    assert digest(core) != before


def test_a_few_more_refusals_and_their_order_are_not_worth_a_report(core: Core) -> None:
    tell(core, Said(refusals=[(Check.LEVEL, 4), (Check.KIND, 2**31)]))
    before = digest(core)
    tell(core, Said(refusals=[(Check.KIND, 2**32 - 1), (Check.LEVEL, 7)]))
    assert digest(core) == before


def test_the_longest_report_fits(host_library: Path) -> None:
    pair = Pair()
    ecu = EcuId("e" * 64)
    own = Ecu(VehicleId("v" * 64), ecu, HardwareId("h" * 64), "f" * 128, SLOT_SIZE)
    factory = pair.factory[BRAKE]
    pair.factory[ecu] = type(factory)("f" * 128, 1, sha256(b"").digest(), 1)  # type: ignore[arg-type]
    core = Core(host_library, facts_octets(pair, own))
    assert core.power_up() is Start.UP
    refusals = [(check, 2**32 - 1) for check in list(Check)[:8]]
    tell(core, Said(bundle=bytes(32), refusals=refusals))
    report = signed(core, 2**32 - 1, ecu)
    assert len(core.said("bench_report", ctypes.c_uint32(1))[32:]) == LIMIT, "and nothing is left over"
    assert report.image.filename == "f" * 128
    assert len(report.refusals) == 8
