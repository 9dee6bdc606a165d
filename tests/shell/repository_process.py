"""An Image repository as real processes: founded once, copied per test, served on free ports over TLS."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

import grpc

from image_repo.publish import Occasion, Terms
from image_repo.shell.client import Client
from image_repo.shell.folder import Folder, KeyRing
from image_repo.shell.publishing import Desk
from image_repo.standing import Standing
from uptane.crypto import LocalSigner
from uptane.model.ids import TOP_TARGETS, RoleName
from uptane.model.signed import Authority
from uptane.moments import UtcTime
from uptane.rpc.gen import image_repo_pb2 as pb
from uptane.rpc.gen import image_repo_pb2_grpc as rpc
from uptane.shell import tls

ROOT = Path(__file__).resolve().parents[2]
PASSPHRASE = b"correct horse"
START_S = 30  # seconds; a server is up in 2, a busy machine takes longer
RINGS: dict[tuple[Path, str], LocalSigner] = {}


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "image_repo", *map(str, words)]


def run(*words: object, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*words), check=False, cwd=ROOT, capture_output=True, text=True, timeout=timeout)


def answer(*words: object, code: int = 0) -> Any:
    """The JSON a command answers with; its exit code is checked."""
    ran = run(*words, "--json")
    assert ran.returncode == code, (ran.returncode, ran.stdout, ran.stderr)
    return json.loads(ran.stdout.splitlines()[-1])


def secret_file(folder: Path, passphrase: bytes = PASSPHRASE) -> Path:
    path = folder / "passphrase"
    path.write_bytes(passphrase + b"\n")
    path.chmod(0o600)
    return path


def wait_for(condition: Any, seconds: float = START_S, tick: float = 0.02) -> Any:
    """The first true answer of `condition`, asked every `tick` seconds; fails when there is none in time."""
    never, end = Event(), time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        never.wait(tick)
    raise AssertionError("waited in vain")


@dataclass
class Repository:
    """A founded repository, and its server when it runs."""

    path: Path
    secret: Path
    server: subprocess.Popen[bytes] | None = None

    @property
    def folder(self) -> Folder:
        return Folder(self.path)

    def start(self, *more: object) -> Repository:
        ports = [self.path.parent / f"{self.path.name}.{kind}" for kind in ("port", "operator-port")]
        for file in ports:
            file.unlink(missing_ok=True)
        words = ["serve", "-C", self.path, "--passphrase-file", self.secret, "--port", 0, "--operator-port", 0]
        words += ["--port-file", ports[0], "--operator-port-file", ports[1], *more]
        self.log = self.path.parent / f"{self.path.name}.log"
        with self.log.open("ab") as log:
            self.server = subprocess.Popen(command(*words), cwd=ROOT, stdout=log, stderr=log)
        server = self.server
        wait_for(lambda: all(file.exists() for file in ports) or server.poll() is not None)
        assert server.poll() is None, self.log.read_text()
        self.port, self.operator_port = (int(file.read_text()) for file in ports)
        return self

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal; the exit code."""
        assert self.server is not None
        self.server.send_signal(number)
        code = self.server.wait(20)
        self.server = None
        return code

    def kill(self) -> None:
        if self.server is not None:
            self.server.kill()
            self.server.wait(20)
            self.server = None

    # ------------------------------------------------------------------------------------------- its operators

    def cli(self, *words: object, code: int = 0) -> Any:
        return answer(*words, "-C", self.path, "--passphrase-file", self.secret, code=code)

    def publish(self, path: Path, filename: str, *more: object, code: int = 0) -> Any:
        hardware = () if "--hardware" in more else ("--hardware", "hw-1")
        return self.cli("publish", path, "--filename", filename, *hardware, *more, code=code)

    def client(self, bundle: Path | None = None) -> Client:
        return Client(bundle or self.folder.operator, f"127.0.0.1:{self.operator_port}")

    def signers(self, authority: Authority) -> Sequence[LocalSigner]:
        """The offline keys; each is opened once in a test run, which takes a quarter of a second."""
        found = []
        for key_id in authority.keys:
            path = next(self.folder.offline.glob(f"*-{key_id.hex()}.pem"))
            known = (path.relative_to(self.path), path.read_text())
            if known not in RINGS:
                RINGS[known] = KeyRing(self.folder.offline, PASSPHRASE).signers(authority)[0]
            found.append(RINGS[known])
        return found

    def desk(self, client: Client, role: str = TOP_TARGETS) -> Desk:
        return Desk(client, self.signers, RoleName(role), Terms(), self.folder.pending)

    def standing(self) -> Standing:
        """What a vehicle that knows the first Root finds, all of it verified."""
        with self.client() as client:
            return client.standing()

    # -------------------------------------------------------------------------------------------- its vehicles

    def channel(self, credentials: grpc.ChannelCredentials | None = None, *, operators: bool = False) -> grpc.Channel:
        authority = (self.folder.public / "ca.pem").read_bytes()
        port = self.operator_port if operators else self.port
        return grpc.secure_channel(
            f"127.0.0.1:{port}", credentials or tls.channel_credentials(authority), options=tls.LIMITS
        )

    def image(self, sha256: bytes, offset: int = 0) -> list[bytes]:
        """The blocks of an image, as a vehicle gets them."""
        with self.channel() as channel:
            stub = rpc.ImageRepositoryStub(channel)
            return [chunk.octets for chunk in stub.GetImage(pb.ImageRequest(sha256=sha256, offset=offset), timeout=20)]

    def file(self, name: str) -> bytes:
        """A metadata file, as a vehicle gets it."""
        with self.channel() as channel:
            stub = rpc.ImageRepositoryStub(channel)
            return b"".join(chunk.octets for chunk in stub.GetMetadata(pb.MetadataRequest(name=name), timeout=20))


def status_of(call: Any) -> tuple[grpc.StatusCode, str]:
    """The status a call fails with."""
    try:
        result = call()
        if hasattr(result, "__next__"):
            list(result)
    except grpc.RpcError as error:
        failed: Any = error
        return failed.code(), failed.details() or ""
    raise AssertionError("the call succeeded")


def copied(founded: Path, target: Path) -> Repository:
    """A repository of its own for one test, as if just founded."""
    shutil.copytree(founded, target / "repo")
    return Repository(target / "repo", secret_file(target))


def occasion(utc: int) -> Occasion:
    return Occasion(UtcTime(utc), Terms())


def octets_of(length: int, seed: bytes = b"") -> bytes:
    return os.urandom(length - len(seed)) + seed
