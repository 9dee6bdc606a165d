"""The vehicles' door (uptane/rpc/director.proto, Vehicle): one call, about the vehicle its certificate names."""

from __future__ import annotations

from collections.abc import Iterator

import grpc

from director.errors import Declined
from director.events import ByVehicle, Done, Event, PollArrived
from director.poll import DIGEST_LENGTH, Answer, Asked, HeldVersions
from director.shell.clock import utc_now
from director.shell.database import Records
from director.shell.doors import NotAdmitted, OutOfLimits, answering, caller, check_admitted, pieces
from director.shell.keeper import Keeper
from uptane.model.ids import VehicleId
from uptane.model.limits import MANIFEST_LENGTH_MAX
from uptane.rpc.gen import director_pb2 as pb
from uptane.rpc.gen import director_pb2_grpc as rpc


class VehicleDoor(rpc.VehicleServicer):
    """Polls."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper

    def Poll(self, request: pb.PollRequest, context: grpc.ServicerContext) -> Iterator[pb.PollReply]:
        """Take what the vehicle says, answer what is new."""
        with answering(context):
            name, peer = caller(context, "vehicle")
            asked = _asked(request)

            def making(records: Records) -> Event:
                check_admitted(records, peer)
                vehicle = records.vehicle(VehicleId(name))
                if vehicle is None or vehicle.revoked is not None:
                    raise NotAdmitted(f"the vehicle {name} is {'not enrolled' if vehicle is None else 'revoked'}")
                self._keeper.polled_now(vehicle.id)
                return ByVehicle(utc_now(), PollArrived(vehicle, asked))

            answer = self._keeper.transact(making)
            if isinstance(answer, Declined):
                raise answer
            assert not isinstance(answer, Done), "a poll is answered by an Answer"
            yield from _replies(answer)


def _asked(request: pb.PollRequest) -> Asked:
    """The request within its limits."""
    if len(request.manifest_digest) not in (0, DIGEST_LENGTH):
        raise OutOfLimits(f"a manifest digest has {DIGEST_LENGTH} octets, not {len(request.manifest_digest)}")
    if len(request.manifest) > MANIFEST_LENGTH_MAX:
        raise OutOfLimits(f"a manifest of {len(request.manifest)} octets; {MANIFEST_LENGTH_MAX} are taken")
    held = HeldVersions(request.root, request.timestamp, request.snapshot, request.targets)
    return Asked(request.manifest_digest, request.manifest, held)


def _replies(answer: Answer) -> Iterator[pb.PollReply]:
    yield pb.PollReply(
        answer=pb.Answer(
            manifest_wanted=answer.manifest_wanted,
            admitted_digest=answer.admitted_digest,
            poll_again_s=answer.poll_again_s,
            refused=[pb.Refused(check=check.code, detail=detail) for check, detail in answer.refused],
        )
    )
    for name, octets in answer.files:
        for piece, last in pieces(octets):
            yield pb.PollReply(file=pb.File(name=name, octets=piece, last=last))
