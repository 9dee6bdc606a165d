"""marque-director as a person uses it: real processes, real folders, and kill -9."""

from __future__ import annotations

import hashlib
import shutil
import stat
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from primary.shell import config as primary_config
from secondary.shell import config as secondary_config
from tests.shell.director_bench import asked, polled
from tests.shell.director_process import Town, answer, describe, found, run, town
from tests.shell.repository_process import PASSPHRASE, secret_file
from uptane.codec.oer import Oer
from uptane.crypto import Sha2, valid
from uptane.errors import Check
from uptane.model.ids import EcuId, HardwareId, VehicleId
from uptane.model.metadata import LEVEL, Fleet
from uptane.model.reports import EcuReport, EcuState, InstalledImage, ManifestEntry, Outcome, VehicleManifest
from uptane.moments import UtcTime
from uptane.rpc.gen import director_pb2_grpc as rpc
from uptane.shell import keys, tls
from uptane.verify.root import check_root, first_root
from uptane.verify.signing import sign
from uptane.verify.stored import reload_director, reload_image
from uptane.verify.threshold import Verifier

pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]
VERIFIER = Verifier(Oer(), valid, Sha2())


@pytest.fixture(scope="session")
def founded_town(founded: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything founded, nothing served; tests copy it."""
    folder = tmp_path_factory.mktemp("town")
    shutil.copytree(founded, folder / "repo")
    secret_file(folder)
    found(folder, folder / "repo")
    return folder


@pytest.fixture(scope="module")
def present(founded_town: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """One town for all tests that only add to it; each has a vehicle of its own."""
    with town(founded_town, tmp_path_factory.mktemp("present") / "town") as running:
        yield running


def provisioned(of: Town, vin: str) -> Path:
    """A vehicle enrolled and provisioned; the folder of its ECUs."""
    file = describe(of, vin)
    assert of.cli("enrol", file)["enrolled"] == [vin]
    of.cli("provision", file, "--out", of.folder / vin)
    return of.folder / vin


class Vehicle:
    """What stands in for the Primary: it signs with the keys that provisioning wrote."""

    def __init__(self, folder: Path, counter: int = 0) -> None:
        self.folder, self.vin, self.counter = folder, VehicleId(folder.name), counter
        self.keys = {ecu: keys.load(folder / ecu / "keys" / "ecu.pem", None) for ecu in ("brake", "camera", "gw")}

    def report(self, ecu: str, **changes: Any) -> bytes:
        settings = tomllib.loads((self.folder / ecu / "config.toml").read_text())
        image = settings["image"]
        digest = bytes.fromhex(image["sha256"])
        said: dict[str, Any] = {
            "level": LEVEL,
            "vehicle": self.vin,
            "ecu": EcuId(ecu),
            "hardware": HardwareId(settings["hardware"]),
            "counter": 1,
            "state": EcuState.IDLE,
            "outcome": Outcome.NONE,
            "bundle": None,
            "targets_version": 1,
            "root_version": 1,
            "released_counter": 1,
            "image": InstalledImage(image["filename"], image["length"], digest, image["release_counter"]),
            "time": UtcTime(1),
            "previous_time": UtcTime(0),
            "refusals": (),
        }
        return sign(Oer(), EcuReport(**(said | changes)), [self.keys[ecu]])

    def manifest(self, **reports: bytes) -> bytes:
        self.counter += 1
        entries = tuple(ManifestEntry(EcuId(ecu), reports.get(ecu) or self.report(ecu), None) for ecu in self.keys)
        value = VehicleManifest(LEVEL, self.vin, EcuId("gw"), self.counter, entries)
        return sign(Oer(), value, [self.keys["gw"]])

    def poll(self, **request: Any) -> Any:
        tls_folder = self.folder / "gw" / "tls"
        own = tls.load_credential(tls_folder / "cert.pem", tls_folder / "key.pem")
        credentials = tls.channel_credentials((tls_folder / "ca.pem").read_bytes(), own)
        settings = tomllib.loads((self.folder / "gw" / "config.toml").read_text())
        with grpc.secure_channel(settings["director"]["address"], credentials, options=tls.LIMITS) as channel:
            return polled(rpc.VehicleStub(channel), asked(**request))


def test_an_operators_day(present: Town) -> None:
    vehicle = Vehicle(provisioned(present, "DAY"))
    assert present.cli("enrol", present.folder / "DAY.toml")["known"] == ["DAY"]
    answered, _ = vehicle.poll(manifest=vehicle.manifest(), held=(1, 1, 1, 1))
    assert not answered.refused
    new = present.publish("oem/brake-2", "brake-hw", 2)
    [assigned] = present.cli("assign", "brake=oem/brake-2", "--vehicle", "DAY")["assigned"]
    assert assigned["note"] == "goes out at the next poll"
    _, files = vehicle.poll(digest=answered.admitted_digest, held=(1, 1, 1, 1))
    assert sorted(files) == ["2.snapshot", "2.targets", "timestamp"]
    runs = InstalledImage("oem/brake-2", 5_000, hashlib.sha256(new.read_bytes()).digest(), 2)  # type: ignore[arg-type]
    done = vehicle.report("brake", counter=2, state=EcuState.RELEASED, targets_version=2, image=runs)
    vehicle.poll(manifest=vehicle.manifest(brake=done), held=(1, 2, 2, 2))
    status = present.status("DAY", "brake")
    assert status["proven"]
    assert status["before"]["filename"] == "oem/brake-1"
    assert status["reported"] == status["assigned"]
    assert "DAY" in run("director", "status", "DAY", "--folder", present.director.folder).stdout
    log = present.cli("audit")
    acts = [entry["act"] for entry in log["entries"] if "DAY" in entry["subject"]]
    assert [act for act in acts if act != "prove"] == ["enrol", "provision", "admit", "assign", "issue", "admit"]
    assert acts[-1] == "prove"
    assert log["broken_at"] is None


def test_every_ecu_can_start_from_what_is_provisioned(present: Town) -> None:
    folder = provisioned(present, "START")
    primary = primary_config.load(folder / "gw" / "config.toml")
    assert [(each.ecu, each.bus, each.slots) for each in primary.layout.secondaries] == [
        ("brake", "chassis", 2),
        ("camera", "backbone", 1),
    ]
    assert primary.director.address == f"127.0.0.1:{present.director.port}"
    assert primary.time.address == f"127.0.0.1:{present.time.port}"
    assert primary.image.address == f"127.0.0.1:{present.images.port}"
    for ecu in ("brake", "camera"):
        config = secondary_config.load(folder / ecu / "config.toml")
        assert (config.vehicle, config.ecu) == ("START", ecu)
    for ecu, names in (("brake", {"root", "targets"}), ("gw", {"root", "timestamp", "snapshot", "targets"})):
        files = {path.name: path.read_bytes() for path in (folder / ecu / "initial" / "director").iterdir()}
        assert files.keys() == names
        standing = reload_director(VERIFIER, files, VehicleId("START"))
        assert not standing.dropped
        assert standing.trusted.targets is not None
    assert not (folder / "brake" / "initial" / "image").exists()
    image = {path.name: path.read_bytes() for path in (folder / "camera" / "initial" / "image").iterdir()}
    assert reload_image(VERIFIER, image).trusted.targets is not None
    assert (folder / "brake" / "initial" / "image.bin").read_bytes() == present.factory("brake").read_bytes()
    for secret in (*folder.glob("*/keys/ecu.pem"), folder / "gw" / "tls" / "key.pem"):
        assert stat.S_IMODE(secret.stat().st_mode) == 0o600


def test_provisioning_again_uses_the_keys_that_are_there(present: Town) -> None:
    folder = provisioned(present, "AGAIN")
    before = {path: path.read_bytes() for path in folder.glob("*/keys/ecu.pem")}
    present.cli("provision", "AGAIN", "--out", folder, "--director-address", "elsewhere:1")
    assert {path: path.read_bytes() for path in folder.glob("*/keys/ecu.pem")} == before
    assert primary_config.load(folder / "gw" / "config.toml").director.address == "elsewhere:1"
    other = present.folder / "other"
    present.cli("provision", "AGAIN", "--out", other)
    assert not list(other.glob("*/keys/ecu.pem"))  # the Director has keys of all of them: theirs are elsewhere


def test_an_exchanged_ecu_gets_a_new_key(present: Town) -> None:
    folder = provisioned(present, "WORKSHOP")
    before = Vehicle(folder)
    before.poll(manifest=before.manifest())
    present.cli("provision", "WORKSHOP", "--out", folder, "--exchange", "brake")
    after = Vehicle(folder, counter=1)
    assert after.keys["brake"].public != before.keys["brake"].public
    answered, _ = after.poll(manifest=after.manifest(brake=before.report("brake", counter=2)))
    assert [each.check for each in answered.refused] == [Check.REPORT_SIGNATURE.code]
    answered, _ = after.poll(manifest=after.manifest())
    assert not answered.refused
    assert "radio" in present.cli("provision", "WORKSHOP", "--out", folder, "--exchange", "radio", code=1)["refused"]


def test_two_operators(present: Town) -> None:
    berta = present.folder / "berta"
    present.cli("operator", "berta", "--out", berta)
    assert stat.S_IMODE((berta / "operator.key").stat().st_mode) == 0o600
    assert "vehicles" in answer("director", "status", "--folder", berta)
    present.cli("revoke", "--operator", "berta")
    assert "revoked" in answer("director", "status", "--folder", berta, code=1)["refused"]


def test_a_folder_and_a_port_are_served_once(present: Town, founded_town: Path) -> None:
    secret = ("--passphrase-file", present.director.secret)
    again = run("director", "serve", "--folder", present.director.folder, "--port", 0, *secret)
    assert again.returncode == 1
    assert "being served already" in again.stderr
    taken = run("director", "serve", "--folder", founded_town / "director", "--port", present.director.port, *secret)
    assert taken.returncode == 1
    assert "is it in use" in taken.stderr


@pytest.mark.timeout(400)
def test_killed_rotated_and_stopped(founded_town: Path, tmp_path: Path) -> None:
    """Nothing acknowledged is lost by kill -9; every role's keys are replaced; SIGTERM ends it at once."""
    with town(founded_town, tmp_path / "town") as present:
        folder = provisioned(present, "LONG")
        vehicle = Vehicle(folder)
        for _ in range(3):
            answered, _ = vehicle.poll(manifest=vehicle.manifest(), held=(1, 1, 1, 1))
            assert not answered.refused
            present.director.kill()
            present.director.start()
            idle, files = vehicle.poll(digest=answered.admitted_digest, held=(1, 1, 1, 1))
            assert not idle.manifest_wanted
            assert not files
        assert present.cli("audit")["broken_at"] is None
        offline = ("--offline-passphrase-file", present.director.secret)
        for version, role in enumerate(("targets", "snapshot", "timestamp", "root"), 2):
            assert present.cli("rotate", role, *offline)["root"] == version
        time_key = present.time.folder / "public.pem"
        assert present.cli("rotate", "time", "--time-key", time_key, *offline)["root"] == 6
        check_chain(folder, vehicle.poll(held=(1, 1, 1, 1))[1])
        assert (present.director.folder / "run" / "address").exists()
        assert present.director.stop(within=10) == 0
        assert not (present.director.folder / "run" / "address").exists()
        assert "does not answer" in present.cli("status", code=1)["refused"]
        present.director.start()
        assert present.cli("rotate", "targets", *offline)["root"] == 7


def check_chain(folder: Path, files: dict[str, bytes]) -> None:
    """From the Root the vehicle was given to the sixth, and everything signed under that."""
    root = first_root(VERIFIER, (folder / "gw" / "initial" / "director" / "root").read_bytes(), Fleet())
    for version in range(2, 7):
        root = check_root(VERIFIER, files[f"{version}.root"], root)
    stored = {"root": root.octets, "timestamp": files["timestamp"]}
    stored |= {name: files[f"2.{name}"] for name in ("snapshot", "targets")}
    standing = reload_director(VERIFIER, stored, VehicleId("LONG"))
    assert not standing.dropped
    assert standing.trusted.targets is not None


def test_certificates_of_servers(founded_town: Path, tmp_path: Path) -> None:
    """The Director's own is renewed for the key it has; another server's is signed for its request."""
    shutil.copytree(founded_town, tmp_path, dirs_exist_ok=True)
    folder = tmp_path / "director" / "tls"
    where = ("--folder", tmp_path / "director", "--passphrase-file", tmp_path / "passphrase")
    before = (folder / "server.pem").read_bytes()
    answer("director", "certify", "--name", "director.example", *where)
    renewed = tls.load_credential(folder / "server.pem", folder / "server.key", PASSPHRASE)
    assert renewed.certificate != before
    assert sorted(path.name for path in folder.iterdir()) == ["ca.key", "ca.pem", "server.key", "server.pem"]
    request = tmp_path / "time" / "request.pem"
    assert "exists already" in answer("director", "certify", request, *where, code=1)["refused"]
    answer("director", "certify", request, "--out", tmp_path / "second.pem", *where)
    tls.load_credential(tmp_path / "second.pem", tmp_path / "time" / "tls.key", PASSPHRASE)
    (tmp_path / "nonsense").write_text("nonsense")
    words = ("certify", tmp_path / "nonsense", "--out", tmp_path / "third.pem", *where)
    assert "no request" in answer("director", *words, code=1)["refused"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["assign"], "ECU=IMAGE"),
        (["assign", "brake", "--all"], "not NAME=IMAGE"),
        (["assign", "brake=x"], "--vehicle"),
        (["assign", "brake=x", "--all", "--vehicle", "VIN1"], "exactly one"),
        (["constrain", "a", "likes", "b"], "requires or conflicts"),
        (["revoke"], "exactly one"),
        (["rotate", "time"], "--time-key"),
        (["rotate", "nonsense"], "nonsense"),
        (["enrol", "no-such-file.toml"], "no-such-file"),
        (["nonsense"], "nonsense"),
        (["serve", "--port", "70000"], "65535"),
    ],
)
def test_a_wrong_command_line(words: list[str], said: str) -> None:
    ran = run("director", *words)
    assert ran.returncode == 2
    assert said in ran.stderr


def test_a_wrong_passphrase_or_folder(founded_town: Path, tmp_path: Path) -> None:
    wrong = secret_file(tmp_path, b"wrong")
    ran = run("director", "serve", "--folder", founded_town / "director", "--port", 0, "--passphrase-file", wrong)
    assert ran.returncode == 1
    assert "passphrase" in ran.stderr
    assert "is no Director's folder" in run("director", "serve", "--folder", tmp_path).stderr
    again = answer(
        "director",
        "init",
        founded_town / "director",
        "--time-key",
        founded_town / "time" / "public.pem",
        "--image-repo",
        founded_town / "repo",
        "--passphrase-file",
        founded_town / "passphrase",
        code=1,
    )
    assert "not empty" in again["refused"]
