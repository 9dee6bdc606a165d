"""A soak runs every seed once (some twice), loses none, and says of each that failed how; processes may die."""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from typer.testing import CliRunner

from sim.__main__ import app
from sim.asked import SEED_MAX, BadInput
from sim.attempt import Failure, Result
from sim.shell import soaking as command
from sim.shell.workers import Bounds, soaking
from sim.soak import NOT_REPEATABLE, SEEDS_MAX, Seeds, Soak, resumed, seeds
from tests.sim.fake_simulation import FakeSimulation

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [("0..9", 0, 9), (" 7 ", 7, 7), ("5..", 5, None), (f"{SEED_MAX}..{SEED_MAX}", SEED_MAX, SEED_MAX), ("0", 0, 0)],
)
def test_ranges(text: str, first: int, last: int | None) -> None:
    assert seeds(text) == Seeds(first, last)


BAD = (
    "",
    "..",
    "..5",
    "5..4",
    "1...2",
    "-1..2",
    "a..b",
    "1..2..3",
    "0x1..2",
    f"0..{SEED_MAX + 1}",
    f"{10**39}",
    "٣..٤",
)


@pytest.mark.parametrize("text", [*BAD, f"0..{SEEDS_MAX}"])
def test_no_ranges(text: str) -> None:
    with pytest.raises(BadInput, match=r"write|out of range|at most"):
        seeds(text)


def test_an_open_range_ends_somewhere() -> None:
    assert Seeds(SEED_MAX, None).end == SEED_MAX + 1
    assert Seeds(0, None).end == SEEDS_MAX


# ---------------------------------------------------------------------------------------------------------- pure


def result(seed: int, digest: str = "d", *failures: Failure) -> Result:
    return Result(seed, 100, 2, 3, frozenset({f"Store {seed % 2}"}), 10**9, failures, digest)


def drain(soak: Soak, **odd: Result) -> list[tuple[int, bool]]:
    """Run all there is with `result`; the order, and which were second runs."""
    order = []
    while (task := soak.task()) is not None:
        seed = task.asked.seed
        order.append((seed, bool(task.again)))
        soak.take(task, odd.get(f"{'again' if task.again else 'seed'}{seed}", result(seed)), 0.5)
    return order


def test_every_seed_once_and_each_third_twice() -> None:
    soak = Soak(Seeds(3, 9), again_every=3)
    order = drain(soak)
    assert sorted(order) == sorted([*((seed, False) for seed in range(3, 10)), (3, True), (6, True), (9, True)])
    assert soak.over
    totals = soak.totals
    assert (totals.seeds, totals.again, totals.failed, totals.updates, totals.cuts, totals.events) == (
        7,
        3,
        0,
        14,
        21,
        700,
    )
    assert totals.cpu_s == 5.0
    assert totals.per_core_second(totals.events) == 140
    assert soak.distinct_cuts == {"Store 0", "Store 1"}


def test_a_seed_that_does_something_else_the_second_time_fails() -> None:
    soak = Soak(Seeds(0, 4), again_every=2)
    drain(soak, again2=result(2, "e"))
    assert [failure.rule for failure in soak.failed[2]] == [NOT_REPEATABLE]
    assert soak.totals.failed == len(soak.failed) == 1


def test_a_failing_seed_is_kept_with_all_it_broke_and_is_not_run_again() -> None:
    broken = Failure("BOOTABLE", "v1.brake", "half an image")
    soak = Soak(Seeds(0, 1), again_every=1)
    assert drain(soak, seed0=result(0, "d", broken)) == [(0, False), (1, False), (1, True)]
    assert soak.failed == {0: (broken,)}


def test_a_checkpoint_goes_on_where_it_was_and_loses_no_seed() -> None:
    whole = Soak(Seeds(0, 9), again_every=2)
    drain(whole, seed7=result(7, "d", Failure("A", "b", "c")))
    soak = Soak(Seeds(0, 9), again_every=2)
    order = []
    while (task := soak.task()) is not None:
        soak = resumed(soak.checkpoint(), Soak(Seeds(0, 9), again_every=2))  # `task` was being run: it is run again
        task = soak.task()
        assert task is not None
        seed = task.asked.seed
        order.append(seed)
        soak.take(task, result(7, "d", Failure("A", "b", "c")) if seed == 7 else result(seed), 0.5)
    assert (soak.totals, soak.failed, soak.distinct_cuts) == (whole.totals, whole.failed, whole.distinct_cuts)


def change(name: str, value: object) -> Any:
    def changed(body: dict[str, Any]) -> None:
        body[name] = value

    return changed


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda text: "", "no JSON"),
        (lambda text: text[:-20], "no JSON"),
        (lambda text: "[1]", "no checkpoint"),
        (lambda text: "{}", "no checkpoint"),
        (lambda text: "[" * 100_000, "no JSON"),
        (lambda text: text.replace('"format": 1', '"format": 2'), "format 2, and this version writes 1"),
        (lambda text: text.replace('"cuts": 0', '"cuts": 9'), "digest"),
        (lambda text: text.replace("0..9", "0..8"), "digest"),
    ],
)
def test_a_broken_checkpoint_is_refused(spoil: Any, text: str) -> None:
    soak = Soak(Seeds(0, 9))
    with pytest.raises(BadInput, match=text) as refused:
        resumed(spoil(soak.checkpoint()), soak)
    assert "remove the file to begin anew" in str(refused.value)


@pytest.mark.parametrize("other", [Soak(Seeds(0, 8)), Soak(Seeds(0, 9), "cuts"), Soak(Seeds(0, 9), again_every=1)])
def test_a_checkpoint_of_another_soak_is_refused(other: Soak) -> None:
    with pytest.raises(BadInput, match="another soak"):
        resumed(other.checkpoint(), Soak(Seeds(0, 9)))


# ----------------------------------------------------------------------------------------------------- processes


def soaked(first: int, last: int | None, bounds: Bounds) -> Soak:
    soak = Soak(Seeds(first, last), again_every=5)
    for _ in soaking(soak, FakeSimulation(), bounds):
        pass
    return soak


@pytest.mark.process
def test_two_processes_run_everything_and_say_what_one_would() -> None:
    two, one = (soaked(100, 129, Bounds(jobs=jobs, seed_s=60, failures=100)) for jobs in (2, 1))
    assert sorted(two.failed) == [100 + seed for seed in range(30) if seed % 10 in {3, 4, 7}]
    assert two.failed == one.failed
    assert (two.totals.seeds, two.totals.again, two.totals.events) == (30, 6, one.totals.events)
    assert two.distinct_cuts == one.distinct_cuts


@pytest.mark.process
def test_a_process_that_dies_and_one_that_hangs_fail_their_seed_and_no_other() -> None:
    soak = soaked(665, 669, Bounds(jobs=2, seed_s=3, failures=100))
    assert {seed: failures[0].rule for seed, failures in soak.failed.items()} == {666: "HANGS", 667: "DIED"}
    assert soak.failed[667][0].text == "the process that ran it ended with 9"
    assert soak.totals.seeds == 5


@pytest.mark.process
def test_it_stops_after_enough_failures_and_when_time_is_up() -> None:
    assert len(soaked(3, 100_003, Bounds(jobs=1, seed_s=5, failures=2)).failed) == 2
    beyond = 1_000  # 666 would hang: what is being run when time is up is waited for
    timed = soaked(beyond, None, Bounds(jobs=1, seed_s=60, end_s=1.0, failures=10**6))
    assert 0 < timed.totals.seeds < timed.seeds.end


def call(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["soak", *(str(each) for each in arguments)], obj=FakeSimulation())


@pytest.mark.process
def test_the_command_says_what_to_do_about_a_failing_seed(tmp_path: Path) -> None:
    ran = call("--seeds", "10..13", "--jobs", 1, "--traces", tmp_path / "traces", "--manner", "cuts")
    assert ran.exit_code == 1
    assert "seed 13 BOOTABLE v1.brake slot 1 holds half an image" in ran.stdout
    assert "  marque-sim replay 13 --manner cuts\n  marque-sim shrink 13 --manner cuts\n" in ran.stdout
    assert (tmp_path / "traces" / "13.trace").read_text().startswith("marque-sim trace 1 seed 13\n")


@pytest.mark.process
def test_the_command_goes_on_from_a_checkpoint(tmp_path: Path) -> None:
    file = tmp_path / "soak.json"
    first = call("--seeds", "0..99", "--jobs", 1, "--failures", 1, "--checkpoint", file, "--json")
    assert first.exit_code == 1
    half = json.loads(file.read_text())
    assert half["totals"]["seeds"] < 99
    ran = json.loads(call("--seeds", "0..99", "--jobs", 1, "--failures", 99, "--checkpoint", file, "--json").stdout)
    assert ran["run"] == 100
    assert [each["seed"] for each in ran["failed"]] == [seed for seed in range(100) if seed % 10 in {3, 4, 7}]
    assert ran["ended"] == "seeds"
    file.write_text(file.read_text().replace("1", "2"))
    broken = call("--seeds", "0..99", "--checkpoint", file)
    assert broken.exit_code == 2
    assert f"{file}: " in broken.stderr
    assert "remove the file to begin anew" in broken.stderr


@pytest.mark.parametrize("octets", [b"\xff\xfe", b" " * 2_000])
def test_a_checkpoint_that_is_no_text_or_absurdly_long(
    octets: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "CHECKPOINT_OCTETS_MAX", 1_000)
    (tmp_path / "x").write_bytes(octets)
    ran = call("--seeds", "0..9", "--checkpoint", tmp_path / "x")
    assert ran.exit_code == 2
    assert "checkpoint" in ran.stderr


@pytest.mark.process
def test_fresh_seeds_are_others_each_time() -> None:
    runs = [
        json.loads(call("--seeds", "fresh", "--minutes", 0.01, "--jobs", 1, "--failures", 1_000, "--json").stdout)
        for _ in range(2)
    ]
    assert runs[0]["seeds"] != runs[1]["seeds"]
    assert all(run["run"] > 0 for run in runs)


@pytest.mark.process
def test_an_interrupted_soak_keeps_what_it_had_and_leaves_no_process(tmp_path: Path) -> None:
    """A real process, interrupted while it is busy with a seed that never ends."""
    file = tmp_path / "soak.json"
    options = ["soak", "--seeds", "665..670", "--jobs", "1", "--checkpoint", str(file), "--json"]
    script = tmp_path / "soak.py"
    script.write_text(
        "import signal\nfrom sim.__main__ import app\nfrom tests.sim.fake_simulation import FakeSimulation\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # what runs in the background may ignore it
        f"if __name__ == '__main__':\n    app({options!r}, obj=FakeSimulation())\n"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, str(script)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        children = _busy(process)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=100)
    finally:
        process.kill()
    assert not psutil.wait_procs(children, timeout=20)[1]
    assert json.loads(out)["ended"] == "interrupted"
    kept = json.loads(file.read_text())
    assert kept["totals"]["seeds"] == 1
    assert [666, ""] in kept["undone"]
    assert process.returncode == 1


def _busy(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """Wait until a child has used two seconds of a core: seed 665 takes a moment, 666 all there is."""
    while True:
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.2)
        assert process.poll() is None
        children = psutil.Process(process.pid).children()
        if any(child.cpu_times().user > 2 for child in children):
            return children
