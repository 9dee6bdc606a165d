"""A Director behind its real doors, over mTLS on a free port, with an Image repository that a test can break.

Keys are made here instead of by `init`, which takes seconds for its passphrases; everything else is what `serve` runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import grpc

from director.ceremony import first_root
from director.events import PutCertificate, PutRoot, operator_uri, vehicle_uri
from director.shell.catalogue_client import ImageRepository
from director.shell.clock import utc_now
from director.shell.database import Database
from director.shell.folder import KeyRing
from director.shell.hosting import grpc_server
from director.shell.keeper import Keeper, Terms
from director.shell.messages import ecu_message
from director.shell.operator_api import Office, OperatorDoor
from director.shell.vehicle_api import VehicleDoor
from tests.builders import ImageRepo
from tests.unit.director.garage import (
    CODEC,
    HARDWARE,
    KEYS,
    ROOT_KEYS,
    Ring,
    ecus,
    image,
    named,
    report,
    signed_report,
    signer,
)
from uptane.codec.oer import Oer
from uptane.crypto import Ed25519Signer, Sha2
from uptane.model.ids import TOP_TARGETS, Role, VehicleId
from uptane.model.metadata import LEVEL, Image
from uptane.model.reports import ManifestEntry, VehicleManifest
from uptane.moments import UtcTime
from uptane.rpc.gen import director_pb2 as pb
from uptane.rpc.gen import director_pb2_grpc as rpc
from uptane.rpc.gen import image_repo_pb2, image_repo_pb2_grpc
from uptane.shell import tls
from uptane.verify.signing import sign

LASTING_S = 30 * 86_400
CALL_S = 20


class Offered(image_repo_pb2_grpc.ImageRepositoryServicer):
    """Serves what the repository offers; `broken` makes it answer nothing."""

    def __init__(self, repo: ImageRepo) -> None:
        self.repo = repo
        self.broken = False

    def GetMetadata(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        octets = self.repo.offered.get(request.name)
        if self.broken:
            context.abort(grpc.StatusCode.INTERNAL, "broken")
        if octets is None:
            context.abort(grpc.StatusCode.NOT_FOUND, "no such file")
        assert octets is not None
        for start in range(0, len(octets), 1_000):
            yield image_repo_pb2.Chunk(octets=octets[start : start + 1_000])


@dataclass
class DirectorBench:
    """One Director. `folder` outlives it: begin another one there to see what was kept."""

    folder: Path
    repo: ImageRepo
    offered: Offered
    authority: tls.Authority
    keeper: Keeper
    database: Database
    port: int
    channels: list[grpc.Channel] = field(default_factory=list)

    # ------------------------------------------------------------------------------------------------ callers

    def channel(self, own: tls.Credential | None) -> grpc.Channel:
        credentials = tls.channel_credentials(self.authority.certificate, own)
        channel = grpc.secure_channel(f"127.0.0.1:{self.port}", credentials, options=tls.LIMITS)
        self.channels.append(channel)
        return channel

    def known(self, uri: str) -> tls.Credential:
        """A certificate that the Director has on record."""
        own = self.authority.client(uri)
        with self.database.writing() as records:
            records.carry_out([PutCertificate(own.serial, uri, utc_now())])
        return own

    def operator(self, name: str = "anna") -> rpc.OperatorStub:
        return rpc.OperatorStub(self.channel(self.known(operator_uri(name))))

    def vehicle(self, vin: str, own: tls.Credential | None = None) -> rpc.VehicleStub:
        return rpc.VehicleStub(self.channel(own or self.known(vehicle_uri(VehicleId(vin)))))

    # ------------------------------------------------------------------------------------------------- fleet

    def publish(self, *images: Image) -> None:
        """Let the Image repository vouch for images."""
        for each in images:
            self.repo.add(each, TOP_TARGETS)
        issue(self.repo)

    def enrol(self, vin: str, operator: rpc.OperatorStub | None = None) -> None:
        """A vehicle with the garage's ECUs; each vehicle has keys of its own."""
        messages = [ecu_message(ecu) for ecu in ecus()]
        for message in messages:
            message.public_key.octets = ecu_key(vin, message.id).public.octets
        request = pb.EnrolRequest(vehicle=vin, ecus=messages, description=f'vehicle = "{vin}"\n')
        (operator or self.operator()).Enrol(request, timeout=CALL_S)

    def provision(self, vin: str, key: bytes = b"", **more: Any) -> tuple[tls.Credential, dict[str, bytes]]:
        key = key or tls.new_key()
        request = pb.ProvisionRequest(vehicle=vin, certificate_request=tls.request_for(key), **more)
        replies = list(self.operator().Provision(request, timeout=CALL_S))
        files: dict[str, bytes] = {}
        for reply in replies[1:]:
            files[reply.file.name] = files.get(reply.file.name, b"") + reply.file.octets
        return tls.Credential(replies[0].provisioned.certificate, key), files


def ecu_key(vin: str, ecu: str) -> Ed25519Signer:
    return KEYS[ecu] if vin == "VIN1" else signer(f"{vin}/{ecu}")


def manifest(vin: str, counter: int = 1, **says: dict[str, Any]) -> bytes:
    """A manifest as the vehicle's ECUs and Primary sign it; `says` changes reports by ECU."""
    at = UtcTime(utc_now() - 5)
    entries = []
    for ecu in sorted(HARDWARE):
        said = replace(report(ecu, vehicle=VehicleId(vin), time=at, previous_time=at), **says.get(ecu, {}))
        entries.append(ManifestEntry(said.ecu, signed_report(said, ecu_key(vin, ecu)), None))
    value = VehicleManifest(LEVEL, VehicleId(vin), entries[-1].ecu, counter, tuple(entries))
    return sign(CODEC, value, [ecu_key(vin, "gw")])


def issue(repo: ImageRepo) -> None:
    """Issue everything, valid by the clock of this machine."""
    expires = UtcTime(utc_now() + LASTING_S)
    for role in ("targets", *(each for each in repo.images if each != "targets")):
        repo.targets(role, expires=expires)
    repo.snapshot(expires=expires)
    repo.timestamp(expires=expires)


def asked(digest: bytes = b"", manifest: bytes = b"", held: tuple[int, int, int, int] = (0, 0, 0, 0)) -> pb.PollRequest:
    root, timestamp, snapshot, targets = held
    return pb.PollRequest(
        manifest_digest=digest, manifest=manifest, root=root, timestamp=timestamp, snapshot=snapshot, targets=targets
    )


def polled(stub: rpc.VehicleStub, request: pb.PollRequest) -> tuple[pb.Answer, dict[str, bytes]]:
    """The answer of a poll, and its files."""
    first_reply, *rest = stub.Poll(request, timeout=CALL_S)
    assert first_reply.WhichOneof("reply") == "answer"
    files: dict[str, bytes] = {}
    for reply in rest:
        files[reply.file.name] = files.get(reply.file.name, b"") + reply.file.octets
    return first_reply.answer, files


def image_repository() -> ImageRepo:
    """One that vouches for what the garage's ECUs left the factory with."""
    repo = ImageRepo()
    repo.root(expires=UtcTime(utc_now() + LASTING_S))
    for name in ("body-0", "brake-0", "gw-0"):
        repo.add(image(name, counter=0), TOP_TARGETS)
    issue(repo)
    return repo


@contextmanager
def serving_images(repo: ImageRepo) -> Iterator[tuple[Offered, ImageRepository]]:
    authority = tls.Authority.create("images")
    server = grpc.server(ThreadPoolExecutor(4), options=tls.LIMITS)
    offered = Offered(repo)
    image_repo_pb2_grpc.add_ImageRepositoryServicer_to_server(offered, server)
    port = server.add_secure_port("127.0.0.1:0", tls.server_credentials(authority.server()))
    server.start()
    client = ImageRepository(f"127.0.0.1:{port}", authority.certificate)
    try:
        yield offered, client
    finally:
        client.close()
        server.stop(None).wait()


@contextmanager
def director_bench(folder: Path, repo: ImageRepo | None = None, *, hears: bool = True) -> Iterator[DirectorBench]:
    """A Director that serves until the block ends; it continues from the database in `folder` if there is one."""
    repo = repo or image_repository()
    new = not (folder / "director.db").exists()
    database = Database(folder / "director.db", Oer(), Sha2())
    with serving_images(repo) as (offered, images):
        if new:
            with database.writing() as records:
                records.carry_out([PutRoot(1, fresh_root())])
                records.keep_image_file("root", repo.offered["1.root"])
        ring: Any = Ring()
        keeper = Keeper(database, images, ring, Terms(lifetime_s=86_400, poll_s=300))
        if hears:
            keeper.hear()
        authority = tls.Authority.create("fleet")
        server = grpc_server()
        office = Office(
            director_address="director.example:1",
            time_address="time.example:2",
            image_address="images.example:3",
            authority=authority,
            image_authority=b"authority of the images",
            ring=KeyRing(folder / "online", None),
        )
        rpc.add_VehicleServicer_to_server(VehicleDoor(keeper), server)
        rpc.add_OperatorServicer_to_server(OperatorDoor(keeper, office), server)
        port = server.add_secure_port("127.0.0.1:0", tls.server_credentials(authority.server(), authority.certificate))
        server.start()
        bench = DirectorBench(folder, repo, offered, authority, keeper, database, port)
        try:
            yield bench
        finally:
            for channel in bench.channels:
                channel.close()
            server.stop(None).wait()
            database.close()


def fresh_root() -> bytes:
    """The garage's Root 1, valid by the clock of this machine."""
    root = first_root({role: [named(key)] for role, key in ROOT_KEYS.items()}, {}, utc_now())
    return sign(CODEC, root, [ROOT_KEYS[Role.ROOT]])
