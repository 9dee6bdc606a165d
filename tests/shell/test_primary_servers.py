"""The Primary's calls, over real gRPC and TLS: what comes back, what is bounded, and why a server cannot be reached."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from concurrent import futures
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import grpc
import pytest

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
    Versions,
)
from primary.shell.config import Config, Server
from primary.shell.servers import FILES_MAX, Servers
from uptane.errors import StorageFailure
from uptane.rpc.gen import director_pb2, director_pb2_grpc, image_repo_pb2, image_repo_pb2_grpc, time_pb2, time_pb2_grpc
from uptane.shell import tls

POLL = Poll(b"d" * 32, b"manifest", Versions(1, 2, 3, 4))
IMAGE = bytes(range(256)) * 2_000


class Director(director_pb2_grpc.VehicleServicer):
    def __init__(self) -> None:
        self.asked: list[director_pb2.PollRequest] = []
        self.replies: list[director_pb2.PollReply] = []
        self.code: grpc.StatusCode | None = None

    def Poll(self, request: director_pb2.PollRequest, context: grpc.ServicerContext) -> Iterator[Any]:
        self.asked.append(request)
        if self.code is not None:
            context.abort(self.code, "as the test wants it")
        yield from self.replies


class Time(time_pb2_grpc.TimeServicer):
    def Attest(self, request: time_pb2.AttestRequest, context: grpc.ServicerContext) -> time_pb2.AttestReply:
        return time_pb2.AttestReply(attestations=[b"attested " + nonce for nonce in request.nonces])


class Images(image_repo_pb2_grpc.ImageRepositoryServicer):
    def __init__(self) -> None:
        self.opened: list[int] = []
        self.breaks_at: int | None = None

    def GetMetadata(self, request: Any, context: grpc.ServicerContext) -> Iterator[image_repo_pb2.Chunk]:
        if request.name == "absent":
            context.abort(grpc.StatusCode.NOT_FOUND, "")
        for _ in range(4):
            yield image_repo_pb2.Chunk(octets=b"m" * 1_000)

    def GetImage(self, request: Any, context: grpc.ServicerContext) -> Iterator[image_repo_pb2.Chunk]:
        if request.sha256 != b"i" * 32:
            context.abort(grpc.StatusCode.NOT_FOUND, "")
        self.opened.append(request.offset)
        for at in range(request.offset, len(IMAGE), 100_000):
            if self.breaks_at is not None and at >= self.breaks_at:
                self.breaks_at = None
                context.abort(grpc.StatusCode.UNAVAILABLE, "the server went away")
            yield image_repo_pb2.Chunk(octets=IMAGE[at : at + 100_000])


@dataclass
class Site:
    """All three servers on one port, and a Primary's view of them."""

    config: Config
    director: Director = field(default_factory=Director)
    images: Images = field(default_factory=Images)
    opened: list[Servers] = field(default_factory=list)

    def ask(self, need: Any, config: Config | None = None) -> Any:
        if config is not None or not self.opened:
            self.opened.append(Servers(config or self.config))
        answers: queue.SimpleQueue[object] = queue.SimpleQueue()
        self.opened[-1].ask(need, answers.put)
        return answers.get(timeout=30)

    def to(self, **changes: Any) -> Config:
        return replace(self.config, **changes)


@pytest.fixture(scope="module")
def authority() -> tls.Authority:
    return tls.Authority.create("fleet")


@pytest.fixture
def site(authority: tls.Authority, tmp_path: Path) -> Iterator[Site]:
    tls.write_public(tmp_path / "ca.pem", authority.certificate)
    tls.save_credential(authority.client("marque:vehicle:v"), tmp_path / "cert.pem", tmp_path / "key.pem")
    server = grpc.server(futures.ThreadPoolExecutor(4), options=tls.LIMITS)
    port = server.add_secure_port("127.0.0.1:0", tls.server_credentials(authority.server(), authority.certificate))
    public = server.add_secure_port("127.0.0.1:0", tls.server_credentials(authority.server()))
    there = Server(f"127.0.0.1:{public}", None, tmp_path / "ca.pem")
    config: Any = Config.__new__(Config)
    for name, value in {
        "director": replace(there, address=f"127.0.0.1:{port}"),
        "time": there,
        "image": there,
        "certificate": tmp_path / "cert.pem",
        "certificate_key": tmp_path / "key.pem",
        "token": None,
        "installer": None,
    }.items():
        object.__setattr__(config, name, value)
    for name in (
        "layout",
        "buses",
        "gate",
        "self_test",
        "self_test_s",
        "poll_s",
        "factory",
        "initial",
        "key",
        "state",
        "slots",
        "cache",
    ):
        object.__setattr__(config, name, None)
    made = Site(config)
    director_pb2_grpc.add_VehicleServicer_to_server(made.director, server)
    time_pb2_grpc.add_TimeServicer_to_server(Time(), server)
    image_repo_pb2_grpc.add_ImageRepositoryServicer_to_server(made.images, server)
    server.start()
    yield made
    for each in made.opened:
        each.close()
    server.stop(None).wait()


def answer(**fields: Any) -> director_pb2.PollReply:
    return director_pb2.PollReply(answer=director_pb2.Answer(**fields))


def piece(name: str, octets: bytes, *, last: bool = True) -> director_pb2.PollReply:
    return director_pb2.PollReply(file=director_pb2.File(name=name, octets=octets, last=last))


def test_a_poll_carries_everything_and_brings_files_in_pieces(site: Site) -> None:
    refused = [director_pb2.Refused(check=0x0A04, detail="why")]
    site.director.replies = [
        answer(admitted_digest=b"a" * 32, poll_again_s=77, refused=refused),
        piece("2.root", b"ro", last=False),
        piece("2.root", b"ot"),
        piece("timestamp", b"t"),
    ]
    polled = site.ask(POLL)
    assert polled == Polled(
        False, b"a" * 32, 77, (RefusedByDirector(0x0A04, "why"),), {"2.root": b"root", "timestamp": b"t"}
    )
    (asked,) = site.director.asked
    assert (asked.manifest_digest, asked.manifest) == (POLL.manifest_digest, POLL.manifest)
    assert (asked.root, asked.timestamp, asked.snapshot, asked.targets) == (1, 2, 3, 4)


def test_one_connection_serves_many_polls(site: Site) -> None:
    site.director.replies = [answer()]
    for _ in range(5):
        assert isinstance(site.ask(POLL), Polled)
    assert len(site.opened[0]._channels) == 1


def test_an_answer_without_an_answer_is_none(site: Site) -> None:
    site.director.replies = [piece("timestamp", b"t")]
    assert site.ask(POLL).reason is Reason.REFUSED


def test_more_files_than_any_vehicle_takes_are_not_gathered(site: Site) -> None:
    site.director.replies = [answer(), *(piece(f"{number}.root", b"r") for number in range(FILES_MAX))]
    assert len(site.ask(POLL).files) == FILES_MAX
    site.director.replies.append(piece("one.more", b"r"))
    assert site.ask(POLL).reason is Reason.REFUSED
    site.director.replies = [answer(), *(piece("1.snapshot", b"s" * 1_000_000, last=False) for _ in range(14))]
    assert site.ask(POLL).reason is Reason.REFUSED


def test_times_are_attested_in_order(site: Site) -> None:
    assert site.ask(Attest((b"1" * 16, b"2" * 16))) == (b"attested " + b"1" * 16, b"attested " + b"2" * 16)


def test_metadata_come_whole_absent_or_cut_off_behind_their_limit(site: Site) -> None:
    assert site.ask(FetchMetadata("3.snapshot", 10_000)) == b"m" * 4_000
    assert site.ask(FetchMetadata("3.snapshot", 4_000)) == b"m" * 4_000
    assert site.ask(FetchMetadata("3.snapshot", 1_500)) == b"m" * 1_501
    assert site.ask(FetchMetadata("absent", 10_000)) is None


def test_an_image_streams_in_blocks_from_one_call(site: Site) -> None:
    got = bytearray()
    while octets := site.ask(FetchBlock(b"i" * 32, len(got))):
        assert len(octets) <= BLOCK_LENGTH
        got += octets
    assert bytes(got) == IMAGE
    assert site.images.opened == [0]


def test_an_image_begins_at_any_offset(site: Site) -> None:
    assert site.ask(FetchBlock(b"i" * 32, 123_456)) == IMAGE[123_456 : 123_456 + BLOCK_LENGTH]
    assert site.ask(FetchBlock(b"i" * 32, 7)) == IMAGE[7 : 7 + BLOCK_LENGTH]
    assert site.ask(FetchBlock(b"i" * 32, len(IMAGE))) == b""


def test_an_image_goes_on_after_a_break(site: Site) -> None:
    site.images.breaks_at = 300_000
    got = bytearray(IMAGE[:200_000])
    failures = 0
    while len(got) < len(IMAGE):
        octets = site.ask(FetchBlock(b"i" * 32, len(got)))
        if isinstance(octets, Unreachable):
            failures += 1
            continue
        got += octets
    assert bytes(got) == IMAGE
    assert failures == 1


def test_an_image_nobody_has_is_none(site: Site) -> None:
    assert site.ask(FetchBlock(b"x" * 32, 0)) is None


# ---------------------------------------------------------------------------------------------- why it did not work


def test_a_server_that_is_down_is_down(site: Site) -> None:
    gone = replace(site.config.director, address="127.0.0.1:1")
    assert site.ask(POLL, site.to(director=gone)).reason is Reason.DOWN


def test_a_server_of_another_authority_is_untrusted(site: Site, tmp_path: Path) -> None:
    tls.write_public(tmp_path / "other.pem", tls.Authority.create("other").certificate)
    other = replace(site.config.director, authority=tmp_path / "other.pem")
    assert site.ask(POLL, site.to(director=other)).reason is Reason.UNTRUSTED


def test_a_server_under_another_name_is_untrusted(site: Site) -> None:
    other = replace(site.config.director, name="director.example")
    assert site.ask(POLL, site.to(director=other)).reason is Reason.UNTRUSTED


def test_a_certificate_of_another_authority_is_forbidden(site: Site, tmp_path: Path) -> None:
    stranger = tls.Authority.create("other").client("marque:vehicle:v")
    tls.save_credential(stranger, tmp_path / "stranger.pem", tmp_path / "stranger.key")
    config = site.to(certificate=tmp_path / "stranger.pem", certificate_key=tmp_path / "stranger.key")
    assert site.ask(POLL, config).reason is Reason.FORBIDDEN
    assert not site.director.asked


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (grpc.StatusCode.PERMISSION_DENIED, Reason.FORBIDDEN),
        (grpc.StatusCode.UNAUTHENTICATED, Reason.FORBIDDEN),
        (grpc.StatusCode.INVALID_ARGUMENT, Reason.REFUSED),
        (grpc.StatusCode.INTERNAL, Reason.REFUSED),
        (grpc.StatusCode.UNAVAILABLE, Reason.DOWN),
    ],
)
def test_a_refusal_by_code_is_told(site: Site, code: grpc.StatusCode, reason: Reason) -> None:
    site.director.code = code
    assert site.ask(POLL).reason is reason


def test_a_key_others_may_read_is_not_used(site: Site) -> None:
    site.config.certificate_key.chmod(0o644)
    with pytest.raises(StorageFailure, match="chmod 600"):
        Servers(site.config)
