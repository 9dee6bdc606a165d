"""The Director as a machine: what is stored, what is replied, and that nothing counts before it is durable."""

from __future__ import annotations

from dataclasses import replace

import pytest

from director.assign import Selection
from director.audit import Act
from director.ceremony import next_root
from director.errors import Declined, Reason
from director.events import Act as OperatorAct
from director.events import (
    AddOperator,
    Assign,
    ByOperator,
    ByVehicle,
    Constrain,
    Done,
    Effect,
    Enrol,
    Heard,
    Log,
    PollArrived,
    Provision,
    PutCertificate,
    PutRoot,
    PutRules,
    PutVehicle,
    Refresh,
    Reply,
    Revoke,
    RevokeCertificates,
    RevokeOperator,
    Stored,
    SubmitRoot,
    Tick,
)
from director.inventory import Vehicle
from director.poll import Answer, Asked, HeldVersions
from director.resolve import Kind, Rule
from director.service import REFRESH_MS, RETRY_MS, Director
from tests.unit.director.garage import (
    CODEC,
    DESK,
    KEYS,
    NOW,
    ROOT_KEYS,
    VIN,
    Ring,
    Said,
    Words,
    catalogue,
    ecus,
    fleet,
    image,
    named,
    signer,
    vehicle,
)
from uptane.errors import Check
from uptane.model.ids import EcuId, Filename, Role, VehicleId
from uptane.moments import Instant
from uptane.verify.signing import sign

START = Instant(1_000)


def saying(*names: str, known: bool = True) -> Said:
    word = Said(known=known)
    word.publish(*(image(name, counter=int(name[-1])) for name in names))
    return word


def director(word: Said | None = None) -> Director:
    return Director(fleet(word or saying("body-0", "brake-0", "gw-0", "brake-1")), DESK, Ring(signer("new targets")))


def act(of: Director, what: OperatorAct) -> list[Effect]:
    return list(of.handle(ByOperator("anna", NOW, what), START))


def reply(effects: list[Effect]) -> Answer | Done | Declined:
    assert isinstance(effects[-1], Reply), "everything else comes before the reply"
    return effects[-1].answer


def declined(effects: list[Effect], reason: Reason) -> str:
    answer = reply(effects)
    assert isinstance(answer, Declined)
    assert answer.reason is reason
    [log] = effects[:-1]
    assert isinstance(log, Log)
    assert log.entry.act is Act.DECLINE
    assert log.entry.actor == "operator:anna"
    return answer.text


def done(effects: list[Effect]) -> Done:
    answer = reply(effects)
    assert isinstance(answer, Done)
    return answer


def kinds(effects: list[Effect]) -> list[type]:
    return [type(effect) for effect in effects]


def ordering(vehicles: tuple[Vehicle, ...], name: str = "brake-1", *, dry_run: bool = False) -> Assign:
    selection = Selection(EcuId("brake"), None, Filename(name))
    return Assign(vehicles, (selection,), every=False, dry_run=dry_run)


# ------------------------------------------------------------------------------------------------------ operators


def test_enrol() -> None:
    effects = act(director(), Enrol(VIN, tuple(ecus()), "text", None))
    assert kinds(effects) == [PutVehicle, Log, Reply]
    assert done(effects).changed
    again = act(director(), Enrol(VIN, tuple(ecus()), "", vehicle()))
    assert kinds(again) == [Reply]
    assert not done(again).changed
    assert "another description" in declined(act(director(), Enrol(VIN, tuple(ecus()), "x", vehicle())), Reason.EXISTS)
    declined(act(director(), Enrol(VIN, (), "", None)), Reason.INVALID)


def test_provision() -> None:
    keys = {EcuId(ecu): key.public for ecu, key in KEYS.items()}
    effects = act(director(), Provision(vehicle(), keys, "abc", replacing=False))
    assert kinds(effects) == [PutVehicle, PutCertificate, Log, Reply]
    given = done(effects).vehicle
    assert given is not None
    assert given.issued is not None
    replaced = act(director(), Provision(vehicle(), keys, "abc", replacing=True))
    assert kinds(replaced) == [PutVehicle, RevokeCertificates, PutCertificate, Log, Reply]


def test_provision_needs_the_image_repository() -> None:
    deaf = director()
    empty = replace(deaf.fleet.catalogue, trusted=replace(deaf.fleet.catalogue.trusted, timestamp=None))
    deaf.handle(Heard(empty), START)
    declined(act(deaf, Provision(vehicle(), {}, "abc", replacing=False)), Reason.UNREADY)


def test_a_revoked_vehicle_comes_back_only_on_purpose() -> None:
    gone = replace(vehicle(), revoked=NOW)
    assert "revoked" in declined(act(director(), Provision(gone, {}, "abc", replacing=False)), Reason.REFUSED)
    back = done(act(director(), Provision(gone, {}, "abc", replacing=True))).vehicle
    assert back is not None
    assert back.revoked is None


def test_assign() -> None:
    effects = act(director(), ordering((vehicle(),)))
    assert kinds(effects) == [PutVehicle, Log, Reply]
    [outcome] = done(effects).outcomes
    assert outcome.note.startswith("held back: the vehicle has not proved")
    judged = act(director(), ordering((vehicle(),), dry_run=True))
    assert kinds(judged) == [Reply]
    assert done(judged).outcomes == (outcome,)


def test_an_order_is_refused_whole() -> None:
    other = vehicle().with_records({})
    small = replace(other.ecus[1], ecu=replace(other.ecus[1].ecu, slot_size=10))
    second = replace(other.with_records({EcuId("brake"): small}), id=VehicleId("VIN2"))
    effects = act(director(), ordering((vehicle(), second)))
    assert "VIN2/brake" in declined(effects, Reason.REFUSED)
    answer = reply(effects)
    assert isinstance(answer, Declined)
    assert answer.check is Check.INSTALL_SPACE


def test_nothing_is_ordered_unheard() -> None:
    declined(act(director(saying("brake-1", known=False)), ordering((vehicle(),))), Reason.UNREADY)


def test_an_order_for_nobody() -> None:
    nobody = Assign((vehicle(),), (Selection(EcuId("radio"), None, Filename("brake-1")),), every=True, dry_run=False)
    assert "no vehicle" in declined(act(director(), nobody), Reason.UNKNOWN)


def test_rules_count_once_they_are_durable() -> None:
    present = director()
    rule = Rule(Kind.CONFLICTS, Filename("brake-1"), Filename("body-0"))
    effects = act(present, Constrain(rule, remove=False))
    assert kinds(effects) == [PutRules, Log, Reply]
    assert list(present.fleet.rules) == []
    present.handle(Stored(), START)
    assert list(present.fleet.rules) == [rule]
    assert kinds(act(present, Constrain(rule, remove=False))) == [Reply]
    assert done(act(present, Constrain(rule, remove=True))).rules == ()
    present.handle(Stored(), START)
    assert present.fleet.rules == ()
    declined(act(present, Constrain(rule, remove=True)), Reason.UNKNOWN)
    declined(act(present, Constrain(replace(rule, other=rule.image), remove=False)), Reason.INVALID)


def test_what_could_not_be_stored_never_was() -> None:
    present = director()
    rule = Rule(Kind.CONFLICTS, Filename("brake-1"), Filename("body-0"))
    act(present, Constrain(rule, remove=False))  # and no Stored: the disk is full
    act(present, Revoke(vehicle()))
    present.handle(Stored(), START)
    assert present.fleet.rules == ()


def test_revoke() -> None:
    effects = act(director(), Revoke(vehicle()))
    assert kinds(effects) == [PutVehicle, RevokeCertificates, Log, Reply]
    gone = done(effects).vehicle
    assert gone is not None
    assert gone.revoked == NOW
    assert not done(act(director(), Revoke(gone))).changed


def test_operators() -> None:
    assert kinds(act(director(), AddOperator("berta", "abc"))) == [PutCertificate, Log, Reply]
    declined(act(director(), AddOperator("no name", "abc")), Reason.INVALID)
    assert kinds(act(director(), RevokeOperator("berta"))) == [RevokeCertificates, Log, Reply]
    assert "himself" in declined(act(director(), RevokeOperator("anna")), Reason.REFUSED)


# ----------------------------------------------------------------------------------------------------------- Root


def versions(present: Director) -> int:
    return len(present.fleet.roots)


def following(present: Director, role: Role, key: str, *, signers: tuple[str, ...] = ("root",)) -> bytes:
    root = next_root(present.fleet.root.value, role, [named(signer(key))], threshold=1, utc=NOW)
    return sign(CODEC, root, [signer(name) for name in signers])


def test_a_new_targets_key_signs_once_its_root_is_durable() -> None:
    present = director()
    effects = act(present, SubmitRoot(following(present, Role.TARGETS, "new targets")))
    assert kinds(effects) == [PutRoot, Log, Reply]
    assert done(effects).version == 2
    assert versions(present) == 1
    present.handle(Stored(), START)
    assert versions(present) == 2
    asked = PollArrived(vehicle(), Asked(b"", Words.first().manifest(), HeldVersions(1, 0, 0, 0)))
    answer = reply(list(present.handle(ByVehicle(NOW, asked), START)))
    assert isinstance(answer, Answer)
    files = dict(answer.files)
    assert "2.root" in files
    targets = CODEC.open(files["1.targets"], 1 << 20)
    assert [each.key_id for each in targets.signatures] == [signer("new targets").key_id]


def test_what_was_issued_is_signed_anew_under_a_new_root() -> None:
    present = director()
    asked = Asked(b"", Words.first().manifest(), HeldVersions(1, 0, 0, 0))
    effects = present.handle(ByVehicle(NOW, PollArrived(vehicle(), asked)), START)
    known = next(effect.vehicle for effect in effects if isinstance(effect, PutVehicle))
    act(present, SubmitRoot(following(present, Role.TARGETS, "new targets")))
    present.handle(Stored(), START)
    assert known.admission is not None
    idle = PollArrived(known, Asked(known.admission.digest, b"", HeldVersions(1, 1, 1, 1)))
    answer = reply(list(present.handle(ByVehicle(NOW, idle), START)))
    assert isinstance(answer, Answer)
    assert [name for name, _ in answer.files] == ["2.root", "timestamp", "2.snapshot", "2.targets"]


@pytest.mark.parametrize(
    ("role", "key", "signers", "check"),
    [
        (Role.TIME, "new time", ("stranger",), Check.ROOT_SIGNATURES),
        (Role.ROOT, "new root", ("root",), Check.ROOT_OWN_SIGNATURES),
        (Role.ROOT, "new root", ("new root",), Check.ROOT_SIGNATURES),
    ],
)
def test_a_root_that_vehicles_would_refuse(role: Role, key: str, signers: tuple[str, ...], check: Check) -> None:
    present = director()
    effects = act(present, SubmitRoot(following(present, role, key, signers=signers)))
    declined(effects, Reason.REFUSED)
    answer = reply(effects)
    assert isinstance(answer, Declined)
    assert answer.check is check
    assert present.fleet.roots == director().fleet.roots


def test_a_root_whose_online_keys_are_elsewhere() -> None:
    present = director()
    assert "make them first" in declined(
        act(present, SubmitRoot(following(present, Role.TARGETS, "elsewhere"))), Reason.UNREADY
    )
    declined(act(present, SubmitRoot(b"nonsense")), Reason.INVALID)


def test_the_root_keys_themselves_are_rotated() -> None:
    present = director()
    effects = act(present, SubmitRoot(following(present, Role.ROOT, "new root", signers=("root", "new root"))))
    assert done(effects).version == 2
    assert ROOT_KEYS[Role.ROOT].public in {key.public for key in present.fleet.root.value.keys}
    present.handle(Stored(), START)
    assert ROOT_KEYS[Role.ROOT].public not in {key.public for key in present.fleet.root.value.keys}


# ---------------------------------------------------------------------------------------- the Image repository


def test_the_image_repository_is_heard_at_intervals() -> None:
    present = director(saying(known=False))
    assert present.deadline() == 0
    assert list(present.handle(Tick(), START)) == [Refresh()]
    assert present.deadline() == START + RETRY_MS
    assert list(present.handle(Heard(catalogue(saying("brake-1"))), START)) == []
    assert present.deadline() == START + REFRESH_MS
    assert present.fleet.catalogue.known
    assert list(present.handle(Tick(), Instant(START + REFRESH_MS))) == [Refresh()]
    assert present.deadline() == START + 2 * REFRESH_MS


def test_an_idle_poll_stores_nothing() -> None:
    present = director()
    asked = Asked(b"", Words.first().manifest(), HeldVersions(1, 0, 0, 0))
    effects = list(present.handle(ByVehicle(NOW, PollArrived(vehicle(), asked)), START))
    assert kinds(effects)[0] is PutVehicle
    known = next(effect.vehicle for effect in effects if isinstance(effect, PutVehicle))
    assert known.admission is not None
    idle = PollArrived(known, Asked(known.admission.digest, b"", HeldVersions(1, 1, 1, 1)))
    assert kinds(list(present.handle(ByVehicle(NOW, idle), START))) == [Reply]
