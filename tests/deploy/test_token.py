"""A real Secondary whose key is in a real token: it does its job, and says what is wrong with the token."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from udsoncan.exceptions import NegativeResponseException, TimeoutException

from tests.builders import COORDINATOR
from tests.deploy.soft_token import WRONG_PIN, SoftTokens, why_not
from tests.peers.secondary_process import ROOT, SecondaryProcess, firmware, image_of
from tests.peers.workshop import authorise, plugged_in
from uptane.errors import Rejected
from uptane.model.signed import Scheme
from uptane.shell import checkup
from uptane.shell.checkup import Grade
from uptane.shell.key_text import from_text

pytestmark = [
    pytest.mark.process,
    pytest.mark.timeout(120),
    pytest.mark.skipif(why_not() is not None, reason=str(why_not())),
]
TOKEN = "brake token"


@pytest.fixture
def tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SoftTokens:
    tokens = SoftTokens(tmp_path / "softhsm", monkeypatch)
    tokens.make(TOKEN)
    return tokens


@pytest.fixture
def ecu(tmp_path: Path, tokens: SoftTokens) -> Iterator[SecondaryProcess]:
    """Its settings name the token; there is no key yet, in it or in a file."""
    ecu = SecondaryProcess(tmp_path / "brake")
    (ecu.folder / "keys/ecu.pem").unlink()
    ecu.config.write_text(ecu.config.read_text() + tokens.table(TOKEN))
    yield ecu
    ecu.stop()


def ran(ecu: SecondaryProcess, *words: str) -> subprocess.CompletedProcess[str]:
    """The board's own settings are for enrolment only: all the rest takes the token from config.toml just as well."""
    settings = ecu.config
    if words[0] == "enrol":
        settings = ecu.folder.with_suffix(".toml")
        token = ecu.config.read_text().partition("[token]")[2]
        settings.write_text(f'provisioned = "{ecu.folder}"\n[token]{token}')
    command = [*ecu.program, words[0], "--config", str(settings), *words[1:]]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)


def enrolled(ecu: SecondaryProcess) -> SecondaryProcess:
    told = ran(ecu, "enrol", "--json")
    assert told.returncode == 0, told.stderr
    ecu.key = from_text(json.loads(told.stdout)["public_key"])
    return ecu


def refused(ecu: SecondaryProcess, status: int) -> str:
    """The one line it ends with instead of starting, which doctor's finding about the key agrees with."""
    told = ran(ecu, "run")
    assert told.returncode == status, told.stderr
    [line] = [line for line in told.stderr.splitlines() if line.startswith("marque-secondary: ")]
    assert "Traceback" not in told.stderr
    key = next(each for each in json.loads(ran(ecu, "doctor", "--json").stdout) if each["about"] == "key")
    assert key["grade"] == Grade.BAD.value
    assert key["text"] in line
    assert key["remedy"]
    return line


@pytest.mark.parametrize("scheme", [Scheme.ED25519, Scheme.P256])
def test_it_updates_and_its_reports_are_of_the_key_in_the_token(
    ecu: SecondaryProcess, tokens: SoftTokens, scheme: Scheme
) -> None:
    ecu.config.write_text(ecu.config.read_text() + f'scheme = "{scheme.value}"\n')
    enrolled(ecu)
    assert ecu.key.scheme is scheme
    assert not list(ecu.folder.rglob("*.pem"))
    octets = firmware(20_000)
    authorise(ecu, octets)
    ecu.start()
    with plugged_in(ecu) as tester:
        tester.hand_over(ecu)
        tester.client.change_session(2)
        tester.client.start_routine(0xFF00)
        tester.deliver(0, octets)
        tester.check(0)
        tester.client.ecu_reset(1)
        assert tester.released(ecu).image.sha256 == image_of(octets, 2).sha256
        own, ecu.key = ecu.key, COORDINATOR.public
        with pytest.raises(Rejected):
            tester.report(ecu)
        ecu.key = own
    [key] = [each for each in json.loads(ran(ecu, "doctor", "--json").stdout) if each["about"] == "key"]
    assert (key["grade"], key["text"]) == ("ok", f"ecu in token {TOKEN} ({scheme.value}), and it signs")


def test_a_token_that_goes_while_it_runs_ends_it_and_one_that_is_back_lets_it_go_on(
    ecu: SecondaryProcess, tokens: SoftTokens
) -> None:
    enrolled(ecu).start()
    assert ecu.process is not None
    with plugged_in(ecu) as tester:
        before = tester.report(ecu)
        tokens.unplug()
        with contextlib.suppress(TimeoutException, NegativeResponseException):
            tester.hand_over(ecu)
        assert ecu.process.wait(30) == 69
    refused(ecu, 69)
    tokens.plug_in()
    ecu.start()
    with plugged_in(ecu) as tester:
        tester.hand_over(ecu)
        assert tester.report(ecu).counter > before.counter
    [last] = [line for line in ecu.lines if line.startswith("marque-secondary: ")]
    assert "`marque-secondary doctor` tells more" in last
    assert not [line for line in ecu.lines if "Traceback" in line]


def test_before_enrolment_it_says_what_to_do(ecu: SecondaryProcess) -> None:
    assert "has no private key labelled ecu; `enrol` makes one" in refused(ecu, 78)


def test_a_pin_that_is_wrong_is_tried_once_and_the_service_stays_down(
    ecu: SecondaryProcess, tokens: SoftTokens
) -> None:
    """Status 78 is RestartPreventExitStatus: a service that began anew every 2 s would have the token locked."""
    enrolled(ecu)
    tokens.pin_file("pin", WRONG_PIN)
    assert "correct it before starting again" in refused(ecu, 78)


def test_a_pin_that_others_may_read(ecu: SecondaryProcess, tokens: SoftTokens) -> None:
    enrolled(ecu)
    tokens.pin.chmod(0o640)
    assert "chmod 600" in refused(ecu, 74)


def test_a_key_in_a_file_beside_the_token_is_not_used_and_said(ecu: SecondaryProcess, tokens: SoftTokens) -> None:
    enrolled(ecu)
    (ecu.folder / "keys/ecu.pem").write_text("an old key")
    found = list(checkup.look_at_own_key(ecu.folder / "keys/ecu.pem", tokens.settings(TOKEN)))
    assert [each.grade for each in found] == [Grade.GOOD, Grade.DOUBT]
    assert "is not used" in found[1].text
    ecu.start()


def test_provisioning_may_not_bring_a_private_key(ecu: SecondaryProcess, tmp_path: Path) -> None:
    brought = tmp_path / "brought"
    (brought / "keys").mkdir(parents=True)
    (brought / "config.toml").write_text(ecu.config.read_text())
    (brought / "keys/ecu.pem").write_text("a private key")
    told = ran(ecu, "enrol", "--from", str(brought))
    assert told.returncode == 78
    assert f"this board's is in token {TOKEN}" in told.stderr
    assert not (ecu.folder / "keys/ecu.pem").exists()
