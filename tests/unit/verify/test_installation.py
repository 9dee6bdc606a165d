"""The states of an ECU: every (state, event) pair, the rules of each, and random walks that keep what always holds."""

from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import CODEC, COORDINATOR, VEHICLE, VERIFIER, image, sealed
from uptane.errors import Check, Rejected
from uptane.model.ids import Bundle
from uptane.model.limits import BOOT_ATTEMPTS_MAX, ERASES_PER_TARGETS_MAX
from uptane.model.reports import EcuState, Outcome, Phase, VehicleOrder
from uptane.model.signed import Verified
from uptane.verify.image import Assigned, Content, installed_image
from uptane.verify.installation import (
    ROLLED_BACK_MAX,
    Installation,
    boot,
    cancel,
    check_wanted,
    confirm,
    erase,
    factory,
    follow,
    is_running,
    obey,
    prepare,
    rebind,
    spare,
    start,
    vote,
    write,
)
from uptane.verify.orders import check_order
from uptane.verify.record import dump, load
from uptane.verify.states import BLAMED, NEXT, ORDERED, PHASES, Event

S, E = EcuState, Event
OLD, NEW, OTHER = (image(f"brakes/app-{each}", each, "brake-hw") for each in (4, 5, 6))
BUNDLE, NEXT_BUNDLE = Bundle(b"b" * 32), Bundle(b"c" * 32)
ASSIGNED = Assigned(BUNDLE, 7, COORDINATOR.public, NEW)
LATER = replace(ASSIGNED, targets_version=8)
ELSE = replace(LATER, bundle=NEXT_BUNDLE, image=OTHER)
ALONE = replace(ASSIGNED, coordinator=None)
CONTENT = Content(NEW.length, NEW.sha256)
OTHER_CONTENT = Content(OTHER.length, OTHER.sha256)
FACTORY = factory(installed_image(OLD))


def order(phase: Phase, installation: Installation) -> Verified[VehicleOrder]:
    """An order for whatever transaction the ECU is in; there is none for an ECU that never was in one."""
    value = VehicleOrder(1, VEHICLE, installation.bundle or BUNDLE, installation.targets_version or 1, phase)
    octets = sealed(CODEC.encode(value), [COORDINATOR])
    return check_order(VERIFIER, octets, installation, vehicle=VEHICLE, newest=COORDINATOR.public)


def ordered(installation: Installation, *phases: Phase) -> Installation:
    for phase in phases:
        installation = obey(installation, order(phase, installation))
    return installation


def started(installation: Installation, assigned: Assigned = ASSIGNED) -> Installation:
    return start(installation, assigned, CONTENT, attested=True)


def booted(installation: Installation, times: int = 1) -> Installation:
    for _ in range(times):
        installation = boot(installation)[1]
    return installation


PREPARED = prepare(FACTORY, ASSIGNED, CONTENT)
ACTIVATED = ordered(PREPARED, Phase.ACTIVATE)
STARTED = started(ACTIVATED)
TRIAL = booted(STARTED)
VOTED = vote(TRIAL, passed=True)
COMMITTED = ordered(VOTED, Phase.COMMIT)
RELEASED = ordered(COMMITTED, Phase.RELEASE)
ALL = {
    "factory": FACTORY,
    "prepared": PREPARED,
    "activated": ACTIVATED,
    "started": STARTED,
    "trial": TRIAL,
    "failed": vote(TRIAL, passed=False),
    "voted": VOTED,
    "voted, not coming up": booted(VOTED, BOOT_ATTEMPTS_MAX),
    "committed": COMMITTED,
    "committed, not coming up": booted(COMMITTED, BOOT_ATTEMPTS_MAX),
    "rolled back": ordered(VOTED, Phase.ROLL_BACK),
    "rolled back and restarted": booted(ordered(VOTED, Phase.ROLL_BACK)),
    "released": RELEASED,
    "prepared alone": prepare(FACTORY, ALONE, CONTENT),
    "voted alone": vote(booted(started(prepare(FACTORY, ALONE, CONTENT), ALONE)), passed=True),
}


def wanted(installation: Installation) -> Assigned:
    """Something that this ECU could take, as far as its state lets it."""
    if is_running(installation, NEW):
        return ELSE
    return LATER if installation.rolled_back or installation.targets_version == 8 else ASSIGNED


# How each event is brought about. BOOT, FIRST_BOOT and FALL_BACK are one call: the record says which of them it is.
DOING: dict[Event, Callable[[Installation], Installation]] = {
    E.PREPARE: lambda each: prepare(each, wanted(each), CONTENT if wanted(each).image == NEW else OTHER_CONTENT),
    E.REBIND: lambda each: rebind(each, LATER),
    E.CANCEL: cancel,
    E.ERASE: lambda each: erase(each, wanted(each)),
    E.WRITE: write,
    E.ORDER_ACTIVATE: lambda each: obey(each, order(Phase.ACTIVATE, each)),
    E.ORDER_COMMIT: lambda each: obey(each, order(Phase.COMMIT, each)),
    E.ORDER_ROLL_BACK: lambda each: obey(each, order(Phase.ROLL_BACK, each)),
    E.ORDER_RELEASE: lambda each: obey(each, order(Phase.RELEASE, each)),
    E.START: started,
    E.BOOT: booted,
    E.PASSED: lambda each: vote(each, passed=True),
    E.FAILED: lambda each: vote(each, passed=False),
    E.CONFIRM: confirm,
}
BOOTS = {E.BOOT, E.FIRST_BOOT, E.FALL_BACK}
ORDERS = {event: phase for phase, event in ORDERED.items()}


@pytest.mark.parametrize("state", list(S))
@pytest.mark.parametrize("event", list(E))
def test_every_pair_of_state_and_event_does_what_the_table_says(state: EcuState, event: Event) -> None:
    """Of all records at hand in `state`, at least one goes where the table says; without a line in it, none goes."""
    came: set[EcuState] = set()
    refused: set[Check] = set()
    for installation in (each for each in ALL.values() if each.state is state):
        try:
            after = DOING[E.BOOT if event in BOOTS else event](installation)
        except Rejected as refusal:
            refused.add(refusal.check)
            continue
        acknowledged = event in ORDERS and ORDERS[event] is installation.last_phase
        if not acknowledged:  # an order that comes twice is no event
            came.add(after.state)
    if event in BOOTS:
        assert came == {NEXT[state, each] for each in BOOTS if (state, each) in NEXT}
    elif (state, event) in NEXT:
        assert NEXT[state, event] in came
    else:
        assert came == set()
        assert refused <= {Check.INSTALL_STATE, Check.ORDER_PHASE, Check.ORDER_BUNDLE}


def refuses(check: Check, act: Callable[..., object], *arguments: Any, **more: Any) -> None:
    with pytest.raises(Rejected) as refusal:
        act(*arguments, **more)
    assert refusal.value.check is check, refusal.value


# ----------------------------------------------------------------------------------------------- the way forward


def test_an_update_from_factory_to_release() -> None:
    assert (PREPARED.state, PREPARED.bundle, PREPARED.targets_version) == (S.PREPARED, BUNDLE, 7)
    assert PREPARED.images == (installed_image(OLD), installed_image(NEW))
    assert (ACTIVATED.state, ACTIVATED.last_phase) == (S.PREPARED, Phase.ACTIVATE)
    assert boot(STARTED)[0] == 1
    assert TRIAL.image == installed_image(NEW)
    assert (VOTED.state, VOTED.outcome) == (S.VOTED, Outcome.NONE)
    assert (COMMITTED.state, COMMITTED.outcome) == (S.COMMITTED, Outcome.INSTALLED)
    assert COMMITTED.home == 0
    assert COMMITTED.released_counter == 4
    assert (RELEASED.state, RELEASED.home, RELEASED.released_counter) == (S.RELEASED, 1, 5)
    assert boot(RELEASED)[0] == 1


def test_the_next_update_goes_to_the_slot_the_release_has_freed() -> None:
    erased = erase(RELEASED, ELSE)
    assert erased.images == (None, installed_image(NEW))
    again = prepare(write(erased), ELSE, OTHER_CONTENT)
    assert again.images == (installed_image(OTHER), installed_image(NEW))
    assert again.last_phase is None
    on_trial = boot(start(ordered(again, Phase.ACTIVATE), ELSE, OTHER_CONTENT, attested=True))
    assert on_trial[0] == 0
    done = ordered(vote(on_trial[1], passed=True), Phase.COMMIT, Phase.RELEASE)
    assert (done.home, done.released_counter, done.image) == (0, 6, installed_image(OTHER))


def test_without_a_coordinator_an_ecu_confirms_itself() -> None:
    done = confirm(ALL["voted alone"])
    assert (done.state, done.outcome, done.home, done.released_counter) == (S.RELEASED, Outcome.INSTALLED, 1, 5)
    refuses(Check.INSTALL_STATE, confirm, VOTED)
    refuses(Check.INSTALL_STATE, confirm, TRIAL)


def test_held_ecus_are_no_participants() -> None:
    assert is_running(FACTORY, OLD)
    assert not is_running(FACTORY, NEW)
    assert is_running(RELEASED, NEW)
    assert not is_running(VOTED, NEW)
    refuses(Check.INSTALL_STATE, check_wanted, FACTORY, replace(ASSIGNED, image=OLD))


def test_what_an_ecu_does_not_want_is_refused_before_it_erases_or_prepares() -> None:
    none = replace(ASSIGNED, image=None)
    lower = replace(ASSIGNED, image=image("brakes/low", 3, "brake-hw"))
    for assigned, check in ((none, Check.INSTALL_NO_ENTRY), (lower, Check.INSTALL_COUNTER)):
        refuses(check, check_wanted, FACTORY, assigned)
        refuses(check, erase, FACTORY, assigned)
        refuses(check, prepare, FACTORY, assigned, CONTENT)
    assert check_wanted(FACTORY, ASSIGNED) == NEW


# ------------------------------------------------------------------------------------------------- the way back


def test_any_reset_before_the_vote_reverts() -> None:
    slot, after = boot(TRIAL)
    assert slot == 0
    assert (after.state, after.outcome, after.running, after.home) == (S.IDLE, Outcome.ROLLED_BACK, 0, 0)
    assert after.rolled_back == ((BUNDLE, 7),)
    assert after.released_counter == 4
    assert after.images == TRIAL.images


def test_a_failed_self_test_reverts_at_the_reset_and_says_so() -> None:
    failed = vote(TRIAL, passed=False)
    assert (failed.state, failed.outcome, failed.running) == (S.IDLE, Outcome.SELF_TEST_FAILED, 1)
    refuses(Check.INSTALL_STATE, write, failed)
    refuses(Check.INSTALL_STATE, erase, failed, LATER)
    refuses(Check.INSTALL_STATE, prepare, failed, LATER, CONTENT)
    slot, after = boot(failed)
    assert (slot, after.running, after.outcome) == (0, 0, Outcome.SELF_TEST_FAILED)
    assert BLAMED[after.outcome] is Check.INSTALL_SELF_TEST


@pytest.mark.parametrize("installation", [VOTED, COMMITTED])
def test_once_voted_resets_boot_the_new_image_until_it_fails_too_often(installation: Installation) -> None:
    for attempt in range(1, BOOT_ATTEMPTS_MAX + 1):
        slot, installation = boot(installation)
        assert (slot, installation.boots) == (1, attempt)
    slot, after = boot(installation)
    assert slot == 0
    assert (after.state, after.outcome) == (S.IDLE, Outcome.UNBOOTABLE)
    assert after.released_counter == 4
    assert BLAMED[after.outcome] is Check.INSTALL_UNBOOTABLE


@pytest.mark.parametrize("installation", [VOTED, COMMITTED])
def test_an_image_that_comes_up_is_never_given_up(installation: Installation) -> None:
    for _ in range(3 * BOOT_ATTEMPTS_MAX):
        slot, installation = boot(installation)
        assert slot == 1
        installation = vote(installation, passed=True)


@pytest.mark.parametrize("installation", [VOTED, COMMITTED])
def test_a_self_test_that_fails_after_the_vote_is_no_reason_to_go_back_alone(installation: Installation) -> None:
    after = vote(booted(installation), passed=False)
    assert (after.state, after.boots) == (installation.state, 1)


@pytest.mark.parametrize("installation", [PREPARED, ACTIVATED, TRIAL, VOTED, COMMITTED])
def test_until_release_an_order_rolls_back(installation: Installation) -> None:
    after = ordered(installation, Phase.ROLL_BACK)
    assert (after.state, after.outcome) == (S.IDLE, Outcome.ROLLED_BACK)
    slot, after = boot(after)
    assert (slot, after.running) == (0, 0)
    assert after.released_counter == 4
    assert after.images[0] == installed_image(OLD)


def test_after_release_nothing_rolls_back() -> None:
    refuses(Check.ORDER_PHASE, ordered, RELEASED, Phase.ROLL_BACK)


@pytest.mark.parametrize("name", ["failed", "rolled back and restarted"])
def test_an_ecu_that_went_back_by_itself_acknowledges_the_order_and_keeps_its_reason(name: str) -> None:
    before = ALL[name]
    after = ordered(before, Phase.ROLL_BACK)
    assert (after.state, after.outcome) == (S.IDLE, before.outcome)
    assert after.rolled_back == before.rolled_back


def test_a_bundle_rolled_back_is_not_tried_again_under_the_same_targets() -> None:
    back = booted(ordered(VOTED, Phase.ROLL_BACK))
    refuses(Check.INSTALL_RETRIED, prepare, back, ASSIGNED, CONTENT)
    refuses(Check.INSTALL_RETRIED, erase, back, ASSIGNED)
    assert prepare(back, LATER, CONTENT).state is S.PREPARED


def test_pairs_rolled_back_are_remembered_once_and_up_to_a_number() -> None:
    installation = FACTORY
    for version in range(1, ROLLED_BACK_MAX + 5):
        prepared = prepare(installation, replace(ASSIGNED, targets_version=version), CONTENT)
        installation = ordered(prepared, Phase.ROLL_BACK)
    assert installation.rolled_back == tuple((BUNDLE, version) for version in range(5, ROLLED_BACK_MAX + 5))


# -------------------------------------------------------------------------------------------------------- orders


@pytest.mark.parametrize(("before", "phase"), list(product([None, *Phase], Phase)))
def test_phases_come_in_order_once_and_the_last_one_again_changes_nothing(before: Phase | None, phase: Phase) -> None:
    reached = {
        None: PREPARED,
        Phase.ACTIVATE: VOTED,
        Phase.COMMIT: COMMITTED,
        Phase.ROLL_BACK: ALL["rolled back"],
        Phase.RELEASE: RELEASED,
    }[before]
    if phase is before:
        assert ordered(reached, phase) == reached
    elif phase in PHASES[before]:
        assert ordered(reached, phase).last_phase is phase
    else:
        refuses(Check.ORDER_PHASE, ordered, reached, phase)


def test_every_order_may_come_twice_before_the_next() -> None:
    twice = ordered(PREPARED, Phase.ACTIVATE, Phase.ACTIVATE)
    twice = vote(booted(started(twice)), passed=True)
    assert ordered(twice, Phase.ACTIVATE, Phase.COMMIT, Phase.COMMIT, Phase.RELEASE, Phase.RELEASE) == RELEASED


def test_commit_is_not_taken_before_the_vote() -> None:
    for installation in (ACTIVATED, STARTED, TRIAL, ALL["failed"]):
        refuses(Check.INSTALL_STATE, ordered, installation, Phase.COMMIT)


# -------------------------------------------------------------------------------------- prepare, rebind, cancel


def test_preparing_the_same_again_changes_nothing() -> None:
    assert prepare(PREPARED, ASSIGNED, CONTENT) == PREPARED
    assert prepare(ACTIVATED, ASSIGNED, CONTENT) == ACTIVATED


def test_preparing_another_bundle_waits_for_the_first_to_be_cancelled() -> None:
    refuses(Check.INSTALL_STATE, prepare, PREPARED, ELSE, OTHER_CONTENT)
    refuses(Check.INSTALL_STATE, prepare, PREPARED, LATER, CONTENT)


def test_wrong_octets_are_never_prepared() -> None:
    refuses(Check.INSTALL_HASH, prepare, FACTORY, ASSIGNED, replace(CONTENT, sha256=bytes(32)))
    refuses(Check.INSTALL_LENGTH, prepare, FACTORY, ASSIGNED, replace(CONTENT, length=0))
    refuses(Check.INSTALL_HASH, prepare, PREPARED, ASSIGNED, replace(CONTENT, sha256=bytes(32)))


def test_a_reissue_of_the_same_bundle_disturbs_nothing() -> None:
    after = follow(PREPARED, replace(LATER, coordinator=None))
    assert after == replace(PREPARED, targets_version=8, coordinator=None)
    assert follow(PREPARED, ASSIGNED) == PREPARED


def test_after_a_rotation_a_prepared_bundle_is_bound_to_a_lower_version() -> None:
    """Versions go back when stolen keys are replaced: bound to theirs, the ECU would take nobody's orders any more."""
    pushed = follow(PREPARED, replace(LATER, targets_version=2**32 - 1))
    after = follow(pushed, LATER)
    assert after == replace(PREPARED, targets_version=8)
    assert ordered(after, Phase.ACTIVATE).last_phase is Phase.ACTIVATE


def test_another_bundle_cancels_what_is_prepared_and_the_slot_keeps_its_image() -> None:
    after = follow(PREPARED, ELSE)
    assert (after.state, after.bundle, after.images) == (S.IDLE, None, PREPARED.images)
    assert after.rolled_back == ()
    refuses(Check.INSTALL_ERASES, erase, after, ASSIGNED)
    assert prepare(after, LATER, CONTENT).state is S.PREPARED


@pytest.mark.parametrize("assigned", [LATER, ELSE])
@pytest.mark.parametrize("installation", [FACTORY, ACTIVATED, STARTED, TRIAL, VOTED, COMMITTED, RELEASED])
def test_from_the_first_activate_on_the_running_transaction_ends_first(
    installation: Installation, assigned: Assigned
) -> None:
    assert follow(installation, assigned) == installation


@pytest.mark.parametrize("installation", [FACTORY, RELEASED])
def test_where_nothing_is_prepared_there_is_nothing_to_cancel(installation: Installation) -> None:
    assert cancel(installation) == installation


def test_once_ordered_nothing_rebinds_or_cancels() -> None:
    refuses(Check.INSTALL_STATE, rebind, ACTIVATED, LATER)
    refuses(Check.INSTALL_STATE, rebind, PREPARED, ELSE)
    refuses(Check.INSTALL_STATE, cancel, ACTIVATED)


# --------------------------------------------------------------------------------------------------------- slots


def test_a_slot_is_erased_a_few_times_under_one_targets_version() -> None:
    installation = FACTORY
    for number in range(1, ERASES_PER_TARGETS_MAX + 1):
        installation = erase(installation, ASSIGNED)
        assert (installation.erases, installation.erases_under) == (number, 7)
    refuses(Check.INSTALL_ERASES, erase, installation, ASSIGNED)
    assert erase(installation, LATER).erases == 1


def test_an_erase_that_storage_refused_does_not_count() -> None:
    once = erase(FACTORY, ASSIGNED)
    spared = spare(erase(once, ASSIGNED), once)
    assert spared == once
    assert spare(erase(once, LATER), once) == once


def test_any_write_clears_what_is_known_of_the_slot() -> None:
    idle = cancel(PREPARED)
    assert write(idle).images == (installed_image(OLD), None)
    for installation in (PREPARED, ACTIVATED, STARTED, TRIAL, VOTED, COMMITTED):
        refuses(Check.INSTALL_STATE, write, installation)
        refuses(Check.INSTALL_STATE, erase, installation, ASSIGNED)


# ------------------------------------------------------------------------------------------------------ starting


def test_starting_needs_an_attested_time_an_order_and_the_prepared_octets() -> None:
    assert started(ACTIVATED).state is S.TRIAL
    refuses(Check.TIME_UNATTESTED, start, ACTIVATED, ASSIGNED, CONTENT, attested=False)
    refuses(Check.INSTALL_STATE, start, PREPARED, ASSIGNED, CONTENT, attested=True)
    refuses(Check.INSTALL_HASH, start, ACTIVATED, ASSIGNED, replace(CONTENT, sha256=bytes(32)), attested=True)
    refuses(Check.INSTALL_HASH, start, ACTIVATED, ASSIGNED, replace(CONTENT, length=1), attested=True)
    refuses(Check.INSTALL_STATE, start, FACTORY, ASSIGNED, CONTENT, attested=True)


def test_once_ordered_newer_targets_do_not_stop_the_start() -> None:
    assert started(ACTIVATED, ELSE).state is S.TRIAL


def test_without_a_coordinator_a_prepared_ecu_starts_if_the_targets_still_say_so() -> None:
    alone = ALL["prepared alone"]
    assert started(alone, ALONE).state is S.TRIAL
    refuses(Check.INSTALL_STATE, start, alone, replace(ELSE, coordinator=None), CONTENT, attested=True)


def test_a_power_cut_between_start_and_reset_boots_the_new_image_all_the_same() -> None:
    assert boot(STARTED)[0] == 1
    refuses(Check.INSTALL_STATE, vote, STARTED, passed=True)  # what runs is still the old one


# --------------------------------------------------------------------------------------------- walks at random

STEPS: dict[str, Callable[[Installation], Installation]] = {
    **{event.name: act for event, act in DOING.items()},
    "ERASE_LATER": lambda each: erase(each, LATER),
    "PREPARE_LATER": lambda each: prepare(each, LATER, CONTENT),
    "PREPARE_ELSE": lambda each: prepare(each, ELSE, OTHER_CONTENT),
    "PREPARE_ALONE": lambda each: prepare(each, replace(ALONE, targets_version=9), CONTENT),
    "FOLLOW_LATER": lambda each: follow(each, LATER),
    "FOLLOW_ELSE": lambda each: follow(each, ELSE),
    "BOOT_AGAIN": booted,
    "ACTIVATE_AGAIN": DOING[E.ORDER_ACTIVATE],
    "START_AGAIN": started,
    "PASSED_AGAIN": DOING[E.PASSED],
    "COMMIT_AGAIN": DOING[E.ORDER_COMMIT],
}


@given(st.lists(st.sampled_from(sorted(STEPS)), max_size=60))
def test_whatever_happens_what_always_holds_holds(steps: list[str]) -> None:
    now = FACTORY
    for name in steps:
        before = now
        try:
            now = STEPS[name](before)
        except Rejected:
            continue
        check_step(before, now)
        assert load(dump(now)) == now


def check_step(before: Installation, after: Installation) -> None:
    """What no step may do, whatever its name."""
    released = after.state is S.RELEASED and before.state is not S.RELEASED
    assert after.images[after.running] is not None, "runs a slot of unknown content"
    assert after.images[after.home] is not None, "has lost the released software"
    assert released or after.home == before.home, "only a release changes the slot that is home"
    assert released or after.released_counter == before.released_counter, "only a release raises the counter"
    assert after.released_counter >= before.released_counter
    if before.images[before.running] != after.images[before.running]:
        raise AssertionError("the running slot was written")
    if after.state in {S.TRIAL, S.VOTED, S.COMMITTED}:
        assert None not in after.images, "both slots are kept until release"
    if before.state in {S.VOTED, S.COMMITTED} and after.state is S.IDLE:
        assert after.last_phase is Phase.ROLL_BACK or after.outcome is Outcome.UNBOOTABLE
    assert after.boots <= BOOT_ATTEMPTS_MAX + 1
    assert boot(after)[0] in {after.home, after.other}
