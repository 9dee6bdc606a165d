"""The Primary's own image where a bootloader keeps its slots: what is asked when, and what runs whatever it does."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from primary.cycle import Result
from primary.needs import CheckSlot, InstallSlot, Mark, MarkSlot, Perform, Restart, RunningSlot, Save
from tests.builders import BODY, PRIMARY, PowerLost
from tests.unit.primary.bootloader import TRIES, Bootloader
from tests.unit.primary.world import NEW, OLD, World, texts
from uptane.errors import Check, Rejected, StorageFailure
from uptane.model.reports import EcuState, Outcome
from uptane.verify import record
from uptane.verify.found import SELECTED_MAX

BEGUN = ("active 0", "good 0")  # what the first start tells the bootloader


@pytest.fixture
def world() -> World:
    return made()


def made() -> World:
    found = World()
    found.bootloader = Bootloader()
    found.update()
    return found


def loader(world: World) -> Bootloader:
    assert world.bootloader is not None
    return world.bootloader


def at_rest(world: World) -> None:
    """Nothing more to do; what runs is whole, what the record says, and what the Director knows."""
    for _ in range(6):
        if world.once_more().result is Result.IDLE:
            break
    else:
        raise AssertionError(f"never at rest: {texts(world.notes)}")
    assert world.runs() in (OLD, NEW), texts(world.notes)
    assert {ecu: report.image.filename for ecu, report in world.director.reports.items()} == world.runs()
    assert world.own.state in {EcuState.IDLE, EcuState.RELEASED}
    assert loader(world).running in loader(world).good


def told(world: World, check: Check) -> int:
    """How often the Primary says that it was refused by `check`."""
    return {refusal.check: refusal.count for refusal in world.director.reports[PRIMARY].refusals}.get(check.code, 0)


def is_own(effect: Any) -> bool:
    """What is done to slots, or to the record of them."""
    if not isinstance(effect, Perform):
        return False
    need = effect.need
    return isinstance(need, InstallSlot | MarkSlot | Restart) or (
        isinstance(need, Save) and need.name == "installed/own"
    )


def run_until(world: World, state: EcuState) -> None:
    world.run(lambda: world.own.state is state)


# --------------------------------------------------------------------------------------------------- as it should be


def test_installed_selected_restarted_and_kept_once_it_is_committed(world: World) -> None:
    assert world.run().result is Result.DONE
    assert world.runs() == NEW == world.director.proven()
    assert loader(world).log == [*BEGUN, "install 1", "active 1", "boot 1", "good 1", "good 1"]
    needs = [effect.need for effect in world.effects if isinstance(effect, Perform)]
    decided = next(at for at, need in enumerate(needs) if isinstance(need, Save) and b"committing" in need.octets[:400])
    assert needs.index(MarkSlot(1, Mark.GOOD)) == decided + 1, "kept before the vehicle has decided, or long after"


def test_the_record_is_durable_before_the_bootloader_is_told_to_start_it(world: World) -> None:
    world.run()
    own = [effect.need for effect in world.effects if is_own(effect)]
    before = own[own.index(MarkSlot(1, Mark.ACTIVE)) - 1]
    assert isinstance(before, Save)
    assert record.load(before.octets).state is EcuState.TRIAL


def test_an_ecu_that_was_written_in_its_second_slot_at_the_factory() -> None:
    world = World()
    world.bootloader = Bootloader(running=1)
    world.slots.reverse()
    world.update()
    assert world.run().result is Result.DONE
    assert (world.own.home, loader(world).running) == (0, 0)
    assert world.runs() == NEW


def test_without_a_network_new_software_stays(world: World) -> None:
    run_until(world, EcuState.TRIAL)
    world.down |= {"director", "image", "time"}
    world.run()
    assert world.own.state is EcuState.RELEASED
    assert world.runs() == NEW
    assert 1 in loader(world).good


# ------------------------------------------------------------------------------------------- the bootloader falls back


def test_new_software_that_does_not_boot_is_never_reported_as_running(world: World) -> None:
    loader(world).dead.add(1)
    assert world.run().result is Result.ROLLED_BACK
    at_rest(world)
    assert world.runs() == OLD
    report = world.director.reports[PRIMARY]
    assert (report.outcome, report.state) == (Outcome.UNBOOTABLE, EcuState.IDLE)
    assert loader(world).tries[1] == 0, "what failed is bad"
    installs = loader(world).log.count("install 1")
    at_rest(world)
    assert loader(world).log.count("install 1") == installs == 1, "tried again"


@pytest.mark.parametrize("state", [EcuState.VOTED, EcuState.COMMITTED])
def test_new_software_that_stops_booting_later_is_given_up(world: World, state: EcuState) -> None:
    run_until(world, state)
    loader(world).dead.add(1)
    world.cut()
    world.once_more()
    world.once_more()
    # Once the vehicle has decided to commit, the other ECUs stay with it; this one says that it could not.
    assert world.runs() == (OLD if state is EcuState.VOTED else NEW | {PRIMARY: OLD[PRIMARY]})
    assert world.director.reports[PRIMARY].outcome is Outcome.UNBOOTABLE


def test_released_software_that_boots_no_more_is_selected_again_then_the_old_one_is_what_runs(world: World) -> None:
    world.run()
    loader(world).dead.add(1)
    world.cut()
    world.once_more()
    assert loader(world).log.count("active 1") == 1 + 2, "selected again more often, or never"
    assert world.own.image.filename == OLD[PRIMARY]
    report = world.director.reports[PRIMARY]
    assert (report.image.filename, report.outcome) == (OLD[PRIMARY], Outcome.UNBOOTABLE)
    assert report.released_counter == 2, "what was released stays the least that is taken"


def decided(world: World) -> bool:
    """Whether the journal says that the vehicle commits."""
    return b"committing" in world.records.get("transaction", b"")


@pytest.mark.parametrize("vehicle", [False, True])
def test_what_was_decided_outlasts_any_number_of_ignitions_though_an_ecu_is_mute(world: World, vehicle: bool) -> None:
    """It cannot be told to commit, so we are not committed ourselves; each boot costs the bootloader one try."""
    world.run(lambda: decided(world))
    world.nodes[BODY].dead = True
    for _ in range(2 * TRIES):
        world.cut(vehicle=vehicle)
        assert world.once_more().result is Result.TRYING
        assert (world.own.state, world.own.outcome) == (EcuState.VOTED, Outcome.NONE)
        assert world.runs()[PRIMARY] == NEW[PRIMARY]
    world.nodes[BODY].dead = False
    at_rest(world)
    assert world.runs() == NEW


def test_a_boot_that_fails_its_self_test_after_the_decision_is_not_kept(world: World) -> None:
    world.run(lambda: decided(world))
    world.cut()
    world.self_test = False
    at = len(loader(world).log)
    world.run(lambda: loader(world).log[at:].count("boot 1") == 1, limit_s=60)
    assert loader(world).log[at:] == ["active 1", "boot 1"]


def test_a_decision_about_another_bundle_keeps_nothing(world: World) -> None:
    """The journal is not about what we run: nobody has decided that it stays."""
    run_until(world, EcuState.VOTED)
    journal = json.loads(world.records["transaction"])
    journal["journal"] |= {"stage": "committing", "bundle": "00" * 32}
    world.records["transaction"] = json.dumps(journal).encode()
    world.cut()
    polls = len(world.director.polls)
    world.run(lambda: len(world.director.polls) > polls)
    assert "good 1" not in loader(world).log


def test_without_a_record_of_ours_only_the_factory_image_is_signed_for(world: World) -> None:
    """State was lost: the bootloader runs what was updated since, and provisioning speaks of the factory."""
    world.run()
    for name in [name for name in world.records if not name.startswith("metadata")]:
        del world.records[name]
    polls = len(world.director.polls)
    world.machine = None
    outcome = world.run()
    assert isinstance(outcome, StorageFailure)
    assert "slot 1 runs, no record says what it is" in str(outcome)
    assert "Write that image into slot 1, or provision this ECU anew" in str(outcome)
    assert len(world.director.polls) == polls
    assert "installed/own" not in world.records


def test_what_left_the_factory_is_asked_about_once_and_not_before_the_installer_answers(world: World) -> None:
    meet, down = loader(world)._meet, 2

    def busy(need: Any, blobs: list[bytearray]) -> Any:
        nonlocal down
        if isinstance(need, CheckSlot) and down:
            down -= 1
            raise Rejected(Check.INSTALLER_DOWN, "not now")
        return meet(need, blobs)

    loader(world)._meet = busy  # type: ignore[method-assign]
    world.run()
    assert world.runs() == NEW
    asked = [each.need.slot for each in world.effects if isinstance(each, Perform) and isinstance(each.need, CheckSlot)]
    assert asked == [0, 0, 0, 1]


def test_an_installer_that_cannot_select_keeps_no_vehicle_unheard_for_ever(world: World) -> None:
    """The released slot boots no more, and U-Boot's environment is read only: what runs instead is adopted."""
    world.run()
    loader(world).dead.add(1)
    loader(world).stuck = True
    for _ in range(SELECTED_MAX):
        world.cut()
        polls = len(world.director.polls)
        with pytest.raises(AssertionError, match="takes too long"):
            world.run(limit_s=900)
        assert len(world.director.polls) == polls, "spoke for software that is not what runs"
    world.cut()
    world.once_more()
    report = world.director.reports[PRIMARY]
    assert (report.image.filename, report.outcome) == (OLD[PRIMARY], Outcome.UNBOOTABLE)
    assert loader(world).log[-2:] == ["good 0", "bad 1"]


def test_what_was_selected_by_whoever_wrote_it_is_not_what_boots_next(world: World) -> None:
    """RAUC selects what it installs; our process ends before it has taken that back."""
    world.run(lambda: "install 1" in loader(world).log)
    loader(world).order, loader(world).tries[1] = [1, 0], TRIES
    world.state = replace(world.state, parked=False)
    world.cut(machine=False)
    polls = len(world.director.polls)
    world.run(lambda: len(world.director.polls) > polls)
    assert loader(world).order == [0, 1]
    world.cut()
    assert loader(world).running == 0


def test_unknown_software_that_boots_is_no_ecu_to_speak_for(world: World) -> None:
    world.run(lambda: "good 0" in loader(world).log)
    world.cut()
    loader(world).order, loader(world).tries, loader(world).dead = [1, 0], [3, 3], {0}
    loader(world).boot()
    polls = len(world.director.polls)
    outcome = world.run()
    assert isinstance(outcome, StorageFailure)
    assert "look at the bootloader" in str(outcome)
    assert len(world.director.polls) == polls


# ------------------------------------------------------------------------------------------------- it does not help


def test_a_refused_image_is_reported_and_never_worn_into_the_flash(world: World) -> None:
    loader(world).refuses = True
    assert world.run().result is Result.TRYING
    assert told(world, Check.INSTALLER_REFUSED) == 1
    assert world.runs() == OLD
    assert world.own.state is EcuState.IDLE
    for _ in range(5):
        world.once_more()
    assert told(world, Check.INSTALLER_REFUSED) == 4
    assert told(world, Check.INSTALL_ERASES), "a fifth time under the same Targets"
    assert world.runs() == OLD


def test_an_installer_that_is_away_is_reported_and_costs_nothing(world: World) -> None:
    world.run(lambda: "good 0" in loader(world).log)
    loader(world).down = True
    assert world.run().result is Result.TRYING
    assert told(world, Check.INSTALLER_DOWN) == 1
    assert world.own.state is EcuState.IDLE
    erases = world.own.erases
    loader(world).down = False
    at_rest(world)
    assert world.runs() == NEW
    assert world.own.erases == erases, "what lay ready was thrown away"


def test_nobody_speaks_for_an_ecu_before_it_is_known_what_runs(world: World) -> None:
    loader(world).down = True
    world.run(lambda: sum(isinstance(each, Perform) and each.need == RunningSlot() for each in world.effects) == 4)
    assert not world.director.polls
    assert texts(world.notes).count("installer does not do as it is told") == 1, "said at every try"
    assert "no such service" in texts(world.notes)
    assert "asked again until it does; nothing is reported before" in texts(world.notes)
    loader(world).down = False
    world.run()
    assert world.runs() == NEW


def test_a_restart_that_cannot_be_had_ends_in_all_old(world: World) -> None:
    loader(world).no_restart = True
    assert world.run().result is Result.ROLLED_BACK
    assert loader(world).order == [0, 1], "else the next boot would run it"
    assert told(world, Check.INSTALLER_DOWN) == 1
    at_rest(world)
    assert world.runs() == OLD


def test_a_slot_that_somebody_else_has_written_is_not_started(world: World) -> None:
    run_until(world, EcuState.PREPARED)
    loader(world).written[1] = b"by hand"
    assert world.run().result is Result.ROLLED_BACK
    assert told(world, Check.INSTALLER_REFUSED) == 1
    assert "boot 1" not in loader(world).log
    assert world.runs() == OLD


def test_new_software_that_fails_its_self_test_selects_the_old(world: World) -> None:
    run_until(world, EcuState.TRIAL)
    world.self_test = False
    world.run()
    assert world.runs() == OLD
    log = loader(world).log
    assert log[log.index("boot 1") :] == ["boot 1", "active 0", "boot 0", "active 0", "good 0", "bad 1"]
    assert world.director.reports[PRIMARY].outcome is Outcome.SELF_TEST_FAILED


# ------------------------------------------------------------------------------------------------------- power cuts


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("fails", "vehicle"), [(False, False), (True, True)], ids=["good software", "software that fails its self-test"]
)
def test_all_old_or_all_new_wherever_the_slots_are_left(vehicle: bool, fails: bool) -> None:
    ends = []
    for fuse in range(40):
        world = made()
        if fails:
            run_until(world, EcuState.TRIAL)
            world.self_test = False
        world.fuse, world.burns = fuse, is_own
        try:
            world.run()
        except PowerLost:
            world.cut(vehicle=vehicle)
        else:
            break
        at_rest(world)
        ends.append(world.runs() == NEW)
    else:
        raise AssertionError("an update has more effects than are hit here")
    assert len(ends) >= (6 if fails else 12)
    assert any(ends) is not fails


@pytest.mark.parametrize("moment", ["install 1", "active 1", "boot 1", "good 1"])
def test_power_that_fails_just_after_the_bootloader_has_done_it(world: World, moment: str) -> None:
    """It did, and nobody here has heard so."""
    world.run(lambda: moment in loader(world).log)
    world.cut(vehicle=True)
    at_rest(world)


def test_what_new_software_writes_the_old_one_reads(world: World) -> None:
    """Until release the old one may be booted at any moment: it has to know each record's format."""
    run_until(world, EcuState.COMMITTED)
    written = [octets for octets in world.records.values() if octets.startswith(b"{")]
    assert len(written) >= 4
    assert {json.loads(octets)["format"] for octets in written} == {1}
    newer = json.loads(world.records["installed/own"]) | {"format": 2}
    world.records["installed/own"] = json.dumps(newer).encode()
    world.machine = None
    polls = len(world.director.polls)
    assert isinstance(world.run(), StorageFailure), "guessed what it cannot read"
    assert len(world.director.polls) == polls


def test_a_note_says_what_was_found() -> None:
    world = made()
    loader(world).dead.add(1)
    world.run()
    assert any("back in slot 0" in note.text for note in world.notes)
