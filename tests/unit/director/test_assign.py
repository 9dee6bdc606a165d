"""Orders: what an ECU or its Primary would refuse is refused here, whole, saying why."""

from __future__ import annotations

from dataclasses import replace

import pytest

from director.admit import admit
from director.assign import AGAIN, KEPT, Ordered, Selection, assign, filenames, judge_selections, outcome_notes
from director.errors import Declined, Reason
from director.inventory import Vehicle
from tests.unit.director.garage import NOW, VERIFIER, Said, Words, decide, image, vehicle
from uptane.errors import Check
from uptane.model.ids import EcuId, Filename, HardwareId
from uptane.model.metadata import Image
from uptane.model.reports import EcuState
from uptane.verify.image import installed_image


def to_ecu(ecu: str, name: str | None) -> Selection:
    return Selection(EcuId(ecu), None, None if name is None else Filename(name))


def to_hardware(hardware: str, name: str | None) -> Selection:
    return Selection(None, HardwareId(hardware), None if name is None else Filename(name))


@pytest.fixture
def word() -> Said:
    said = Said()
    said.publish(*(image(f"{kind}-{version}", counter=version) for kind in ("body", "brake") for version in (0, 1, 2)))
    return said


@pytest.fixture
def present() -> Vehicle:
    return admit(vehicle(), Words.first().manifest(), verifier=VERIFIER, utc=NOW).vehicle


def wanted(of: Vehicle) -> dict[str, str]:
    return {record.ecu.id: record.wanted.filename for record in of.ecus if record.wanted is not None}


def test_by_ecu_and_by_hardware(present: Vehicle, word: Said) -> None:
    ordered, outcomes = assign(
        present, [to_ecu("brake", "brake-1"), to_hardware("body-hw", "body-2")], word, every=False
    )
    assert wanted(ordered) == {"brake": "brake-1", "body": "body-2", "door": "body-2"}
    assert [each.record.ecu.id for each in outcomes] == ["brake", "body", "door"]
    assert outcome_notes(ordered, outcomes, {EcuId("body"): "later"}) == [
        "goes out at the next poll",
        "held back: later",
        "goes out at the next poll",
    ]


@pytest.mark.parametrize(
    ("selection", "check", "said"),
    [
        (to_ecu("radio", "brake-1"), None, "VIN1 has no ECU radio"),
        (to_hardware("radio-hw", "brake-1"), None, "hardware radio-hw"),
        (to_ecu("brake", "brake-9"), Check.DELEGATION_NOT_FOUND, "no image brake-9"),
        (to_ecu("brake", "body-1"), Check.DELEGATION_NOT_FOUND, "for hardware brake-hw"),
    ],
)
def test_unknown(word: Said, selection: Selection, check: Check | None, said: str) -> None:
    with pytest.raises(Declined) as declined:
        assign(vehicle(), [to_ecu("door", "body-1"), selection], word, every=False)
    assert declined.value.reason is Reason.UNKNOWN
    assert declined.value.check is check
    assert said in declined.value.text


def test_an_image_for_other_hardware(present: Vehicle) -> None:
    class Careless(Said):
        def find(self, filename: Filename, hardware: HardwareId) -> Image | None:
            return self.images.get(filename)

    word = Careless()
    word.publish(image("body-1"))
    with pytest.raises(Declined) as declined:
        assign(present, [to_ecu("brake", "body-1")], word, every=False)
    assert declined.value.check is Check.INSTALL_HARDWARE


@pytest.mark.parametrize("pattern", ["acme/*", "brake", "brake-?-final"])
def test_a_filename_the_ecu_does_not_take(present: Vehicle, word: Said, pattern: str) -> None:
    brake = present.find(EcuId("brake"))
    assert brake is not None
    present = present.with_records({EcuId("brake"): replace(brake, ecu=replace(brake.ecu, filename=pattern))})
    with pytest.raises(Declined) as declined:
        assign(present, [to_ecu("brake", "brake-1")], word, every=False)
    assert declined.value.check is Check.INSTALL_FILENAME
    assert pattern in declined.value.text


@pytest.mark.parametrize(("size", "fits"), [(999, False), (1_000, True)])
def test_an_image_larger_than_the_slot(present: Vehicle, word: Said, size: int, fits: bool) -> None:
    brake = present.find(EcuId("brake"))
    assert brake is not None
    present = present.with_records({EcuId("brake"): replace(brake, ecu=replace(brake.ecu, slot_size=size))})
    if fits:
        assert wanted(assign(present, [to_ecu("brake", "brake-1")], word, every=False)[0]) == {"brake": "brake-1"}
        return
    with pytest.raises(Declined) as declined:
        assign(present, [to_ecu("brake", "brake-1")], word, every=False)
    assert declined.value.check is Check.INSTALL_SPACE


def test_a_release_counter_that_vehicles_would_refuse(present: Vehicle, word: Said) -> None:
    """Below what was sent out last, although nothing says that it was installed: their Primary compares with that."""
    ordered, _ = assign(present, [to_ecu("brake", "brake-2")], word, every=False)
    issued, _, _ = decide(ordered, word)
    with pytest.raises(Declined) as declined:
        assign(issued, [to_ecu("brake", "brake-1")], word, every=False)
    assert declined.value.check is Check.INSTALL_COUNTER
    assert "--counter 2" in declined.value.text
    word.publish(image("brake-1", counter=2))
    assert wanted(assign(issued, [to_ecu("brake", "brake-1")], word, every=False)[0]) == {"brake": "brake-1"}


def test_a_release_counter_below_the_released_one(word: Said) -> None:
    words = Words.first()
    words.say("brake", counter=2, released_counter=2)
    present = admit(vehicle(), words.manifest(), verifier=VERIFIER, utc=NOW).vehicle
    with pytest.raises(Declined) as declined:
        assign(present, [to_ecu("brake", "brake-1")], word, every=False)
    assert declined.value.check is Check.INSTALL_COUNTER
    assert "--counter 2" in declined.value.text


def test_an_ecu_twice(present: Vehicle, word: Said) -> None:
    with pytest.raises(Declined, match="twice"):
        assign(present, [to_ecu("door", "body-1"), to_hardware("body-hw", "body-2")], word, every=False)


def test_to_the_whole_fleet_a_vehicle_without_such_an_ecu_is_left_out(present: Vehicle, word: Said) -> None:
    same, outcomes = assign(present, [to_hardware("radio-hw", "body-1")], word, every=True)
    assert same == present
    assert not outcomes


def test_the_same_order_again(present: Vehicle, word: Said) -> None:
    """Sent out and not proven: a new version, because a vehicle does not try what it rolled back."""
    first, _, _ = decide(assign(present, [to_ecu("brake", "brake-1")], word, every=False)[0], word)
    again, outcomes = assign(first, [to_ecu("brake", "brake-1")], word, every=False)
    assert [each.note for each in outcomes] == [AGAIN]
    second, _, why = decide(again, word)
    assert why == "asked for"
    assert first.issued is not None
    assert second.issued is not None
    assert second.issued.bundle == first.issued.bundle
    assert second.issued.targets_version == first.issued.targets_version + 1
    assert decide(second, word)[2] == ""


def test_what_is_proven_is_not_ordered_again(present: Vehicle, word: Said) -> None:
    issued, _, _ = decide(assign(present, [to_ecu("brake", "brake-1")], word, every=False)[0], word)
    words = Words(1, Words.first().reports)
    runs = installed_image(image("brake-1", counter=1))
    words.say("brake", counter=2, state=EcuState.RELEASED, targets_version=1, image=runs, released_counter=1)
    proven = admit(issued, words.manifest(), verifier=VERIFIER, utc=NOW).vehicle
    assert wanted(proven) == {}
    again, outcomes = assign(proven, [to_ecu("brake", "brake-1")], word, every=False)
    assert [each.note for each in outcomes] == ["proven already"]
    assert not again.reissue


def test_withdrawn(present: Vehicle, word: Said) -> None:
    ordered, _ = assign(present, [to_ecu("brake", "brake-1")], word, every=False)
    assert wanted(assign(ordered, [to_ecu("brake", None)], word, every=False)[0]) == {}
    issued, _, _ = decide(ordered, word)
    back, _ = assign(issued, [to_ecu("brake", None)], word, every=False)
    _, resolution, why = decide(back, word)
    assert why == "another bundle"
    assert dict(resolution.entries)[EcuId("brake")].filename == "brake-0"
    record = back.find(EcuId("brake"))
    assert record is not None
    assert {each.filename for each in record.possible} == {"brake-0", "brake-1"}


def test_what_runs_is_not_withdrawn(present: Vehicle, word: Said) -> None:
    issued, _, _ = decide(present, word)
    with pytest.raises(Declined, match="runs brake-0 already"):
        assign(issued, [to_ecu("brake", None)], word, every=False)


def test_an_order_is_taken_back_from_a_whole_fleet_although_some_of_it_runs_the_image(
    present: Vehicle, word: Said
) -> None:
    """A campaign that halts: one vehicle is proven to run the image, one was sent it, one was never ordered it."""
    never, _, _ = decide(present, word)
    sent, _, _ = decide(assign(never, [to_ecu("brake", "brake-1")], word, every=True)[0], word)
    record = sent.find(EcuId("brake"))
    assert record is not None
    assert record.assigned is not None
    proven = sent.with_records(
        {record.ecu.id: replace(record, wanted=None, assigned=replace(record.assigned, proven=True))}
    )
    withdrawal = [to_hardware("brake-hw", None)]
    for kept in (never, proven):
        assert assign(kept, withdrawal, word, every=True) == (kept, [Ordered(kept.ecus[1], withdrawal[0], KEPT)])
        with pytest.raises(Declined, match="nothing to withdraw"):
            assign(kept, withdrawal, word, every=False)
    back, outcomes = assign(sent, withdrawal, word, every=True)
    assert [each.note for each in outcomes] == ["withdrawn"]
    assert back.ecus[1].wanted is None
    assert back.ecus[1].assigned is None
    ordered_anew, _ = assign(proven, [to_ecu("brake", "brake-2")], word, every=True)
    assert assign(ordered_anew, withdrawal, word, every=True)[0].ecus[1].wanted is None


@pytest.mark.parametrize(
    "selections",
    [
        [],
        [to_ecu("brake", "brake-1")] * 129,
        [Selection(None, None, Filename("brake-1"))],
        [Selection(EcuId("brake"), HardwareId("brake-hw"), Filename("brake-1"))],
        [to_ecu("no such\nid", "brake-1")],
        [to_hardware("", "brake-1")],
        [to_ecu("brake", "../brake-1")],
        [to_ecu("brake", "b" * 129)],
    ],
)
def test_orders_without_form(selections: list[Selection]) -> None:
    with pytest.raises(Declined) as declined:
        judge_selections(selections)
    assert declined.value.reason is Reason.INVALID


def test_an_order_with_form() -> None:
    judge_selections([to_ecu("brake", "b" * 128), to_ecu("door", None)])


def test_the_images_vehicles_have_to_do_with(present: Vehicle, word: Said) -> None:
    ordered, _ = assign(present, [to_ecu("brake", "brake-1")], word, every=False)
    assert ("brake-1", "brake-hw") in filenames([ordered])
    assert ("body-0", "body-hw") in filenames([ordered])
