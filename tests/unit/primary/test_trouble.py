"""What goes wrong around a Primary, and that it ends well: rolled back as a whole, completed as a whole, or waiting."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from primary.cycle import Result
from primary.needs import FetchBlock, FetchMetadata, Note, Perform, Poll, Save, Step
from primary.primary import RETRY_MS, RETRY_MS_MAX
from secondary.needs import Verdict
from secondary.readings import reading
from tests.builders import BODY, BRAKE, CAMERA, CODEC, DAY, HARDWARE, PRIMARY, SUPPLIER, PowerLost, image, key, sealed
from tests.unit.primary.world import NEW, OLD, World, texts
from uptane.errors import Check, StorageFailure
from uptane.link.uds_objects import encode_status, parse_status
from uptane.link.uds_tasks import Interlock
from uptane.link.uds_values import Did
from uptane.model.ids import Role
from uptane.model.reports import EcuState, Outcome, Phase, TimeAttestation


@pytest.fixture
def world() -> World:
    made = World()
    made.update()
    return made


def refusals(world: World, ecu: str = PRIMARY) -> set[int]:
    return {each.check for each in world.director.reports[ecu].refusals}  # type: ignore[index]


def stop_at(world: World, need: type, count: int = 1) -> None:
    """Run until the Primary is about to carry out its `count`th need of that kind, and cut its power there."""
    world.burns = lambda effect: isinstance(effect, Perform) and isinstance(effect.need, need)
    world.fuse = count - 1
    with pytest.raises(PowerLost):
        world.run()


def stop_when(world: World, stage: bytes) -> None:
    """Cut the Primary's power right after the journal says `stage`."""

    def burns(effect: Any) -> bool:
        return stage in world.records.get("transaction", b"") and isinstance(effect, Perform)

    world.burns, world.fuse = burns, 0
    with pytest.raises(PowerLost):
        world.run()
    world.cut()


# ------------------------------------------------------------------------------------------------------- the buses


@pytest.mark.parametrize("seed", range(4))
def test_one_frame_in_a_hundred_lost(seed: int) -> None:
    world = World(loss=0.01, seed=seed)
    world.update()
    for _ in range(4):
        world.once_more()
        if world.runs() == NEW == world.director.proven():
            return
    raise AssertionError(texts(world.notes))


def test_a_silent_secondary_holds_the_bundle_and_is_declared(world: World) -> None:
    world.nodes[BODY].dead = True
    finished = world.run()
    assert finished.result is Result.TRYING
    assert BODY in finished.text
    assert world.director.silent == {BODY}
    assert world.runs() == OLD
    assert world.nodes[BRAKE].state.installation.state is EcuState.PREPARED
    world.nodes[BODY].dead = False
    assert world.once_more().result is Result.DONE
    assert world.runs() == NEW == world.director.proven()
    assert not world.director.silent


def test_an_ecu_whose_interlock_is_unsafe_is_not_touched(world: World) -> None:
    world.nodes[CAMERA].interlock = Interlock.MOVING
    assert world.run().result is Result.TRYING
    assert world.nodes[CAMERA].state.installation.erases == 0
    assert world.runs() == OLD
    world.nodes[CAMERA].interlock = Interlock.SAFE
    assert world.once_more().result is Result.DONE


def test_an_interlock_that_closes_after_preparing_keeps_all_from_being_activated(world: World) -> None:
    world.state = replace(world.state, parked=False)
    world.run()
    world.state = replace(world.state, parked=True)
    world.nodes[CAMERA].interlock = Interlock.UNSAFE
    finished = world.once_more()
    assert finished.result is Result.WAITING
    assert "interlock" in finished.text
    assert {node.state.installation.last_phase for node in world.nodes.values()} == {None}


# ------------------------------------------------------------------------------------------------- the transaction


def test_one_failed_self_test_rolls_everybody_back(world: World) -> None:
    world.nodes[CAMERA].verdict = Verdict.FAILED
    finished = world.run()
    assert finished.result is Result.ROLLED_BACK
    assert world.runs() == OLD
    outcomes = {ecu: report.outcome for ecu, report in world.director.reports.items()}
    assert outcomes == {
        BRAKE: Outcome.ROLLED_BACK,
        BODY: Outcome.ROLLED_BACK,
        CAMERA: Outcome.SELF_TEST_FAILED,
        PRIMARY: Outcome.ROLLED_BACK,
    }
    assert Check.INSTALL_SELF_TEST.code in refusals(world, CAMERA)


def test_a_vote_is_what_an_ecu_signs_and_no_status(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Anybody on the bus can answer in an ECU's place that it has voted; the others would be committed without it."""

    def lying(state: Any, did: int) -> bytes | None:
        octets = reading(state, did)
        if did != Did.STATUS or octets is None or state.facts.own.ecu != BODY:
            return octets
        status = parse_status(octets)
        lies = b"activating" in world.records.get("transaction", b"") and status.state is EcuState.PREPARED
        return encode_status(replace(status, state=EcuState.VOTED)) if lies else octets

    monkeypatch.setattr("secondary.ecu.reading", lying)
    finished = world.run()
    assert finished.result is Result.ROLLED_BACK
    assert "body" in finished.text
    assert world.runs() == OLD


def test_an_ecu_that_was_bound_to_newer_targets_behind_our_back_holds_up_nothing(world: World) -> None:
    """Anyone may deliver genuine Targets: one that is prepared and not yet ordered takes no orders under ours then."""
    world.run(until=lambda: b"activating" in world.records.get("transaction", b""))
    body = world.nodes[BODY].state
    body.installation = replace(body.installation, targets_version=body.installation.targets_version + 1)
    newer = replace(body.targets.value, header=replace(body.targets.value.header, version=99))
    body.held = replace(body.held, director=replace(body.held.director, targets=replace(body.targets, value=newer)))
    assert world.run().result is Result.ROLLED_BACK
    assert world.runs() == OLD


def test_nobody_is_handed_a_time_that_was_held_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Image repository crawls between the call to the time service and the Secondaries."""
    remote, delays = world._remote, [20 * 60_000]

    def crawling(need: Any) -> Any:
        if isinstance(need, FetchMetadata) and delays:
            world.now += delays.pop()
        return remote(need)

    monkeypatch.setattr(world, "_remote", crawling)
    world.run()
    for node in world.nodes.values():
        assert world.utc - node.state.held.clock.time < 300


def test_a_bundle_that_was_rolled_back_is_tried_again_only_when_it_is_issued_again(world: World) -> None:
    world.nodes[CAMERA].verdict = Verdict.FAILED
    world.run()
    world.nodes[CAMERA].verdict = Verdict.PASSED
    world.effects.clear()
    assert world.once_more().result is Result.IDLE
    assert world.runs() == OLD
    world.pair.director.issue()
    assert world.once_more().result is Result.DONE
    assert world.runs() == NEW


def test_the_primarys_own_failed_self_test_rolls_everybody_back(world: World) -> None:
    world.self_test = False
    finished = world.run()
    assert finished.result is Result.ROLLED_BACK
    assert world.runs() == OLD
    assert world.director.reports[PRIMARY].outcome is Outcome.SELF_TEST_FAILED
    assert world.director.reports[BRAKE].outcome is Outcome.ROLLED_BACK


def test_new_software_whose_manifest_the_director_refuses_is_given_up(world: World) -> None:
    stop_when(world, b"activating")
    world.run(lambda: world.own.state is EcuState.TRIAL)
    world.director.refuse_all = True
    world.run(lambda: world.own.state is EcuState.IDLE)
    world.director.refuse_all = False
    assert world.run().result is Result.ROLLED_BACK
    assert world.runs() == OLD


def test_absence_of_a_network_never_reverts(world: World) -> None:
    stop_when(world, b"activating")
    world.run(lambda: world.own.state is EcuState.TRIAL)
    world.down = {"director", "time", "image"}
    assert world.run().result is Result.UNREACHABLE
    assert world.runs() == NEW
    assert {node.state.installation.state for node in world.nodes.values()} == {EcuState.RELEASED}
    world.down = set()
    world.once_more()
    assert world.director.proven() == NEW


def test_new_software_that_hears_no_ecu_is_given_up(world: World) -> None:
    stop_when(world, b"activating")
    world.run(lambda: world.own.state is EcuState.TRIAL)
    for node in world.nodes.values():
        node.dead = True
    world.run(lambda: world.own.state is EcuState.IDLE)
    for node in world.nodes.values():
        node.dead = False
    assert world.run().result is Result.ROLLED_BACK
    assert world.runs() == OLD


def test_newer_targets_cancel_what_is_only_prepared(world: World) -> None:
    world.state = replace(world.state, parked=False)
    assert world.run().result is Result.WAITING
    world.update(3)
    world.state = replace(world.state, parked=True)
    assert world.once_more().result is Result.DONE
    assert world.runs() == {ecu: name.replace("-2", "-3") for ecu, name in NEW.items()}


def test_newer_targets_wait_until_what_has_begun_is_over(world: World) -> None:
    stop_when(world, b"committing")
    world.update(3)
    assert world.once_more().result is Result.DONE
    released = [need.octets for need in saved(world, "transaction") if b"releasing" in need.octets]
    assert len(released) == 2, "the second bundle follows the first"
    assert world.runs() == {ecu: name.replace("-2", "-3") for ecu, name in NEW.items()} == world.director.proven()


def saved(world: World, name: str) -> list[Save]:
    found = [effect.need for effect in world.effects if isinstance(effect, Perform)]
    return [need for need in found if isinstance(need, Save) and need.name == name]


def test_a_reissue_binds_what_is_prepared(world: World) -> None:
    world.state = replace(world.state, parked=False)
    world.run()
    writes = {ecu: node.state.installation.erases for ecu, node in world.nodes.items()}
    world.pair.director.issue()
    assert world.once_more().result is Result.WAITING
    version = world.pair.director.versions["targets"]
    assert {node.state.installation.targets_version for node in world.nodes.values()} == {version}
    world.state = replace(world.state, parked=True)
    assert world.once_more().result is Result.DONE
    assert {ecu: node.state.installation.erases for ecu, node in world.nodes.items()} == writes


def test_a_lost_acknowledgement_of_commit_is_asked_for_again(world: World) -> None:
    lost: list[int] = []

    def after_commit(bus: str, _frame: Any) -> bool:
        body = world.nodes[BODY].state.installation
        hit = bus == "classic" and body.last_phase is Phase.COMMIT and len(lost) < 30
        lost.extend([1] * hit)
        return hit

    world.lose = after_commit
    for _ in range(3):
        world.once_more()
    assert lost
    assert world.runs() == NEW == world.director.proven()


def test_commit_is_carried_to_an_ecu_that_was_away(world: World) -> None:
    stop_when(world, b"committing")
    world.nodes[BODY].dead = True
    finished = world.once_more()
    assert finished.result is Result.TRYING
    assert world.nodes[BRAKE].state.installation.state is EcuState.COMMITTED, "release waits for everybody"
    assert world.director.silent == {BODY}
    world.nodes[BODY].dead = False
    world.nodes[BODY].now = world.now
    world.nodes[BODY].power_up()
    assert world.once_more().result is Result.DONE
    assert world.runs() == NEW


def test_an_ecu_that_died_for_good_is_left_out_once_the_director_leaves_it_out(world: World) -> None:
    stop_when(world, b"committing")
    world.nodes[BODY].dead = True
    assert world.once_more().result is Result.TRYING
    del world.pair.director.entries[BODY]
    world.pair.director.issue()
    world.once_more()
    world.once_more()
    states = {ecu: node.state.installation.state for ecu, node in world.nodes.items() if ecu != BODY}
    assert set(states.values()) == {EcuState.RELEASED}
    # and the others go on without it, until it is back
    world.pair.set_images(3)
    del world.pair.director.entries[BODY]
    world.pair.image.issue()
    world.pair.director.issue()
    world.know()
    assert Result.DONE in {world.once_more().result for _ in range(4)}
    assert {name for ecu, name in world.runs().items() if ecu != BODY} == {
        f"{name.partition('/')[0]}/app-3" for ecu, name in NEW.items() if ecu != BODY
    }
    world.nodes[BODY].dead = False
    world.nodes[BODY].now = world.now
    world.nodes[BODY].power_up()
    for _ in range(4):
        world.once_more()
    assert world.nodes[BODY].state.installation.state not in {EcuState.VOTED, EcuState.TRIAL}


def test_what_an_unheard_ecu_may_have_been_told_is_not_rolled_back(world: World) -> None:
    """The journal is gone, whoever has committed is away, and another one has voted."""
    stop_when(world, b"committing")
    world.run(lambda: world.nodes[BRAKE].state.installation.state is EcuState.COMMITTED)
    world.cut()
    for name in [name for name in world.records if not name.startswith("metadata/") and name != "installed/own"]:
        del world.records[name]
    world.director.counter, world.director.admitted = 0, b""
    world.director.reports.clear()
    world.nodes[BRAKE].dead = True
    for _ in range(2):
        assert world.once_more().result is Result.TRYING
    assert world.nodes[BODY].state.installation.state is not EcuState.IDLE
    world.nodes[BRAKE].dead = False
    world.nodes[BRAKE].now = world.now
    world.nodes[BRAKE].power_up()
    for _ in range(3):
        world.once_more()
    assert world.runs() == NEW
    assert {node.state.installation.state for node in world.nodes.values()} == {EcuState.RELEASED}


def test_an_ecu_that_stays_away_after_activation_began_rolls_the_others_back(world: World) -> None:
    stop_when(world, b"activating")
    world.nodes[CAMERA].dead = True
    assert world.once_more().result is Result.TRYING
    world.nodes[CAMERA].dead = False
    assert world.once_more().result is Result.ROLLED_BACK
    assert world.runs() == OLD


def test_an_ecu_with_one_slot_is_written_last_and_its_old_image_is_kept(world: World) -> None:
    layout = world.means.layout
    one = replace(
        layout, secondaries=tuple(replace(each, slots=1 if each.ecu == BRAKE else 2) for each in layout.secondaries)
    )
    assert one.activation_order(frozenset(NEW)) == (BODY, CAMERA, BRAKE, PRIMARY)
    old = world.pair.factory[BRAKE].sha256.hex()
    kept: list[bool] = []

    class OneSlot(World):
        @property
        def means(self) -> Any:
            return replace(super().means, layout=one)

    world = OneSlot()
    world.update()

    class Watched(list[Note]):
        def append(self, note: Note) -> None:
            super().append(note)
            if note.step is Step.TRANSFER and note.ecu == BRAKE:
                kept.append(old in world.cache)

    world.notes = Watched()
    assert world.run().result is Result.DONE
    assert world.runs() == NEW
    assert kept == [True], "the old image is at hand while the new one is written"
    activated = [note.ecu for note in world.notes if note.step is Step.ACTIVATE and note.text == "activates"]
    assert activated == [BODY, CAMERA, BRAKE]
    assert b'"safeSet": ["brake-1"]' in saved(world, "transaction")[0].octets


# ---------------------------------------------------------------------------------------------------- the servers


@pytest.mark.parametrize("server", ["director", "image"])
def test_a_server_that_is_down_is_waited_for_with_growing_pauses(world: World, server: str) -> None:
    world.down, world.once = {server}, False
    world.run(lambda: len(world.ended) == 12)
    assert {ended.finished.result for ended in world.ended} == {Result.UNREACHABLE}
    pauses = [ended.pause_ms for ended in world.ended if ended.pause_ms is not None]
    assert pauses == sorted(pauses)
    assert RETRY_MS // 2 <= pauses[0] <= RETRY_MS
    assert RETRY_MS_MAX // 2 <= pauses[-1] <= RETRY_MS_MAX
    world.down = set()
    world.run(lambda: world.ended[-1].finished.result is Result.DONE)
    assert world.runs() == NEW


def test_without_attested_time_all_is_prepared_and_nothing_activated(world: World) -> None:
    world.down = {"time"}
    finished = world.run()
    assert finished.result is Result.WAITING
    assert "no time has been attested" in finished.text
    assert {node.state.installation.state for node in world.nodes.values()} == {EcuState.PREPARED}
    world.down = set()
    assert world.once_more().result is Result.DONE


def test_a_time_service_that_starts_in_1970_is_refused(world: World) -> None:
    epoch, world.epoch = world.epoch, 0
    finished = world.run()
    assert finished.result is Result.REFUSED
    assert "TIME_BACKWARDS" in finished.text
    assert world.runs() == OLD
    world.epoch = epoch
    assert world.once_more().result is Result.DONE


def test_expired_metadata_are_refused_and_reported_and_wedge_nothing(world: World) -> None:
    world.epoch += 3 * DAY
    finished = world.run()
    assert finished.result is Result.REFUSED
    assert refusals(world) == {Check.TIMESTAMP_EXPIRED.code}
    assert world.runs() == OLD
    world.pair.now = world.utc
    for repo in (world.pair.director, world.pair.image):
        repo.lasting = 30 * DAY
    world.pair.image.issue()
    world.pair.director.issue()
    assert world.once_more().result is Result.DONE
    assert not refusals(world), "counted until the next release"


def test_a_director_that_holds_back_news_is_noticed(world: World) -> None:
    world.run()
    world.once, world.machine = False, None
    world.run(lambda: world.ended[-1].finished.result is Result.REFUSED, limit_s=4 * DAY)
    assert "TIMESTAMP_EXPIRED" in world.ended[-1].finished.text


def test_a_swapped_image_is_refused_counted_and_not_handed_on(world: World) -> None:
    brake = world.pair.director.entries[BRAKE].image
    world.images[brake.sha256] = replace(world.images[brake.sha256], release_counter=7)
    finished = world.run()
    assert finished.result is Result.REFUSED
    assert refusals(world) == {Check.INSTALL_HASH.code}
    assert brake.sha256.hex() not in world.cache
    assert world.nodes[BRAKE].state.installation.erases == 0
    world.know()
    assert world.once_more().result is Result.DONE


def test_a_download_resumes(world: World) -> None:
    big = image("brakes/app-2", 2, HARDWARE[BRAKE])
    assert big.length < 1_000
    stop_at(world, FetchBlock, 3)
    world.cut()
    fetched = len([each for each in world.effects if isinstance(each, Perform) and isinstance(each.need, FetchBlock)])
    assert world.once_more().result is Result.DONE
    total = len([each for each in world.effects if isinstance(each, Perform) and isinstance(each.need, FetchBlock)])
    assert (fetched, total) == (2, 4)


def test_a_director_that_lost_its_memory_asks_for_the_manifest(world: World) -> None:
    world.run()
    world.director.admitted = b""
    world.director.counter = 0
    world.once_more()
    assert world.director.polls[-1].manifest or world.director.polls[-2].manifest
    assert world.director.admitted


# ------------------------------------------------------------------------------------------------------ the storage


def test_a_full_disk_is_said_and_nothing_moves(world: World) -> None:
    world.free = 1_000
    finished = world.run()
    assert finished.result is Result.STORAGE
    assert "free" in finished.text
    assert world.runs() == OLD
    assert not [each for each in world.effects if isinstance(each, Perform) and isinstance(each.need, FetchBlock)]
    world.free = 10_000_000
    assert world.once_more().result is Result.DONE


@pytest.mark.parametrize("after", range(0, 40, 3))
def test_a_disk_that_fills_up_in_the_middle(world: World, after: int) -> None:
    world.burns = lambda effect: isinstance(effect, Perform) and isinstance(effect.need, Save)
    world.fuse = after
    with pytest.raises(PowerLost):
        world.run()
    world.cut()
    world.full_disk = True
    world.machine = None
    outcome = world.run()
    assert isinstance(outcome, StorageFailure) or outcome.result in {Result.STORAGE, Result.UNREACHABLE}
    world.full_disk = False
    for _ in range(3):
        world.once_more()
    assert world.runs() in (OLD, NEW)
    assert set(world.director.proven().values()) <= set(world.runs().values())


@pytest.mark.parametrize(
    "name",
    ["reports/primary-1", "manifest/latest", "manifest/admitted", "nonces", "installed/refusals", "reports-silent"],
)
def test_a_record_that_can_be_made_anew_is(world: World, name: str) -> None:
    world.run()
    world.broken.add(name)
    world.update(3)
    for _ in range(3):
        world.once_more()
    assert world.runs() == {ecu: each.replace("-2", "-3") for ecu, each in NEW.items()} == world.director.proven()


def test_a_time_key_that_changes_in_the_middle_ends_the_transaction(world: World) -> None:
    """The new Root is taken only once nothing is under way; until then no time can be had."""

    def starts_itself(effect: Any) -> bool:
        own = isinstance(effect, Perform) and isinstance(effect.need, Save) and effect.need.name == "installed/own"
        return own and b"activating" in world.records["transaction"]

    world.burns, world.fuse = starts_itself, 0
    with pytest.raises(PowerLost):
        world.run()
    world.cut()
    newer = key("time 2")
    world.pair.director.keys[Role.TIME] = [newer]
    world.pair.director.root()
    world.attest = lambda nonce: sealed(CODEC.encode(TimeAttestation(1, world.utc, nonce)), [newer])  # type: ignore[method-assign]
    assert world.once_more().result is Result.ROLLED_BACK
    assert world.runs() == OLD
    world.update(3)
    world.once_more()
    assert world.runs() == {ecu: each.replace("-2", "-3") for ecu, each in NEW.items()}


@pytest.mark.parametrize("lost", [False, True])
def test_no_counter_is_used_again_when_the_newest_copy_of_its_record_is_damaged(world: World, *, lost: bool) -> None:
    """Neither of a nonce nor of a report or manifest: the Director would take the second for a replay."""
    names = ("nonces", "reports/primary-1", "manifest/latest")
    older: dict[str, bytes] = {}
    world.run(lambda: bool(world.director.admitted))
    older = {name: world.records[name] for name in names}
    polls = len(world.director.polls)
    world.run(
        lambda: world.records["manifest/latest"] != older["manifest/latest"] and len(world.director.polls) > polls
    )
    before = {name: world.records[name] for name in names}
    world.cut(vehicle=True)
    world.records |= older
    world.damaged += names
    world.broken |= set(names if lost else ())
    for _ in range(3):
        world.once_more()
    assert not world.director.refusals
    assert json.loads(world.records["nonces"])["numbers"]["drawn"] > json.loads(before["nonces"])["numbers"]["drawn"]
    assert world.director.reports[PRIMARY].counter > 1_000_000_000, "the time"


def test_damaged_metadata_are_fetched_again(world: World) -> None:
    world.run()
    world.broken |= {"metadata/director/targets", "metadata/director/timestamp", "metadata/image/snapshot"}
    world.update(3)
    assert world.once_more().result is Result.DONE


def test_a_damaged_record_is_reported(world: World) -> None:
    world.damaged.append("manifest/latest")
    world.state = replace(world.state, parked=False)
    world.run()
    assert refusals(world) == {Check.STATE_DAMAGED.code}


def test_a_damaged_installation_stops_with_a_clear_error(world: World) -> None:
    world.broken.add("installed/own")
    outcome = world.run()
    assert isinstance(outcome, StorageFailure)
    assert "installed/own" in str(outcome)


@pytest.mark.parametrize("stage", [b"activating", b"committing", b"releasing"])
def test_a_lost_journal_is_learnt_from_the_ecus(world: World, stage: bytes) -> None:
    stop_when(world, stage)
    world.broken.add("transaction")
    for _ in range(3):
        world.once_more()
    assert world.runs() in (OLD, NEW)
    states = {node.state.installation.state for node in world.nodes.values()} | {world.own.state}
    assert states <= {EcuState.IDLE, EcuState.RELEASED}


def test_the_image_repository_is_asked_only_for_what_is_to_be_installed(world: World) -> None:
    world.run()
    world.effects.clear()
    world.pair.director.issue()
    world.once_more()
    kinds = [type(effect.need) for effect in world.effects if isinstance(effect, Perform)]
    assert FetchMetadata not in kinds
    assert FetchBlock not in kinds
    assert Poll in kinds
    assert SUPPLIER


@pytest.mark.parametrize("stage", [b"activating", b"committing", b"releasing"])
def test_a_primary_that_was_replaced_ends_what_the_old_one_began(world: World, stage: bytes) -> None:
    stop_when(world, stage)
    del world.records["transaction"]
    for _ in range(3):
        world.once_more()
    assert world.runs() in (OLD, NEW)
    states = {node.state.installation.state for node in world.nodes.values()} | {world.own.state}
    assert states <= {EcuState.IDLE, EcuState.RELEASED}


def test_a_shut_gate_is_watched_without_asking_the_servers(world: World) -> None:
    world.state, world.once = replace(world.state, parked=False), False
    world.run(lambda: bool(world.ended) and world.ended[-1].finished.result is Result.WAITING)
    polls, now = len(world.director.polls), world.now
    world.run(lambda: world.now > now + 45_000)
    assert len(world.director.polls) == polls
    world.state = replace(world.state, parked=True)
    world.run(lambda: world.ended[-1].finished.result is Result.DONE)
    assert world.now < now + 60_000, "it does not wait for the next poll"
    assert world.runs() == NEW
