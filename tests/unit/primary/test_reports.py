"""Reports that somebody else gives in an ECU's place: refused, counted, never kept; they move no bundle."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace
from typing import Any

import pytest

from primary.collect import COUNTER_LEAP
from primary.cycle import Result
from primary.journal import Stage, load
from primary.means import Means
from primary.needs import FetchMetadata, Perform
from primary.refresh import vehicle_of
from primary.state import TRANSACTION, Memory
from tests.builders import BODY, BRAKE, CODEC, HARDWARE, PRIMARY, SUPPLIER, image, key, sealed
from tests.unit.primary.world import NEW, OLD, World, texts
from uptane.errors import Check
from uptane.link.uds_client import read_report, read_status
from uptane.link.uds_objects import Status
from uptane.model.ids import EcuId, HardwareId, VehicleId
from uptane.model.limits import REPORT_LENGTH_MAX
from uptane.model.reports import EcuReport, EcuState, InstalledImage
from uptane.verify.trusted import Vehicle

RECORD = f"reports/{BRAKE}"
GENUINE = key(f"ecu {BRAKE}")
STRANGER = key("stranger")

VOTED, COMMITTED, RELEASED = EcuState.VOTED, EcuState.COMMITTED, EcuState.RELEASED
CHANGING = {EcuState.TRIAL, VOTED, COMMITTED}

Forge = Callable[[EcuReport], bytes]


def said(octets: bytes) -> EcuReport:
    report = CODEC.parse(CODEC.open(octets, REPORT_LENGTH_MAX).payload)
    assert isinstance(report, EcuReport)
    return report


def forged(signer: Any = STRANGER, **changes: Any) -> Forge:
    """The genuine report with `changes`, signed by `signer`."""
    return lambda report: sealed(CODEC.encode(replace(report, **changes)), [signer])


class Liar:
    """Somebody on the bus who, while there is a `forge`, answers for the brake when its report is asked for.

    Not while the brake is about to change: who answers for it then has the whole vehicle go back.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.forge: Forge | None = None
        self.answers = 0
        monkeypatch.setattr("primary.collect.read_report", self.read_report)

    def read_report(self, ecu: EcuId) -> Generator[Any, Any, bytes]:
        octets = yield from read_report(ecu)
        if ecu != BRAKE or self.forge is None or said(octets).state in CHANGING:
            return octets
        self.answers += 1
        return self.forge(said(octets))


@pytest.fixture
def liar(monkeypatch: pytest.MonkeyPatch) -> Liar:
    return Liar(monkeypatch)


def counted(world: World) -> dict[int, int]:
    return {each.check: each.count for each in world.director.reports[PRIMARY].refusals}


def new_of(world: World, ecu: EcuId) -> InstalledImage:
    entry = world.pair.director.entries[ecu].image
    return InstalledImage(entry.filename, entry.length, entry.sha256, entry.release_counter)


def garbage(_report: EcuReport) -> bytes:
    return b"no report"


FORGED = [
    (forged(), Check.REPORT_SIGNATURE),
    (forged(key(f"ecu {BODY}")), Check.REPORT_SIGNATURE),
    (forged(GENUINE, vehicle=VehicleId("VIN9")), Check.REPORT_VEHICLE),
    (forged(GENUINE, ecu=BODY), Check.REPORT_ECU),
    (forged(GENUINE, hardware=HardwareId("other")), Check.REPORT_HARDWARE),
    (forged(GENUINE, level=9), Check.LEVEL),
    (forged(GENUINE, counter=0), Check.REPORT_COUNTER),
    (garbage, Check.ENCODING),
]


@pytest.mark.parametrize(("forge", "check"), FORGED)
def test_it_is_refused_counted_and_no_news(liar: Liar, forge: Forge, check: Check) -> None:
    world = World()
    world.once_more()
    before, genuine = world.records[RECORD], world.director.reports[BRAKE]
    world.nodes[BRAKE].power_up()
    liar.forge = forge
    assert world.once_more().result is Result.IDLE
    assert liar.answers
    assert counted(world) == {check.code: 1}
    assert world.records[RECORD] == before
    assert world.director.reports[BRAKE] == genuine
    assert not world.director.silent
    liar.forge = None
    world.once_more()
    assert world.director.reports[BRAKE].counter > genuine.counter, "it is read again, and told"
    assert not world.director.refusals, "the Director got no forged report"


def test_another_report_under_the_same_counter_is_a_replay(liar: Liar) -> None:
    world = World()
    world.once_more()
    counter = world.director.reports[BRAKE].counter
    world.nodes[BRAKE].power_up()
    liar.forge = forged(GENUINE, counter=counter, state=EcuState.PREPARED)
    world.once_more()
    assert counted(world) == {Check.REPORT_COUNTER.code: 1}


def test_the_same_lie_is_counted_once_and_costs_no_further_manifest(liar: Liar) -> None:
    world = World(once=False)
    world.run(lambda: bool(world.ended))
    world.nodes[BRAKE].power_up()
    stale = sealed(CODEC.encode(world.director.reports[BRAKE]), [STRANGER])
    liar.forge = lambda _report: stale
    world.run(lambda: len(world.ended) >= 3)
    manifests = world.director.counter
    world.run(lambda: len(world.ended) >= 6)
    assert liar.answers >= 4
    assert counted(world) == {Check.REPORT_SIGNATURE.code: 1}
    assert world.director.counter == manifests


def test_an_ecu_that_never_gave_a_report_of_its_own_is_silent(liar: Liar) -> None:
    world = World()
    liar.forge = forged()
    world.once_more()
    assert RECORD not in world.records
    assert world.director.silent == {BRAKE}
    assert BRAKE not in world.director.reports
    assert not world.director.refusals
    liar.forge = None
    world.once_more()
    assert not world.director.silent
    assert BRAKE in world.director.reports


# --------------------------------------------------------------------------------------------------- on the record


@pytest.mark.parametrize("forge", [forged(counter=1_000_000), garbage])
def test_a_report_on_record_that_no_longer_holds_is_dropped_and_read_again(forge: Forge) -> None:
    """As after an exchange: what is on record was signed by the ECU that was there before."""
    world = World()
    world.once_more()
    genuine = world.director.reports[BRAKE]
    world.records[RECORD] = forge(genuine)
    world.once_more()
    assert "no longer holds" in texts(world.notes)
    assert said(world.records[RECORD]) == genuine
    assert not world.director.refusals


def test_our_own_report_on_record_is_verified_too() -> None:
    world = World()
    world.once_more()
    counter = world.director.reports[PRIMARY].counter
    own = f"reports/{PRIMARY}"
    world.records[own] = forged()(said(world.records[own]))
    world.once_more()
    assert counter < world.director.reports[PRIMARY].counter <= counter + COUNTER_LEAP + 1


# ------------------------------------------------------------------------------------------------------- the bundle


@pytest.mark.parametrize("power_cycled", [False, True])
def test_nobody_is_left_out_because_somebody_says_it_runs_the_new_image(liar: Liar, *, power_cycled: bool) -> None:
    world = World()
    world.once_more()
    world.update()
    liar.forge = forged(image=new_of(world, BRAKE))
    if power_cycled:
        world.nodes[BRAKE].power_up()
    for _ in range(3):
        world.once_more()
        assert world.runs() in (OLD, NEW)
    assert world.runs() == NEW


@pytest.mark.parametrize("changes", [{"counter": 1}, {"state": EcuState.VOTED}], ids=["replayed", "held back since"])
def test_a_vote_of_a_bundle_that_was_rolled_back_leaves_nobody_out(liar: Liar, changes: dict[str, Any]) -> None:
    """The ECU's own word from when it tried the new image; the same image is assigned again."""
    world = World()
    world.nodes[BRAKE].power_up()
    world.once_more()
    world.nodes[BRAKE].power_up()
    world.once_more()
    assert world.director.reports[BRAKE].counter > 1
    world.update()
    world.nodes[BRAKE].power_up()
    liar.forge = forged(GENUINE, image=new_of(world, BRAKE), **changes)
    for _ in range(3):
        world.once_more()
        assert world.runs() in (OLD, NEW)
    assert world.runs() == NEW


@pytest.mark.parametrize(("before", "said_instead"), [(VOTED, COMMITTED), (COMMITTED, RELEASED)])
def test_only_its_signed_report_says_that_an_ecu_has_taken_a_decision(
    monkeypatch: pytest.MonkeyPatch, before: EcuState, said_instead: EcuState
) -> None:
    """Somebody on the bus says what the Primary waits to hear, in the status of the brake, and no order reaches it."""
    lies = True

    def status(ecu: EcuId) -> Generator[Any, Any, Status]:
        genuine = yield from read_status(ecu)
        return replace(genuine, state=said_instead) if lies and ecu == BRAKE and genuine.state is before else genuine

    world = World()
    world.once_more()
    world.update()
    monkeypatch.setattr("primary.participants.read_status", status)
    for _ in range(2):
        world.once_more()
    assert world.nodes[BRAKE].state.installation.state is before
    journal = load(world.records[TRANSACTION]).journal
    assert journal is not None
    assert journal.stage is (Stage.COMMITTING if before is VOTED else Stage.RELEASING)
    assert world.own.state is not RELEASED
    lies = False
    world.once_more()
    assert world.runs() == NEW
    assert {node.state.installation.state for node in world.nodes.values()} == {RELEASED}
    assert load(world.records[TRANSACTION]).journal is None


# -------------------------------------------------------------------------------------------- the Image repository


def only_the_director_says(world: World) -> None:
    """The Director's stolen keys assign an image that the Image repository never vouched for."""
    evil = image("brakes/evil", 9, HARDWARE[BRAKE])
    world.pair.director.assign(BRAKE, evil)
    world.pair.director.issue()
    world.know()


def test_an_ecu_that_lies_under_its_own_key_gets_no_image_that_one_repository_names(liar: Liar) -> None:
    world = World(once=False)
    world.run(lambda: bool(world.ended))
    only_the_director_says(world)
    liar.forge = forged(GENUINE, image=new_of(world, BRAKE))
    world.nodes[BRAKE].power_up()
    begun = len(world.ended)
    world.run(lambda: len(world.ended) >= begun + 2)
    assert world.ended[-1].finished.result is Result.IDLE, "all seem to run what is assigned"
    liar.forge = None
    world.nodes[BRAKE].power_up()
    begun = len(world.ended)
    world.run(lambda: len(world.ended) >= begun + 4)
    assert {each.finished.result for each in world.ended[begun + 1 :]} == {Result.REFUSED}
    assert Check.DELEGATION_NOT_FOUND.name in world.ended[-1].finished.text
    assert b"preparing" not in world.records.get("transaction", b"")
    assert world.runs() == OLD


def test_who_takes_part_is_matched_whatever_verification_was_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Verification is told that all run what is assigned; the plan knows better, and insists."""
    world = World()
    world.update()

    def gullible(means: Means, memory: Memory) -> Vehicle:
        return replace(vehicle_of(means, memory), installed={ecu: new_of(world, ecu) for ecu in OLD})

    monkeypatch.setattr("primary.refresh.vehicle_of", gullible)
    assert world.once_more().result is Result.DONE
    assert world.runs() == NEW


def test_an_image_that_is_due_after_all_is_matched_and_taken(liar: Liar) -> None:
    """As above, but both repositories vouch for it: asked late, the Image repository says yes."""
    world = World(once=False)
    world.run(lambda: bool(world.ended))
    new = image("brakes/app-2", 2, HARDWARE[BRAKE])
    world.pair.offer(BRAKE, new, SUPPLIER)
    world.pair.image.issue()
    world.pair.director.issue()
    world.know()
    liar.forge = forged(GENUINE, image=new_of(world, BRAKE))
    world.nodes[BRAKE].power_up()
    begun = len(world.ended)
    world.effects.clear()
    world.run(lambda: len(world.ended) >= begun + 2)
    assert world.ended[-1].finished.result is Result.IDLE
    fetched = [each for each in world.effects if isinstance(each, Perform) and isinstance(each.need, FetchMetadata)]
    assert not fetched
    liar.forge = None
    world.nodes[BRAKE].power_up()
    world.run(lambda: world.runs()[BRAKE] == new.filename)
    world.run(lambda: world.ended[-1].finished.result is Result.DONE)
    assert world.runs() == OLD | {BRAKE: "brakes/app-2"}
