"""marque-rig against Python Secondaries: real processes on a bus, whose power is cut by killing them.

A rig that finds nothing proves nothing: some of these ECUs have a defect, and the case that is there for it must fail.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import can
import pytest

from rig.session import Rig
from rig.suite.test_attacks import ROWS
from rig.suite.test_misuse import REQUESTS
from tests.rig.bench import ROOT, Bench
from tests.rig.slcan_adapter import Adapter

pytestmark = [pytest.mark.process]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "rig")
    made.switch("on")
    yield made
    made.switch("off")


def facts(ran: "subprocess.CompletedProcess[str]") -> dict[str, object]:
    assert ran.stdout.startswith("{"), ran.stderr
    told: dict[str, object] = json.loads(ran.stdout)
    return told


# ------------------------------------------------------------------------------------------------------- whole runs


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    ("fd", "verification"),
    [(True, "partial"), (False, "full")],
    ids=["fd-partial", "classic-full"],
)
def test_a_secondary_passes_the_suite(tmp_path: Path, fd: bool, verification: str) -> None:
    made = Bench(tmp_path / "rig", fd=fd, verification=verification)
    made.switch("on")
    try:
        ran = made.run("run", str(made.file), "--json", seconds=380)
    finally:
        made.switch("off")
    told = facts(ran)
    failed = [(case["name"], case["message"]) for case in told["cases"] if case["verdict"] in {"failed", "broken"}]  # type: ignore[attr-defined]
    assert (ran.returncode, failed) == (0, [])
    assert isinstance(told["passed"], int)
    assert told["passed"] > 100
    assert told["skipped"] == 0


def test_what_a_run_leaves_behind(bench: Bench) -> None:
    ran = bench.run("run", str(bench.file), "update", "-k", "test_update", "--trace", "candump", "--trace", "blf")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "passed" in ran.stdout
    assert "kB/s" in ran.stdout
    report = bench.folder / "report"
    page = (report / "report.html").read_text()
    assert page.count("<svg") == page.count('class="rate"') > 0
    told = json.loads((report / "report.json").read_text())
    case = next(case for case in told["cases"] if case["name"] == "test_update[brake]")
    assert case["octets"] > bench.length
    for kind in ("candump", "blf"):
        with can.LogReader(report / case["files"][kind]) as reader:
            assert sum(1 for _ in reader) == case["frames"]
    suite = ET.parse(report / "junit.xml").getroot().find("testsuite")
    assert suite is not None
    assert (suite.get("name"), suite.get("failures"), suite.get("errors")) == ("marque-rig", "0", "0")
    assert {each.get("name") for each in suite.iter("property")} >= {"candump", "blf"}


def test_two_ecus_on_one_noisy_serial_adapter(tmp_path: Path) -> None:
    """An slcan adapter on a pseudo-terminal, with noise between its frames."""
    made = Bench(tmp_path / "rig", fd=False, ecus=("brake", "body"))
    adapter = Adapter(made.group, made.port, fd=False, noise=0.05)
    channel = f'interface = "slcan"\nchannel = "{adapter.path}"\n[bus.options]\nsleep_after_open = 0.0\n'
    text = made.file.read_text()
    made.file.write_text(text[: text.index("interface")] + channel + text[text.index("\n[[ecu]]") :])
    made.switch("on")
    try:
        ran = made.run("run", str(made.file), "update", "-k", "who or test_update[", "--json")
        checked = made.run("check", str(made.file), "--no-power")
    finally:
        made.switch("off")
        adapter.close()
    told = facts(ran)
    assert ran.returncode == 0, told
    assert told["passed"] == 4
    assert sum(case["noise"] for case in told["cases"]) > 0  # type: ignore[attr-defined]
    assert checked.returncode == 0, checked.stdout


# ---------------------------------------------------------------------------------------------------------- defects

DEFECT = """
import sys
sys.path.insert(0, {root!r})
sys.argv[0] = "secondary"
from secondary.__main__ import main
{defect}
main()
"""
COUNTERS = "import uptane.verify.partial as where; where.check_counters = lambda *given: None"
SLOW = """
import time, secondary.shell.can as where
send = where.CanSource.send
def late(self, run):
    time.sleep(0.6)
    send(self, run)
where.CanSource.send = late
"""
FORGETFUL = """
import secondary.shell.board as where, shutil
was = where.provision
def provision(config, store, slots):
    for name in list(store.names()):
        if name.startswith("director/targets"):
            store.delete(name)
    was(config, store, slots)
where.provision = provision
"""


@pytest.mark.parametrize(
    ("defect", "suite", "case"),
    [
        (COUNTERS, "attacks", "image-older-than-the-one-before"),
        (SLOW, "timing", "test_the_first_answer_comes_within_p2"),
        (FORGETFUL, "power", "test_power_cut_at_rest"),
    ],
    ids=["takes older images", "answers late", "forgets its Targets"],
)
def test_a_defect_is_found(tmp_path: Path, defect: str, suite: str, case: str) -> None:
    made = Bench(tmp_path / "rig")
    made.switch("on")
    made.switch("off")
    (made.folder / "ecus" / "brake" / "defect.py").write_text(DEFECT.format(root=str(ROOT), defect=defect))
    made.switch("on")
    try:
        ran = made.run("run", str(made.file), suite, "-k", case, "--json")
    finally:
        made.switch("off")
    told = facts(ran)
    failed = [each["name"] for each in told["cases"] if each["verdict"] == "failed"]  # type: ignore[attr-defined]
    assert ran.returncode == 1
    assert any(case in name for name in failed), told


# ---------------------------------------------------------------------------------------------------------- mistakes


def test_a_board_that_does_not_answer(tmp_path: Path) -> None:
    made = Bench(tmp_path / "rig")
    made.file.write_text(made.file.read_text().replace("tolerance_ms", "restart_s = 1\ntolerance_ms"))
    text = made.file.read_text()
    made.file.write_text(text[: text.index("[ecu.power]")] + text[text.index("[ecu.interlock]") :])
    checked = made.run("check", str(made.file))
    assert checked.returncode == 69
    assert "no answer from 0x21; nothing came in at all: has it power?" in checked.stdout
    ran = made.run("run", str(made.file))
    assert ran.returncode == 69
    assert "does not come" not in ran.stdout
    assert "marque-rig check" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_an_ecu_of_another_bench(bench: Bench, tmp_path: Path) -> None:
    """Its Root knows none of this bench's keys."""
    other = Bench(tmp_path / "other")
    (bench.folder / "backend").rename(bench.folder / "away")
    (other.folder / "backend").rename(bench.folder / "backend")
    checked = bench.run("check", str(bench.file), "--no-power", "--json")
    assert checked.returncode == 69
    found = {each["step"]: (each["verdict"], each["text"]) for each in json.loads(checked.stdout)}
    assert found["trust"][0] == "bad"
    assert "provisioned by another bench" in found["trust"][1]
    assert found["report"][0] == "bad"
    assert found["identity"][0] == "good"


def test_the_wrong_ecu(bench: Bench) -> None:
    bench.file.write_text(bench.file.read_text().replace('hardware = "brake-hw"', 'hardware = "brake-hw2"'))
    checked = bench.run("check", str(bench.file), "--no-power")
    assert checked.returncode == 69
    assert "hardware is 'brake-hw', the rig file says 'brake-hw2'" in checked.stdout


def test_an_unsafe_vehicle(bench: Bench) -> None:
    (bench.folder / "ecus" / "brake" / "interlock").write_text("moving")
    checked = bench.run("check", str(bench.file), "--no-power")
    assert checked.returncode == 69
    assert "not safe (NRC 88)" in checked.stdout


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["check", "none.toml"], 78, "none.toml: cannot be read"),
        (["run", "{file}", "everything"], 78, "no suite everything: there are update, attacks"),
        (["run", "{file}", "--ecu", "door"], 78, "no ECU door; there are brake"),
        (["provision", "{file}", "--out", "{folder}/ecus"], 74, "exists already; an ECU's key is never overwritten"),
        (["run"], 2, "RIG.toml"),
        (["fly"], 2, "fly"),
    ],
)
def test_misuse_of_the_command_line(tmp_path: Path, arguments: list[str], status: int, words: str) -> None:
    made = Bench(tmp_path / "rig")
    ran = made.run(*(each.format(file=made.file, folder=made.folder) for each in arguments))
    assert ran.returncode == status, ran.stderr
    assert words in ran.stderr
    assert "Traceback" not in ran.stderr
    assert not (made.folder / "ecus" / "brake" / "pid").exists(), "a mistake switches nothing on"


def test_no_case_matches(bench: Bench) -> None:
    ran = bench.run("run", str(bench.file), "-k", "nothing_of_the_kind")
    assert (ran.returncode, ran.stderr) == (66, "marque-rig: no case matches\n")


def test_a_bench_without_keys(tmp_path: Path) -> None:
    made = Bench(tmp_path / "rig")
    (made.folder / "backend" / "keys" / "coordinator.pem").unlink()
    ran = made.run("run", str(made.file))
    assert ran.returncode == 74
    assert "marque-rig keys RIG.toml" in ran.stderr
    again = made.run("keys", str(made.file))
    assert again.returncode == 0
    assert (made.folder / "backend" / "keys" / "coordinator.pem").stat().st_mode & 0o777 == 0o600


# ----------------------------------------------------------------------------------------------------------- plugin

CASES = '''
import pytest


def test_it_answers(tester, ecu, rig):
    """It is there."""
    assert tester.status().running_slot in (0, 1)
    assert rig.settings.vehicle == ecu.backend.vehicle


def test_its_power(power, ecu):
    power.cycle()
    ecu.tester.reset()
    ecu.tester.awake()


def test_its_console(console):
    raise AssertionError


def test_an_update(ecu, backend):
    assert ecu.install().version > 1
    assert backend.latest_root() == 1


def test_that_fails(ecu):
    """It is left in a session, and under way."""
    ecu.update().metadata()
    raise AssertionError("as it is meant to")


def test_after_that(ecu):
    assert ecu.tester.nrc(bytes.fromhex("31 01 ff 00")) == 0x7F, "the default session"
'''


def plain_pytest(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "pytest", "-p", "rig.plugin", "-p", "no:cacheprovider", "-q", "-rs"]
    return subprocess.run(
        [*command, "-c", str(folder / "pytest.ini"), *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


def documents_case() -> str:
    """The case that docs/rig.md prints, as it stands there."""
    _, found, rest = (ROOT / "docs" / "rig.md").read_text(encoding="utf-8").partition("<!-- case -->\n```python\n")
    assert found
    return rest.partition("```")[0]


def test_the_document_counts_right() -> None:
    text = (ROOT / "docs" / "rig.md").read_text(encoding="utf-8")
    assert f"{len(ROWS)} rows" in text
    assert f"{len(REQUESTS)} requests" in text


def test_users_write_cases_of_their_own(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    cases = tmp_path / "test_mine.py"
    cases.write_text(CASES)
    printed = tmp_path / "test_printed.py"
    printed.write_text(documents_case())
    out = tmp_path / "out"
    ran = plain_pytest(tmp_path, str(cases), str(printed), "--rig", str(bench.file), "--rig-out", str(out))
    assert ran.returncode == 1
    assert "1 failed, 5 passed, 1 skipped" in ran.stdout, ran.stdout
    told = json.loads((out / "report.json").read_text())
    by_name = {case["name"]: case for case in told["cases"]}
    assert by_name["test_it_answers[brake]"]["text"] == "It is there."
    assert "as it is meant to" in by_name["test_that_fails[brake]"]["message"]
    assert "no console in the rig file" in by_name["test_its_console[brake]"]["message"]
    again = bench.run("run", str(bench.file), str(cases), "-k", "answers")
    assert again.returncode == 0, again.stdout + again.stderr


def test_without_a_rig_nothing_happens(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    cases = tmp_path / "test_mine.py"
    cases.write_text(CASES + "\n\ndef test_of_something_else():\n    pass\n")
    ran = plain_pytest(tmp_path, str(cases))
    assert ran.returncode == 0
    assert "1 passed, 6 skipped" in ran.stdout, ran.stdout
    assert "needs a rig: pytest --rig RIG.toml" in ran.stdout


def test_a_rig_file_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    ran = plain_pytest(tmp_path, "--rig", str(tmp_path / "none.toml"))
    assert ran.returncode == 4
    assert "none.toml: cannot be read" in ran.stderr


def test_a_rig_is_not_shared(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    ran = plain_pytest(tmp_path, "--rig", str(bench.file), "-n", "2")
    assert ran.returncode == 4
    assert "one bench and one tester" in ran.stderr
    rig = Rig(bench.settings)
    second = bench.run("check", str(bench.file))
    assert second.returncode == 74
    assert "another marque-rig works on this bench" in second.stderr
    rig.close()
    Rig(bench.settings).close()


def test_the_plugin_is_light_until_it_is_needed() -> None:
    code = "import rig.plugin, sys; print([each for each in ('can', 'serial', 'typer', 'rich') if each in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout == "[]\n"
