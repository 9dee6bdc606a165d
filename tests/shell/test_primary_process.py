"""marque-primary as a process: exit statuses, one update of its own, kill -9 in the middle, one at a time, SIGTERM."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import pytest

from tests.builders import PRIMARY
from tests.shell.primary_site import Site, octets_of
from uptane.errors import Check
from uptane.model.reports import EcuState

pytestmark = pytest.mark.process


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
