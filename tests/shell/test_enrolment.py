"""Boards that make their own keys, a Director that never sees a private one, and a doctor beside servers that run."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from primary.shell.config import load as load_primary
from secondary.shell.config import load as load_secondary
from tests.deploy.soft_token import SoftTokens
from tests.deploy.soft_token import why_not as no_token
from tests.shell.director_process import Town, describe, found, town
from tests.shell.repository_process import ROOT, secret_file
from uptane.model.signed import Scheme
from uptane.shell import keys
from uptane.shell.key_text import as_text

pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]
VIN = "BOARD"


@dataclass(frozen=True)
class Board:
    """An ECU's board: its settings, and the folder below which everything of it lies."""

    role: str
    folder: Path

    @classmethod
    def made(cls, role: str, folder: Path) -> Board:
        folder.mkdir(parents=True)
        (folder.parent / f"{folder.name}.toml").write_text(f'provisioned = "{folder}"\n')
        return cls(role, folder)

    @property
    def settings(self) -> Path:
        return self.folder.parent / f"{self.folder.name}.toml"

    def run(self, verb: str, *words: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", self.role, verb, "--config", str(self.settings), *map(str, words)]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Be this ECU meanwhile."""
        command = [sys.executable, "-m", self.role, "run", "--config", str(self.settings)]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            assert "is ready" in process.stdout.readline()
            yield
        finally:
            process.terminate()
            process.communicate(timeout=20)

    def answer(self, verb: str, *words: object, status: int = 0) -> Any:
        ran = self.run(verb, *words, "--json")
        assert ran.returncode == status, ran.stderr
        return json.loads(ran.stdout)

    def refused(self, *words: object) -> str:
        ran = self.run("enrol", *words)
        assert ran.returncode == 78, ran.stdout
        return ran.stderr

    def findings(self, status: int) -> dict[str, Any]:
        return {each["about"]: each for each in self.answer("doctor", status=status)}


@dataclass(frozen=True)
class Garage:
    """A town, two boards with keys of their own, and what was provisioned for them."""

    town: Town
    gateway: Board
    brake: Board
    out: Path


@pytest.fixture(scope="module")
def garage(founded: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Garage]:
    folder = tmp_path_factory.mktemp("garage")
    shutil.copytree(founded, folder / "founded/repo")
    secret_file(folder / "founded")
    found(folder / "founded", folder / "founded/repo")
    with town(folder / "founded", folder / "town") as running:
        gateway, brake = Board.made("primary", folder / "boards/gw"), Board.made("secondary", folder / "boards/brake")
        enrolled = {board: board.answer("enrol") for board in (gateway, brake)}
        file = describe(running, VIN)
        text = file.read_text()
        for board, hardware in ((gateway, "gw-hw"), (brake, "brake-hw")):
            line = f'hardware = "{hardware}"\n'
            assert line in text
            text = text.replace(line, f'{line}public_key = "{enrolled[board]["public_key"]}"\n')
        file.write_text(text)
        assert running.cli("enrol", file)["enrolled"] == [VIN]
        out = folder / "provisioned"
        told = running.cli("provision", file, "--out", out, "--request", enrolled[gateway]["request"])
        assert told["tls_key"] == enrolled[gateway]["tls_key"], "for two people to compare"
        yield Garage(running, gateway, brake, out)


def test_no_private_key_of_a_board_is_where_the_director_is(garage: Garage) -> None:
    private = {path.relative_to(garage.out).as_posix() for path in garage.out.rglob("*") if "PRIVATE" in _text(path)}
    assert private == {"camera/keys/ecu.pem"}, "of those that brought no key"


def test_each_folder_says_whose_it_is(garage: Garage) -> None:
    boards = [(garage.out / board.folder.name, board.folder) for board in (garage.gateway, garage.brake)]
    for provisioned, holder in (*boards, (garage.out / "camera", garage.out / "camera")):
        own = keys.load(holder / "keys/ecu.pem", None).public
        assert tomllib.loads((provisioned / "config.toml").read_text())["public_key"] == as_text(own)


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.is_file() else ""


def test_what_was_provisioned_is_put_in_place_beside_the_keys_of_the_board(garage: Garage) -> None:
    for board, load in ((garage.gateway, load_primary), (garage.brake, load_secondary)):
        before = (board.folder / "keys/ecu.pem").read_bytes()
        for _ in range(2):  # the second time changes nothing
            told = board.answer("enrol", "--from", garage.out / board.folder.name)
            assert told == told | {"made": False, "folder": str(board.folder)}
            assert told["public_key"] == as_text(keys.load(board.folder / "keys/ecu.pem", None).public)
        assert (board.folder / "keys/ecu.pem").read_bytes() == before
        assert (board.folder / "keys/ecu.pem").stat().st_mode & 0o777 == 0o600
        assert load(board.settings).state == board.folder / "state"
        assert not (board.folder / ".enrolling").exists()


def test_what_is_not_for_this_board_is_refused(garage: Garage, tmp_path: Path) -> None:
    for board in (garage.gateway, garage.brake):
        board.answer("enrol", "--from", garage.out / board.folder.name)
    assert "brake" in garage.brake.refused("--from", garage.out / "camera"), "it is another ECU"
    assert "no config.toml in it" in garage.brake.refused("--from", garage.out)
    other = tmp_path / "brake"
    shutil.copytree(garage.out / "brake", other)
    (other / "keys").mkdir()
    keys.create(other / "keys/ecu.pem", None)
    assert "another key than the one that was made on this board" in garage.brake.refused("--from", other)
    newer = Board.made("primary", tmp_path / "boards/gw")
    newer.answer("enrol")
    assert "is for another key than this board's" in newer.refused("--from", garage.out / "gw")
    assert not (newer.folder / "config.toml").exists(), "the service does not start"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_run_by_root_everything_is_the_services(garage: Garage, tmp_path: Path) -> None:
    board = Board.made("secondary", tmp_path / "brake")
    for path in (*tmp_path.parents, tmp_path):
        if path.stat().st_mode & 0o005 != 0o005 and "pytest" in str(path):
            path.chmod(0o755)
    os.chown(board.folder, 65_534, 65_534)
    board.answer("enrol")
    owners = {path.stat().st_uid for path in board.folder.rglob("*")}
    assert owners == {65_534}


def test_a_doctor_beside_running_servers_and_without_one(garage: Garage) -> None:
    garage.gateway.answer("enrol", "--from", garage.out / "gw")
    found = garage.gateway.findings(status=0)
    assert {name for name, each in found.items() if each["grade"] != "ok"} == {"gate", "Secondaries"}
    assert found["Director"]["text"].endswith(" answers")
    assert found["certificate"]["text"].startswith("valid until")
    assert garage.town.director.stop() == 0
    try:
        lost = garage.gateway.findings(status=1)["Director"]
        assert lost["text"].endswith("cannot be reached")
        assert "is the network up" in lost["remedy"]
    finally:
        garage.town.director.start()
    strange = garage.gateway.folder / "tls/ca.pem"
    before = strange.read_bytes()
    try:
        strange.write_bytes((garage.gateway.folder / "tls/image-ca.pem").read_bytes())
        wrong = garage.gateway.findings(status=1)["Director"]
        assert "a certificate we do not trust" in wrong["text"]
        assert "is the clock right" in wrong["remedy"]
    finally:
        strange.write_bytes(before)


@pytest.mark.skipif(no_token() is not None, reason=str(no_token()))
@pytest.mark.parametrize("own", [Scheme.P256, Scheme.ED25519])
def test_a_primary_and_a_secondary_with_keys_in_tokens(
    garage: Garage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: Scheme
) -> None:
    """Real processes: the Director knows both by keys that are nowhere but in their tokens, and has them update."""
    tokens = SoftTokens(tmp_path / "softhsm", monkeypatch)
    brakes = Scheme.ED25519 if own is Scheme.P256 else Scheme.P256
    vin = f"TOKEN-{own.value}"
    gateway, brake = Board.made("primary", tmp_path / "gw"), Board.made("secondary", tmp_path / "brake")
    text = _vehicle_of_two(garage.town, vin)
    for board, hardware, scheme in ((gateway, "gw-hw", own), (brake, "brake-hw", brakes)):
        tokens.make(board.folder.name)
        board.settings.write_text(board.settings.read_text() + tokens.table(board.folder.name, scheme))
        key = board.answer("enrol")["public_key"]
        assert key.startswith(f"{scheme.value} ")
        text = text.replace(f'hardware = "{hardware}"\n', f'hardware = "{hardware}"\npublic_key = "{key}"\n')
    file = garage.town.folder / f"{vin}.toml"
    file.write_text(text)
    assert garage.town.cli("enrol", file)["enrolled"] == [vin]
    out = tmp_path / "out"
    garage.town.cli("provision", file, "--out", out, "--request", gateway.answer("enrol")["request"])
    for board in (gateway, brake):
        board.answer("enrol", "--from", out / board.folder.name)
        assert not (board.folder / "keys/ecu.pem").exists()
    (gateway.folder / "gate").write_text("parked yes\nminutes 30\nconsent any\n")
    (brake.folder / "interlock").write_text("safe")
    release = f"oem/brake-{own.value}"
    garage.town.publish(release, "brake-hw", 2)
    with brake.running():
        assert gateway.answer("once")["result"] == "IDLE"
        garage.town.cli("assign", f"brake={release}", "--vehicle", vin)
        assert gateway.answer("once")["result"] == "DONE"
    status = garage.town.status(vin, "brake")
    assert status["reported"]["filename"] == release
    assert status["reported"] == status["assigned"]
    tokens.unplug()
    assert "token" in gateway.run("once").stderr
    assert gateway.run("once").returncode == 69


def _vehicle_of_two(of: Town, vin: str) -> str:
    """The usual vehicle without its camera, on a bus of its own."""
    buses, primary, brake, _ = describe(of, vin).read_text().split("[[ecu]]")
    chassis = buses[: buses.rindex("[[bus]]")]
    group = ".".join(["239", *(str(random.randrange(1, 255)) for _ in range(3))])
    chassis = chassis.replace("239.10.10.10", group).replace("30001", str(random.randrange(20_000, 60_000)))
    return f"{chassis}[[ecu]]{primary}[[ecu]]{brake}"


def test_an_exchanged_board_brings_its_key_too(garage: Garage, tmp_path: Path) -> None:
    board = Board.made("secondary", tmp_path / "brake")
    key = board.answer("enrol")["public_key"]
    request = garage.gateway.answer("enrol")["request"]
    words = ("--exchange", "brake", "--public-key", f"brake={key}", "--request", request)
    out = tmp_path / "again"
    garage.town.cli("provision", garage.town.folder / f"{VIN}.toml", "--out", out, *words)
    assert not list((out / "brake").rglob("*.pem"))
    [brake] = [each for each in load_primary(out / "gw/config.toml").layout.secondaries if each.ecu == "brake"]
    assert as_text(brake.key) == key, "the Primary knows its reports by it"
    assert board.answer("enrol", "--from", out / "brake")["public_key"] == key
