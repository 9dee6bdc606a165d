"""The Image repository over gRPC: what the catalogue's workflow wants fetched, and what it wants kept."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, assert_never

import grpc

from director.catalogue import Catalogue, refresh
from director.shell.clock import utc_now
from director.shell.database import Database
from director.shell.rpc_failure import code_of, text_of
from uptane.errors import LinkFailure
from uptane.rpc.gen import image_repo_pb2 as pb
from uptane.rpc.gen import image_repo_pb2_grpc as rpc
from uptane.shell import tls
from uptane.verify.delegations import Wanted
from uptane.verify.needs import Drop, Fetch, Keep, Need, Stands
from uptane.verify.threshold import Verifier

CALL_S = 30  # seconds a file may take; 64 MiB at 20 Mbit/s
RECONNECT_MS = 5_000  # a server that comes back is found again soon

OPTIONS = (*tls.LIMITS, ("grpc.max_reconnect_backoff_ms", RECONNECT_MS))


class ImageRepository:
    """One channel to the Image repository. Safe for threads; one refresh at a time is the caller's care."""

    def __init__(self, address: str, authority: bytes) -> None:
        self.address = address
        self._channel = grpc.secure_channel(address, tls.channel_credentials(authority), options=OPTIONS)
        self._stub = rpc.ImageRepositoryStub(self._channel)

    def close(self) -> None:
        """Let go of the channel."""
        self._channel.close()

    def fetch(self, need: Fetch) -> bytes | None:
        """A metadata file, one octet too long if it is longer than its limit; None if there is none of that name.

        Raises:
            LinkFailure: the repository does not answer.
        """
        octets = bytearray()
        try:
            call: Any = self._stub.GetMetadata(pb.MetadataRequest(name=str(need.name)), timeout=CALL_S)
            for chunk in call:
                octets += chunk.octets
                if len(octets) > need.length_max:
                    call.cancel()
                    break
        except grpc.RpcError as error:
            if code_of(error) is grpc.StatusCode.NOT_FOUND:
                return None
            raise LinkFailure(f"Image repository at {self.address}: {text_of(error)}") from error
        return bytes(octets[: need.length_max + 1])


def heard(
    repository: ImageRepository,
    database: Database,
    verifier: Verifier,
    *,
    catalogue: Catalogue,
    wanted: Iterable[Wanted],
) -> Catalogue:
    """What the Image repository says now; its files are stored.

    Raises:
        LinkFailure: it does not answer.
        Rejected, Malformed: it says something that does not hold.
        StorageFailure: its files cannot be stored.
    """
    workflow = refresh(verifier, catalogue, wanted, utc=utc_now())
    answer: bytes | None = None
    result: object = None
    while result is None:
        try:
            need = workflow.send(answer)
        except StopIteration as ended:
            result = ended.value
        else:
            answer = _met(need, repository, database)
    assert isinstance(result, Catalogue)
    return result


def _met(need: Need, repository: ImageRepository, database: Database) -> bytes | None:
    """Carry out one need of the workflow."""
    match need:
        case Fetch():
            return repository.fetch(need)
        case Keep(file=file, octets=octets):
            with database.writing() as records:
                records.keep_image_file(file, octets)
        case Drop(file=file):
            with database.writing() as records:
                records.keep_image_file(file, None)
        case Stands():
            pass  # the catalogue is made anew from what is stored
        case _:
            assert_never(need)
    return None
