"""The Director's two doors over real mTLS: who passes, what each may see, and what becomes of nonsense."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from director.events import PutCertificate
from director.shell import keeper
from director.shell.clock import utc_now
from director.shell.database import Database
from director.shell.rpc_failure import code_of, metadata_of, text_of
from director.shell.tables import TABLES
from tests.shell.director_bench import CALL_S, DirectorBench, asked, director_bench, image_repository, manifest, polled
from tests.unit.director.garage import CODEC, image
from uptane.codec.oer import Oer
from uptane.crypto import Sha2
from uptane.errors import Check, StorageFailure
from uptane.model.metadata import DirectorTargets, ForVehicle
from uptane.model.reports import EcuState
from uptane.moments import UtcTime
from uptane.rpc.gen import director_pb2 as pb
from uptane.rpc.gen import director_pb2_grpc as rpc
from uptane.shell import tls
from uptane.verify.image import installed_image

Code = grpc.StatusCode


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[DirectorBench]:
    with director_bench(tmp_path) as present:
        yield present


def failing(call: Callable[[], Any]) -> grpc.RpcError:
    """The failure of a call; a stream fails when it is read."""
    try:
        answer = call()
        if hasattr(answer, "__iter__"):
            list(answer)
    except grpc.RpcError as failure:
        return failure
    raise AssertionError("the call succeeded")


def code(call: Callable[[], Any]) -> grpc.StatusCode:
    return code_of(failing(call))


def status(bench: DirectorBench, vin: str) -> pb.VehicleStatus:
    [told] = bench.operator().Status(pb.StatusRequest(vehicles=[vin]), timeout=CALL_S)
    return told


def brake(of: pb.VehicleStatus) -> pb.EcuStatus:
    return next(ecu for ecu in of.ecus if ecu.ecu == "brake")


def enrolled(bench: DirectorBench, vin: str) -> tls.Credential:
    bench.enrol(vin)
    return bench.provision(vin)[0]


def order(*selections: tuple[str, str], vin: str = "VIN1", **more: Any) -> pb.AssignRequest:
    chosen = [pb.Selection(ecu=ecu, image=name) for ecu, name in selections]
    return pb.AssignRequest(vehicles=[vin], selections=chosen, **more)


# ------------------------------------------------------------------------------------------------ the way it goes


def test_an_update_from_enrolment_to_proof(bench: DirectorBench) -> None:
    own = enrolled(bench, "VIN1")
    vehicle = bench.vehicle("VIN1", own)
    bench.publish(image("brake-1", counter=1))
    [assigned] = bench.operator().Assign(order(("brake", "brake-1")), timeout=CALL_S).assigned
    assert "not proved" in assigned.note
    answer, files = polled(vehicle, asked(manifest=manifest("VIN1"), held=(1, 1, 1, 1)))
    assert sorted(files) == ["2.snapshot", "2.targets", "timestamp"]
    assert len(answer.admitted_digest) == 32
    told = status(bench, "VIN1")
    assert (brake(told).assigned.filename, brake(told).before.filename) == ("brake-1", "brake-0")
    assert not brake(told).proven
    says = {"counter": 2, "state": EcuState.RELEASED, "targets_version": 2, "released_counter": 1}
    after = manifest("VIN1", 2, brake={**says, "image": installed_image(image("brake-1", counter=1))})
    answer, files = polled(vehicle, asked(manifest=after, held=(1, 2, 2, 2)))
    assert not answer.refused
    assert not files
    assert brake(status(bench, "VIN1")).proven
    idle, files = polled(vehicle, asked(answer.admitted_digest, held=(1, 2, 2, 2)))
    assert not files
    assert not idle.manifest_wanted
    assert idle.poll_again_s > 0


def test_provisioning_gives_the_first_set(bench: DirectorBench) -> None:
    bench.enrol("VIN1")
    _, files = bench.provision("VIN1")
    names = {
        f"{where}/{name}" for where in ("director", "image") for name in ("root", "timestamp", "snapshot", "targets")
    }
    assert set(files) == names
    targets = CODEC.parse(CODEC.open(files["director/targets"], 1 << 20).payload)
    assert isinstance(targets, DirectorTargets)
    assert targets.header.speaker == ForVehicle("VIN1")  # type: ignore[arg-type]
    assert [entry.image.filename for entry in targets.entries] == ["body-0", "brake-0", "body-0", "gw-0"]


def test_a_large_file_comes_in_pieces(bench: DirectorBench) -> None:
    bench.publish(*(image(f"body-x{number:05}") for number in range(6_000)))
    bench.enrol("VIN1")
    _, files = bench.provision("VIN1")
    assert len(files["image/targets"]) > 300_000
    assert files["image/targets"] == bench.repo.offered[f"{bench.repo.versions['targets']}.targets"]


# -------------------------------------------------------------------------------------------------- one another


def test_no_vehicle_reads_another(bench: DirectorBench) -> None:
    first, second = enrolled(bench, "VIN1"), enrolled(bench, "VIN2")
    for vin, own in (("VIN1", first), ("VIN2", second)):
        _, files = polled(bench.vehicle(vin, own), asked())
        targets = CODEC.parse(CODEC.open(files["1.targets"], 1 << 20).payload)
        assert isinstance(targets, DirectorTargets)
        assert targets.header.speaker == ForVehicle(vin)  # type: ignore[arg-type]


def test_no_vehicle_writes_for_another(bench: DirectorBench) -> None:
    first, second = enrolled(bench, "VIN1"), enrolled(bench, "VIN2")
    polled(bench.vehicle("VIN2", second), asked(manifest=manifest("VIN2")))
    before = status(bench, "VIN2")
    answer, _ = polled(bench.vehicle("VIN1", first), asked(manifest=manifest("VIN2", 2)))
    assert [each.check for each in answer.refused] == [Check.MANIFEST_SIGNATURE.code]
    after = status(bench, "VIN2")
    after.polled = before.polled
    assert after == before
    assert [each.check for each in status(bench, "VIN1").refused] == [Check.MANIFEST_SIGNATURE.code]


def test_keys_are_nobody_elses(bench: DirectorBench) -> None:
    bench.enrol("VIN1")
    stolen = [pb.Ecu(id="gw", hardware="gw-hw", primary=True, verification="full", filename="**", slot_size=9)]
    stolen[0].public_key.CopyFrom(status_key(bench, "VIN1", "gw"))
    request = pb.EnrolRequest(vehicle="VIN3", ecus=stolen)
    failure = failing(lambda: bench.operator().Enrol(request, timeout=CALL_S))
    assert code_of(failure) is Code.ALREADY_EXISTS
    assert "another vehicle" in text_of(failure)


def status_key(bench: DirectorBench, vin: str, ecu: str) -> pb.PublicKey:
    [reply] = bench.operator().Provision(pb.ProvisionRequest(vehicle=vin), timeout=CALL_S)
    return next(each.public_key for each in reply.provisioned.ecus if each.id == ecu)


# ------------------------------------------------------------------------------------------------- certificates


def test_no_two_vehicles_are_certified_for_one_key(bench: DirectorBench) -> None:
    """A request.pem that was carried to the wrong vehicle: its board could talk as both."""
    bench.enrol("VIN1")
    bench.enrol("VIN2")
    key = tls.new_key()
    own, _ = bench.provision("VIN1", key)
    bench.provision("VIN1", key, replace=True)
    failure = failing(lambda: bench.provision("VIN2", key))
    assert code_of(failure) is Code.ALREADY_EXISTS
    assert tls.fingerprint(tls.request_for(key)) in text_of(failure)
    assert "certified for marque:vehicle:VIN1" in text_of(failure)
    assert code(lambda: bench.vehicle("VIN2", own).Poll(asked(), timeout=CALL_S)) is Code.PERMISSION_DENIED
    bench.operator().Revoke(pb.RevokeRequest(vehicle="VIN1"), timeout=CALL_S)
    bench.provision("VIN2", key)


def test_a_database_from_before_keys_were_on_record(tmp_path: Path) -> None:
    file = tmp_path / "director.db"
    Database(file, Oer(), Sha2()).close()
    with sqlite3.connect(file) as older:
        older.executescript("DROP INDEX ix_certificates_key; ALTER TABLE certificates DROP COLUMN key")
        older.execute("INSERT INTO certificates (serial, uri, issued) VALUES ('1', 'marque:vehicle:VIN1', 1)")
        older.execute("UPDATE alembic_version SET version_num = '0001'")
    older.close()
    database = Database(file, Oer(), Sha2())
    with database.reading() as records:
        assert records.is_admitted("1", "marque:vehicle:VIN1")
    with database.writing() as records:
        for serial in ("2", "3"):  # operators' keys are not on record, and do not get in each other's way
            records.carry_out([PutCertificate(serial, f"marque:operator:{serial}", UtcTime(1))])
    database.close()


def test_a_certificate_nobody_issued(bench: DirectorBench) -> None:
    enrolled(bench, "VIN1")
    forged = bench.authority.client("marque:vehicle:VIN1")
    failure = failing(lambda: bench.vehicle("VIN1", forged).Poll(asked(), timeout=CALL_S))
    assert code_of(failure) is Code.PERMISSION_DENIED
    assert "not known here" in text_of(failure)


def test_a_certificate_under_another_name(bench: DirectorBench) -> None:
    """Its serial number is on record, but for somebody else."""
    own = bench.known("marque:vehicle:VIN1")
    with bench.database.reading() as records:
        assert records.is_admitted(own.serial, "marque:vehicle:VIN1")
        assert records.is_admitted(own.serial, "marque:vehicle:VIN2") is None


def test_a_vehicle_that_is_not_enrolled(bench: DirectorBench) -> None:
    failure = failing(lambda: bench.vehicle("VIN9").Poll(asked(), timeout=CALL_S))
    assert code_of(failure) is Code.PERMISSION_DENIED
    assert "not enrolled" in text_of(failure)


def test_a_revoked_vehicle_and_its_way_back(bench: DirectorBench) -> None:
    own = enrolled(bench, "VIN1")
    vehicle = bench.vehicle("VIN1", own)
    polled(vehicle, asked())
    assert bench.operator().Revoke(pb.RevokeRequest(vehicle="VIN1"), timeout=CALL_S).changed
    failure = failing(lambda: vehicle.Poll(asked(), timeout=CALL_S))
    assert code_of(failure) is Code.PERMISSION_DENIED
    assert "revoked" in text_of(failure)
    assert status(bench, "VIN1").revoked
    assert not bench.operator().Revoke(pb.RevokeRequest(vehicle="VIN1"), timeout=CALL_S).changed
    with pytest.raises(grpc.RpcError):
        bench.provision("VIN1")
    assert code(lambda: bench.vehicle("VIN1").Poll(asked(), timeout=CALL_S)) is Code.PERMISSION_DENIED  # a new one
    back, _ = bench.provision("VIN1", replace=True)
    polled(bench.vehicle("VIN1", back), asked())
    assert code(lambda: vehicle.Poll(asked(), timeout=CALL_S)) is Code.PERMISSION_DENIED


def test_a_revoked_operator(bench: DirectorBench) -> None:
    berta = bench.operator("berta")
    berta.Describe(pb.DescribeRequest(), timeout=CALL_S)
    bench.operator("anna").Revoke(pb.RevokeRequest(operator="berta"), timeout=CALL_S)
    bench.enrol("VIN1")
    acts = len(list(bench.operator().Audit(pb.AuditRequest(), timeout=CALL_S)))
    for call in operator_calls(berta):
        failure = failing(call)
        assert code_of(failure) is Code.PERMISSION_DENIED
        assert "has been revoked" in text_of(failure)
    assert len(list(bench.operator().Audit(pb.AuditRequest(), timeout=CALL_S))) == acts


@pytest.mark.parametrize("own", [None, tls.Authority.create("strangers").client("marque:vehicle:VIN1")])
def test_strangers_do_not_get_as_far_as_a_door(bench: DirectorBench, own: tls.Credential | None) -> None:
    channel = bench.channel(own)
    assert code(lambda: rpc.VehicleStub(channel).Poll(asked(), timeout=CALL_S)) is Code.UNAVAILABLE
    assert code(lambda: rpc.OperatorStub(channel).Describe(pb.DescribeRequest(), timeout=CALL_S)) is Code.UNAVAILABLE


def operator_calls(stub: Any) -> list[Callable[[], Any]]:
    request = tls.request_for(tls.new_key())
    return [
        lambda: stub.Describe(pb.DescribeRequest(), timeout=CALL_S),
        lambda: stub.Enrol(pb.EnrolRequest(vehicle="VIN1"), timeout=CALL_S),
        lambda: stub.Provision(pb.ProvisionRequest(vehicle="VIN1"), timeout=CALL_S),
        lambda: stub.Provision(pb.ProvisionRequest(vehicle="VIN1", certificate_request=request), timeout=CALL_S),
        lambda: stub.Assign(order(("brake", "brake-1")), timeout=CALL_S),
        lambda: stub.Constrain(pb.ConstrainRequest(kind="requires", image="a", other="b"), timeout=CALL_S),
        lambda: stub.Status(pb.StatusRequest(), timeout=CALL_S),
        lambda: stub.Revoke(pb.RevokeRequest(vehicle="VIN1"), timeout=CALL_S),
        lambda: stub.AddOperator(pb.AddOperatorRequest(name="x", certificate_request=request), timeout=CALL_S),
        lambda: stub.PrepareKey(pb.PrepareKeyRequest(role="targets"), timeout=CALL_S),
        lambda: stub.SubmitRoot(pb.SubmitRootRequest(root=b"x"), timeout=CALL_S),
        lambda: stub.Audit(pb.AuditRequest(), timeout=CALL_S),
    ]


def test_each_door_is_for_its_own_kind(bench: DirectorBench) -> None:
    own = enrolled(bench, "VIN1")
    entries = len(list(bench.operator().Audit(pb.AuditRequest(), timeout=CALL_S)))
    vehicle = rpc.OperatorStub(bench.channel(own))
    for call in operator_calls(vehicle):
        failure = failing(call)
        assert code_of(failure) is Code.PERMISSION_DENIED
        assert "no operator" in text_of(failure)
    operator = rpc.VehicleStub(bench.channel(bench.known("marque:operator:anna")))
    failure = failing(lambda: operator.Poll(asked(), timeout=CALL_S))
    assert code_of(failure) is Code.PERMISSION_DENIED
    assert "no vehicle" in text_of(failure)
    assert len(list(bench.operator().Audit(pb.AuditRequest(), timeout=CALL_S))) == entries
    assert not status(bench, "VIN1").revoked


@pytest.mark.parametrize("uri", ["marque:vehicle:", "marque:driver:VIN1", "https://VIN1", "marque:vehicle:a b"])
def test_names_that_name_nobody(bench: DirectorBench, uri: str) -> None:
    own = bench.authority.client(uri)
    assert code(lambda: bench.vehicle("x", own).Poll(asked(), timeout=CALL_S)) is Code.PERMISSION_DENIED


# ------------------------------------------------------------------------------------------------------ nonsense


@pytest.mark.parametrize(
    ("octets", "check"),
    [
        (b"nonsense", Check.ENCODING),
        (manifest("VIN1")[:-1], Check.ENCODING),
        (manifest("VIN1") + b"\x00", Check.ENCODING),
        (manifest("VIN2"), Check.MANIFEST_SIGNATURE),
    ],
)
def test_what_is_no_manifest_is_an_answer(bench: DirectorBench, octets: bytes, check: Check) -> None:
    own = enrolled(bench, "VIN1")
    answer, files = polled(bench.vehicle("VIN1", own), asked(manifest=octets))
    assert [each.check for each in answer.refused] == [check.code]
    assert "timestamp" in files
    assert answer.admitted_digest == b""


def test_a_wrong_kind_of_message(bench: DirectorBench) -> None:
    own = enrolled(bench, "VIN1")
    _, files = polled(bench.vehicle("VIN1", own), asked())
    answer, _ = polled(bench.vehicle("VIN1", own), asked(manifest=files["1.targets"]))
    assert [each.check for each in answer.refused] == [Check.MANIFEST_SIGNATURE.code]


@pytest.mark.parametrize("length", [1, 31, 33])
def test_a_digest_of_a_wrong_length(bench: DirectorBench, length: int) -> None:
    own = enrolled(bench, "VIN1")
    assert code(lambda: bench.vehicle("VIN1", own).Poll(asked(b"x" * length), timeout=CALL_S)) is Code.INVALID_ARGUMENT


def test_a_message_over_its_limit(bench: DirectorBench) -> None:
    own = enrolled(bench, "VIN1")
    large = asked(manifest=bytes(tls.MESSAGE_LENGTH_MAX))
    channel = grpc.secure_channel(
        f"127.0.0.1:{bench.port}",
        tls.channel_credentials(bench.authority.certificate, own),
        options=(("grpc.max_send_message_length", -1),),
    )
    with channel:
        call: Any = channel.unary_stream("/marque.director.v1.Vehicle/Poll", pb.PollRequest.SerializeToString, None)
        assert code(lambda: call(large, timeout=CALL_S)) is Code.RESOURCE_EXHAUSTED


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda stub: stub.Enrol(pb.EnrolRequest(vehicle="a b"), timeout=CALL_S), Code.INVALID_ARGUMENT),
        (lambda stub: stub.Enrol(pb.EnrolRequest(vehicle="VIN1"), timeout=CALL_S), Code.INVALID_ARGUMENT),
        (
            lambda stub: stub.Enrol(pb.EnrolRequest(vehicle="V", ecus=[pb.Ecu(verification="no")]), timeout=CALL_S),
            Code.INVALID_ARGUMENT,
        ),
        (lambda stub: stub.Provision(pb.ProvisionRequest(vehicle="VIN9"), timeout=CALL_S), Code.NOT_FOUND),
        (
            lambda stub: stub.Provision(
                pb.ProvisionRequest(vehicle="VIN1", certificate_request=b"no request"), timeout=CALL_S
            ),
            Code.INVALID_ARGUMENT,
        ),
        (lambda stub: stub.Assign(pb.AssignRequest(vehicles=["VIN1"]), timeout=CALL_S), Code.INVALID_ARGUMENT),
        (lambda stub: stub.Assign(order(("brake", "x"), all_vehicles=True), timeout=CALL_S), Code.INVALID_ARGUMENT),
        (lambda stub: stub.Assign(order(("brake", "x"), vin="VIN9"), timeout=CALL_S), Code.NOT_FOUND),
        (lambda stub: stub.Assign(order(("radio", "x")), timeout=CALL_S), Code.NOT_FOUND),
        (lambda stub: stub.Assign(order(("brake", "x")), timeout=CALL_S), Code.NOT_FOUND),
        (
            lambda stub: stub.Constrain(pb.ConstrainRequest(kind="likes", image="a", other="b"), timeout=CALL_S),
            Code.INVALID_ARGUMENT,
        ),
        (
            lambda stub: stub.Constrain(
                pb.ConstrainRequest(kind="requires", image="a", other="b", remove=True), timeout=CALL_S
            ),
            Code.NOT_FOUND,
        ),
        (lambda stub: stub.Status(pb.StatusRequest(vehicles=["VIN9"]), timeout=CALL_S), Code.NOT_FOUND),
        (lambda stub: stub.Revoke(pb.RevokeRequest(), timeout=CALL_S), Code.INVALID_ARGUMENT),
        (lambda stub: stub.Revoke(pb.RevokeRequest(vehicle="VIN9"), timeout=CALL_S), Code.NOT_FOUND),
        (lambda stub: stub.Revoke(pb.RevokeRequest(operator="anna"), timeout=CALL_S), Code.FAILED_PRECONDITION),
        (lambda stub: stub.AddOperator(pb.AddOperatorRequest(name="a/../b"), timeout=CALL_S), Code.INVALID_ARGUMENT),
        (lambda stub: stub.PrepareKey(pb.PrepareKeyRequest(role="root"), timeout=CALL_S), Code.INVALID_ARGUMENT),
        (lambda stub: stub.SubmitRoot(pb.SubmitRootRequest(root=b"x"), timeout=CALL_S), Code.INVALID_ARGUMENT),
        (lambda stub: stub.SubmitRoot(pb.SubmitRootRequest(root=bytes(65_537)), timeout=CALL_S), Code.INVALID_ARGUMENT),
    ],
)
def test_what_operators_do_not_get(bench: DirectorBench, call: Callable[[Any], Any], expected: grpc.StatusCode) -> None:
    bench.enrol("VIN1")
    before = status(bench, "VIN1")
    assert code(lambda: call(bench.operator())) is expected
    assert status(bench, "VIN1") == before


def test_a_refusal_names_the_check_that_vehicles_would_refuse_by(bench: DirectorBench) -> None:
    bench.enrol("VIN1")
    bench.publish(image("brake-2", counter=2), image("brake-1", counter=1))
    own, _ = bench.provision("VIN1")
    bench.operator().Assign(order(("brake", "brake-2")), timeout=CALL_S)
    polled(bench.vehicle("VIN1", own), asked(manifest=manifest("VIN1")))
    failure = failing(lambda: bench.operator().Assign(order(("brake", "brake-1")), timeout=CALL_S))
    assert code_of(failure) is Code.FAILED_PRECONDITION
    assert metadata_of(failure, "marque-check") == str(Check.INSTALL_COUNTER.code)
    assert "--counter 2" in text_of(failure)


# ------------------------------------------------------------------------------------- the Image repository is away


def test_nothing_is_ordered_while_the_image_repository_is_away(bench: DirectorBench) -> None:
    own = enrolled(bench, "VIN1")
    bench.offered.broken = True
    assert code(lambda: bench.operator().Assign(order(("brake", "brake-1")), timeout=CALL_S)) is Code.ABORTED
    _, files = polled(bench.vehicle("VIN1", own), asked())
    assert "1.targets" in files
    assert not bench.keeper.try_to_hear()
    told = bench.operator().Describe(pb.DescribeRequest(), timeout=CALL_S)
    assert "broken" in told.image_trouble


def test_a_director_that_never_heard_provisions_nobody(tmp_path: Path) -> None:
    with director_bench(tmp_path, hears=False) as bench:
        bench.offered.broken = True
        bench.enrol("VIN1")
        assert code(lambda: bench.provision("VIN1")) is Code.ABORTED


def test_an_old_timestamp_of_the_image_repository_is_refused(bench: DirectorBench) -> None:
    heard = bench.keeper.fleet.catalogue
    bench.repo.timestamp(version=1, expires=UtcTime(utc_now() + 900))
    assert not bench.keeper.try_to_hear()
    assert "TIMESTAMP_VERSION" in bench.keeper.trouble
    assert bench.keeper.fleet.catalogue is heard


# --------------------------------------------------------------------------------------------------- what is kept


def test_it_goes_on_from_what_was_acknowledged(tmp_path: Path) -> None:
    repo = image_repository()
    with director_bench(tmp_path, repo) as bench:
        own = enrolled(bench, "VIN1")
        answer, _ = polled(bench.vehicle("VIN1", own), asked(manifest=manifest("VIN1")))
        rule = pb.ConstrainRequest(kind="requires", image="a", other="b", release_counter_min=3)
        bench.operator().Constrain(rule, timeout=CALL_S)
        before = status(bench, "VIN1")
    with director_bench(tmp_path, repo, hears=False) as bench:
        vehicle = bench.vehicle("VIN1")
        idle, files = polled(vehicle, asked(answer.admitted_digest, held=(1, 1, 1, 1)))
        assert not idle.manifest_wanted
        assert not files
        after = status(bench, "VIN1")
        after.polled = before.polled
        assert after == before
        assert list(map(str, bench.keeper.fleet.rules)) == ["a requires b (release counter 3 or higher)"]


def test_a_full_disk_changes_nothing(bench: DirectorBench) -> None:
    enrolled(bench, "VIN1")
    operator = bench.operator()
    before = status(bench, "VIN1")
    room = _full(bench.database._engine)
    with pytest.raises(StorageFailure, match="full"), bench.database.writing() as records:
        records.keep_image_file("large", bytes(4_000_000))
    assert code(lambda: enrol_many(bench, operator)) is Code.RESOURCE_EXHAUSTED
    room()
    assert status(bench, "VIN1") == before
    bench.enrol("VIN2")


def enrol_many(bench: DirectorBench, operator: rpc.OperatorStub) -> None:
    for number in range(100):
        bench.enrol(f"X{number}", operator)


def _full(engine: sa.Engine) -> Callable[[], None]:
    """Let the database not grow any more; the returned function gives it room again."""

    def tight(connection: Any, _record: object) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")

    sa.event.listen(engine, "connect", tight)
    engine.dispose()

    def room() -> None:
        sa.event.remove(engine, "connect", tight)
        engine.dispose()

    return room


@pytest.mark.parametrize("utc", [0, 1_500_000_000])
def test_a_clock_that_is_certainly_wrong(bench: DirectorBench, monkeypatch: pytest.MonkeyPatch, utc: int) -> None:
    own = enrolled(bench, "VIN1")
    entries = len(list(bench.operator().Audit(pb.AuditRequest(), timeout=CALL_S)))
    with monkeypatch.context() as patched:
        patched.setattr(keeper, "utc_now", lambda: UtcTime(utc))
        failure = failing(lambda: bench.vehicle("VIN1", own).Poll(asked(), timeout=CALL_S))
    assert code_of(failure) is Code.UNAVAILABLE
    assert "has certainly passed" in text_of(failure)
    polled(bench.vehicle("VIN1", own), asked())
    assert len(list(bench.operator().Audit(pb.AuditRequest(), timeout=CALL_S))) == entries


@pytest.mark.parametrize("octets", [b"nonsense" * 1_000, None])
def test_a_damaged_database(bench: DirectorBench, tmp_path: Path, octets: bytes | None) -> None:
    """Half of a database, or something else: said in words, and nothing is made of it."""
    bench.enrol("VIN1")
    bench.database.close()
    damaged = tmp_path / "damaged.db"
    damaged.write_bytes((bench.folder / "director.db").read_bytes()[:6_000] if octets is None else octets)
    before = damaged.read_bytes()
    with pytest.raises(StorageFailure, match="damaged"):
        Database(damaged, Oer(), Sha2())
    assert damaged.read_bytes() == before


def test_the_log_cannot_be_changed(bench: DirectorBench) -> None:
    bench.enrol("VIN1")
    for statement in ("UPDATE audit SET detail = 'nothing'", "DELETE FROM audit"):
        with pytest.raises(StorageFailure, match="only appended"), bench.database.writing() as records:
            records._connection.execute(sa.text(statement))
    acts = [entry.act for entry in bench.operator().Audit(pb.AuditRequest(), timeout=CALL_S)]
    assert acts == ["enrol"]


def test_migrations_lead_to_the_tables_as_they_are(tmp_path: Path) -> None:
    database = Database(tmp_path / "director.db", Oer(), Sha2())
    with database.reading() as records:
        context = MigrationContext.configure(records._connection)
        assert compare_metadata(context, TABLES) == []
    database.close()


def test_what_is_stored_is_read_back(bench: DirectorBench) -> None:
    own = enrolled(bench, "VIN1")
    bench.publish(image("brake-1", counter=1))
    bench.operator().Assign(order(("brake", "brake-1")), timeout=CALL_S)
    polled(bench.vehicle("VIN1", own), asked(manifest=manifest("VIN1")))
    polled(bench.vehicle("VIN1", own), asked(manifest=b"nonsense"))
    with bench.database.writing() as records:
        [vehicle] = records.vehicles()
        records._put_vehicle(vehicle)
        assert list(records.vehicles()) == [vehicle]
        assert vehicle.filed[0].check is Check.ENCODING
