"""The operators' door (uptane/rpc/director.proto, service Operator): requests to events, replies to messages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import grpc

from director.assign import judge_selections
from director.ceremony import ONLINE
from director.errors import Declined, Reason
from director.events import (
    Act,
    AddOperator,
    Assign,
    ByOperator,
    Constrain,
    Done,
    Enrol,
    Event,
    Provision,
    Revoke,
    RevokeOperator,
    SubmitRoot,
    operator_uri,
    vehicle_uri,
)
from director.inventory import Vehicle
from director.poll import Answer
from director.provision import initial_files
from director.shell import messages
from director.shell.clock import utc_now
from director.shell.database import Records
from director.shell.doors import OutOfLimits, answering, caller, check_admitted, pieces
from director.shell.folder import KeyRing
from director.shell.keeper import Keeper
from director.status import status
from uptane.model.ids import FILENAME_LENGTH_MAX, EcuId, Filename, VehicleId, is_name
from uptane.model.limits import ROOT_LENGTH_MAX
from uptane.rpc.gen import director_pb2 as pb
from uptane.rpc.gen import director_pb2_grpc as rpc
from uptane.shell import tls
from uptane.verify.delegations import Wanted

VEHICLES_MAX = 100_000  # named in one request
REQUEST_LENGTH_MAX = 16_384  # octets of a request for a certificate; ours have 400


@dataclass(frozen=True, slots=True)
class Office:
    """What operators' acts need beside the records: addresses as vehicles reach them, authorities, online keys."""

    director_address: str
    time_address: str
    image_address: str
    authority: tls.Authority
    image_authority: bytes
    ring: KeyRing


class OperatorDoor(rpc.OperatorServicer):
    """Acts of operators."""

    def __init__(self, keeper: Keeper, office: Office) -> None:
        self._keeper = keeper
        self._office = office

    def Describe(self, request: pb.DescribeRequest, context: grpc.ServicerContext) -> pb.DescribeReply:
        """What this Director is."""
        with self._acting(context), self._keeper.database.reading() as records:
            fleet = self._keeper.fleet
            header = fleet.root.value.header
            return pb.DescribeReply(
                root=fleet.root.octets,
                root_version=header.version,
                root_expires=header.expires,
                time=utc_now(),
                director_address=self._office.director_address,
                time_address=self._office.time_address,
                image_address=self._office.image_address,
                vehicles=records.vehicles_total(),
                image_snapshot=fleet.catalogue.snapshot_version,
                image_heard=fleet.catalogue.heard or 0,
                image_trouble=self._keeper.trouble,
            )

    def Enrol(self, request: pb.EnrolRequest, context: grpc.ServicerContext) -> pb.EnrolReply:
        """Enter a vehicle."""
        with self._acting(context):
            ecus = tuple(map(messages.ecu_of, request.ecus))

            def act(records: Records) -> Act:
                known = records.vehicle(VehicleId(request.vehicle)) if is_name(request.vehicle) else None
                return Enrol(VehicleId(request.vehicle), ecus, request.description, known)

            return pb.EnrolReply(added=self._done(context, act).changed)

    def Provision(self, request: pb.ProvisionRequest, context: grpc.ServicerContext) -> Iterator[pb.ProvisionReply]:
        """What a vehicle's directory is made of."""
        with self._acting(context):
            if not request.certificate_request:
                with self._keeper.database.reading() as records:
                    vehicle = _known(records, request.vehicle)
                yield pb.ProvisionReply(provisioned=self._provisioned(vehicle, b""))
                return
            vehicle, certificate = self._provision(request, context)
            yield pb.ProvisionReply(provisioned=self._provisioned(vehicle, certificate))
            for name, octets in initial_files(vehicle, self._keeper.fleet).items():
                for piece, last in pieces(octets):
                    yield pb.ProvisionReply(file=pb.File(name=name, octets=piece, last=last))

    def Assign(self, request: pb.AssignRequest, context: grpc.ServicerContext) -> pb.AssignReply:
        """Order images."""
        with self._acting(context):
            selections = tuple(map(messages.selection_of, request.selections))
            judge_selections(selections)
            if request.all_vehicles == bool(request.vehicles):
                raise OutOfLimits("an order names vehicles, or all: exactly one of the two")
            ids = None if request.all_vehicles else _ids(request.vehicles)
            with self._keeper.database.reading() as records:
                found = list(records.vehicles(ids))
                _all_there(found, ids)
            # What is ordered has to be looked up; the machine says what it thinks of a repository that cannot be heard.
            self._keeper.hear(_wanted(found, request.selections))

            def act(records: Records) -> Act:
                vehicles = tuple(records.vehicles(ids))
                _all_there(vehicles, ids)
                return Assign(vehicles, selections, every=request.all_vehicles, dry_run=request.dry_run)

            outcomes = self._done(context, act).outcomes
            return pb.AssignReply(
                assigned=[
                    pb.Assigned(vehicle=each.vehicle, ecu=each.ecu, image=each.image, note=each.note)
                    for each in outcomes
                ]
            )

    def Constrain(self, request: pb.ConstrainRequest, context: grpc.ServicerContext) -> pb.ConstrainReply:
        """Add a rule between images, or take it back."""
        with self._acting(context):
            rule = messages.rule_of(request)
            done = self._done(context, lambda _: Constrain(rule, request.remove))
            return pb.ConstrainReply(rules=done.rules)

    def Status(self, request: pb.StatusRequest, context: grpc.ServicerContext) -> Iterator[pb.VehicleStatus]:
        """Tell of vehicles, one message each."""
        with self._acting(context):
            ids = _ids(request.vehicles) if request.vehicles else None
            with self._keeper.database.reading() as records:
                vehicles = list(records.vehicles(ids))
                _all_there(vehicles, ids)
                polls = {vehicle.id: self._keeper.last_poll(records, vehicle.id) for vehicle in vehicles}
            for vehicle in vehicles:
                yield messages.status_message(status(vehicle, self._keeper.fleet), polls[vehicle.id])

    def Revoke(self, request: pb.RevokeRequest, context: grpc.ServicerContext) -> pb.RevokeReply:
        """End a vehicle's or an operator's access."""
        with self._acting(context):
            if bool(request.vehicle) == bool(request.operator):
                raise OutOfLimits("a vehicle or an operator is revoked: exactly one of the two")

            def act(records: Records) -> Act:
                if request.operator:
                    return RevokeOperator(request.operator)
                return Revoke(_known(records, request.vehicle))

            return pb.RevokeReply(changed=self._done(context, act).changed)

    def AddOperator(self, request: pb.AddOperatorRequest, context: grpc.ServicerContext) -> pb.AddOperatorReply:
        """Sign a further operator's certificate."""
        with self._acting(context):
            if not is_name(request.name):
                raise OutOfLimits(f"{request.name[:80]!r} is no name")
            certificate = self._certified(request.certificate_request, operator_uri(request.name))
            self._done(context, lambda _: AddOperator(request.name, _serial(certificate)))
            return pb.AddOperatorReply(certificate=certificate, ca=self._office.authority.certificate)

    def PrepareKey(self, request: pb.PrepareKeyRequest, context: grpc.ServicerContext) -> pb.PrepareKeyReply:
        """Make the next online key of a role."""
        with self._acting(context):
            if request.role not in {role.value for role in ONLINE}:
                raise OutOfLimits(f"{request.role[:40]!r} is no role with an online key")
            return pb.PrepareKeyReply(public_key=messages.key_message(self._office.ring.create(request.role).public))

    def SubmitRoot(self, request: pb.SubmitRootRequest, context: grpc.ServicerContext) -> pb.SubmitRootReply:
        """Take the next Root."""
        with self._acting(context):
            if len(request.root) > ROOT_LENGTH_MAX:
                raise OutOfLimits(f"a Root of {len(request.root)} octets; {ROOT_LENGTH_MAX} are taken")
            return pb.SubmitRootReply(version=self._done(context, lambda _: SubmitRoot(request.root)).version)

    def Audit(self, request: pb.AuditRequest, context: grpc.ServicerContext) -> Iterator[pb.AuditEntry]:
        """The log."""
        with self._acting(context):
            with self._keeper.database.reading() as records:
                entries = list(records.audit(request.after, request.limit or None))
            for linked in entries:
                entry = linked.entry
                yield pb.AuditEntry(
                    number=linked.number,
                    time=entry.utc,
                    actor=entry.actor,
                    act=entry.act.value,
                    subject=entry.subject,
                    detail=entry.detail,
                    digest=linked.digest,
                )

    # --------------------------------------------------------------------------------------------- in detail

    def _operator(self, context: grpc.ServicerContext) -> str:
        """The operator who calls; nobody else gets past here."""
        name, peer = caller(context, "operator")
        with self._keeper.database.reading() as records:
            check_admitted(records, peer)
        return name

    @contextmanager
    def _acting(self, context: grpc.ServicerContext) -> Iterator[None]:
        """A call of an operator: nothing of it is looked at before it is known that one calls."""
        with answering(context):
            self._operator(context)
            yield

    def _done(self, context: grpc.ServicerContext, act: Callable[[Records], Act]) -> Done:
        """Carry out an act; raise Declined if it is."""
        name, peer = caller(context, "operator")

        def making(records: Records) -> Event:
            check_admitted(records, peer)
            return ByOperator(name, utc_now(), act(records))

        answer = self._keeper.transact(making)
        if isinstance(answer, Declined):
            raise answer
        assert not isinstance(answer, Answer), "an act is answered by Done"
        return answer

    def _provision(self, request: pb.ProvisionRequest, context: grpc.ServicerContext) -> tuple[Vehicle, bytes]:
        if not is_name(request.vehicle):
            raise OutOfLimits(f"{request.vehicle[:80]!r} is no vehicle id")
        certificate = self._certified(request.certificate_request, vehicle_uri(VehicleId(request.vehicle)))
        certified = tls.fingerprint(request.certificate_request)
        keys = {EcuId(each.ecu): messages.key_of(each.public_key) for each in request.keys}
        self._keeper.try_to_hear()

        def act(records: Records) -> Act:
            vehicle = _known(records, request.vehicle)
            return Provision(vehicle, keys, _serial(certificate), request.replace, certified)

        vehicle = self._done(context, act).vehicle
        assert vehicle is not None, "a provisioned vehicle comes with the reply"
        return vehicle, certificate

    def _certified(self, request: bytes, uri: str) -> bytes:
        if len(request) > REQUEST_LENGTH_MAX:
            raise OutOfLimits(f"a request of {len(request)} octets for a certificate; {REQUEST_LENGTH_MAX} are taken")
        return self._office.authority.certify_client(request, uri)

    def _provisioned(self, vehicle: Vehicle, certificate: bytes) -> pb.Provisioned:
        office = self._office
        return pb.Provisioned(
            ecus=[messages.ecu_message(record.ecu) for record in vehicle.ecus],
            description=vehicle.description,
            ca=office.authority.certificate,
            certificate=certificate,
            image_ca=office.image_authority,
            director_address=office.director_address,
            time_address=office.time_address,
            image_address=office.image_address,
            time=utc_now(),
        )


def _serial(certificate: bytes) -> str:
    return tls.Credential(certificate, b"").serial


def _known(records: Records, vehicle: str) -> Vehicle:
    found = records.vehicle(VehicleId(vehicle)) if is_name(vehicle) else None
    if found is None:
        raise Declined(Reason.UNKNOWN, f"no vehicle {vehicle[:80]!r} is enrolled")
    return found


def _ids(names: Sequence[str]) -> list[VehicleId]:
    if len(names) > VEHICLES_MAX:
        raise OutOfLimits(f"{len(names)} vehicles; {VEHICLES_MAX} can be named at once")
    return [VehicleId(name) for name in dict.fromkeys(names)]


def _all_there(vehicles: Sequence[Vehicle], ids: Sequence[VehicleId] | None) -> None:
    missing = sorted(set(ids or ()) - {vehicle.id for vehicle in vehicles})
    if missing:
        names = ", ".join(repr(name[:80]) for name in missing[:8])
        raise Declined(Reason.UNKNOWN, f"not enrolled: {names}")
    if not vehicles:
        raise Declined(Reason.UNKNOWN, "no vehicle is enrolled")


def _wanted(vehicles: Sequence[Vehicle], selections: Sequence[pb.Selection]) -> set[Wanted]:
    """What an order needs to be looked up: each image for the hardware of each ECU it may be meant for."""
    return {
        Wanted(Filename(each.image), record.ecu.hardware)
        for each in selections
        if is_name(each.image, FILENAME_LENGTH_MAX)
        for vehicle in vehicles
        for record in vehicle.ecus
        if each.ecu == record.ecu.id or each.hardware == record.ecu.hardware
    }
