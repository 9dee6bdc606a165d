"""Which images go together: counters, requirements, conflicts, silent ECUs, and what may run without our knowing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from director.admit import admit
from director.inventory import Vehicle
from director.resolve import UNSETTLED_MAX, Kind, Rule, resolve
from tests.unit.director.garage import NOW, VERIFIER, Said, Words, decide, entries, image, vehicle
from uptane.model.ids import EcuId, Filename
from uptane.model.metadata import Image
from uptane.model.reports import EcuState, Outcome
from uptane.moments import UtcTime
from uptane.verify.image import installed_image


def rule(kind: Kind, one: str, other: str, counter_min: int = 0) -> Rule:
    return Rule(kind, Filename(one), Filename(other), counter_min)


def want(present: Vehicle, **orders: Image) -> Vehicle:
    records = {}
    for ecu, ordered in orders.items():
        record = present.find(EcuId(ecu))
        assert record is not None
        records[record.ecu.id] = replace(record, wanted=ordered)
    return present.with_records(records)


def told(present: Vehicle, words: Words) -> Vehicle:
    return admit(present, words.manifest(), verifier=VERIFIER, utc=NOW).vehicle


@pytest.fixture
def words() -> Words:
    return Words.first()


@pytest.fixture
def present(words: Words) -> Vehicle:
    return told(vehicle(), words)


@pytest.fixture
def word() -> Said:
    said = Said()
    said.publish(*(image(f"{kind}-0", counter=0) for kind in ("body", "brake", "gw")))
    said.publish(*(image(f"{kind}-{version}") for kind in ("body", "brake", "gw") for version in (1, 2)))
    return said


def test_what_runs_is_listed_where_it_is_vouched_for(present: Vehicle, word: Said) -> None:
    del word.images["brake-0"]
    chosen = resolve(present, (), word)
    assert [(ecu, image.filename) for ecu, image in chosen.entries] == [
        ("body", "body-0"),
        ("door", "body-0"),
        ("gw", "gw-0"),
    ]
    assert not chosen.held_back


def test_an_order_takes_the_place_of_what_runs(present: Vehicle, word: Said) -> None:
    chosen = resolve(want(present, brake=image("brake-1")), (), word)
    assert dict(chosen.entries)[EcuId("brake")] == image("brake-1")


def test_nothing_new_before_the_first_manifest(word: Said) -> None:
    chosen = resolve(want(vehicle(), brake=image("brake-1")), (), word)
    assert dict(chosen.entries)[EcuId("brake")].filename == "brake-0"
    assert "not proved" in chosen.held_back[EcuId("brake")]


def test_nothing_new_to_a_silent_ecu(present: Vehicle, words: Words, word: Said) -> None:
    words.silent["brake"] = UtcTime(NOW - 9)
    present = told(present, words)
    chosen = resolve(want(present, brake=image("brake-1"), door=image("body-1")), (), word)
    assert dict(chosen.entries)[EcuId("brake")].filename == "brake-0"
    assert dict(chosen.entries)[EcuId("door")].filename == "body-1"
    assert "silent since" in chosen.held_back[EcuId("brake")]


def test_nothing_new_to_an_ecu_that_never_reported(words: Words, word: Said) -> None:
    words.reports["brake"], words.silent["brake"] = None, UtcTime(NOW)
    chosen = resolve(want(told(vehicle(), words), brake=image("brake-1")), (), word)
    assert "has not reported" in chosen.held_back[EcuId("brake")]


def test_what_was_issued_stays_when_an_ecu_falls_silent(present: Vehicle, words: Words, word: Said) -> None:
    present, _, _ = decide(want(present, brake=image("brake-1")), word)
    words.silent["brake"] = UtcTime(NOW)
    assert entries(decide(told(present, words), word)[0])["brake"] == "brake-1"


@pytest.mark.parametrize("state", [EcuState.TRIAL, EcuState.VOTED, EcuState.RELEASED])
def test_who_died_in_the_middle_is_given_up_when_its_order_is_taken_back(
    present: Vehicle, words: Words, word: Said, state: EcuState
) -> None:
    """The vehicle waits for it until newer Targets leave it out. One that rests keeps its entry."""
    present, _, _ = decide(want(present, brake=image("brake-1")), word)
    brake = present.find(EcuId("brake"))
    assert brake is not None
    assert brake.reported is not None
    said = replace(brake.reported.report, state=state, image=installed_image(image("brake-1")))
    dead = replace(
        brake, wanted=None, assigned=None, reported=replace(brake.reported, report=said), silent_since=UtcTime(NOW)
    )
    assert ("brake" in dict(resolve(present.with_records({dead.ecu.id: dead}), (), word).entries)) is (
        state is EcuState.RELEASED
    )
    back = replace(dead, silent_since=None)
    assert "brake" in dict(resolve(present.with_records({back.ecu.id: back}), (), word).entries)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda word: word.images.pop("brake-1"), "no longer vouches"),
        (lambda word: word.publish(image("brake-1", content=b"other")), "other octets"),
        (lambda word: setattr(word, "known", False), "has not been heard"),
    ],
)
def test_an_order_whose_image_is_gone(
    present: Vehicle, word: Said, change: Callable[[Said], object], reason: str
) -> None:
    present, _, _ = decide(present, word)
    present = want(present, brake=image("brake-1"))
    change(word)
    chosen = resolve(present, (), word)
    assert dict(chosen.entries)[EcuId("brake")].filename == "brake-0"
    assert reason in chosen.held_back[EcuId("brake")]


def test_the_same_octets_signed_again_are_followed(present: Vehicle, word: Said) -> None:
    present, _, _ = decide(want(present, brake=image("brake-1")), word)
    word.publish(image("brake-1", counter=5))
    assert dict(resolve(present, (), word).entries)[EcuId("brake")].release_counter == 5


def test_a_proven_image_signed_again_is_not_installed_again_by_itself(
    present: Vehicle, words: Words, word: Said
) -> None:
    present, _, _ = decide(want(present, brake=image("brake-1")), word)
    runs = installed_image(image("brake-1"))
    words.say("brake", counter=2, state=EcuState.RELEASED, targets_version=1, image=runs)
    present = told(present, words)
    word.publish(image("brake-1", counter=5))
    present, resolution, _ = decide(present, word)
    assert "assign it anew" in resolution.held_back[EcuId("brake")]
    assert "brake" not in entries(present)
    present, _, _ = decide(want(present, brake=image("brake-1", counter=5)), word)
    assert entries(present)["brake"] == "brake-1"


def test_a_counter_that_vehicles_would_refuse(present: Vehicle, word: Said) -> None:
    present, _, _ = decide(want(present, brake=image("brake-2", counter=2)), (said := word))
    said.publish(image("brake-2", counter=2))
    present, _, _ = decide(present, said)
    chosen = resolve(want(present, brake=image("brake-1")), (), said)
    assert "below 2" in chosen.held_back[EcuId("brake")]


def test_a_withdrawn_image_leaves_the_targets(present: Vehicle, word: Said) -> None:
    present, _, _ = decide(want(present, brake=image("brake-1")), word)
    del word.images["brake-1"]
    present, resolution, why = decide(present, word)
    assert why == "another bundle"
    assert "brake" not in entries(present)
    assert "no longer vouches" in resolution.held_back[EcuId("brake")]


# ----------------------------------------------------------------------------------------------------- rules


def test_requires_is_held_back_until_the_other_is_ordered(present: Vehicle, word: Said) -> None:
    needs = (rule(Kind.REQUIRES, "brake-1", "body-1"),)
    alone = resolve(want(present, brake=image("brake-1")), needs, word)
    assert dict(alone.entries)[EcuId("brake")].filename == "brake-0"
    assert "requires body-1" in alone.held_back[EcuId("brake")]
    both = resolve(want(present, brake=image("brake-1"), door=image("body-1")), needs, word)
    assert dict(both.entries)[EcuId("brake")].filename == "brake-1"
    assert not both.held_back


def test_requires_a_release_counter(present: Vehicle, word: Said) -> None:
    needs = (rule(Kind.REQUIRES, "brake-1", "body-1", 2),)
    orders = want(present, brake=image("brake-1"), door=image("body-1"))
    assert EcuId("brake") in resolve(orders, needs, word).held_back
    word.publish(image("body-1", counter=2))
    assert not resolve(want(present, brake=image("brake-1"), door=image("body-1", counter=2)), needs, word).held_back


def test_a_chain_falls_together(present: Vehicle, word: Said) -> None:
    """brake needs body, body needs a gateway that nobody ordered: both are held back, the door is not."""
    needs = (rule(Kind.REQUIRES, "brake-1", "body-1"), rule(Kind.REQUIRES, "body-1", "gw-1"))
    chosen = resolve(want(present, brake=image("brake-1"), body=image("body-1"), door=image("body-2")), needs, word)
    assert set(chosen.held_back) == {"brake", "body"}
    assert dict(chosen.entries)[EcuId("door")].filename == "body-2"


def test_nothing_depends_on_a_silent_ecu(present: Vehicle, words: Words, word: Said) -> None:
    needs = (rule(Kind.REQUIRES, "brake-1", "gw-0"),)
    orders = want(present, brake=image("brake-1"))
    assert not resolve(orders, needs, word).held_back
    words.silent["gw"] = UtcTime(NOW)
    held = resolve(want(told(present, words), brake=image("brake-1")), needs, word).held_back
    assert "sure to run" in held[EcuId("brake")]


def test_an_order_may_not_take_away_what_another_needs(present: Vehicle, word: Said) -> None:
    needs = (rule(Kind.REQUIRES, "brake-0", "gw-0"),)
    chosen = resolve(want(present, gw=image("gw-1")), needs, word)
    assert "brake runs the former" in chosen.held_back[EcuId("gw")]


@pytest.mark.parametrize("turned", [False, True])
def test_conflicts_hold_back_the_change(present: Vehicle, word: Said, turned: bool) -> None:
    pair = ("body-0", "brake-1") if turned else ("brake-1", "body-0")
    clash = (rule(Kind.CONFLICTS, *pair),)
    chosen = resolve(want(present, brake=image("brake-1"), gw=image("gw-1")), clash, word)
    assert set(chosen.held_back) == {"brake"}
    assert dict(chosen.entries)[EcuId("gw")].filename == "gw-1"


def test_a_bundle_replaces_both_sides_of_a_conflict_at_once(present: Vehicle, word: Said) -> None:
    clash = (rule(Kind.CONFLICTS, "brake-1", "body-0"),)
    orders = want(present, brake=image("brake-1"), body=image("body-1"), door=image("body-1"))
    assert not resolve(orders, clash, word).held_back


def test_orders_that_conflict_with_each_other_are_both_held_back(present: Vehicle, word: Said) -> None:
    clash = (rule(Kind.CONFLICTS, "brake-1", "body-1"),)
    chosen = resolve(want(present, brake=image("brake-1"), body=image("body-1")), clash, word)
    assert set(chosen.held_back) == {"brake", "body"}


@pytest.mark.parametrize("turned", [False, True])
def test_nothing_conflicts_with_what_may_have_been_installed(
    present: Vehicle, words: Words, word: Said, turned: bool
) -> None:
    """body-1 went out and was never confirmed; body-2 is ordered over it. brake-1 must wait for a manifest."""
    pair = ("body-1", "brake-1") if turned else ("brake-1", "body-1")
    clash = (rule(Kind.CONFLICTS, *pair),)
    present, _, _ = decide(want(present, body=image("body-1")), word)
    orders = want(present, body=image("body-2"), brake=image("brake-1"))
    present, resolution, _ = decide(orders, word, clash)
    assert set(resolution.held_back) == {"brake"}
    assert "waits for the next manifest" in resolution.held_back[EcuId("brake")]
    assert entries(present)["body"] == "body-2"
    words.say("body", counter=2, state=EcuState.RELEASED, targets_version=2, image=installed_image(image("body-2")))
    present, resolution, _ = decide(told(present, words), word, clash)
    assert not resolution.held_back
    assert entries(present)["brake"] == "brake-1"


def test_a_rule_made_later_is_noted_and_blocks_nothing_else(present: Vehicle, word: Said) -> None:
    present, _, _ = decide(present, word)
    chosen = resolve(want(present, gw=image("gw-1")), (rule(Kind.CONFLICTS, "brake-0", "body-0"),), word)
    assert not chosen.held_back
    assert any("brake-0 conflicts with body-0" in note for note in chosen.notes)


def test_images_nobody_confirms_end_somewhere(present: Vehicle, words: Words, word: Said) -> None:
    for number in range(UNSETTLED_MAX):
        new = image(f"brake-x{number}")
        word.publish(new)
        present, resolution, _ = decide(want(present, brake=new), word)
        assert not resolution.held_back
    last = image("brake-last")
    word.publish(last)
    present, resolution, _ = decide(want(present, brake=last), word)
    assert "not confirmed" in resolution.held_back[EcuId("brake")]
    words.say("brake", counter=2, state=EcuState.IDLE, outcome=Outcome.ROLLED_BACK, targets_version=UNSETTLED_MAX)
    _, resolution, _ = decide(told(present, words), word)
    assert not resolution.held_back


def test_an_exchanged_ecu_with_older_software_is_named_as_it_is_time_and_again(present: Vehicle, word: Said) -> None:
    record = present.find(EcuId("brake"))
    assert record is not None
    present = present.with_records({record.ecu.id: replace(record, assigned=None, counter_floor=2)})
    for why in ("first issue", "", ""):
        present, resolution, reason = decide(present, word)
        assert reason == why
        assert dict(resolution.entries)[EcuId("brake")].filename == "brake-0"
