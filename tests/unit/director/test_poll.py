"""One poll: admitted first, then decided upon, then answered; and nothing at all when there is nothing new."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from director.audit import Act
from director.fleet import Fleet
from director.inventory import Vehicle
from director.poll import BUSY, Asked, HeldVersions, Polled, first_issue, poll, poll_again_s
from tests.unit.director.garage import (
    DAY_S,
    DESK,
    NOW,
    Said,
    Words,
    fleet,
    image,
    vehicle,
)
from uptane.crypto import Sha2
from uptane.errors import Check
from uptane.model.ids import EcuId, VehicleId
from uptane.model.reports import EcuState, Outcome, Refusal
from uptane.moments import UtcTime
from uptane.verify.image import installed_image

NOTHING = HeldVersions(0, 0, 0, 0)


@pytest.fixture(scope="module")
def present() -> Fleet:
    word = Said()
    word.publish(*(image(f"{kind}-0", counter=0) for kind in ("body", "brake", "gw")), image("brake-1"))
    return fleet(word)


def polled(
    of: Vehicle, present: Fleet, manifest: bytes = b"", *, held: HeldVersions = NOTHING, utc: int = NOW
) -> Polled:
    digest = b"" if of.admission is None else of.admission.digest
    return poll(of, Asked(digest, manifest, held), present, desk=DESK, utc=UtcTime(utc))


def current(of: Vehicle) -> HeldVersions:
    assert of.issued is not None
    return HeldVersions(1, of.issued.timestamp_version, of.issued.snapshot_version, of.issued.targets_version)


def acts(outcome: Polled) -> list[Act]:
    return [entry.act for entry in outcome.log]


def ordering(of: Vehicle, name: str = "brake-1") -> Vehicle:
    record = of.find(EcuId("brake"))
    assert record is not None
    return of.with_records({record.ecu.id: replace(record, wanted=image(name))})


def test_the_first_poll_gets_everything(present: Fleet) -> None:
    outcome = polled(vehicle(), present, Words.first().manifest())
    assert [name for name, _ in outcome.answer.files] == ["1.root", "timestamp", "1.snapshot", "1.targets"]
    assert not outcome.answer.manifest_wanted
    assert outcome.vehicle.admission is not None
    assert outcome.answer.admitted_digest == outcome.vehicle.admission.digest
    assert acts(outcome) == [Act.ADMIT, Act.ISSUE]


def test_an_idle_poll_changes_nothing_and_gets_nothing(present: Fleet) -> None:
    known = polled(vehicle(), present, Words.first().manifest()).vehicle
    idle = polled(known, present, held=current(known), utc=NOW + 300)
    assert idle.vehicle is known
    assert idle.answer.files == ()
    assert idle.log == ()
    assert not idle.answer.manifest_wanted


def test_one_call_proves_and_brings_the_next_orders(present: Fleet) -> None:
    words = Words.first()
    outcome = polled(ordering(vehicle()), present, words.manifest())
    record = outcome.vehicle.find(EcuId("brake"))
    assert record is not None
    assert record.assigned is not None
    assert record.assigned.image.filename == "brake-1"
    words.say("brake", counter=2, state=EcuState.RELEASED, targets_version=1, image=installed_image(image("brake-1")))
    proven = polled(outcome.vehicle, present, words.manifest(), held=current(outcome.vehicle))
    assert acts(proven) == [Act.ADMIT, Act.PROVE]
    assert proven.answer.files == ()


@pytest.mark.parametrize(
    ("held", "names"),
    [
        (HeldVersions(1, 1, 1, 1), []),
        (HeldVersions(0, 1, 1, 1), ["1.root"]),
        (HeldVersions(1, 0, 1, 1), ["timestamp"]),
        (HeldVersions(1, 1, 0, 1), ["1.snapshot"]),
        (HeldVersions(1, 1, 1, 0), ["1.targets"]),
        (HeldVersions(7, 7, 7, 7), []),
    ],
)
def test_only_what_the_vehicle_lacks_is_sent(present: Fleet, held: HeldVersions, names: list[str]) -> None:
    known = polled(vehicle(), present, Words.first().manifest()).vehicle
    assert [name for name, _ in polled(known, present, held=held).answer.files] == names


def test_every_root_since_the_held_one(present: Fleet) -> None:
    three = replace(present, roots=(b"one", b"two", b"three"))
    outcome = polled(vehicle(), three, Words.first().manifest(), held=HeldVersions(1, 0, 0, 0))
    assert outcome.answer.files[:2] == (("2.root", b"two"), ("3.root", b"three"))


def test_a_manifest_is_wanted_when_its_digest_is_not_ours(present: Fleet) -> None:
    fresh = polled(vehicle(), present)
    assert fresh.answer.manifest_wanted
    assert fresh.answer.poll_again_s == 1
    known = polled(vehicle(), present, Words.first().manifest()).vehicle
    other = poll(known, Asked(b"x" * 32, b"", current(known)), present, desk=DESK, utc=NOW)
    assert other.answer.manifest_wanted


def test_a_refused_manifest_is_filed_and_brings_no_orders(present: Fleet) -> None:
    words = Words.first()
    known = polled(vehicle(), present, words.manifest()).vehicle
    before = ordering(known)
    words.say("brake", counter=0)
    outcome = polled(before, present, words.manifest(), held=current(known))
    assert [check for check, _ in outcome.answer.refused] == [Check.REPORT_COUNTER]
    assert outcome.answer.files == ()
    assert acts(outcome) == [Act.REFUSE]
    assert "replay" in outcome.log[0].detail
    assert outcome.vehicle.ecus == before.ecus
    assert outcome.vehicle.admission == before.admission
    [filed] = outcome.vehicle.filed
    assert (filed.check, filed.count) == (Check.REPORT_COUNTER, 1)
    # The order is held back, not lost.
    assert polled(outcome.vehicle, present, held=current(known)).answer.files != ()


def test_metadata_are_renewed_although_a_manifest_is_refused(present: Fleet) -> None:
    known = polled(vehicle(), present, Words.first().manifest()).vehicle
    outcome = polled(known, present, b"nonsense", held=current(known), utc=NOW + DAY_S)
    assert [check for check, _ in outcome.answer.refused] == [Check.ENCODING]
    assert [name for name, _ in outcome.answer.files] == ["timestamp", "2.snapshot", "2.targets"]


def test_a_hostile_vehicle_does_not_fill_the_log(present: Fleet) -> None:
    known = polled(vehicle(), present, Words.first().manifest()).vehicle
    written = 0
    for _ in range(100):
        outcome = polled(known, present, b"nonsense", held=current(known))
        known, written = outcome.vehicle, written + len(outcome.log)
    assert [filed.count for filed in known.filed] == [100]
    assert written == 7


def test_attacks_that_ecus_report_are_logged(present: Fleet) -> None:
    words = Words.first()
    known = polled(vehicle(), present, words.manifest()).vehicle
    words.say("brake", counter=2, refusals=(Refusal(Check.TARGETS_SIGNATURES.code, 2),))
    outcome = polled(known, present, words.manifest(), held=current(known))
    [entry] = [each for each in outcome.log if each.act is Act.ATTACK]
    assert entry.subject == "VIN1/brake"
    assert "arbitrary software" in entry.detail


def settled(present: Fleet) -> tuple[Words, Vehicle]:
    """A vehicle whose ECUs have each proven what they run, by their second reports."""
    words = Words.first()
    known = polled(vehicle(), present, words.manifest()).vehicle
    for ecu in ("body", "brake", "gw"):
        words.say(ecu, counter=2)
    return words, polled(known, present, words.manifest(), held=current(known)).vehicle


def test_a_vehicle_that_reports_without_end_does_not_fill_the_log(present: Fleet) -> None:
    """Each manifest has a new report of every ECU, and one more refusal: of 100, the log takes 1, 2, 4 ... 64."""
    words, known = settled(present)
    written: list[Act] = []
    for count in range(1, 101):
        refusals = (Refusal(Check.TARGETS_SIGNATURES.code, count),)
        for ecu in ("body", "brake", "gw"):
            words.say(ecu, counter=count + 2, refusals=refusals if ecu == "brake" else ())
        outcome = polled(known, present, words.manifest(), held=current(known))
        known, written = outcome.vehicle, written + acts(outcome)
    assert known.manifests == 102
    assert written == [Act.ATTACK] * 7


@pytest.mark.parametrize(
    "change",
    [{"state": EcuState.PREPARED}, {"outcome": Outcome.ROLLED_BACK}, {"image": installed_image(image("brake-1"))}],
)
def test_only_a_report_that_moves_something_is_logged(present: Fleet, change: dict[str, Any]) -> None:
    words, known = settled(present)
    words.say("brake", counter=3)
    same = polled(known, present, words.manifest(), held=current(known))
    assert acts(same) == []
    words.say("brake", counter=4, **change)
    assert acts(polled(same.vehicle, present, words.manifest(), held=current(known)))[0] is Act.ADMIT


def test_a_vehicle_that_holds_newer_files_is_noticed(present: Fleet) -> None:
    outcome = polled(vehicle(), present, Words.first().manifest(), held=HeldVersions(1, 9, 9, 9))
    assert Act.ANOMALY in acts(outcome)


def test_polls_are_spread_and_keep_their_place() -> None:
    hasher = Sha2()
    places = set()
    for number in range(200):
        each = replace(vehicle(), id=VehicleId(f"VIN{number}"))
        waits = [poll_again_s(each, 300, UtcTime(NOW + start), hasher) for start in (0, 7, 149, 299)]
        assert all(150 <= wait < 450 for wait in waits)
        at = {(NOW + start + wait) % 300 for start, wait in zip((0, 7, 149, 299), waits, strict=True)}
        assert len(at) == 1
        places |= at
    assert len(places) > 100


@pytest.mark.parametrize("interval", [1, 2, 5, 300])
def test_a_busy_vehicle_polls_more_often(present: Fleet, interval: int) -> None:
    idle = vehicle()
    busy = polled(ordering(idle), present, Words.first().manifest()).vehicle
    assert 1 <= poll_again_s(busy, interval, NOW, Sha2()) <= max(1, 3 * interval // 2 // BUSY + 1)
    assert 1 <= poll_again_s(idle, interval, NOW, Sha2()) <= max(1, 3 * interval // 2)


def went_back(busy: Vehicle, words: Words, **changes: Any) -> bytes:
    """The manifest of a vehicle whose brake has tried what is issued, and is back at its old image."""
    assert busy.issued is not None
    said = {"bundle": busy.issued.bundle, "targets_version": busy.issued.targets_version}
    said |= {"outcome": Outcome.SELF_TEST_FAILED, "counter": 3}
    words.say("brake", **(said | changes))
    return words.manifest()


def first_polls(present: Fleet) -> tuple[Vehicle, Words]:
    """A vehicle that has been sent an order; every ECU but the one that is to change is proven."""
    words = Words.first()
    issued = polled(vehicle(), present, words.manifest()).vehicle
    for record in issued.ecus:
        words.say(record.ecu.id, counter=2)
    idle = polled(issued, present, words.manifest()).vehicle
    assert pace(idle) < 2
    return polled(ordering(idle), present).vehicle, words


def pace(of: Vehicle) -> float:
    """Its share of the load: polls in each interval of a vehicle with nothing to do."""
    waits = [poll_again_s(of, 300, UtcTime(NOW + start), Sha2()) for start in range(300)]
    return 300 * len(waits) / sum(waits)


def test_a_vehicle_that_went_back_polls_like_one_with_nothing_to_do(present: Fleet) -> None:
    busy, words = first_polls(present)
    assert pace(busy) > BUSY / 2
    after = polled(busy, present, went_back(busy, words)).vehicle
    assert pace(after) < 2


@pytest.mark.parametrize(
    "changes",
    [{"state": EcuState.TRIAL}, {"outcome": Outcome.NONE}, {"bundle": None}, {"bundle": b"o" * 32}],
    ids=["on trial", "no outcome", "no bundle", "another bundle"],
)
def test_a_vehicle_that_may_still_install_polls_more_often(present: Fleet, changes: dict[str, Any]) -> None:
    busy, words = first_polls(present)
    after = polled(busy, present, went_back(busy, words, **changes)).vehicle
    assert pace(after) > BUSY / 2


def test_a_vehicle_that_went_back_is_busy_again_once_it_is_sent_the_order_anew(present: Fleet) -> None:
    busy, words = first_polls(present)
    after = polled(busy, present, went_back(busy, words)).vehicle
    again = polled(replace(after, reissue=True), present).vehicle
    assert pace(again) > BUSY / 2


def test_provisioning_issues_a_set_without_orders(present: Fleet) -> None:
    issued, why = first_issue(ordering(vehicle()), present, desk=DESK, utc=NOW)
    assert why == "first issue"
    record = issued.find(EcuId("brake"))
    assert record is not None
    assert record.assigned is not None
    assert record.assigned.image.filename == "brake-0"
