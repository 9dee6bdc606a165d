"""The command line, with a simulation that costs nothing; the same commands with the cores are in test_seeds.py."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from sim.__main__ import app
from tests.sim.fake_simulation import FakeSimulation


def call(*arguments: object) -> Any:
    ran = CliRunner().invoke(app, [str(each) for each in arguments], obj=FakeSimulation())
    assert ran.exception is None or isinstance(ran.exception, SystemExit), ran.exception
    return ran


def told(*arguments: object, code: int = 0) -> Any:
    """The JSON answer."""
    ran = call(*arguments, "--json")
    assert ran.exit_code == code, ran.output
    return json.loads(ran.stdout)


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    path = tmp_path / "13.trace"
    assert call("run", "--seed", 13, "--trace", path).exit_code == 1
    return path


# ----------------------------------------------------------------------------------------------------------- run


def test_a_good_seed_is_said_to_be_good() -> None:
    ran = call("run", "--seed", 1)
    assert ran.exit_code == 0
    assert "every rule held" in ran.stdout


def test_a_broken_rule_ends_with_1_and_says_what_to_do() -> None:
    ran = call("run", "--seed", 13)
    assert ran.exit_code == 1
    assert "BOOTABLE v1.brake slot 1 holds half an image" in ran.stdout
    assert "marque-sim replay 13\n" in ran.stdout
    assert "marque-sim shrink 13\n" in ran.stdout


def test_an_exception_is_a_failure_with_its_place() -> None:
    found = told("run", "--seed", 7, code=1)
    (violation,) = found["violations"]
    assert re.fullmatch(r"BUG_AssertionError_fake_simulation\.py:\d+", violation["rule"])
    assert violation["text"] == "AssertionError seed 7 is a bug"


def test_the_same_seed_writes_the_same_trace_and_without_a_fault_another(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a", "b", "c")]
    digests = [told("run", "--seed", 5, "--trace", path)["digest"] for path in paths[:2]]
    digests.append(told("run", "--seed", 5, "--trace", paths[2], "--without", "4,3")["digest"])
    texts = [path.read_bytes() for path in paths]
    assert (texts[0], digests[0]) == (texts[1], digests[1]) != (texts[2], digests[2])
    assert texts[2].splitlines()[1] == b"000001 0.000000000 run asked without=3,4"


def test_what_is_left_out_may_make_it_good() -> None:
    assert told("run", "--seed", 13, "--without", "5")["ok"]


def test_a_trace_and_a_page_at_once(tmp_path: Path) -> None:
    found = told("run", "--seed", 5, "--trace", tmp_path / "t", "--page", tmp_path / "p.html")
    assert found["digest"] in (tmp_path / "p.html").read_text(encoding="utf-8")
    lines = (tmp_path / "t").read_text().splitlines()
    assert lines[-1] == f"end digest {found['digest']} events {len(lines) - 2}"


# -------------------------------------------------------------------------------------------------------- replay


def test_replay_shows_what_led_to_the_end() -> None:
    ran = call("replay", 13)
    assert ran.exit_code == 1
    assert "checkers violation BOOTABLE" in ran.stdout
    assert re.search(r"v1\.brake +│ released", ran.stdout)


def test_replay_stops_at_the_event_and_shows_where_everybody_stands(trace: Path) -> None:
    cut = next(line for line in trace.read_text().splitlines() if " cut " in line and "faults" not in line)
    found = told("replay", 13, "--until", int(cut[:6]), "--lines", 2, "--node", "v1", code=1)
    assert [line.split(" ", 3)[2:] for line in found["lines"]] == [
        ["v1.brake", "store installation 312 octets"],
        ["v1.brake", "cut in Store"],
    ]
    assert found["ecus"]["v1.brake"] == {"state": "off", "image": "app-1", "boots": 1}


def test_replay_past_the_end_says_so() -> None:
    ran = call("replay", 1, "--until", 10**9)
    assert ran.exit_code == 0
    assert "the run has ended before event 1000000000" in ran.stdout


# -------------------------------------------------------------------------------------------------------- shrink


def test_shrink_finds_the_two_faults_that_matter_and_how_to_see_it(tmp_path: Path) -> None:
    found = told("shrink", 13, "--trace", tmp_path / "less.trace", code=1)
    assert [each["number"] for each in found["kept"]] == [2, 5]
    assert found["minimal"]
    again = call(*found["replay"].split()[1:])
    assert again.exit_code == 1
    assert "BOOTABLE" in again.stdout
    assert told("show", tmp_path / "less.trace")["without"] == [1, 3, 4, 6, 7, 8, 9]


def test_shrink_does_not_go_on_with_another_rule() -> None:
    found = told("shrink", 14, code=1)
    assert found["rule"] == "BOOTABLE"
    assert [each["number"] for each in found["kept"]] == [2, 5]


def test_shrink_of_an_exception_needs_no_fault_at_all() -> None:
    ran = call("shrink", 7)
    assert ran.exit_code == 1
    assert "takes 0 of the plan's faults and acts" in ran.stdout


def test_shrink_of_a_good_seed_has_nothing_to_do() -> None:
    ran = call("shrink", 1)
    assert ran.exit_code == 2
    assert "seed 1 breaks no rule" in ran.stderr


def test_shrink_ends_when_it_is_told_to() -> None:
    found = told("shrink", 13, "--tries", 1, code=1)
    assert found["runs"] == 1
    assert not found["minimal"]


# ------------------------------------------------------------------------------------------------- show and diff


def test_show_has_the_lanes_the_refusals_and_the_broken_rule(trace: Path) -> None:
    ran = call("show", trace)
    assert ran.exit_code == 0
    for text in (
        "v1.brake ",
        "INSTALL_COUNTER",
        "rollback",
        "1 rule(s) broken",
        "slot 1 holds half an image",
        "≈400 d≈",
    ):
        assert text in ran.stdout


def test_show_for_programs(trace: Path) -> None:
    found = told("show", trace)
    assert not found["ok"]
    assert [each["check"] for each in found["refused"]] == ["TIMESTAMP_EXPIRED", "INSTALL_COUNTER"]
    assert [ecu["node"] for ecu in found["ecus"]] == ["v1.primary", "v1.brake", "v1.camera"]


def test_show_sifts_lines(trace: Path) -> None:
    lines = call("show", trace, "--node", "v1.brake", "--words", "slot app-1", "--events", "1..30").stdout.splitlines()
    assert lines
    assert all(" v1.brake running slot 0 app-1" in line and int(line[:6]) <= 30 for line in lines)


def test_diff_of_the_same_and_of_another_run(trace: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.trace"
    call("run", "--seed", 13, "--without", "6", "--trace", other)
    assert told("diff", trace, trace) == {"same": True}
    found = told("diff", trace, other, "--around", 1, code=1)
    assert found["line"] == 2
    ran = call("diff", trace, other)
    assert ran.exit_code == 1
    assert "first difference: line 2" in ran.stdout
    assert "+ 000001 0.000000000 run asked without=6" in ran.stdout


def test_diff_against_what_the_seed_does_now(tmp_path: Path) -> None:
    good, fickle = tmp_path / "good", tmp_path / "fickle"
    call("run", "--seed", 13, "--without", "6", "--manner", "cuts", "--trace", good)
    call("run", "--seed", 668, "--trace", fickle)
    assert call("diff", good).exit_code == 0
    ran = call("diff", fickle)
    assert ran.exit_code == 1
    assert re.search(r"^- .*v1\.primary note time \d+\n", ran.stdout, re.MULTILINE)


# ----------------------------------------------------------------------------------------------------- bad input

BIG = 2**63
BAD = {
    "a seed below 0": (("run", "--seed", -1), "--seed"),
    "a seed above the largest": (("run", "--seed", BIG), str(BIG - 1)),
    "a seed that is no number": (("replay", "x"), "valid integer"),
    "an event out of range": (("replay", 1, "--until", 0), "--until"),
    "a list of faults that is none": (("run", "--seed", 1, "--without", "2;3"), "such as 3,7,12"),
    "a fault that the plan has not": (("run", "--seed", 1, "--without", "77"), "seed 1 (everything) are 1 to 9"),
    "a manner that is none": (("run", "--seed", 1, "--manner", "odd"), "there are everything, cuts"),
    "seeds backwards": (("soak", "--seeds", "9..1"), "write 1..9"),
    "seeds that are none": (("soak", "--seeds", "1-9"), "write A..B"),
    "seeds out of range": (("soak", "--seeds", f"0..{BIG}"), "0 to 9223372036854775807"),
    "seeds without end": (("soak", "--seeds", "1.."), "--minutes"),
    "absurdly many seeds": (("soak", "--seeds", "0..999999999999"), "at most"),
    "no jobs": (("soak", "--seeds", "1", "--jobs", 0), "--jobs"),
    "too many jobs": (("soak", "--seeds", "1", "--jobs", 257), "256"),
    "no time": (("soak", "--seeds", "1", "--minutes", 0), "0.01"),
    "a trace that is not there": (("show", "no.trace"), "does not exist"),
    "a folder as a trace": (("show", "."), "is a directory"),
    "a folder as the trace to write": (("run", "--seed", 1, "--trace", "."), "is a directory"),
    "a trace in a folder that is not there": (("run", "--seed", 1, "--trace", "no/such.trace"), "No such file"),
    "a range of events that is none": (("show", "{trace}", "--events", "5"), "such as 100..200"),
    "a range of events backwards": (("show", "{trace}", "--events", "5..4"), "write 4..5"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_ends_with_2_and_says_what_to_do(case: str, trace: Path) -> None:
    arguments, text = BAD[case]
    ran = call(*(str(each).format(trace=trace) for each in arguments))
    assert ran.exit_code == 2
    said = " ".join(re.sub(r"[│╭╮╰╯─]", " ", ran.stderr).split())
    assert text in said
    assert ran.stdout == ""


@pytest.mark.parametrize("command", ["show", "diff"])
def test_a_trace_of_another_format_ends_with_2(command: str, tmp_path: Path) -> None:
    path = tmp_path / "old.trace"
    path.write_text("marque-sim trace 9 seed 4\n")
    ran = call(command, path, *([path] if command == "diff" else []))
    assert ran.exit_code == 2
    assert f"{path}: line 1: a trace of format 9, and this version reads format 1" in ran.stderr
    assert "marque-sim run --seed 4 --trace FILE" in ran.stderr


def test_bad_input_for_programs_is_json(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x\n")
    assert "begins no trace" in told("show", tmp_path / "x", code=2)["error"]


def test_what_is_not_text_is_no_trace(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"\xff" * 10_000)
    assert "longer than" in told("show", tmp_path / "x", code=2)["error"]
