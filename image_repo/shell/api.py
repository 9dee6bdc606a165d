"""The repository's two gRPC services: reading for everybody, publishing for operators (uptane/rpc/image_repo.proto).

Each request is bounded before anything is done for it, and each refusal is a status and, if a check refused, the
check's wire code in the trailing metadata `marque-check`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import accumulate
from typing import TypeVar

import grpc
import structlog

from image_repo.publish import ClockBehind, Conflict
from image_repo.service import FILES_MAX
from image_repo.shell.blobs import BLOCK_LENGTH, WrongOctets, WrongPlace
from image_repo.shell.keeper import Keeper
from image_repo.shell.outside import CHECK_KEY, PIECE_LENGTH_MAX
from image_repo.shell.report import status_of
from uptane.errors import Malformed, Rejected, StorageFailure, check_of
from uptane.model.ids import ID_LENGTH_MAX, is_name
from uptane.model.limits import IMAGE_LENGTH_MAX, TARGETS_LENGTH_MAX
from uptane.rpc.gen import image_repo_pb2 as pb
from uptane.rpc.gen import image_repo_pb2_grpc as rpc
from uptane.shell import tls

SUBMITTED_LENGTH_MAX = TARGETS_LENGTH_MAX + 8_388_608  # octets: one Targets of the largest size, and others beside it

MessageT = TypeVar("MessageT")

_NAME = re.compile(r"(?:([1-9][0-9]{0,9})\.)?([A-Za-z0-9._+:@-]+)", re.ASCII)
_LOG = structlog.get_logger("marque.image")


class OutOfLimits(Exception):
    """A request that does not keep to the interface; answered INVALID_ARGUMENT."""


class Reading(rpc.ImageRepositoryServicer):
    """Metadata and images, for everybody."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper

    def GetMetadata(self, request: pb.MetadataRequest, context: grpc.ServicerContext) -> Iterator[pb.Chunk]:
        """A metadata file in chunks."""
        with answering(context):
            octets = self._file(request.name)
            if octets is None:
                context.abort(grpc.StatusCode.NOT_FOUND, f"no file {request.name[:80]!r}")
            for start in range(0, len(octets), BLOCK_LENGTH):
                yield pb.Chunk(octets=octets[start : start + BLOCK_LENGTH])

    def _file(self, name: str) -> bytes | None:
        """The file of that name, if it can be one; Timestamp has no version, all others have one."""
        found = _NAME.fullmatch(name[: ID_LENGTH_MAX + 12])
        if found is None or (found[1] is None) != (found[2] == "timestamp"):
            return None
        return self._keeper.database.file(found[2], None if found[1] is None else int(found[1]))

    def GetImage(self, request: pb.ImageRequest, context: grpc.ServicerContext) -> Iterator[pb.Chunk]:
        """A published image's octets, from an offset on."""
        with answering(context):
            sha256 = _digest(request.sha256)
            length = self._keeper.database.published(sha256)
            if length is None:
                context.abort(grpc.StatusCode.NOT_FOUND, f"no published image has SHA-256 {sha256.hex()}")
            if request.offset > length:
                context.abort(grpc.StatusCode.OUT_OF_RANGE, f"the image has {length} octets")
            for block in self._keeper.blobs.read(sha256, request.offset):
                yield pb.Chunk(octets=block)


class Publishing(rpc.PublisherServicer):
    """Uploads and publications, for operators."""

    def __init__(self, keeper: Keeper, revoked: Callable[[], frozenset[str]]) -> None:
        self._keeper = keeper
        self._revoked = revoked

    def FindBlob(self, request: pb.BlobRequest, context: grpc.ServicerContext) -> pb.BlobState:
        """How much of a blob is held."""
        with answering(context):
            self._operator(context)
            return self._state(_digest(request.sha256))

    def Upload(self, request_iterator: Iterator[pb.UploadRequest], context: grpc.ServicerContext) -> pb.BlobState:
        """Take a blob's octets from an offset on."""
        with answering(context):
            operator = self._operator(context)
            first = _first(request_iterator)
            if first is None or first.WhichOneof("part") != "opening":
                raise OutOfLimits("the first message is an opening")
            opening = first.opening
            sha256 = _digest(opening.sha256)
            if not opening.offset <= opening.length <= IMAGE_LENGTH_MAX:
                raise OutOfLimits(f"offset <= length <= {IMAGE_LENGTH_MAX}")
            held = self._keeper.blobs.upload(sha256, opening.length, opening.offset, _pieces(request_iterator))
            _LOG.info("upload", who=operator, sha256=sha256.hex(), held=held.octets, complete=held.complete)
            return self._state(sha256)

    def Publish(self, request_iterator: Iterator[pb.PublishRequest], context: grpc.ServicerContext) -> pb.Published:
        """Judge what is submitted, and make it visible."""
        with answering(context):
            operator = self._operator(context)
            publication = self._keeper.submit(_submitted(request_iterator), operator)
            names = [file.name for file in publication.files]
            _LOG.info("published", who=operator, files=names, images=len(publication.images))
            return pb.Published(
                names=names, snapshot=publication.files[-2].version, timestamp=publication.files[-1].version
            )

    def Status(self, request: pb.StatusRequest, context: grpc.ServicerContext) -> pb.StatusReply:
        """What is published, and what lies about unpublished."""
        with answering(context):
            self._operator(context)
            return status_of(self._keeper)

    def _state(self, sha256: bytes) -> pb.BlobState:
        held = self._keeper.blobs.held(sha256)
        published = self._keeper.database.published(sha256) is not None
        return pb.BlobState(held=held.octets, complete=held.complete, published=published)

    def _operator(self, context: grpc.ServicerContext) -> str:
        """Who calls, for the records; nobody else than an operator gets past here."""
        peer = tls.peer(context)
        if not peer.uri.startswith("marque:operator:") or peer.serial in self._revoked():
            _LOG.warning("operator refused", uri=peer.uri, serial=peer.serial)
            context.abort(grpc.StatusCode.PERMISSION_DENIED, f"{peer.uri[:100]!r} may not publish here")
        return f"{peer.uri} {peer.serial}"


@contextmanager
def answering(context: grpc.ServicerContext) -> Iterator[None]:
    """Whatever is refused within becomes a status of the call."""
    try:
        yield
    except (Rejected, Malformed) as refusal:
        context.set_trailing_metadata(((CHECK_KEY, str(check_of(refusal).code)),))
        _LOG.warning("refused", check=check_of(refusal).name, detail=str(refusal))
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(refusal))
    except (Conflict, WrongPlace) as conflict:
        context.abort(grpc.StatusCode.ABORTED, str(conflict))
    except WrongOctets as wrong:
        context.abort(grpc.StatusCode.DATA_LOSS, str(wrong))
    except OutOfLimits as wrong:
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(wrong))
    except tls.PeerRefused as refused:
        context.abort(grpc.StatusCode.UNAUTHENTICATED, str(refused))
    except StorageFailure as failure:
        _LOG.error("storage", detail=str(failure))
        context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, str(failure))
    except ClockBehind as behind:
        _LOG.error("clock", detail=str(behind))
        context.abort(grpc.StatusCode.UNAVAILABLE, str(behind))


def _digest(octets: bytes) -> bytes:
    if len(octets) != 32:
        raise OutOfLimits(f"a SHA-256 has 32 octets, not {len(octets)}")
    return octets


def _first(messages: Iterator[MessageT]) -> MessageT | None:
    """The first message; None if the stream ends or breaks before it."""
    try:
        return next(messages, None)
    except grpc.RpcError:
        return None


def _pieces(messages: Iterator[pb.UploadRequest] | Iterator[pb.PublishRequest]) -> Iterator[bytes]:
    """The octets of the messages that follow an opening; a stream that breaks ends here, what came is kept."""
    try:
        for message in messages:
            if message.WhichOneof("part") != "octets" or not 0 < len(message.octets) <= PIECE_LENGTH_MAX:
                raise OutOfLimits(f"after the opening come octets, 1 to {PIECE_LENGTH_MAX} a message")
            yield message.octets
    except grpc.RpcError:
        return


def _submitted(messages: Iterator[pb.PublishRequest]) -> dict[str, bytes]:
    """The files of a publication, by role."""
    first = _first(messages)
    if first is None or first.WhichOneof("part") != "opening":
        raise OutOfLimits("the first message is an opening")
    files = first.opening.files
    lengths = {file.role: file.length for file in files}
    if not 0 < len(lengths) == len(files) <= FILES_MAX or not all(map(is_name, lengths)) or 0 in lengths.values():
        raise OutOfLimits(f"1 to {FILES_MAX} files, each role once, none empty")
    total = sum(lengths.values())
    if total > SUBMITTED_LENGTH_MAX:
        raise OutOfLimits(f"{total} octets, {SUBMITTED_LENGTH_MAX} are taken")
    octets = bytearray()
    for piece in _pieces(messages):
        octets += piece
        if len(octets) > total:
            raise OutOfLimits(f"more than the {total} octets announced")
    if len(octets) != total:
        raise OutOfLimits(f"{len(octets)} octets, {total} were announced")
    ends = list(accumulate(lengths.values()))
    return {role: bytes(octets[end - lengths[role] : end]) for role, end in zip(lengths, ends, strict=True)}
