"""A real marque-secondary: killed at any moment, out of disk, stopped, started twice, told nonsense."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.peers.secondary_process import ROOT, SLOT_SIZE, SecondaryProcess, firmware, image_of
from tests.peers.workshop import Workshop, authorise, plugged_in
from uptane.model.reports import EcuState, Outcome

pytestmark = [pytest.mark.peer, pytest.mark.process]


@pytest.fixture
def ecu(tmp_path: Path) -> Iterator[SecondaryProcess]:
    process = SecondaryProcess(tmp_path / "brake")
    yield process
    process.stop()


def marque(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "secondary", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)


def finish(tester: Workshop, octets: bytes) -> None:
    tester.deliver(tester.status().next_offset, octets[tester.status().next_offset :])
    tester.check(0)
    tester.client.ecu_reset(1)


def test_killed_in_the_middle_of_a_download_it_goes_on_there(ecu: SecondaryProcess) -> None:
    octets = firmware()
    authorise(ecu, octets)
    ecu.start()
    with plugged_in(ecu) as tester:
        tester.hand_over(ecu)
        tester.client.change_session(2)
        tester.client.start_routine(0xFF00)
        tester.download(0, octets, blocks_max=45)
        reached = tester.status().next_offset
    ecu.kill()
    ecu.start()
    with plugged_in(ecu) as tester:
        status = tester.status()
        assert 100_000 < status.next_offset <= reached
        tester.hand_over(ecu)
        tester.client.change_session(2)
        finish(tester, octets)
        assert tester.released(ecu).image.sha256 == image_of(octets, 2).sha256


def test_killed_on_trial_it_comes_back_with_the_old_image(tmp_path: Path) -> None:
    hanging = [sys.executable, "-c", "import threading; threading.Event().wait()"]
    ecu = SecondaryProcess(tmp_path / "brake", self_test=hanging)
    octets = firmware()
    authorise(ecu, octets)
    ecu.start()
    try:
        with plugged_in(ecu) as tester:
            tester.hand_over(ecu)
            tester.client.change_session(2)
            tester.client.start_routine(0xFF00)
            finish(tester, octets)
            while tester.report(ecu).state is not EcuState.TRIAL:
                pass
            ecu.kill()
            ecu.start()
            report = tester.report(ecu)
        assert (report.state, report.outcome) == (EcuState.IDLE, Outcome.ROLLED_BACK)
        assert report.image.filename == "brakes/app-1"
    finally:
        ecu.stop()


def test_sigterm_ends_it_within_two_seconds(ecu: SecondaryProcess) -> None:
    ecu.start()
    begin = time.monotonic()
    assert ecu.stop() == 0
    assert time.monotonic() - begin < 2


def test_a_full_disk_is_a_refusal_and_nothing_is_lost(ecu: SecondaryProcess) -> None:
    octets = firmware()
    authorise(ecu, octets)
    ecu.start()
    ecu.stop()
    ecu.start(file_octets_max=SLOT_SIZE // 2)
    with plugged_in(ecu) as tester:
        tester.hand_over(ecu)
        tester.client.change_session(2)
        assert tester.refused("start_routine", 0xFF00) == 0x72
        assert tester.refusal() is None, "the disk's fault, no check's"
        assert tester.report(ecu).image.filename == "brakes/app-1"
    ecu.stop()
    ecu.start()
    with plugged_in(ecu) as tester:
        tester.hand_over(ecu)
        tester.client.change_session(2)
        tester.client.start_routine(0xFF00)
        finish(tester, octets)
        assert tester.released(ecu).state is EcuState.RELEASED


def test_a_second_process_is_refused(ecu: SecondaryProcess) -> None:
    ecu.start()
    second = marque("run", "--config", str(ecu.config))
    assert second.returncode == 74
    assert "another process is this ECU" in second.stderr


def test_truncated_records_are_recovered_from_and_reported(ecu: SecondaryProcess) -> None:
    ecu.start()
    ecu.stop()
    for path in (ecu.folder / "state" / "director").glob("targets~*"):
        path.write_bytes(path.read_bytes()[:50])
    ecu.start()
    with plugged_in(ecu) as tester:
        report = tester.report(ecu)
        assert tester.status().targets_version == ecu.pair.director.versions["targets"]
    assert [refusal.check for refusal in report.refusals] == [0x0E02]


def test_a_lost_installation_record_is_said_clearly(ecu: SecondaryProcess) -> None:
    ecu.start()
    ecu.stop()
    for path in (ecu.folder / "state").glob("installation~*"):
        path.write_bytes(b"")
    refused = marque("run", "--config", str(ecu.config))
    assert refused.returncode == 74
    assert "installation" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (["run"], 2, "--config"),
        (["run", "--config"], 2, "--config"),
        (["fly"], 2, "fly"),
        (["run", "--config", "none.toml"], 78, "none.toml: cannot be read"),
        (["status", "--config", "none.toml"], 78, "none.toml: cannot be read"),
    ],
)
def test_misuse_of_the_command_line(arguments: list[str], status: int, text: str) -> None:
    refused = marque(*arguments)
    assert refused.returncode == status
    assert text in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_folder_that_was_not_provisioned_whole(ecu: SecondaryProcess) -> None:
    key = ecu.folder / "keys" / "ecu.pem"
    key.chmod(0o644)
    refused = marque("run", "--config", str(ecu.config))
    assert refused.returncode == 74
    assert "chmod 600" in refused.stderr
    key.chmod(0o600)
    (ecu.folder / "initial" / "time").unlink()
    refused = marque("run", "--config", str(ecu.config))
    assert refused.returncode == 78
    assert "time of provisioning" in refused.stderr
    (ecu.folder / "initial" / "image.bin").write_bytes(b"other")
    fresh = ecu.config.read_text() + '[paths]\nstate = "fresh"\nslots = "fresh-slots"\n'
    ecu.config.write_text(fresh)
    refused = marque("run", "--config", str(ecu.config))
    assert "not the image that [image] describes" in refused.stderr
