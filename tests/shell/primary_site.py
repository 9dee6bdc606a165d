"""A Primary of one ECU, provisioned below a folder; one server is its Director, Image repository and time service."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent import futures
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import grpc

from tests.builders import (
    CODEC,
    COORDINATOR,
    HARDWARE,
    PRIMARY,
    TIME,
    VEHICLE,
    VERIFIER,
    Pair,
    image,
    sealed,
)
from uptane.errors import Check
from uptane.model.reports import EcuReport, TimeAttestation, VehicleManifest
from uptane.moments import UtcTime
from uptane.rpc.gen import director_pb2, director_pb2_grpc, image_repo_pb2, image_repo_pb2_grpc, time_pb2, time_pb2_grpc
from uptane.shell import keys, tls
from uptane.verify.threshold import accept_from, opened

DAY = 86_400


def octets_of(name: str, counter: int) -> bytes:
    return f"{name} {counter}".encode() * 50


class Servers(
    director_pb2_grpc.VehicleServicer, time_pb2_grpc.TimeServicer, image_repo_pb2_grpc.ImageRepositoryServicer
):
    """The three servers of one pair of repositories; what the vehicle said last is `report`, after so many `polls`."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self.admitted = b""
        self.report: EcuReport | None = None
        self.images: dict[bytes, bytes] = {}
        self.poll_again_s = 1
        self.polls = 0

    def Poll(self, request: Any, context: grpc.ServicerContext) -> Iterator[director_pb2.PollReply]:
        self.polls += 1
        if request.manifest:
            manifest = self._read(request.manifest, VehicleManifest)
            self.report = self._read(manifest.entries[0].report, EcuReport)
            self.admitted = sha256(request.manifest).digest()
        yield director_pb2.PollReply(
            answer=director_pb2.Answer(admitted_digest=self.admitted, poll_again_s=self.poll_again_s)
        )
        repo = self.pair.director
        for role in ("root", "timestamp", "snapshot", "targets"):
            version = repo.versions[role]
            if version > getattr(request, role):
                name = role if role == "timestamp" else f"{version}.{role}"
                yield director_pb2.PollReply(file=director_pb2.File(name=name, octets=repo.offered[name], last=True))

    @staticmethod
    def _read(octets: bytes, kind: Any) -> Any:
        envelope = opened(VERIFIER, octets, 1 << 20)
        return accept_from(VERIFIER, envelope, COORDINATOR.public, kind, check=Check.MANIFEST_SIGNATURE).value

    def Attest(self, request: Any, context: grpc.ServicerContext) -> time_pb2.AttestReply:
        now = UtcTime(self.pair.now)
        made = [sealed(CODEC.encode(TimeAttestation(1, now, nonce)), [TIME]) for nonce in request.nonces]
        return time_pb2.AttestReply(attestations=made)

    def GetMetadata(self, request: Any, context: grpc.ServicerContext) -> Iterator[image_repo_pb2.Chunk]:
        octets = self.pair.image.offered.get(request.name)
        if octets is None:
            context.abort(grpc.StatusCode.NOT_FOUND, "")
        yield image_repo_pb2.Chunk(octets=octets)

    def GetImage(self, request: Any, context: grpc.ServicerContext) -> Iterator[image_repo_pb2.Chunk]:
        octets = self.images[request.sha256][request.offset :]
        for at in range(0, len(octets), 1_000):
            yield image_repo_pb2.Chunk(octets=octets[at : at + 1_000])


@dataclass
class Site:
    """A vehicle of one ECU, its folder, and its servers."""

    folder: Path
    servers: Servers

    @property
    def config(self) -> Path:
        return self.folder / "config.toml"

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "primary", *arguments]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run(self, verb: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        process = self.start(verb, "--config", str(self.config), *arguments)
        out, err = process.communicate(timeout=60)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def assign(self, counter: int = 2) -> str:
        new = image(f"primary/app-{counter}", counter, HARDWARE[PRIMARY])
        self.servers.images[new.sha256] = octets_of(new.filename, counter)
        self.servers.pair.offer(PRIMARY, new, "targets")
        self.servers.pair.image.issue()
        self.servers.pair.director.issue()
        return new.filename

    def edit(self, old: str, new: str) -> None:
        text = self.config.read_text()
        assert old in text
        self.config.write_text(text.replace(old, new))


def sites(folder: Path) -> Iterator[Site]:
    """One site, served as long as it is looked at."""
    pair = Pair()
    for ecu in [ecu for ecu in pair.director.entries if ecu != PRIMARY]:
        del pair.director.entries[ecu]
    pair.director.issue()
    servers = Servers(pair)
    authority = tls.Authority.create("fleet")
    server = grpc.server(futures.ThreadPoolExecutor(4), options=tls.LIMITS)
    port = server.add_secure_port("127.0.0.1:0", tls.server_credentials(authority.server(), authority.certificate))
    public = server.add_secure_port("127.0.0.1:0", tls.server_credentials(authority.server()))
    director_pb2_grpc.add_VehicleServicer_to_server(servers, server)
    time_pb2_grpc.add_TimeServicer_to_server(servers, server)
    image_repo_pb2_grpc.add_ImageRepositoryServicer_to_server(servers, server)
    server.start()
    made = Site(folder, servers)
    _provision(made, authority, port, public)
    yield made
    server.stop(None).wait()


def _provision(site: Site, authority: tls.Authority, port: int, public: int) -> None:
    folder, pair = site.folder, site.servers.pair
    factory = pair.factory[PRIMARY]
    for repo in (pair.director, pair.image):
        initial = folder / "initial" / repo.repository.value
        initial.mkdir(parents=True)
        versions = repo.versions
        for file, name in {
            "root": f"{versions['root']}.root",
            "timestamp": "timestamp",
            "snapshot": f"{versions['snapshot']}.snapshot",
            "targets": f"{versions['targets']}.targets",
        }.items():
            (initial / file).write_bytes(repo.offered[name])
    (folder / "initial" / "time").write_text(str(pair.now - DAY))
    (folder / "initial" / "image.bin").write_bytes(octets_of(factory.filename, factory.release_counter))
    (folder / "keys").mkdir()
    keys.save(folder / "keys" / "ecu.pem", COORDINATOR, None)
    tls.save_credential(
        authority.client(f"marque:vehicle:{VEHICLE}"), folder / "tls" / "cert.pem", folder / "tls" / "key.pem"
    )
    for name in ("ca.pem", "image-ca.pem"):
        tls.write_public(folder / "tls" / name, authority.certificate)
    (folder / "gate").write_text("parked yes\nminutes 30\nconsent any\n")
    (folder / "mapping.toml").write_text('[[mapping]]\npaths = ["**"]\nrepositories = ["director", "image"]\n')
    site.config.write_text(
        f'vehicle = "{VEHICLE}"\necu = "{PRIMARY}"\nhardware = "{HARDWARE[PRIMARY]}"\nfilename = "*/*"\n'
        f'slot_size = 20000\n[director]\naddress = "127.0.0.1:{port}"\n[time]\naddress = "127.0.0.1:{public}"\n'
        f'[image_repository]\naddress = "127.0.0.1:{public}"\n[gate]\nkind = "file"\npath = "gate"\n'
        f'[image]\nfilename = "{factory.filename}"\nlength = {factory.length}\nsha256 = "{factory.sha256.hex()}"\n'
        f"release_counter = {factory.release_counter}\n"
    )
