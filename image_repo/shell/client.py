"""The operators' end of the two services: read and verify what stands, upload images, submit what was signed.

What the server says is verified from the Root at hand before anything is built on it and signed: a server that was
broken into must not get people to sign what they did not write.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import grpc

from image_repo.publish import ROOT, SNAPSHOT, TIMESTAMP
from image_repo.shell.folder import Folder
from image_repo.shell.outside import CHECK_KEY, PIECE_LENGTH_MAX, verifier
from image_repo.standing import ALWAYS, Standing, standing_of
from uptane.errors import BY_CODE, Check, LinkFailure, MarqueError, Rejected
from uptane.model.ids import MetaName, Repository
from uptane.model.limits import (
    ROOT_LENGTH_MAX,
    ROOTS_PER_CYCLE_MAX,
    SNAPSHOT_LENGTH_MAX,
    TARGETS_LENGTH_MAX,
    TIMESTAMP_LENGTH_MAX,
)
from uptane.model.metadata import ImageRepository, ImageTargets
from uptane.rpc.gen import image_repo_pb2 as pb
from uptane.rpc.gen import image_repo_pb2_grpc as rpc
from uptane.shell import tls
from uptane.verify.roles import check_snapshot, check_timestamp
from uptane.verify.root import check_root, first_root
from uptane.verify.trusted import Trusted

CALL_S = 60  # seconds; a publication of 100,000 images is judged in 20
UPLOAD_S = 3_600
ATTEMPTS = 4  # of an upload that breaks off: each goes on where the one before ended
PAUSE_S = 0.5  # seconds before the second attempt; doubled for each further one

Progress = Callable[[int], None]
"""Told how many octets of an upload are there by now."""


class Refused(MarqueError):
    """The server refuses; `check` if it said which check."""

    def __init__(self, text: str, check: Check | None = None) -> None:
        self.check = check
        super().__init__(text)


class Lost(Refused):
    """Somebody else was first: do it again."""


class Client:
    """One operator's connection. `bundle` holds certificate, key, authority and Root."""

    def __init__(self, bundle: Path, address: str) -> None:
        own = tls.load_credential(bundle / "operator.pem", bundle / "operator.key")
        self._anchor = tls.read_public(bundle / "root")
        self._address = address
        credentials = tls.channel_credentials(tls.read_public(bundle / "ca.pem"), own)
        self._channel = grpc.secure_channel(address, credentials, options=tls.LIMITS)
        self._reader = rpc.ImageRepositoryStub(self._channel)
        self._publisher = rpc.PublisherStub(self._channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._channel.close()

    # ------------------------------------------------------------------------------------------------ reading

    def metadata(self, name: MetaName, length_max: int) -> bytes | None:
        """A metadata file; None if the server has none of that name.

        Raises:
            LinkFailure: the server does not answer.
            Rejected: LENGTH, if it sends more than `length_max` octets.
        """
        octets = bytearray()
        try:
            for chunk in self._reader.GetMetadata(pb.MetadataRequest(name=str(name)), timeout=CALL_S):
                octets += chunk.octets
                if len(octets) > length_max:
                    raise Rejected(Check.LENGTH, str(name))
        except grpc.RpcError as error:
            if _code(error) is grpc.StatusCode.NOT_FOUND:
                return None
            raise self._refusal(error) from error
        return bytes(octets)

    def standing(self) -> Standing:
        """The newest files, verified from the Root at hand on; expiry is not judged, for renewing is why we ask.

        Raises:
            Rejected, Malformed: the server says something that does not hold.
            LinkFailure: the server does not answer.
        """
        checks = verifier()
        root = first_root(checks, self._anchor, ImageRepository())
        for _ in range(ROOTS_PER_CYCLE_MAX):
            octets = self.metadata(MetaName(ROOT, root.value.header.version + 1), ROOT_LENGTH_MAX)
            if octets is None:
                break
            root = check_root(checks, octets, root)
        bare: Trusted[ImageTargets] = Trusted(Repository.IMAGE, ImageRepository(), root)
        stamp = self._needed(MetaName(TIMESTAMP), TIMESTAMP_LENGTH_MAX, Check.TIMESTAMP_MISSING)
        timestamp = check_timestamp(checks, stamp, bare, utc=ALWAYS)
        named = MetaName(SNAPSHOT, timestamp.value.snapshot.version)
        listing = self._needed(named, SNAPSHOT_LENGTH_MAX, Check.SNAPSHOT_MISSING)
        snapshot = check_snapshot(checks, listing, bare, timestamp=timestamp, utc=ALWAYS)
        files = {ROOT: root.octets, TIMESTAMP: stamp, SNAPSHOT: listing}
        for file in snapshot.value.files:
            files[file.name] = self._needed(
                MetaName(file.name, file.info.version), TARGETS_LENGTH_MAX, Check.TARGETS_MISSING
            )
        return standing_of(checks, files)

    def _needed(self, name: MetaName, length_max: int, check: Check) -> bytes:
        octets = self.metadata(name, length_max)
        if octets is None:
            raise Rejected(check, str(name))
        return octets

    # --------------------------------------------------------------------------------------------- publishing

    def status(self) -> pb.StatusReply:
        """What the server says of itself.

        Raises:
            LinkFailure, Refused: it does not answer, or not to us.
        """
        with self._translated():
            return self._publisher.Status(pb.StatusRequest(), timeout=CALL_S)

    def upload(self, path: Path, sha256: bytes, length: int, told: Progress) -> bool:
        """Have the file's octets on the server, whole; whether any had to be sent. Breaks are mended.

        Raises:
            LinkFailure: it breaks again and again.
            Refused: the server does not take it.
        """
        for attempt in range(ATTEMPTS):
            try:
                with self._translated():
                    state = self._publisher.FindBlob(pb.BlobRequest(sha256=sha256), timeout=CALL_S)
                    if state.complete:
                        told(length)
                        return attempt > 0
                    parts = _upload_parts(path, sha256, length, offset=state.held, told=told)
                    self._publisher.Upload(parts, timeout=UPLOAD_S)
                    return True
            except (LinkFailure, Lost):
                if attempt == ATTEMPTS - 1:
                    raise
            time.sleep(PAUSE_S * 2**attempt)
        raise AssertionError("the last attempt has returned or raised")

    def publish(self, submitted: Mapping[str, bytes]) -> pb.Published:
        """Submit envelopes by role; what is visible now.

        Raises:
            Lost: somebody published in the meantime.
            Refused: a check refuses it.
            LinkFailure: no answer; it may or may not be published: look at the status.
        """
        with self._translated():
            return self._publisher.Publish(_publish_parts(submitted), timeout=CALL_S)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except grpc.RpcError as error:
            raise self._refusal(error) from error

    def _refusal(self, error: object) -> MarqueError:
        """What a failed call, an RpcError, means."""
        if not isinstance(error, grpc.Call):
            return LinkFailure(f"{self._address}: {error}")
        code, text = error.code(), error.details() or ""
        if code in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED}:
            return LinkFailure(
                f"{self._address} does not answer ({text.split(chr(10), 1)[0][:200]}): is it being served, and is "
                "our certificate of its authority?"
            )
        if code is grpc.StatusCode.ABORTED:
            return Lost(f"{text}: nothing was published, do it again")
        trailing = {item[0]: item[1] for item in error.trailing_metadata() or ()}
        number = trailing.get(CHECK_KEY)
        return Refused(text, BY_CODE.get(int(number)) if isinstance(number, str) and number.isdigit() else None)


def address_of(place: Path, given: str | None) -> tuple[Path, str]:
    """The bundle in `place` (a repository's folder, or a bundle itself), and where the server listens for operators."""
    folder = Folder(place)
    if not folder.settings_file.exists():
        return place, given or _first_line(place / "address")
    running = folder.run / "operator"
    settings = folder.settings()
    found = _first_line(running) if running.exists() else f"{settings.host}:{settings.operator_port}"
    return folder.operator, given or found


def _first_line(path: Path) -> str:
    return tls.read_public(path).decode("ascii", "replace").split("\n", 1)[0].strip()


def _upload_parts(path: Path, sha256: bytes, length: int, *, offset: int, told: Progress) -> Iterator[pb.UploadRequest]:
    yield pb.UploadRequest(opening=pb.UploadOpening(sha256=sha256, length=length, offset=offset))
    with path.open("rb") as file:
        file.seek(offset)
        told(offset)
        while piece := file.read(PIECE_LENGTH_MAX):
            yield pb.UploadRequest(octets=piece)
            told(file.tell())


def _publish_parts(submitted: Mapping[str, bytes]) -> Iterator[pb.PublishRequest]:
    files: Iterable[pb.SubmittedFile] = (
        pb.SubmittedFile(role=role, length=len(octets)) for role, octets in submitted.items()
    )
    yield pb.PublishRequest(opening=pb.PublishOpening(files=files))
    for octets in submitted.values():
        for start in range(0, len(octets), PIECE_LENGTH_MAX):
            yield pb.PublishRequest(octets=octets[start : start + PIECE_LENGTH_MAX])


def _code(error: object) -> grpc.StatusCode | None:
    return error.code() if isinstance(error, grpc.Call) else None
