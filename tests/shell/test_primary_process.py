"""marque-primary as a process: exit statuses, one update of its own, kill -9 in the middle, one at a time, SIGTERM."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent import futures
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import grpc
import pytest

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
from uptane.model.reports import EcuReport, EcuState, TimeAttestation, VehicleManifest
from uptane.moments import UtcTime
from uptane.rpc.gen import director_pb2, director_pb2_grpc, image_repo_pb2, image_repo_pb2_grpc, time_pb2, time_pb2_grpc
from uptane.shell import keys, tls
from uptane.verify.threshold import accept_from, opened

pytestmark = pytest.mark.process
DAY = 86_400


def octets_of(name: str, counter: int) -> bytes:
    return f"{name} {counter}".encode() * 50


class Servers(
    director_pb2_grpc.VehicleServicer, time_pb2_grpc.TimeServicer, image_repo_pb2_grpc.ImageRepositoryServicer
):
    """The three servers of one pair of repositories; what the vehicle said last is `report`."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self.admitted = b""
        self.report: EcuReport | None = None
        self.images: dict[bytes, bytes] = {}

    def Poll(self, request: Any, context: grpc.ServicerContext) -> Iterator[director_pb2.PollReply]:
        if request.manifest:
            manifest = self._read(request.manifest, VehicleManifest)
            self.report = self._read(manifest.entries[0].report, EcuReport)
            self.admitted = sha256(request.manifest).digest()
        yield director_pb2.PollReply(answer=director_pb2.Answer(admitted_digest=self.admitted, poll_again_s=1))
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


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
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
    made = Site(tmp_path, servers)
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


def test_one_update_of_its_own(site: Site) -> None:
    filename = site.assign()
    done = site.run("once", "--json", "--progress", str(site.folder / "progress.jsonl"))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"result": "DONE", "text": ""}
    report = site.servers.report
    assert report is not None
    assert (report.state, report.image.filename) == (EcuState.RELEASED, filename)
    assert (site.folder / "slots" / "slot1.bin").read_bytes() == octets_of(filename, 2)
    steps = [json.loads(line)["step"] for line in (site.folder / "progress.jsonl").read_text().splitlines()]
    assert {"download", "transfer", "prepare", "activate", "commit", "release", "done"} <= set(steps)
    status = json.loads(site.run("status", "--json").stdout)
    assert (status["state"], status["image"], status["slot"]) == ("released", filename, 1)
    again = site.run("once", "--json")
    assert (again.returncode, json.loads(again.stdout)["result"]) == (0, "IDLE")


@pytest.mark.slow
@pytest.mark.parametrize("after_s", [0.9, 1.2, 1.5, 2.0])
def test_killed_in_the_middle_it_ends_old_or_new(site: Site, after_s: float) -> None:
    filename = site.assign()
    process = site.start("run", "--config", str(site.config))
    with pytest.raises(subprocess.TimeoutExpired):
        process.communicate(timeout=after_s)
    process.kill()
    process.communicate()
    outcomes = [json.loads(site.run("once", "--json").stdout)["result"] for _ in range(2)]
    assert outcomes[-1] == "IDLE"
    report = site.servers.report
    assert report is not None
    old = site.servers.pair.factory[PRIMARY].filename
    assert report.image.filename in {filename, old}
    assert report.state in {EcuState.RELEASED, EcuState.IDLE}


def test_a_failed_self_test_is_rolled_back_and_said(site: Site) -> None:
    site.edit("[gate]", '[self_test]\ncommand = ["false"]\n[gate]')
    site.assign()
    done = site.run("once", "--json")
    assert (done.returncode, json.loads(done.stdout)["result"]) == (3, "ROLLED_BACK")
    assert site.servers.report is not None
    assert site.servers.report.image.filename == site.servers.pair.factory[PRIMARY].filename


def test_a_shut_gate_is_waited_for(site: Site) -> None:
    (site.folder / "gate").write_text("parked no\nconsent any\n")
    site.assign()
    done = site.run("once")
    assert done.returncode == 4
    assert "not parked" in done.stdout


def test_no_server_is_its_own_status(site: Site) -> None:
    text = site.config.read_text()
    site.config.write_text(
        "\n".join('address = "127.0.0.1:1"' if "address" in line else line for line in text.splitlines())
    )
    done = site.run("once")
    assert done.returncode == 69
    assert "cannot be reached" in done.stdout


def test_sigterm_ends_it_within_two_seconds(site: Site) -> None:
    process = site.start("run", "--config", str(site.config))
    assert process.stdout is not None
    assert "is ready" in process.stdout.readline()
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=10)
    assert process.returncode == 0
    assert time.monotonic() - began < 2


def test_one_process_is_this_primary(site: Site) -> None:
    process = site.start("run", "--config", str(site.config))
    assert process.stdout is not None
    process.stdout.readline()
    second = site.run("once")
    assert second.returncode == 74
    assert "another process" in second.stderr
    process.terminate()
    process.communicate(timeout=10)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("[gate]", "[gait]", "gait: unknown key"),
        ("slot_size = 20000", "slot_size = 0", "slot_size is 0"),
        ('kind = "file"', 'kind = "key"', "gate.kind"),
        ('[director]\naddress = "127.0.0.1:', '[director]\naddress = "127.0.0.1', "host:port"),
        ('filename = "*/*"', "filename = [", "is no TOML"),
        ("release_counter = 1", "release_counter = -1", "image.release_counter"),
    ],
)
def test_a_bad_configuration_is_explained(site: Site, old: str, new: str, words: str) -> None:
    site.edit(old, new)
    done = site.run("once")
    assert done.returncode == 78
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_another_mapping_is_refused_rather_than_ignored(site: Site) -> None:
    (site.folder / "mapping.toml").write_text('[[mapping]]\npaths = ["**"]\nrepositories = ["director"]\n')
    done = site.run("once")
    assert done.returncode == 78
    assert "mapping" in done.stderr


def test_a_missing_initial_set_is_explained(site: Site) -> None:
    (site.folder / "initial" / "director" / "root").unlink()
    done = site.run("once")
    assert done.returncode == 78
    assert "initial set" in done.stderr


def test_a_truncated_record_is_recovered_and_reported(site: Site) -> None:
    site.run("once")
    (victim,) = [path for path in (site.folder / "state" / "manifest").iterdir() if path.name.startswith("latest~0")]
    victim.write_bytes(victim.read_bytes()[:40])
    done = site.run("once")
    assert done.returncode == 0
    assert "was damaged" in done.stdout
    assert site.servers.report is not None
    assert Check.STATE_DAMAGED.code in {each.check for each in site.servers.report.refusals}


def test_without_assertions_it_does_not_run(site: Site) -> None:
    command = [sys.executable, "-O", "-m", "primary", "once", "--config", str(site.config)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "-O" in done.stderr


def test_a_command_nobody_knows_is_misuse(site: Site) -> None:
    assert site.run("twice").returncode == 2
