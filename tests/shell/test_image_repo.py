"""The Image repository as its operators and vehicles meet it: a real server over TLS, and the real command line."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from threading import Thread
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from image_repo.publish import with_images
from image_repo.shell import publishing
from image_repo.shell.client import Lost, Refused
from image_repo.shell.publishing import Desk, Wish
from image_repo.shell.serving import READERS_MAX, READS_PER_CALLER_MAX
from tests.shell.repository_process import PASSPHRASE, Repository, answer, copied, octets_of, status_of, wait_for
from uptane.codec.oer import Oer
from uptane.crypto import generate
from uptane.errors import Check, Malformed
from uptane.model.ids import Filename, HardwareId
from uptane.model.limits import IMAGE_LENGTH_MAX
from uptane.model.metadata import Image
from uptane.model.signed import Scheme
from uptane.rpc.gen import image_repo_pb2 as pb
from uptane.rpc.gen import image_repo_pb2_grpc as rpc
from uptane.shell import tls
from uptane.verify.signing import sign

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def served(founded: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repository]:
    """One server for all tests that leave nothing behind that others would trip over."""
    repository = copied(founded, tmp_path_factory.mktemp("served")).start()
    yield repository
    repository.kill()


def silent(_wish: Wish, _length: int, _there: int) -> None:
    pass


def wish(path: Path, filename: str, counter: int | None = None) -> Wish:
    return Wish(path, filename, ("hw-1",), counter, sha512=False)


def upload_requests(octets: bytes, digest: bytes, length: int, offset: int = 0) -> Iterator[pb.UploadRequest]:
    yield pb.UploadRequest(opening=pb.UploadOpening(sha256=digest, length=length, offset=offset))
    for start in range(0, len(octets), 100_000):
        yield pb.UploadRequest(octets=octets[start : start + 100_000])


@pytest.fixture
def publisher(served: Repository) -> Iterator[rpc.PublisherStub]:
    own = tls.load_credential(served.folder.operator / "operator.pem", served.folder.operator / "operator.key")
    credentials = tls.channel_credentials((served.folder.public / "ca.pem").read_bytes(), own)
    with served.channel(credentials, operators=True) as channel:
        yield rpc.PublisherStub(channel)


# ---------------------------------------------------------------------------------------------- publish and read


def test_an_image_is_published_and_fetched_from_any_offset(served: Repository, tmp_path: Path) -> None:
    octets = octets_of(1_000_003)
    file = tmp_path / "brake.bin"
    file.write_bytes(octets)
    done = served.publish(file, "brake/1.bin", "--sha512", "--counter", 3, "--hardware", "b-1", "--hardware", "b-0")
    digest = sha256(octets).digest()
    shown = done["images"][0]
    assert shown["sha256"] == digest.hex()
    assert (shown["length"], shown["counter"], shown["hardware"]) == (1_000_003, 3, ["b-1", "b-0"])
    image = served.standing().targets.value.entries.find("brake/1.bin")
    assert image is not None
    assert image.sha512 is not None
    for offset in (0, 1, 262_144, 999_999, 1_000_003):
        blocks = served.image(digest, offset)
        assert b"".join(blocks) == octets[offset:]
        assert all(0 < len(block) <= 262_144 for block in blocks)
    assert served.publish(file, "brake/1.bin", "--counter", 3, "--sha512", "--hardware", "b-1", "--hardware", "b-0")[
        "notes"
    ] == ["nothing new: it is published already"]


def test_what_is_not_there_is_not_found(served: Repository) -> None:
    with served.channel() as channel:
        stub = rpc.ImageRepositoryStub(channel)
        names = ["2.root", "root", "1.timestamp", "99.snapshot", "0.root", "01.root", "4294967296.root", "1.nobody", ""]
        names += ["../1.root", "1./etc/passwd", "1.root\0", "x" * 100_000, "1.root/..", "1.ROOT", "1.root ", "1.röot"]
        for name in names:
            code, _ = status_of(lambda name=name: stub.GetMetadata(pb.MetadataRequest(name=name), timeout=10))
            assert code is grpc.StatusCode.NOT_FOUND, name
        for digest, offset, expected in (
            (bytes(32), 0, grpc.StatusCode.NOT_FOUND),
            (bytes(31), 0, grpc.StatusCode.INVALID_ARGUMENT),
            (b"", 0, grpc.StatusCode.INVALID_ARGUMENT),
            (bytes(33), 2**64 - 1, grpc.StatusCode.INVALID_ARGUMENT),
        ):
            request = pb.ImageRequest(sha256=digest, offset=offset)
            assert status_of(lambda request=request: stub.GetImage(request, timeout=10))[0] is expected


def test_an_offset_behind_the_end_is_out_of_range(served: Repository, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    served.publish(tmp_path / "a", "offset.bin")
    with served.channel() as channel:
        request = pb.ImageRequest(sha256=sha256(b"12345").digest(), offset=6)
        code, text = status_of(lambda: rpc.ImageRepositoryStub(channel).GetImage(request, timeout=10))
    assert code is grpc.StatusCode.OUT_OF_RANGE
    assert "5 octets" in text


def test_every_version_stays_to_be_had(served: Repository, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a version")
    before = served.standing().snapshot
    served.publish(tmp_path / "a", "version.bin")
    assert served.file(f"{before.value.header.version}.snapshot") == before.octets
    assert served.file("1.root") == (served.folder.public / "root").read_bytes()
    assert served.file("1.targets")
    assert served.file("timestamp") == served.standing().timestamp.octets


def test_health_on_both_ports(served: Repository, publisher: rpc.PublisherStub) -> None:
    with served.channel() as channel:
        reply = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=10)
        assert reply.status == health_pb2.HealthCheckResponse.SERVING


# -------------------------------------------------------------------------------------------------- who may what


def test_delegated_publish_and_what_a_delegate_may_not(served: Repository, tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(octets_of(1_000))
    served.cli("delegate", "acme", "--path", "acme/*", "--hardware", "acme-hw")
    mine = ("--role", "acme", "--hardware", "acme-hw")
    assert served.publish(file, "acme/1.bin", *mine)["published"][0] == "2.acme"
    assert served.standing().delegated
    for filename, hardware in (("other/1.bin", "acme-hw"), ("acme/2.bin", "hw-1"), ("acme/deep/2.bin", "acme-hw")):
        refused = served.publish(file, filename, "--role", "acme", "--hardware", hardware, code=1)
        assert refused["check"] == "PUBLISH_UNREACHED", refused
    refused = served.publish(file, "x.bin", "--role", "nobody", "--hardware", "hw-1", code=1)
    assert "no delegation leads to nobody" in refused["error"]


def test_a_supplier_with_a_key_and_a_bundle_of_its_own(served: Repository, tmp_path: Path) -> None:
    key, bundle, first = tmp_path / "key", tmp_path / "bundle", tmp_path / "first"
    secret = ("--passphrase-file", served.secret)
    run = served.cli
    answer("key", key, *secret)
    answer("begin", "tier1", "--key", key, "--out", first, *secret)
    refused = run("delegate", "tier1", "--path", "tier1/*", "--public-key", f"tier1={key}.pub", code=1)
    assert "begin tier1" in refused["error"]
    run("delegate", "tier1", "--path", "tier1/*", "--public-key", f"tier1={key}.pub", "--begun", f"tier1={first}")
    run("operator", "tier1", "--out", bundle, "--server", f"127.0.0.1:{served.operator_port}")
    (tmp_path / "fw").write_bytes(octets_of(500))
    words = ("publish", tmp_path / "fw", "--filename", "tier1/fw", "--hardware", "t", "--role", "tier1", "--key", key)
    done = answer(*words, "-C", bundle, *secret)
    assert done["published"][0] == "2.tier1"
    assert bundle.stat().st_mode & 0o77 == 0


def test_signed_by_a_key_that_is_not_the_roles(served: Repository) -> None:
    with served.client() as client:
        standing = client.standing()
        fresh = with_images(standing.targets.value, [], Oer(), served.desk(client).occasion())
        octets = sign(Oer(), fresh, [generate(Scheme.ED25519)])
        with pytest.raises(Refused) as refused:
            client.publish({"targets": octets})
    assert refused.value.check is Check.TARGETS_SIGNATURES


def test_an_image_that_was_not_uploaded(served: Repository) -> None:
    with served.client() as client:
        standing = client.standing()
        desk = served.desk(client)
        hardware = (HardwareId("hw-1"),)
        image = Oer().image(Image(Filename("ghost.bin"), 5, sha256(b"ghost").digest(), None, hardware, 1, b""))
        fresh = with_images(standing.targets.value, [image], Oer(), desk.occasion())
        with pytest.raises(Refused) as refused:
            publishing.submit_drafts(desk, [publishing.draft(desk, standing, fresh)])
    assert refused.value.check is Check.PUBLISH_OCTETS


@pytest.mark.parametrize("filename", ["../etc/passwd", "/etc/passwd", "a/../../b", "x" * 129, "a b", "ü", ""])
def test_names_that_lead_elsewhere(served: Repository, tmp_path: Path, filename: str) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    before = served.standing()
    with served.client() as client, pytest.raises(Malformed):
        publishing.publish(served.desk(client), [wish(tmp_path / "a", filename)], silent)
    assert served.standing() == before


@pytest.mark.parametrize("filename", ["a//b", "./a", "a/", "a/./b"])
def test_names_the_server_does_not_take(served: Repository, tmp_path: Path, filename: str) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    with served.client() as client, pytest.raises(Refused) as refused:
        publishing.publish(served.desk(client), [wish(tmp_path / "a", filename)], silent)
    assert refused.value.check is Check.PUBLISH_FILENAME


def test_the_same_name_with_other_content_needs_a_higher_counter(served: Repository, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"first")
    served.publish(tmp_path / "a", "same.bin", "--counter", 7, "--hardware", "same-hw")
    (tmp_path / "a").write_bytes(b"second")
    refused = served.publish(tmp_path / "a", "same.bin", "--counter", 7, "--hardware", "same-hw", code=1)
    assert refused["check"] == "PUBLISH_COUNTER"
    assert "give --counter 8 or higher" in refused["error"]
    assert served.publish(tmp_path / "a", "same.bin", "--hardware", "same-hw")["images"][0]["counter"] == 8


# ------------------------------------------------------------------------------------------------------- the door


def _credential(served: Repository, uri: str) -> tls.Credential:
    return _authority(served).client(uri)


def _authority(served: Repository) -> tls.Authority:
    return tls.Authority.load(served.folder.tls / "ca.pem", served.folder.tls / "ca.key", PASSPHRASE)


def _status(served: Repository, own: tls.Credential | None) -> tuple[grpc.StatusCode, str]:
    credentials = tls.channel_credentials((served.folder.public / "ca.pem").read_bytes(), own)
    with served.channel(credentials, operators=True) as channel:
        return status_of(lambda: rpc.PublisherStub(channel).Status(pb.StatusRequest(), timeout=10))


def test_who_is_not_let_in_at_the_operators_port(served: Repository) -> None:
    assert _status(served, None)[0] is grpc.StatusCode.UNAVAILABLE
    foreign = tls.Authority.create("foreign").client("marque:operator:operator")
    assert _status(served, foreign)[0] is grpc.StatusCode.UNAVAILABLE
    for uri in ("marque:vehicle:V1", "marque:operators:x", "https://operator"):
        assert _status(served, _credential(served, uri))[0] is grpc.StatusCode.PERMISSION_DENIED, uri
    server = tls.load_credential(served.folder.tls / "server.pem", served.folder.tls / "server.key", PASSPHRASE)
    assert _status(served, server)[0] in {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.UNAVAILABLE}


def test_a_revoked_operator_is_not_let_in(served: Repository, tmp_path: Path) -> None:
    serial = served.cli("operator", "bert", "--out", tmp_path / "bert")["serial"]
    with served.client(tmp_path / "bert") as client:
        assert client.status().roles
        answer("revoke", serial, "-C", served.path)
        with pytest.raises(Refused, match="may not publish here"):
            client.status()
    with served.client() as client:
        assert client.status().roles


def test_nothing_is_published_at_the_public_port(served: Repository) -> None:
    with served.channel() as channel:
        stub = rpc.PublisherStub(channel)
        calls: list[Any] = [
            lambda: stub.Status(pb.StatusRequest(), timeout=10),
            lambda: stub.FindBlob(pb.BlobRequest(sha256=bytes(32)), timeout=10),
            lambda: stub.Upload(upload_requests(b"x", bytes(32), 1), timeout=10),
            lambda: stub.Publish(iter([pb.PublishRequest()]), timeout=10),
        ]
        assert {status_of(call)[0] for call in calls} == {grpc.StatusCode.UNIMPLEMENTED}


# -------------------------------------------------------------------------------------------------------- uploads


def test_a_wrong_hash_keeps_nothing(publisher: rpc.PublisherStub) -> None:
    octets = octets_of(300_000)
    digest = sha256(octets + b"!").digest()
    code, text = status_of(lambda: publisher.Upload(upload_requests(octets, digest, len(octets)), timeout=10))
    assert code is grpc.StatusCode.DATA_LOSS
    assert sha256(octets).hexdigest() in text
    assert publisher.FindBlob(pb.BlobRequest(sha256=digest), timeout=10).held == 0


def test_a_truncated_upload_resumes_and_is_invisible_until_published(
    served: Repository, publisher: rpc.PublisherStub, tmp_path: Path
) -> None:
    octets = octets_of(900_000)
    digest = sha256(octets).digest()
    state = publisher.Upload(upload_requests(octets[:400_000], digest, len(octets)), timeout=10)
    assert (state.held, state.complete, state.published) == (400_000, False, False)
    assert (digest.hex(), 400_000) in _listed(served, "unfinished")
    for offset in (0, 399_999, 400_001, 900_000):
        again = upload_requests(octets[offset:], digest, len(octets), offset)
        code, text = status_of(lambda again=again: publisher.Upload(again, timeout=10))
        assert code is grpc.StatusCode.ABORTED
        assert "400000 octets are held" in text
    state = publisher.Upload(upload_requests(octets[400_000:], digest, len(octets), 400_000), timeout=10)
    assert (state.held, state.complete, state.published) == (900_000, True, False)
    assert (digest.hex(), 900_000) in _listed(served, "unpublished")
    with served.channel() as channel:
        request = pb.ImageRequest(sha256=digest)
        assert status_of(lambda: rpc.ImageRepositoryStub(channel).GetImage(request, timeout=10))[0] is (
            grpc.StatusCode.NOT_FOUND
        )
    (tmp_path / "late").write_bytes(octets)
    served.publish(tmp_path / "late", "late.bin")
    assert b"".join(served.image(digest)) == octets
    assert (digest.hex(), 900_000) not in _listed(served, "unpublished")


def _listed(served: Repository, kind: str) -> set[tuple[str, int]]:
    return {(blob["sha256"], blob["octets"]) for blob in answer("status", "-C", served.path)[kind]}


def test_an_upload_cut_off_by_the_client_keeps_what_came(publisher: rpc.PublisherStub) -> None:
    octets = octets_of(5_000_000)
    digest = sha256(octets).digest()

    def cut_off() -> Iterator[pb.UploadRequest]:
        yield from upload_requests(octets[:4_600_000], digest, len(octets))
        call.cancel()
        yield pb.UploadRequest(octets=b"never sent")

    call: Any = publisher.Upload.future(cut_off(), timeout=20)
    with pytest.raises(grpc.FutureCancelledError):
        call.result()

    # What is still under way when the call is cancelled may be lost, whole parts are not.
    state = wait_for(lambda: publisher.FindBlob(pb.BlobRequest(sha256=digest), timeout=10), 10)
    held = wait_for(lambda: publisher.FindBlob(pb.BlobRequest(sha256=digest), timeout=10).held or None, 10)
    assert 0 < held <= 4_600_000
    assert not state.complete


@pytest.mark.parametrize(
    "requests",
    [
        [],
        [pb.UploadRequest()],
        [pb.UploadRequest(octets=b"x")],
        [pb.UploadRequest(opening=pb.UploadOpening(sha256=bytes(31), length=1))],
        [pb.UploadRequest(opening=pb.UploadOpening(sha256=bytes(32), length=IMAGE_LENGTH_MAX + 1))],
        [pb.UploadRequest(opening=pb.UploadOpening(sha256=bytes(32), length=1, offset=2))],
        [pb.UploadRequest(opening=pb.UploadOpening(sha256=bytes(32), length=9)), pb.UploadRequest()],
        [pb.UploadRequest(opening=pb.UploadOpening(sha256=bytes(32), length=9)), pb.UploadRequest(octets=b"")],
        2 * [pb.UploadRequest(opening=pb.UploadOpening(sha256=bytes(32), length=9))],
    ],
    ids=["nothing", "empty", "octets first", "short hash", "too long", "offset", "empty later", "no octets", "twice"],
)
def test_uploads_that_do_not_keep_to_the_interface(publisher: rpc.PublisherStub, requests: list[Any]) -> None:
    assert status_of(lambda: publisher.Upload(iter(requests), timeout=10))[0] is grpc.StatusCode.INVALID_ARGUMENT


def _publish(*files: tuple[str, int], octets: bytes = b"x") -> list[pb.PublishRequest]:
    submitted = [pb.SubmittedFile(role=role, length=length) for role, length in files]
    opening = pb.PublishRequest(opening=pb.PublishOpening(files=submitted))
    return [opening, pb.PublishRequest(octets=octets)] if octets else [opening]


@pytest.mark.parametrize(
    "requests",
    [
        [],
        [pb.PublishRequest(octets=b"x")],
        _publish(),
        _publish(("targets", 0)),
        _publish(("targets", 1), ("targets", 1), octets=b"xx"),
        _publish(("targets", 2)),
        _publish(("targets", 1), octets=b"xx"),
        _publish(("../x", 1)),
        _publish(*((f"r{number}", 1) for number in range(17)), octets=b"x" * 17),
        _publish(("targets", 2**40)),
    ],
    ids=["nothing", "octets", "no file", "empty", "twice", "short", "long", "traversal", "many", "huge"],
)
def test_publications_that_do_not_keep_to_the_interface(publisher: rpc.PublisherStub, requests: list[Any]) -> None:
    assert status_of(lambda: publisher.Publish(iter(requests), timeout=10))[0] is grpc.StatusCode.INVALID_ARGUMENT


def test_a_message_over_the_limit_is_refused(publisher: rpc.PublisherStub) -> None:
    digest = bytes(32)
    opening = pb.UploadRequest(opening=pb.UploadOpening(sha256=digest, length=2_000_000))
    large = iter([opening, pb.UploadRequest(octets=bytes(tls.MESSAGE_LENGTH_MAX + 1))])
    assert status_of(lambda: publisher.Upload(large, timeout=10))[0] is grpc.StatusCode.RESOURCE_EXHAUSTED


# ----------------------------------------------------------------------------------------------------- concurrency


def test_two_publishers_from_one_start(served: Repository, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_bytes(octets_of(200) + name.encode())
    with served.client() as first, served.client() as second:
        stale = second.standing()
        publishing.publish(served.desk(first), [wish(tmp_path / "one", "one.bin")], silent)
        second.standing = lambda: stale  # type: ignore[method-assign]
        with pytest.raises(Lost, match=r"targets is at version \d+ by now.*do it again"):
            publishing.publish(served.desk(second), [wish(tmp_path / "two", "two.bin")], silent)
        del second.standing
        publishing.publish(served.desk(second), [wish(tmp_path / "two", "two.bin")], silent)
    entries = served.standing().targets.value.entries
    assert entries.find("one.bin")
    assert entries.find("two.bin")


def test_many_publishers_at_once_lose_nothing(served: Repository, tmp_path: Path) -> None:
    failures: list[BaseException] = []
    lost: list[int] = []

    def keep_trying(desk: Desk, number: int) -> None:
        path = tmp_path / str(number)
        path.write_bytes(octets_of(300) + bytes([number]))
        try:
            while True:
                try:
                    publishing.publish(desk, [wish(path, f"many/{number}.bin")], silent)
                    return
                except Lost:
                    lost.append(number)
        except BaseException as failure:  # noqa: BLE001  (to be shown by the main thread)
            failures.append(failure)

    clients = [served.client() for _ in range(5)]
    threads = [Thread(target=keep_trying, args=(served.desk(client), at)) for at, client in enumerate(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures
    entries = served.standing().targets.value.entries
    assert all(entries.find(f"many/{number}.bin") for number in range(5))
    for client in clients:
        client.__exit__(None, None, None)


# ------------------------------------------------------------------------------------------- who takes too much


def listed(channel: grpc.Channel) -> str:
    """What the server's reflection says it serves."""
    asked = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
    return str(list(reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(asked, timeout=10)))


def test_reflection_is_for_operators_alone(served: Repository) -> None:
    own = tls.load_credential(served.folder.operator / "operator.pem", served.folder.operator / "operator.key")
    credentials = tls.channel_credentials((served.folder.public / "ca.pem").read_bytes(), own)
    with served.channel(credentials, operators=True) as channel:
        assert "marque.image.v1.Publisher" in listed(channel)
    with served.channel() as channel:
        assert status_of(lambda: listed(channel))[0] is grpc.StatusCode.UNIMPLEMENTED


def test_one_reader_who_does_not_read_leaves_places_to_others(served: Repository, tmp_path: Path) -> None:
    """Of 64 downloads that nobody reads few are begun; the others are told at once, and places come back."""
    octets = octets_of(3_000_000)
    (tmp_path / "large").write_bytes(octets)
    served.publish(tmp_path / "large", "large.bin")
    with served.channel() as channel:
        stub = rpc.ImageRepositoryStub(channel)
        request = pb.ImageRequest(sha256=sha256(octets).digest())
        calls: list[Any] = [stub.GetImage(request, timeout=60) for _ in range(READERS_MAX)]
        refused = 0
        for call in calls:
            try:
                next(call)
            except grpc.RpcError:
                assert call.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
                refused += 1
        # A stream whose octets all fit into buffers on the way ends by itself, and gives its place to another.
        assert READS_PER_CALLER_MAX <= READERS_MAX - refused <= 2 * READS_PER_CALLER_MAX
        for call in calls:
            call.cancel()
        wait_for(lambda: _is_served(served))


def _is_served(repository: Repository) -> bool:
    try:
        return bool(repository.file("timestamp"))
    except grpc.RpcError:
        return False
