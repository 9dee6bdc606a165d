"""The checkers: silent on what is right, and each rule fires, alone, on a history that breaks it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256

import pytest

from primary import journal as journals
from primary.journal import Journal, Stage
from primary.needs import Poll, Versions
from primary.state import MANIFEST, NONCES, REPORTS, TRANSACTION, numbers_out
from secondary.needs import EraseSlot, Running, WriteSlot
from secondary.state import NONCE
from sim.check_bundle import Transaction, VehicleTruth, mixed
from sim.checkers import Checkers
from sim.issued import read
from sim.keys import key
from sim.plan import Act, Fault
from sim.rules import Rule, Violated
from sim.signatures import CODEC
from sim.truth import DIRECTOR, IMAGE, TARGETS, TIME
from tests.sim.scene import BRAKE, CAMERA, HEAD, OTHER, VEHICLE, Scene, plan
from uptane.model.ids import EcuId, Filename
from uptane.model.metadata import DirectorTargets
from uptane.model.reports import EcuReport, EcuState, Outcome, Phase, VehicleManifest
from uptane.moments import UtcTime
from uptane.verify import record
from uptane.verify.image import Content
from uptane.verify.signing import sign

# ------------------------------------------------------------------------------------------------------ all is well


def test_silent_on_a_good_update() -> None:
    scene = Scene().ended()
    scene.judge.settled(scene.operators.wanted)
    assert not scene.judge.violations
    assert {scene.installation(ecu).state for ecu in (HEAD, BRAKE, CAMERA)} == {EcuState.RELEASED}
    assert all(len(scene.truth(ecu).reports) > 1 for ecu in (HEAD, BRAKE, CAMERA)), "reports were seen"
    assert scene.judge._vehicles[VEHICLE].transactions, "orders were seen"


@pytest.mark.parametrize("amount", [0, 1])
@pytest.mark.parametrize("where", ["v1.brake", "v1.camera", "v1.primary"])
def test_silent_on_an_update_that_is_rolled_back(where: str, amount: int) -> None:
    scene = Scene(plan((1_000, Fault.UNWELL, where), (2_000, Act.ASSIGN, "v1"), for_ms=60_000, amount=amount))
    scene.until(lambda: scene.judge._vehicles[VEHICLE].journal.rolled_back)
    scene.play(scene.clock.now_ns + 10**10)
    assert not scene.judge.violations
    assert "is assigned and not proven" in " ".join(scene.judge.unsettled({}))


@pytest.mark.parametrize(
    "act", [Act.ROTATE_DIRECTOR, Act.ROTATE_TIME, Act.ROTATE_IMAGE, Act.ROTATE_SUPPLIER, Act.RENEW]
)
def test_silent_when_keys_are_rotated(act: Act) -> None:
    scene = Scene(plan((1_000, Act.ASSIGN, "v1"), (12_000, act, "director"), (30_000, Act.ASSIGN, "v1")))
    scene.play(40 * 10**9)
    scene.ended()
    assert not scene.judge.violations


def test_silent_when_an_ecu_is_exchanged() -> None:
    scene = Scene(plan((1_000, Act.ASSIGN, "v1"), (3_000, Act.EXCHANGE, "v1.brake")))
    scene.play(20 * 10**9)
    scene.calm()
    scene.ended()
    assert not scene.judge.violations
    assert len(scene.judge._vehicles[VEHICLE].lives[BRAKE]) == 2


@pytest.mark.parametrize("count", range(0, 24, 2))
@pytest.mark.parametrize("where", ["v1.brake", "v1.primary"])
def test_silent_when_power_is_cut_in_the_middle_of_any_effect(where: str, count: int) -> None:
    scene = Scene(plan((1_500, Fault.CUT, where), (2_000, Act.ASSIGN, "v1"), count=count, amount=1, for_ms=100))
    scene.play(40 * 10**9)
    scene.calm()
    scene.ended()
    assert not scene.judge.violations


@pytest.mark.parametrize("name", ["installation", "report", "nonce", TARGETS, TIME])
def test_silent_when_storage_brings_back_an_older_copy(name: str) -> None:
    scene = Scene().ended()
    node = scene.secondary(BRAKE)
    node.records.damage(name)
    node.cut()
    node.power_up()
    scene.play(scene.clock.now_ns + 10**10)
    assert not scene.judge.violations
    assert name in scene.truth(BRAKE).lost


def test_what_a_cut_left_of_an_effect_is_judged_at_the_boot() -> None:
    scene = in_state(BRAKE, EcuState.TRIAL)
    node = scene.secondary(BRAKE)
    node.cut()
    node.records.save("installation", record.dump(replace(scene.installation(BRAKE), boots=2)))
    assert not scene.judge.violations
    node.power_up()
    assert scene.fired() == {Rule.STATES}


class Blind(Checkers):
    """Sees nothing."""

    def before(self, node: object) -> None:
        pass

    def after(self, node: object, effect: object) -> None:
        pass

    def booted(self, node: object) -> None:
        pass


def test_looking_changes_nothing() -> None:
    """The same seed writes the same trace with and without checkers, whatever storage does."""
    faults = [(at_ms, Fault.ROT, "v1.brake") for at_ms in (2_100, 2_600, 3_000)]
    faults += [(at_ms + 10, Fault.CUT, "v1.brake") for at_ms, _, _ in faults]
    scenes = [Scene(plan((2_000, Act.ASSIGN, "v1"), *faults, for_ms=50, count=3)) for _ in range(2)]
    scenes[0].checkers = Blind(lambda _vehicle: None)
    for scene in scenes:
        scene.play(20 * 10**9)
    assert scenes[0].trace.digest == scenes[1].trace.digest
    assert scenes[0].fuses.cuts
    assert scenes[1].truth(BRAKE).lost


# --------------------------------------------------------------------------------------------------- wrong histories


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


def prepares_under_superseded_targets() -> Scene:
    """Newer Targets are durable, and the ECU acts on those it still has in mind."""
    scene = about_to_prepare(BRAKE)
    director = scene.servers.director
    director.records.vehicles[VEHICLE] = replace(scene.recorded, reissue=True)
    director.poll(VEHICLE, Poll(b"", b"", Versions(0, 0, 0, 0)))
    assert scene.recorded.issued is not None
    scene.write(BRAKE, TARGETS, scene.recorded.issued.targets)
    return scene.until(lambda: scene.judge.violations)


def prepares_under_expired_targets() -> Scene:
    scene = about_to_prepare(CAMERA)
    targets = scene.truth(CAMERA).targets
    clock = json.loads(scene.octets(CAMERA, TIME))
    scene.write(CAMERA, TIME, json.dumps(clock | {"time": targets.header.expires + 10}).encode())
    return scene.until(lambda: scene.judge.violations)


def prepares_without_the_image_repository() -> Scene:
    scene = about_to_prepare(CAMERA)
    scene.erase_record(CAMERA, IMAGE + "role/supplier")
    return scene.until(lambda: scene.judge.violations)


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


def erases_for_ever() -> Scene:
    scene = Scene().ended()
    node = scene.secondary(BRAKE)
    slot = scene.installation(BRAKE).other
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
    ),
    Rule.COUNTER: (lowers_its_counter, raises_its_counter_too_early, releases_without_counting),
    Rule.BOOTABLE: (boots_a_broken_slot, boots_another_slot_than_its_record_says),
    Rule.REMEMBERED: (forgets_what_it_admitted, forgets_a_manifest),
    Rule.NOT_AHEAD: (
        believes_what_was_only_voted,
        believes_a_forged_report,
        admits_a_manifest_that_nobody_made,
        reports_what_never_was,
        reports_what_was_long_ago,
        keeps_a_report_of_somebody_else,
    ),
    Rule.SAID_ONCE: (
        signs_a_counter_twice,
        signs_a_manifest_twice,
        draws_a_nonce_twice,
        draws_a_nonce_of_the_primary_twice,
    ),
    Rule.FORWARD: (
        takes_older_targets,
        drops_targets_that_still_hold,
        sets_its_clock_back,
        leaves_out_a_root,
        issues_a_version_twice,
    ),
    Rule.ONE_DECISION: (decides_twice, commits_before_all_have_voted),
    Rule.WEAR: (erases_for_ever, writes_what_it_runs),
    Rule.CONVERGED: (does_not_arrive,),
    Rule.GENUINE: (takes_what_was_never_issued, takes_targets_of_another_vehicle),
    Rule.FRESH: (starts_without_attested_time,),
    Rule.STATES: (
        goes_where_no_arrow_leads,
        falls_back_to_another_slot,
        releases_by_itself,
        votes_though_its_test_failed,
    ),
    Rule.NOT_RETRIED: (takes_again_what_it_rolled_back,),
    Rule.DURABLE_FIRST: (sends_before_it_keeps, orders_before_it_journals),
}


@pytest.mark.parametrize(
    ("rule", "history"),
    [pytest.param(rule, each, id=each.__name__) for rule, histories in WRONG.items() for each in histories],
)
def test_exactly_its_rule_fires(rule: Rule, history: Callable[[], Scene]) -> None:
    scene = history()
    assert scene.fired() == {rule}, [str(each) for each in scene.judge.violations]


def test_a_bundle_that_is_half_installed() -> None:
    """No ECU comes there without breaking another rule on the way; so the end is put together by hand."""
    scene = Scene().ended()
    vehicle, camera = scene.judge._vehicles[VEHICLE], scene.truth(CAMERA)
    attempt = camera.attempt
    assert not list(mixed(vehicle, attempt))
    camera.installation = replace(camera.installation, state=EcuState.IDLE, outcome=Outcome.ROLLED_BACK)
    assert [rule for rule, _ in mixed(vehicle, attempt)] == [Rule.ONE_BUNDLE]
    vehicle.transactions[attempt].decided.discard(CAMERA)
    assert [rule for rule, _ in mixed(vehicle, attempt)] == [Rule.ONE_BUNDLE]
    vehicle.transactions[attempt].spared.add(CAMERA)
    assert not list(mixed(vehicle, attempt))
    assert not list(mixed(VehicleTruth(VEHICLE), attempt)), "nothing is known of it"
    assert Transaction().decided == set()


def test_every_rule_has_a_history_that_breaks_it() -> None:
    elsewhere = {Rule.ONE_BUNDLE, Rule.RAISED}  # above; and what ends in an exception needs no checker
    assert WRONG.keys() | elsewhere == set(Rule)
    assert all(rule.text and rule.protects for rule in Rule)


def test_the_first_broken_rule_ends_a_run() -> None:
    scene = Scene().ended()
    scene.judge._halt = True
    with pytest.raises(Violated) as caught:
        scene.install(BRAKE, state=EcuState.IDLE)
    assert str(caught.value) == "STATES v1.brake released became idle"
    assert caught.value.violations == tuple(scene.judge.violations)
