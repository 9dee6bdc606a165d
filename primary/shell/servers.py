"""The Primary's calls to its three servers: gRPC on warm channels, one call after the other in a thread of their own.

A channel keeps threads that wake some seven times a second, whether or not anybody calls; so a Primary that has nothing
to do for long lets go of its channels, and all of these threads end.

Answers are bounded while they come, never after. Whatever goes wrong is an Unreachable that says what a person would
have to mend: gRPC says UNAVAILABLE for a server that is down and for a certificate that is refused alike, so the door
is probed once more by hand (probe.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar, cast

import grpc

from primary.needs import (
    BLOCK_LENGTH,
    Attest,
    FetchBlock,
    FetchMetadata,
    Poll,
    Polled,
    Reason,
    RefusedByDirector,
    Unreachable,
)
from primary.shell.config import Config
from primary.shell.probe import probe
from uptane.errors import LinkFailure
from uptane.model.limits import (
    ATTESTATION_LENGTH_MAX,
    DIRECTOR_TARGETS_LENGTH_MAX,
    ROOT_LENGTH_MAX,
    ROOTS_PER_CYCLE_MAX,
    SNAPSHOT_LENGTH_MAX,
    TIMESTAMP_LENGTH_MAX,
)
from uptane.rpc.gen import director_pb2, director_pb2_grpc, image_repo_pb2, image_repo_pb2_grpc, time_pb2, time_pb2_grpc
from uptane.shell.loop import Worker
from uptane.shell.tls_client import LIMITS, client_credentials, read_private, read_public

AnswerT = TypeVar("AnswerT")

POLL_S: Final = 60  # for an answer with all its files: 400 kB at 8 kB/s
ATTEST_S: Final = 20
METADATA_S: Final = 1_800  # for one file: the largest, 9 MB, at 5 kB/s; slowness is noticed by the core long before
IMAGE_S: Final = 300  # one stream of an image; it is opened again where it ended as long as something comes
FILES_LENGTH_MAX: Final = (
    ROOTS_PER_CYCLE_MAX * ROOT_LENGTH_MAX + TIMESTAMP_LENGTH_MAX + SNAPSHOT_LENGTH_MAX + DIRECTOR_TARGETS_LENGTH_MAX
)
FILES_MAX: Final = ROOTS_PER_CYCLE_MAX + 3
REFUSALS_MAX: Final = 16

_CHANNEL: Final = (
    *LIMITS,
    ("grpc.initial_reconnect_backoff_ms", 500),
    ("grpc.max_reconnect_backoff_ms", 2_000),  # how long to wait is the core's to say, not gRPC's
    ("grpc.enable_http_proxy", 0),
)
_FORBIDDEN: Final = frozenset({grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED})
_DOWN: Final = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED})


@dataclass(slots=True)
class _Stream:
    """An image on its way: `buffer` has come and was not asked for yet; `came` says whether anything has."""

    sha256: bytes
    offset: int
    call: Any
    buffer: bytes = b""
    came: bool = False

    def stop(self) -> None:
        """End the call."""
        self.call.cancel()


class Servers:
    """The three servers of a vehicle. `ask` answers later, by posting; `close` ends calls under way.

    Raises:
        StorageFailure: a certificate or key cannot be read.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        own = (read_public(config.certificate), read_private(config.certificate_key))
        self._places: Final = {
            "Director": config.director,
            "time service": config.time,
            "Image repository": config.image,
        }
        authorities = {place.authority: read_public(place.authority) for place in self._places.values()}
        self._credentials = {
            name: client_credentials(authorities[place.authority], own if name == "Director" else None)
            for name, place in self._places.items()
        }
        self._channels: dict[str, grpc.Channel] = {}
        self._worker = Worker("servers")
        self._stream: _Stream | None = None
        self.octets_sent = self.octets_received = 0
        """Octets of the messages of polls, for the bench."""

    def ask(self, need: Poll | Attest | FetchMetadata | FetchBlock, post: Callable[[object], None]) -> None:
        """Carry out `need` and post its answer, or the MarqueError that is its answer."""
        name, work = self._work(need)

        def job() -> object:
            try:
                return work()
            except grpc.RpcError as error:
                return self._explained(name, error)
            except LinkFailure as failure:
                return failure

        self._worker.do(job, post)

    def rest(self, failed: Callable[[Exception], None]) -> None:
        """Nothing will be asked for long: let go of the channels, after what was asked before; connect anew then."""
        self._worker.do(self._let_go, lambda found: failed(found) if isinstance(found, Exception) else None)

    def close(self) -> None:
        """End all calls and threads."""
        for channel in tuple(self._channels.values()):
            channel.close()
        self._worker.stop()

    def _let_go(self) -> None:
        self._stream = None
        while self._channels:
            self._channels.popitem()[1].close()

    def _channel(self, name: str) -> grpc.Channel:
        """The warm channel to a server; connected when it is first asked something."""
        channel = self._channels.get(name)
        if channel is None:
            place = self._places[name]
            other = () if place.name is None else (("grpc.ssl_target_name_override", place.name),)
            options = (*_CHANNEL, *other)
            channel = self._channels[name] = grpc.secure_channel(
                place.address, self._credentials[name], options=options
            )
        return channel

    def _work(self, need: Poll | Attest | FetchMetadata | FetchBlock) -> tuple[str, Callable[[], object]]:
        match need:
            case Poll():
                return "Director", lambda: self._poll(need)
            case Attest():
                return "time service", lambda: self._attest(need)
            case FetchMetadata():
                return "Image repository", lambda: self._metadata(need)
            case FetchBlock():
                return "Image repository", lambda: self._block(need)

    # ---------------------------------------------------------------------------------------------------- calls

    def _poll(self, need: Poll) -> Polled:
        held = need.held
        request = director_pb2.PollRequest(
            manifest_digest=need.manifest_digest,
            manifest=need.manifest,
            root=held.root,
            timestamp=held.timestamp,
            snapshot=held.snapshot,
            targets=held.targets,
        )
        self.octets_sent += request.ByteSize()
        answer: director_pb2.Answer | None = None
        files: dict[str, bytearray] = {}
        length = 0
        stub = director_pb2_grpc.VehicleStub(self._channel("Director"))
        for reply in stub.Poll(request, timeout=POLL_S):
            self.octets_received += reply.ByteSize()
            if reply.HasField("answer"):
                answer = reply.answer
                continue
            file = reply.file
            length += len(file.octets)
            if length > FILES_LENGTH_MAX or (file.name not in files and len(files) >= FILES_MAX):
                raise Unreachable("Director", Reason.REFUSED, "it sends more than any vehicle takes")
            files.setdefault(file.name, bytearray()).extend(file.octets)
        if answer is None:
            raise Unreachable("Director", Reason.REFUSED, "it ended without an answer")
        refused = tuple(RefusedByDirector(each.check, each.detail) for each in answer.refused[:REFUSALS_MAX])
        whole = {name: bytes(octets) for name, octets in files.items()}
        return Polled(answer.manifest_wanted, answer.admitted_digest, answer.poll_again_s, refused, whole)

    def _attest(self, need: Attest) -> tuple[bytes, ...]:
        stub = time_pb2_grpc.TimeStub(self._channel("time service"))
        reply = stub.Attest(time_pb2.AttestRequest(nonces=need.nonces), timeout=ATTEST_S)
        if any(len(octets) > ATTESTATION_LENGTH_MAX for octets in reply.attestations):
            raise Unreachable("time service", Reason.REFUSED, "an attestation is too long")
        return tuple(reply.attestations)

    def _metadata(self, need: FetchMetadata) -> bytes | None:
        """The file; cut off behind its limit, so that its length is refused without reading all of it."""
        octets = bytearray()
        stub = image_repo_pb2_grpc.ImageRepositoryStub(self._channel("Image repository"))
        call = stub.GetMetadata(image_repo_pb2.MetadataRequest(name=need.name), timeout=METADATA_S)
        try:
            for chunk in call:
                octets.extend(chunk.octets)
                if len(octets) > need.length_max:
                    cast("Any", call).cancel()  # it is a call; the stubs do not say so
                    break
        except grpc.RpcError as error:
            if _code(error) is grpc.StatusCode.NOT_FOUND:
                return None
            raise
        return bytes(octets[: need.length_max + 1])

    def _block(self, need: FetchBlock) -> bytes | None:
        """The next octets of the stream that is open, or of one opened at the offset."""
        for _ in range(2):
            stream = self._open_stream(need)
            try:
                return self._next(stream)
            except grpc.RpcError as error:
                self._stream = None
                code = _code(error)
                if code is grpc.StatusCode.NOT_FOUND:
                    return None
                if code is not grpc.StatusCode.DEADLINE_EXCEEDED or not stream.came:
                    raise
        raise Unreachable("Image repository", Reason.DOWN, "the image comes too slowly")

    def _open_stream(self, need: FetchBlock) -> _Stream:
        stream = self._stream
        if stream is None or (stream.sha256, stream.offset) != (need.sha256, need.offset):
            if stream is not None:
                stream.stop()
            request = image_repo_pb2.ImageRequest(sha256=need.sha256, offset=need.offset)
            stub = image_repo_pb2_grpc.ImageRepositoryStub(self._channel("Image repository"))
            stream = _Stream(need.sha256, need.offset, stub.GetImage(request, timeout=IMAGE_S))
            self._stream = stream
        return stream

    def _next(self, stream: _Stream) -> bytes:
        while not stream.buffer:
            chunk = next(stream.call, None)
            if chunk is None:
                self._stream = None
                return b""
            stream.buffer, stream.came = chunk.octets, True
        octets, stream.buffer = stream.buffer[:BLOCK_LENGTH], stream.buffer[BLOCK_LENGTH:]
        stream.offset += len(octets)
        return octets

    def _explained(self, name: str, error: grpc.RpcError) -> Unreachable:
        """What the code means; an unavailable server is looked at once more."""
        code = _code(error)
        if code in _FORBIDDEN:
            return Unreachable(name, Reason.FORBIDDEN, code.name)
        if code not in _DOWN:
            return Unreachable(name, Reason.REFUSED, code.name)
        place = self._places[name]
        reason = probe(place, (self._config.certificate, self._config.certificate_key) if name == "Director" else None)
        return Unreachable(name, reason, f"{place.address}, {code.name}")


def _code(error: grpc.RpcError) -> grpc.StatusCode:
    """An RpcError that a call raises is the call, which has a code; the stubs do not say so."""
    code = getattr(error, "code", None)
    found = code() if callable(code) else None
    return found if isinstance(found, grpc.StatusCode) else grpc.StatusCode.UNKNOWN
