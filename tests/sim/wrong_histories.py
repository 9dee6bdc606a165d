"""Histories that must not be, by the rule that has to fire, and no other."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256

from primary import journal as journals
from primary.journal import Journal, Stage
from primary.needs import LookAtVehicle, Poll, Versions
from primary.state import ADMITTED, MANIFEST, NONCES, REPORTS, TRANSACTION, numbers_out
from secondary.needs import EraseSlot, PowerCycle, Running, WriteSlot
from secondary.state import NONCE
from sim.issued import read
from sim.keys import key
from sim.plan import Act, Fault
from sim.rules import Rule
from sim.secondary_node import SecondaryNode
from sim.signatures import CODEC
from sim.truth import DIRECTOR, IMAGE, TARGETS, TIME
from tests.sim.scene import BRAKE, CAMERA, HEAD, OTHER, VEHICLE, Scene, plan
from uptane.model.ids import EcuId, Filename, HardwareId
from uptane.model.metadata import DirectorTargets, Image
from uptane.model.reports import EcuReport, EcuState, Outcome, Phase, VehicleManifest
from uptane.moments import UtcTime
from uptane.verify.image import Content
from uptane.verify.signing import sign

ANYTHING_NEW = Poll(b"", b"", Versions(0, 0, 0, 0))


def in_state(ecu: EcuId, state: EcuState) -> Scene:
    scene = Scene()
    return scene.until(lambda: scene.installation(ecu).state is state)


def about_to_prepare(ecu: EcuId) -> Scene:
    """All of the image is written, and nothing judged yet."""
    scene = Scene()
    node = scene.secondary(ecu)
    return scene.until(lambda: (mark := node.slots[1].progress()) is not None and mark.next_offset == 512)


def prepares_what_nobody_assigned() -> Scene:
    scene = Scene().ended()
    now = scene.installation(BRAKE)
    node = scene.secondary(BRAKE)
    node.slots[now.other].install(b"evil" * 128)
    evil = replace(now.image, filename=Filename("evil/app"), sha256=sha256(b"evil" * 128).digest(), length=512)
    images = (evil, now.images[1]) if now.other == 0 else (now.images[0], evil)
    scene.install(BRAKE, state=EcuState.PREPARED, images=images, last_phase=None, outcome=Outcome.NONE)
    return scene


def prepares_a_slot_that_holds_something_else() -> Scene:
    scene = about_to_prepare(BRAKE)
    flash = scene.secondary(BRAKE).slots[1]
    content = flash.content

    def rots_when_it_was_read(length: int) -> Content:
        found = content(length)
        flash.flip(7, 1)
        return found

    flash.content = rots_when_it_was_read  # type: ignore[method-assign]
    return scene.until(lambda: scene.judge.violations)


def reissued(scene: Scene) -> bytes:
    """Newer Targets with the same entries."""
    director = scene.servers.director
    director.records.vehicles[VEHICLE] = replace(scene.recorded, reissue=True)
    director.poll(VEHICLE, ANYTHING_NEW)
    assert scene.recorded.issued is not None
    return scene.recorded.issued.targets


def prepares_under_superseded_targets() -> Scene:
    """Newer Targets are durable, and the ECU acts on those it still has in mind."""
    scene = about_to_prepare(BRAKE)
    scene.write(BRAKE, TARGETS, reissued(scene))
    return scene.until(lambda: scene.judge.violations)


def prepares_under_expired_targets() -> Scene:
    scene = about_to_prepare(CAMERA)
    targets = scene.truth(CAMERA).targets
    clock = json.loads(scene.octets(CAMERA, TIME))
    scene.judge._answers = None
    scene.write(CAMERA, TIME, json.dumps(clock | {"time": targets.header.expires + 10}).encode())
    return scene.until(lambda: scene.judge.violations)


def prepares_without_the_image_repository() -> Scene:
    scene = about_to_prepare(CAMERA)
    scene.erase_record(CAMERA, IMAGE + "role/supplier")
    return scene.until(lambda: scene.judge.violations)


def starts_what_was_superseded() -> Scene:
    scene = in_state(BRAKE, EcuState.PREPARED)
    scene.until(lambda: journal_of(scene).stage is Stage.ACTIVATING)
    scene.write(BRAKE, TARGETS, reissued(scene))
    scene.install(BRAKE, last_phase=Phase.ACTIVATE)
    return scene


def prepares_for_other_hardware() -> Scene:
    scene = about_to_prepare(BRAKE)
    truth = scene.truth(BRAKE)
    truth.own = replace(truth.own, hardware="other-hw")
    return scene.until(lambda: scene.judge.violations)


def boots_what_was_never_prepared() -> Scene:
    scene = Scene().ended()
    scene.truth(BRAKE).authorised.clear()
    node = scene.secondary(BRAKE)
    node.cut()
    node.power_up()
    return scene.until(lambda: scene.judge.violations)


def journal_of(scene: Scene) -> Journal:
    journal = scene.judge._vehicles[VEHICLE].journal.journal
    assert journal is not None
    return journal


def lowers_its_counter() -> Scene:
    scene = Scene().ended()
    scene.install(CAMERA, released_counter=1)
    return scene


def raises_its_counter_too_early() -> Scene:
    scene = in_state(BRAKE, EcuState.VOTED)
    scene.install(BRAKE, released_counter=2)
    return scene


def releases_without_counting() -> Scene:
    scene = in_state(HEAD, EcuState.COMMITTED)
    scene.until(lambda: journal_of(scene).stage is Stage.RELEASING)
    now = scene.installation(HEAD)
    scene.install(HEAD, state=EcuState.RELEASED, home=now.other, last_phase=Phase.RELEASE)
    return scene


def boots_a_broken_slot() -> Scene:
    scene = Scene().ended()
    node = scene.secondary(BRAKE)
    node.cut()
    node.slots[scene.installation(BRAKE).home].flip(3, 1)
    node.power_up()
    return scene


def boots_another_slot_than_its_record_says() -> Scene:
    scene = Scene().ended()
    scene.judge.after(scene.node(BRAKE), Running(0, "fleet/old"))
    return scene


def forgets_what_it_admitted() -> Scene:
    scene = Scene()
    scene.until(lambda: scene.recorded.admission is not None)
    before = scene.recorded
    scene.ended()
    scene.servers.director.records.vehicles[VEHICLE] = replace(scene.recorded, ecus=before.ecus)
    scene.judge.issued(VEHICLE, {})
    return scene


def forgets_a_manifest() -> Scene:
    scene = Scene().ended()
    admission = scene.recorded.admission
    assert admission is not None
    older = replace(scene.recorded, admission=replace(admission, counter=admission.counter - 1))
    scene.servers.director.records.vehicles[VEHICLE] = older
    scene.judge.issued(VEHICLE, {})
    return scene


def hears_what_the_director_did_not_keep() -> Scene:
    scene = Scene().ended()
    admission = scene.recorded.admission
    assert admission is not None
    older = replace(scene.recorded, admission=replace(admission, counter=admission.counter - 1))
    scene.servers.director.records.vehicles[VEHICLE] = older
    for digest in (bytes(32), admission.digest):
        scene.write(HEAD, ADMITTED, digest)
    return scene


def calls_a_dead_ecu_alive() -> Scene:
    scene = Scene().ended()
    scene.node(BRAKE).cut()
    for _ in range(3):
        assert not scene.judge.violations
        scene.judge.after(scene.primary, ANYTHING_NEW)
    return scene


def believes_what_was_only_voted() -> Scene:
    scene = in_state(CAMERA, EcuState.VOTED)
    record = scene.recorded.find(CAMERA)
    assert record is not None
    assert record.assigned is not None
    proven = replace(record, assigned=replace(record.assigned, proven=True))
    scene.servers.director.records.vehicles[VEHICLE] = scene.recorded.with_records({CAMERA: proven})
    scene.judge.issued(VEHICLE, {})
    return scene


def believes_a_forged_report() -> Scene:
    scene = Scene().ended()
    record = scene.recorded.find(CAMERA)
    assert record is not None
    assert record.reported is not None
    forged = replace(record.reported, message=b"forged")
    vehicle = scene.recorded.with_records({CAMERA: replace(record, reported=forged)})
    scene.servers.director.records.vehicles[VEHICLE] = vehicle
    scene.judge.issued(VEHICLE, {})
    return scene


def admits_a_manifest_that_nobody_made() -> Scene:
    scene = Scene().ended()
    scene.judge.acknowledged(VEHICLE, bytes(32))
    return scene


def latest_report(scene: Scene, ecu: EcuId) -> EcuReport:
    file = read(scene.octets(HEAD, REPORTS + ecu))
    assert file is not None
    assert isinstance(file.value, EcuReport)
    return file.value


def reports_what_never_was() -> Scene:
    scene = Scene().ended()
    said = latest_report(scene, BRAKE)
    lie = replace(said, counter=said.counter + 1, released_counter=said.released_counter + 1)
    scene.write(HEAD, REPORTS + BRAKE, scene.signed(BRAKE, lie))
    return scene


def reports_what_was_long_ago() -> Scene:
    """What a Secondary says on trial, withheld and said again after release."""
    scene = Scene().ended()
    said = latest_report(scene, BRAKE)
    factory = scene.truth(BRAKE).factory
    old = replace(said, counter=said.counter + 1, state=EcuState.IDLE, outcome=Outcome.NONE, bundle=None)
    old = replace(old, image=factory, released_counter=1)
    scene.write(HEAD, REPORTS + BRAKE, scene.signed(BRAKE, old))
    return scene


def keeps_a_report_of_somebody_else() -> Scene:
    scene = Scene().ended()
    said = latest_report(scene, BRAKE)
    forged = replace(said, counter=said.counter + 1)
    scene.write(HEAD, REPORTS + BRAKE, scene.signed(CAMERA, forged))
    return scene


def signs_a_counter_twice() -> Scene:
    scene = Scene().ended()
    said = latest_report(scene, BRAKE)
    scene.write(HEAD, REPORTS + BRAKE, scene.signed(BRAKE, replace(said, time=UtcTime(said.time + 1))))
    return scene


def signs_a_manifest_twice() -> Scene:
    scene = Scene().ended()
    file = read(scene.octets(HEAD, MANIFEST))
    assert file is not None
    assert isinstance(file.value, VehicleManifest)
    other = replace(file.value, entries=file.value.entries[:-1])
    scene.write(HEAD, MANIFEST, scene.signed(HEAD, other))
    return scene


def draws_a_nonce_twice() -> Scene:
    scene = Scene().ended()
    scene.write(BRAKE, NONCE, (int.from_bytes(scene.octets(BRAKE, NONCE)) - 1).to_bytes(4))
    return scene


def draws_a_nonce_of_the_primary_twice() -> Scene:
    scene = Scene().ended()
    scene.write(HEAD, NONCES, numbers_out({"drawn": 1}))
    return scene


def takes_two_answers_to_one_nonce() -> Scene:
    scene = Scene().ended()
    clock = json.loads(scene.octets(BRAKE, TIME))
    scene.judge._answers = None
    for later in (1, 2):
        assert not scene.judge.violations
        scene.write(BRAKE, TIME, json.dumps(clock | {"time": clock["time"] + later}).encode())
    return scene


def takes_older_targets() -> Scene:
    scene = Scene().ended()
    scene.write(BRAKE, TARGETS, scene.judge.said.targets[VEHICLE, 1])
    return scene


def drops_targets_that_still_hold() -> Scene:
    scene = Scene().ended()
    scene.erase_record(CAMERA, DIRECTOR + "timestamp")
    return scene


def sets_its_clock_back() -> Scene:
    scene = Scene().ended()
    clock = json.loads(scene.octets(BRAKE, TIME))
    scene.judge._answers = None
    scene.write(BRAKE, TIME, json.dumps(clock | {"time": clock["time"] - 1}).encode())
    return scene


def leaves_out_a_root() -> Scene:
    scene = Scene(plan((500, Act.RENEW, "director"), (600, Act.RENEW, "director")))
    scene.until(lambda: len(scene.servers.director.records.roots) == 3)
    for node in scene.nodes():
        node.cut()
    scene.write(BRAKE, DIRECTOR + "root", scene.servers.director.records.roots[2])
    return scene


def issues_a_version_twice() -> Scene:
    scene = Scene().ended()
    octets = scene.judge.said.targets[VEHICLE, 1]
    file = read(octets)
    assert file is not None
    assert isinstance(file.value, DirectorTargets)
    header = replace(file.value.header, expires=UtcTime(file.value.header.expires + 1))
    other = sign(CODEC, replace(file.value, header=header), [key("director targets 1")])
    scene.judge.issued(VEHICLE, {"1.targets": other})
    return scene


def decides_twice() -> Scene:
    scene = in_state(BRAKE, EcuState.COMMITTED)
    journal = journal_of(scene)
    scene.write(HEAD, TRANSACTION, journals.dump(journals.Transactions(replace(journal, stage=Stage.ROLLING_BACK))))
    return scene


def commits_before_all_have_voted() -> Scene:
    scene = in_state(BRAKE, EcuState.VOTED)
    journal = journal_of(scene)
    scene.write(HEAD, TRANSACTION, journals.dump(journals.Transactions(journal.at(Stage.COMMITTING))))
    return scene


def with_an_unknown_slot() -> tuple[Scene, SecondaryNode, int]:
    scene = Scene().ended()
    now = scene.installation(BRAKE)
    images = (now.images[0], None) if now.other else (None, now.images[1])
    scene.install(BRAKE, images=images)
    return scene, scene.secondary(BRAKE), now.other


def releases_before_all_have_committed() -> Scene:
    scene = in_state(BRAKE, EcuState.COMMITTED)
    assert scene.installation(HEAD).state is EcuState.VOTED
    scene.write(HEAD, TRANSACTION, journals.dump(journals.Transactions(journal_of(scene).at(Stage.RELEASING))))
    return scene


def gives_up_an_ecu_by_itself() -> Scene:
    scene = in_state(BRAKE, EcuState.COMMITTED)
    excusing = replace(journal_of(scene), excused=(CAMERA,))
    scene.write(HEAD, TRANSACTION, journals.dump(journals.Transactions(excusing)))
    return scene


def starts_out_of_turn() -> Scene:
    scene = in_state(BRAKE, EcuState.PREPARED)
    scene.until(lambda: journal_of(scene).stage is Stage.ACTIVATING)
    scene.install(CAMERA, last_phase=Phase.ACTIVATE)
    assert not scene.judge.violations
    scene.install(CAMERA, state=EcuState.TRIAL)
    return scene


def erases_for_ever() -> Scene:
    scene, node, slot = with_an_unknown_slot()
    for _ in range(5):
        assert not scene.judge.violations
        node.slots[slot].erase(bytes(32))
        scene.judge.after(node, EraseSlot(slot, bytes(32)))
    return scene


def writes_what_it_runs() -> Scene:
    scene = Scene().ended()
    scene.judge.after(scene.node(BRAKE), WriteSlot(scene.installation(BRAKE).running, 0, b"x"))
    return scene


def does_not_arrive() -> Scene:
    scene = in_state(CAMERA, EcuState.VOTED)
    scene.judge.settled(scene.operators.wanted)
    return scene


def takes_what_was_never_issued() -> Scene:
    scene = Scene().ended()
    targets = scene.truth(BRAKE).targets
    forged = replace(targets, header=replace(targets.header, version=targets.header.version + 1))
    scene.write(BRAKE, TARGETS, sign(CODEC, forged, [key("director targets 1")]))
    return scene


def takes_targets_of_another_vehicle() -> Scene:
    scene = Scene(plan((1_000, Act.ASSIGN, "v1"), (1_000, Act.ASSIGN, "v2"), vehicles=2)).ended()
    newest = max(version for vehicle, version in scene.judge.said.targets if vehicle == OTHER)
    scene.truth(BRAKE).floors.clear()
    scene.write(BRAKE, TARGETS, scene.judge.said.targets[OTHER, newest])
    return scene


def takes_a_time_that_nobody_attested() -> Scene:
    scene = Scene().ended()
    clock = json.loads(scene.octets(BRAKE, TIME))
    scene.write(BRAKE, TIME, json.dumps(clock | {"time": clock["time"] + 1}).encode())
    return scene


def starts_without_attested_time() -> Scene:
    scene = Scene()
    scene.until(lambda: scene.installation(CAMERA).last_phase is Phase.ACTIVATE)
    assert scene.installation(CAMERA).state is EcuState.PREPARED
    for node in scene.nodes():
        node.cut()
    node = scene.secondary(CAMERA)
    node.power_up()
    scene.install(CAMERA, state=EcuState.TRIAL)
    return scene


def goes_where_no_arrow_leads() -> Scene:
    scene = in_state(BRAKE, EcuState.VOTED)
    scene.install(BRAKE, state=EcuState.PREPARED)
    return scene


def falls_back_to_another_slot() -> Scene:
    scene = in_state(BRAKE, EcuState.VOTED)
    scene.install(BRAKE, home=1)
    return scene


def releases_by_itself() -> Scene:
    scene = in_state(HEAD, EcuState.VOTED)
    now = scene.installation(BRAKE)
    scene.install(BRAKE, state=EcuState.RELEASED, home=now.other, released_counter=2)
    return scene


def votes_though_its_test_failed() -> Scene:
    scene = in_state(BRAKE, EcuState.TRIAL)
    told = scene.judge.tested
    scene.judge.tested = lambda node, *, passed: told(node, passed=not passed)  # type: ignore[method-assign]
    return scene.until(lambda: scene.installation(BRAKE).state is EcuState.VOTED)


def votes_without_a_test() -> Scene:
    scene = in_state(BRAKE, EcuState.TRIAL)
    scene.judge.tested = lambda node, *, passed: None  # type: ignore[method-assign]
    return scene.until(lambda: scene.installation(BRAKE).state is EcuState.VOTED)


def boots_its_trial_twice() -> Scene:
    """As an ECU would that does not count its boots."""
    scene = in_state(BRAKE, EcuState.TRIAL)
    scene.until(lambda: scene.truth(BRAKE).unproven)
    scene.judge.after(scene.node(BRAKE), Running(1, "again"))
    return scene


def boots_for_ever_though_it_does_not_come_up() -> Scene:
    scene = in_state(BRAKE, EcuState.VOTED)
    for _ in range(4):
        assert not scene.judge.violations
        scene.judge.after(scene.node(BRAKE), Running(1, "again"))
    return scene


def begins_again_what_was_rolled_back() -> Scene:
    scene = Scene(plan((1_000, Fault.UNWELL, "v1.camera"), (2_000, Act.ASSIGN, "v1"), for_ms=60_000))
    scene.until(lambda: scene.judge._vehicles[VEHICLE].journal.journal)
    journal = journal_of(scene)
    scene.until(lambda: scene.judge._vehicles[VEHICLE].journal.rolled_back)
    scene.judge._vehicles[VEHICLE].transactions[journal.bundle, 2].stages.discard(Stage.ACTIVATING)
    scene.write(HEAD, TRANSACTION, journals.dump(journals.Transactions(journal.at(Stage.ACTIVATING))))
    return scene


def takes_again_what_it_rolled_back() -> Scene:
    scene = Scene(plan((1_000, Fault.UNWELL, "v1.camera"), (2_000, Act.ASSIGN, "v1"), for_ms=60_000))
    prepared: list[bytes] = []

    def rolled_back() -> bool:
        if not prepared and scene.installation(BRAKE).state is EcuState.PREPARED:
            prepared.append(scene.octets(BRAKE, "installation"))
        return bool(scene.judge._vehicles[VEHICLE].journal.rolled_back)

    scene.until(rolled_back)
    assert not scene.judge.violations
    scene.write(BRAKE, "installation", prepared[0])
    return scene


def sends_before_it_keeps() -> Scene:
    scene = Scene().ended()
    scene.judge.after(scene.primary, Poll(b"", b"another manifest", Versions(0, 0, 0, 0)))
    return scene


def signs_a_report_it_does_not_keep() -> Scene:
    scene = Scene().ended()
    file = read(scene.octets(HEAD, MANIFEST))
    assert file is not None
    assert isinstance(file.value, VehicleManifest)
    newer = scene.signed(BRAKE, replace(latest_report(scene, BRAKE), counter=2_000_000_000))
    entries = tuple(replace(each, report=newer) if each.ecu == BRAKE else each for each in file.value.entries)
    scene.write(HEAD, MANIFEST, scene.signed(HEAD, replace(file.value, counter=999, entries=entries)))
    return scene


def erases_what_is_still_on_record() -> Scene:
    scene = Scene().ended()
    scene.judge.after(scene.node(BRAKE), EraseSlot(scene.installation(BRAKE).other, bytes(32)))
    return scene


def moving() -> tuple[Scene, SecondaryNode, int]:
    scene, node, slot = with_an_unknown_slot()
    scene.vehicles["v1"].around.moving = 1
    scene.play(scene.clock.now_ns + 20 * 10**9)
    scene.judge.before(node)
    return scene, node, slot


def erases_while_it_moves() -> Scene:
    scene, node, slot = moving()
    node.slots[slot].erase(bytes(32))
    scene.judge.after(node, EraseSlot(slot, bytes(32)))
    return scene


def restarts_while_it_moves() -> Scene:
    scene, node, _ = moving()
    scene.judge.after(node, PowerCycle())
    return scene


def begins_while_it_moves() -> Scene:
    scene = in_state(BRAKE, EcuState.PREPARED)
    scene.vehicles["v1"].around.moving = 1
    scene.judge.after(scene.primary, LookAtVehicle())
    scene.write(HEAD, TRANSACTION, journals.dump(journals.Transactions(journal_of(scene).at(Stage.ACTIVATING))))
    return scene


def sends_to_a_silent_ecu() -> Scene:
    scene = Scene().ended()
    record = scene.recorded.find(BRAKE)
    assert record is not None
    assert record.assigned is not None
    image = replace(record.assigned.image, filename=Filename("supplier/newer"), release_counter=9)
    changed = replace(record, assigned=replace(record.assigned, image=image, proven=False), silent_since=UtcTime(1))
    scene.servers.director.records.vehicles[VEHICLE] = scene.recorded.with_records({BRAKE: changed})
    scene.judge.issued(VEHICLE, {})
    return scene


def sends_what_is_below_the_counter() -> Scene:
    scene = Scene().ended()
    record = scene.recorded.find(BRAKE)
    assert record is not None
    assert record.assigned is not None
    image = replace(record.assigned.image, filename=Filename("supplier/older"), release_counter=1)
    changed = replace(record, assigned=replace(record.assigned, image=image, proven=False))
    scene.servers.director.records.vehicles[VEHICLE] = scene.recorded.with_records({BRAKE: changed})
    scene.judge.issued(VEHICLE, {})
    return scene


def published(scene: Scene, counter: int, octets: bytes, known: bytes) -> Scene:
    """The top-level Targets once more, with another image."""
    newest = scene.servers.image.standing.targets.value
    name, digest = Filename("fleet/head-hw-2"), sha256(octets).digest()
    image = CODEC.image(Image(name, len(octets), digest, None, (HardwareId("head-hw"),), counter, b""))
    others = [each for each in newest.entries if each.filename != name]
    header = replace(newest.header, version=newest.header.version + 1)
    targets = replace(newest, header=header, entries=CODEC.images([*others, image]))
    scene.judge.published({"targets": sign(CODEC, targets, [key("any")])}, {digest: known})
    return scene


def publishes_without_octets() -> Scene:
    return published(Scene().ended(), 9, b"image", b"other")


def publishes_below_its_counter() -> Scene:
    return published(Scene().ended(), 1, b"image", b"image")


def orders_before_it_journals() -> Scene:
    scene = in_state(BRAKE, EcuState.PREPARED)
    scene.install(BRAKE, last_phase=Phase.ACTIVATE)
    return scene


WRONG: dict[Rule, tuple[Callable[[], Scene], ...]] = {
    Rule.AUTHORISED: (
        prepares_what_nobody_assigned,
        prepares_a_slot_that_holds_something_else,
        prepares_under_superseded_targets,
        prepares_under_expired_targets,
        prepares_without_the_image_repository,
        prepares_for_other_hardware,
        boots_what_was_never_prepared,
        starts_what_was_superseded,
    ),
    Rule.COUNTER: (lowers_its_counter, raises_its_counter_too_early, releases_without_counting),
    Rule.BOOTABLE: (boots_a_broken_slot, boots_another_slot_than_its_record_says),
    Rule.REMEMBERED: (
        forgets_what_it_admitted,
        forgets_a_manifest,
        hears_what_the_director_did_not_keep,
    ),
    Rule.NOT_AHEAD: (
        believes_what_was_only_voted,
        believes_a_forged_report,
        admits_a_manifest_that_nobody_made,
        reports_what_never_was,
        reports_what_was_long_ago,
        keeps_a_report_of_somebody_else,
        calls_a_dead_ecu_alive,
    ),
    Rule.SAID_ONCE: (
        signs_a_counter_twice,
        signs_a_manifest_twice,
        draws_a_nonce_twice,
        draws_a_nonce_of_the_primary_twice,
        takes_two_answers_to_one_nonce,
    ),
    Rule.FORWARD: (
        takes_older_targets,
        drops_targets_that_still_hold,
        sets_its_clock_back,
        leaves_out_a_root,
        issues_a_version_twice,
    ),
    Rule.ONE_DECISION: (
        decides_twice,
        commits_before_all_have_voted,
        releases_before_all_have_committed,
        gives_up_an_ecu_by_itself,
        starts_out_of_turn,
    ),
    Rule.WEAR: (erases_for_ever, writes_what_it_runs),
    Rule.CONVERGED: (does_not_arrive,),
    Rule.GENUINE: (
        takes_what_was_never_issued,
        takes_targets_of_another_vehicle,
        takes_a_time_that_nobody_attested,
    ),
    Rule.FRESH: (starts_without_attested_time,),
    Rule.STATES: (
        goes_where_no_arrow_leads,
        falls_back_to_another_slot,
        releases_by_itself,
        votes_though_its_test_failed,
        votes_without_a_test,
        boots_its_trial_twice,
        boots_for_ever_though_it_does_not_come_up,
    ),
    Rule.NOT_RETRIED: (
        takes_again_what_it_rolled_back,
        begins_again_what_was_rolled_back,
    ),
    Rule.PARKED: (erases_while_it_moves, restarts_while_it_moves, begins_while_it_moves),
    Rule.SENDABLE: (
        sends_to_a_silent_ecu,
        sends_what_is_below_the_counter,
        publishes_without_octets,
        publishes_below_its_counter,
    ),
    Rule.DURABLE_FIRST: (
        sends_before_it_keeps,
        orders_before_it_journals,
        signs_a_report_it_does_not_keep,
        erases_what_is_still_on_record,
    ),
}
