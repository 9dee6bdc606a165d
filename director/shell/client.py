"""An operator's connection to the Director."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import grpc

from director.errors import Refused
from director.shell.rpc_failure import code_of, metadata_of, text_of
from uptane.errors import BY_CODE, LinkFailure, StorageFailure
from uptane.rpc.gen import director_pb2 as pb
from uptane.rpc.gen import director_pb2_grpc as rpc
from uptane.shell import tls

CALL_S = 120  # seconds; an order for 10,000 vehicles takes 20
CHECK_KEY = "marque-check"


class Client:
    """One operator's connection. `identity` is the folder with authority, certificate and key."""

    def __init__(self, identity: Path, address: str) -> None:
        own = tls.load_credential(identity / "operator.pem", identity / "operator.key")
        credentials = tls.channel_credentials(tls.read_public(identity / "ca.pem"), own)
        self.address = address
        self._channel = grpc.secure_channel(address, credentials, options=tls.LIMITS)
        self._stub = rpc.OperatorStub(self._channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._channel.close()

    def describe(self) -> pb.DescribeReply:
        """What the Director is."""
        with self._calling():
            return self._stub.Describe(pb.DescribeRequest(), timeout=CALL_S)

    def enrol(self, vehicle: str, ecus: Sequence[pb.Ecu], description: str) -> bool:
        """Enter a vehicle; whether it was not there before."""
        with self._calling():
            request = pb.EnrolRequest(vehicle=vehicle, ecus=ecus, description=description)
            return self._stub.Enrol(request, timeout=CALL_S).added

    def provision(self, request: pb.ProvisionRequest) -> tuple[pb.Provisioned, Mapping[str, bytes]]:
        """What a vehicle's directory is made of: what the Director knows, and its first metadata by path."""
        provisioned = pb.Provisioned()
        files: dict[str, bytearray] = {}
        with self._calling():
            for reply in self._stub.Provision(request, timeout=CALL_S):
                if reply.WhichOneof("reply") == "provisioned":
                    provisioned = reply.provisioned
                else:
                    files.setdefault(reply.file.name, bytearray()).extend(reply.file.octets)
        return provisioned, {name: bytes(octets) for name, octets in files.items()}

    def assign(self, request: pb.AssignRequest) -> Sequence[pb.Assigned]:
        """Order images."""
        with self._calling():
            return self._stub.Assign(request, timeout=CALL_S).assigned

    def constrain(self, request: pb.ConstrainRequest) -> Sequence[str]:
        """Add a rule between images or take it back; all rules there are then."""
        with self._calling():
            return self._stub.Constrain(request, timeout=CALL_S).rules

    def status(self, vehicles: Iterable[str]) -> list[pb.VehicleStatus]:
        """These vehicles; all of them for none."""
        with self._calling():
            return list(self._stub.Status(pb.StatusRequest(vehicles=vehicles), timeout=CALL_S))

    def revoke(self, request: pb.RevokeRequest) -> bool:
        """End an access; whether there was one."""
        with self._calling():
            return self._stub.Revoke(request, timeout=CALL_S).changed

    def add_operator(self, name: str, request: bytes) -> pb.AddOperatorReply:
        """A certificate for a further operator."""
        with self._calling():
            wanted = pb.AddOperatorRequest(name=name, certificate_request=request)
            return self._stub.AddOperator(wanted, timeout=CALL_S)

    def prepare_key(self, role: str) -> pb.PublicKey:
        """The next online key of a role."""
        with self._calling():
            return self._stub.PrepareKey(pb.PrepareKeyRequest(role=role), timeout=CALL_S).public_key

    def submit_root(self, octets: bytes) -> int:
        """Hand in the next Root; its version."""
        with self._calling():
            return self._stub.SubmitRoot(pb.SubmitRootRequest(root=octets), timeout=CALL_S).version

    def audit(self, after: int = 0) -> Iterator[pb.AuditEntry]:
        """The log behind an entry, oldest first."""
        with self._calling():
            yield from self._stub.Audit(pb.AuditRequest(after=after), timeout=CALL_S)

    @contextmanager
    def _calling(self) -> Iterator[None]:
        """Whatever goes wrong becomes one of ours.

        Raises:
            Refused: the Director says no.
            LinkFailure: it does not answer, or does not take this certificate.
            StorageFailure: it cannot store.
        """
        try:
            yield
        except grpc.RpcError as error:
            code, text = code_of(error), text_of(error)
            if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                raise LinkFailure(
                    f"the Director at {self.address} does not answer, or one of us does not take the other's "
                    f"certificate: {text}"
                ) from error
            if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
                raise StorageFailure(f"the Director at {self.address}: {text}") from error
            check = metadata_of(error, CHECK_KEY)
            raise Refused(text, BY_CODE.get(int(check)) if check.isdecimal() else None) from error
