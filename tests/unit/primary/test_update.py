"""A whole vehicle, updated: what it runs afterwards, what the Director knows, and what an idle poll costs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from primary.cycle import Result
from primary.needs import Attest, FetchBlock, FetchMetadata, Perform, Poll, Restart, Save, Step, WriteBlob
from tests.builders import BODY, BRAKE, CAMERA, HARDWARE, PRIMARY, SUPPLIER, Pair, PowerLost, image
from tests.unit.primary.world import NEW, OLD, World
from uptane.model.reports import EcuState, Phase


@pytest.fixture
def world() -> World:
    made = World()
    made.update()
    return made


def needs(world: World, *kinds: type) -> list[object]:
    return [effect.need for effect in world.effects if isinstance(effect, Perform) and isinstance(effect.need, kinds)]


def test_every_ecu_runs_the_new_image_and_the_director_can_prove_it(world: World) -> None:
    assert world.run().result is Result.DONE
    assert world.runs() == NEW == world.director.proven()
    assert {report.state for report in world.director.reports.values()} == {EcuState.RELEASED}
    assert not world.director.refusals


def test_the_primary_activates_last_and_its_new_software_decides(world: World) -> None:
    world.run()
    activated = [note.ecu for note in world.notes if note.step is Step.ACTIVATE and note.text == "activates"]
    assert activated == [BRAKE, BODY, CAMERA]
    assert len(needs(world, Restart)) == 1
    stages = [note.text for note in world.notes if "resuming" in note.text]
    assert stages == ["resuming: activating"]


def test_the_journal_is_durable_before_each_phase_is_told(world: World) -> None:
    world.run()
    stages = [need.octets for need in needs(world, Save) if need.name == "transaction"]  # type: ignore[attr-defined]
    assert [b"preparing" in each for each in stages] == [True, False, False, False, False]
    assert [b"activating" in each for each in stages] == [False, True, False, False, False]
    assert [b"committing" in each for each in stages] == [False, False, True, False, False]
    assert [b"releasing" in each for each in stages] == [False, False, False, True, False]


def test_the_cache_is_empty_once_all_is_released(world: World) -> None:
    world.run()
    assert needs(world, WriteBlob)
    assert not world.cache


def test_two_buses_transfer_at_once(world: World) -> None:
    world.run()
    moved = [note.ecu for note in world.notes if note.step is Step.TRANSFER and note.total]
    # One block each: on the classic bus one ECU after the other, the camera on its own bus beside the first of them.
    assert moved.index(CAMERA) < moved.index(BODY), "the FD bus waits for the classic one"
    assert moved.index(BRAKE) < moved.index(BODY)


def test_an_idle_poll_is_one_call_and_changes_nothing(world: World) -> None:
    world.run()
    world.once = False
    world.machine = None
    cycles = len(world.ended)
    # The first cycle after a start verifies what is stored and has the time attested; the second one reports that.
    world.run(lambda: len(world.ended) == cycles + 2)
    cycles = len(world.ended)
    world.effects.clear()
    records, polls = dict(world.records), len(world.director.polls)
    world.run(lambda: len(world.ended) == cycles + 3)
    assert [ended.finished.result for ended in world.ended[-3:]] == [Result.IDLE] * 3
    assert len(world.director.polls) == polls + 3
    assert not world.director.polls[-1].manifest
    assert len(needs(world, Poll)) == 3
    assert not needs(world, Attest, FetchMetadata, FetchBlock, Save, WriteBlob)
    assert world.records == records


def test_an_ecu_that_runs_what_is_assigned_is_held_and_proven() -> None:
    world = World()
    world.pair.set_images(2)
    for ecu in (BODY, CAMERA, PRIMARY):
        world.pair.director.entries[ecu] = Pair().director.entries[ecu]
    world.pair.image.issue()
    world.pair.director.issue()
    world.know()
    assert world.run().result is Result.DONE
    assert world.runs() == OLD | {BRAKE: NEW[BRAKE]}
    assert world.director.reports[BRAKE].state is EcuState.RELEASED
    assert world.director.reports[CAMERA].state is EcuState.IDLE
    # Held ECUs have verified the newer Targets, too: their reports say so, and older ones are too old for them now.
    version = world.pair.director.versions["targets"]
    assert {report.targets_version for report in world.director.reports.values()} == {version}


def test_an_ecu_without_an_entry_keeps_what_it_has() -> None:
    world = World()
    world.pair.set_images(2)
    del world.pair.director.entries[BODY]
    world.pair.image.issue()
    world.pair.director.issue()
    world.know()
    assert world.run().result is Result.DONE
    assert world.runs() == NEW | {BODY: OLD[BODY]}


def test_a_reissue_before_expiry_disturbs_nothing(world: World) -> None:
    world.run()
    world.effects.clear()
    world.pair.director.issue()
    assert world.once_more().result is Result.IDLE
    assert not needs(world, FetchBlock, FetchMetadata, Restart)
    version = world.pair.director.versions["targets"]
    assert {report.targets_version for report in world.director.reports.values()} == {version}


def test_a_chain_of_roots_reaches_every_ecu(world: World) -> None:
    for _ in range(3):
        world.pair.director.root()
        world.pair.image.root()
    assert world.run().result is Result.DONE
    assert {report.root_version for report in world.director.reports.values()} == {4}
    camera = world.nodes[CAMERA].state.held
    assert camera.image.root.value.header.version == 4


def test_delegated_targets_on_the_path_reach_a_full_secondary(world: World) -> None:
    world.run()
    camera = world.nodes[CAMERA].state.held.image.delegated
    assert set(camera) == {"dev", "release"}


def test_without_a_coordinator_one_ecu_updates_by_itself() -> None:
    world = World()
    world.pair.director.coordinator = None
    new = image("brakes/app-2", 2, HARDWARE[BRAKE])
    world.pair.offer(BRAKE, new, SUPPLIER)
    world.pair.image.issue()
    world.pair.director.issue()
    world.know()
    assert world.run().result is Result.DONE
    assert world.runs() == OLD | {BRAKE: NEW[BRAKE]}
    assert world.nodes[BRAKE].state.installation.last_phase is None


def test_without_a_coordinator_the_primary_updates_itself() -> None:
    world = World()
    world.pair.director.coordinator = None
    world.pair.offer(PRIMARY, image("primary/app-2", 2, HARDWARE[PRIMARY]), "targets")
    world.pair.image.issue()
    world.pair.director.issue()
    world.know()
    assert world.run().result is Result.DONE
    assert world.runs() == OLD | {PRIMARY: NEW[PRIMARY]}
    assert world.own.state is EcuState.RELEASED


def test_without_a_coordinator_a_bundle_of_several_is_refused(world: World) -> None:
    world.pair.director.coordinator = None
    world.pair.director.issue()
    assert world.run().result is Result.REFUSED
    assert world.runs() == OLD


def test_orders_come_from_the_ecu_that_the_targets_name(world: World) -> None:
    from tests.builders import STRANGER

    world.pair.director.coordinator = STRANGER
    world.pair.director.issue()
    assert world.run().result is Result.REFUSED
    assert world.runs() == OLD
    assert all(node.state.installation.last_phase is None for node in world.nodes.values())


def test_one_update_after_another(world: World) -> None:
    assert world.run().result is Result.DONE
    world.update(3)
    assert world.once_more().result is Result.DONE
    assert set(world.runs().values()) == {name.replace("-2", "-3") for name in NEW.values()}
    assert world.runs() == world.director.proven()
    assert {node.state.installation.last_phase for node in world.nodes.values()} == {Phase.RELEASE}


def test_a_silent_vehicle_state_holds_everything_before_the_first_restart(world: World) -> None:
    world.state = replace(world.state, parked=False)
    finished = world.run()
    assert finished.result is Result.WAITING
    assert "not parked" in finished.text
    assert world.runs() == OLD
    assert {node.state.installation.state for node in world.nodes.values()} == {EcuState.PREPARED}
    world.state = replace(world.state, parked=True, energy_s=60)
    assert "energy" in world.once_more().text
    world.state = replace(world.state, energy_s=10_000, consent=frozenset())
    assert "agreed" in world.once_more().text
    world.state = replace(world.state, consent=frozenset({world.pair.bundle()}))
    assert world.once_more().result is Result.DONE
    assert world.runs() == NEW


def test_the_primary_restarts_when_all_others_have_voted_and_not_before(world: World) -> None:
    world.burns = lambda effect: isinstance(effect, Perform) and isinstance(effect.need, Restart)
    world.fuse = 0
    with pytest.raises(PowerLost):
        world.run()
    assert {node.state.installation.state for node in world.nodes.values()} == {EcuState.VOTED}
    assert world.own.state is EcuState.TRIAL


def test_a_transfer_that_was_cut_off_is_not_begun_anew(world: World) -> None:
    def written(effect: object) -> bool:
        progress = world.nodes[BRAKE].state.other
        return progress is not None and progress.next_offset > 0

    world.burns, world.fuse = written, 0
    with pytest.raises(PowerLost):
        world.run()
    world.cut()
    assert world.once_more().result is Result.DONE
    assert world.nodes[BRAKE].state.installation.erases == 1


def own_nonces(world: World) -> set[bytes]:
    """What the Primary asked the time with since this was asked last, in calls for every ECU."""
    asked = [need.nonces for need in needs(world, Attest)]  # type: ignore[attr-defined]
    world.effects.clear()
    return {nonces[-1] for nonces in asked if len(nonces) == len(NEW)}


def test_a_nonce_changes_with_every_start_and_with_every_acceptance_and_not_otherwise(world: World) -> None:
    world.down = {"time"}
    world.run()
    first = own_nonces(world)
    assert len(first) == 1
    world.once_more()
    second = own_nonces(world)
    assert len(second) == 1
    world.down, world.once, world.machine = set(), False, None
    world.state = replace(world.state, parked=False)
    world.run(lambda: bool(world.ended) and world.ended[-1].finished.result is Result.WAITING and bool(world.machine))
    world.run(lambda: len(world.director.polls) > 8)
    third = own_nonces(world)
    world.pair.director.issue()
    world.run(lambda: world.nodes[BRAKE].state.targets.value.header.version == world.pair.director.versions["targets"])
    fourth = own_nonces(world)
    assert len(third) == len(fourth) == 1
    assert len(first | second | third | fourth) == 4
