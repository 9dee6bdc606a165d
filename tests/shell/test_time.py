"""marque-time as a process: over TLS, with its own key, and silent rather than wrong."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from director.shell.clock import utc_now
from director.shell.public_key import read_public_key
from director.shell.rpc_failure import code_of
from director.time_service import NONCES_MAX
from tests.shell.director_process import Process, answer, run
from tests.shell.repository_process import secret_file
from uptane.codec.oer import Oer
from uptane.crypto import Sha2, valid
from uptane.errors import Check
from uptane.model.reports import TimeAttestation
from uptane.rpc.gen import time_pb2 as pb
from uptane.rpc.gen import time_pb2_grpc as rpc
from uptane.shell import tls
from uptane.shell.files import Store
from uptane.verify.threshold import Verifier, accept_from

pytestmark = [pytest.mark.process, pytest.mark.timeout(240)]
VERIFIER = Verifier(Oer(), valid, Sha2())
FLEET = tls.Authority.create("fleet")


@pytest.fixture(scope="module")
def founded_time(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A time service just founded and certified, not served."""
    folder = tmp_path_factory.mktemp("time")
    answer("time", "init", folder / "time", "--passphrase-file", secret_file(folder))
    request = (folder / "time" / "request.pem").read_bytes()
    (folder / "time" / "certificate.pem").write_bytes(FLEET.certify_server(request))
    return folder


@pytest.fixture
def copied(founded_time: Path, tmp_path: Path) -> Path:
    shutil.copytree(founded_time, tmp_path, dirs_exist_ok=True)
    return tmp_path / "time"


@pytest.fixture(scope="module")
def running(founded_time: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    folder = tmp_path_factory.mktemp("running")
    shutil.copytree(founded_time, folder, dirs_exist_ok=True)
    process = Process("time", folder / "time", folder / "passphrase").start()
    try:
        yield process
    finally:
        process.kill()


def attested(of: Process, *nonces: bytes) -> list[TimeAttestation]:
    """What it attests, verified by its public key."""
    public = read_public_key(of.folder / "public.pem")
    credentials = tls.channel_credentials(FLEET.certificate)
    with grpc.secure_channel(f"127.0.0.1:{of.port}", credentials, options=tls.LIMITS) as channel:
        reply = rpc.TimeStub(channel).Attest(pb.AttestRequest(nonces=nonces), timeout=20)
    envelopes = [VERIFIER.codec.open(octets, 8_192) for octets in reply.attestations]
    check = Check.TIME_SIGNATURES
    return [accept_from(VERIFIER, each, public, TimeAttestation, check=check).value for each in envelopes]


def refused(of: Process, *nonces: bytes) -> grpc.StatusCode:
    with pytest.raises(grpc.RpcError) as caught:
        attested(of, *nonces)
    return code_of(caught.value)


def test_the_time_for_every_nonce(running: Process) -> None:
    nonces = [bytes([number]) * 16 for number in range(NONCES_MAX)]
    before = utc_now()
    told = attested(running, *nonces)
    assert [each.nonce for each in told] == nonces
    assert all(before <= each.time <= utc_now() for each in told)


@pytest.mark.parametrize("nonces", [[], [b"n" * 16] * (NONCES_MAX + 1), [b"n" * 15], [b"n" * 17], [b""]])
def test_what_is_no_question(running: Process, nonces: list[bytes]) -> None:
    assert refused(running, *nonces) is grpc.StatusCode.INVALID_ARGUMENT


def test_who_trusts_another_fleet_does_not_hear_it(running: Process) -> None:
    strangers = tls.channel_credentials(tls.Authority.create("other fleet").certificate)
    with grpc.secure_channel(f"127.0.0.1:{running.port}", strangers) as channel:
        stub: Any = rpc.TimeStub(channel)
        with pytest.raises(grpc.RpcError) as caught:
            stub.Attest(pb.AttestRequest(nonces=[b"n" * 16]), timeout=20)
    assert code_of(caught.value) is grpc.StatusCode.UNAVAILABLE


def test_killed_and_stopped(copied: Path) -> None:
    process = Process("time", copied, copied.parent / "passphrase").start()
    try:
        [first] = attested(process, b"n" * 16)
        process.kill()
        process.start()
        [second] = attested(process, b"n" * 16)
        assert second.time >= first.time
        assert int(Store(copied / "state").read("mark") or b"0") <= second.time
        assert process.stop(within=10) == 0
    finally:
        process.kill()


@pytest.mark.parametrize("record", ["floor", "mark"])
def test_a_clock_that_is_wrong(copied: Path, record: str) -> None:
    """The clock of this machine cannot be set back here; what has certainly passed can be set forward."""
    Store(copied / "state").write(record, str(utc_now() + 3_600).encode())
    words = ("--folder", copied, "--port", 0, "--passphrase-file", copied.parent / "passphrase")
    ran = run("time", "serve", *words)
    assert ran.returncode == 1
    assert "has certainly passed" in ran.stderr


def test_it_needs_a_certificate_its_key_and_a_folder(copied: Path, tmp_path: Path) -> None:
    secret = ("--passphrase-file", copied.parent / "passphrase")
    (copied / "certificate.pem").unlink()
    assert "marque-director certify" in run("time", "serve", "--folder", copied, *secret).stderr
    assert "is no time service's folder" in run("time", "serve", "--folder", tmp_path, *secret).stderr
    assert "not empty" in answer("time", "init", copied, *secret, code=1)["refused"]


def test_a_wrong_command_line() -> None:
    assert run("time", "serve", "--port", "x").returncode == 2
    assert run("time", "nonsense").returncode == 2
    assert "time service" in run("time", "--help").stdout
