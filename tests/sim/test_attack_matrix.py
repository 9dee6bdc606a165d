"""The attack matrix: its judge is silent on honest life, its runs are those on record, a broken core is noticed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import uptane.verify.partial
import uptane.verify.roles
from sim.attack.attacker import Attacker
from sim.attack.control import Variant, without
from sim.attack.forge import Forger, read
from sim.attack.goals import Goal, Result
from sim.attack.judge import Judge
from sim.attack.keys import NOTHING, Reach, Stolen
from sim.attack.matrix import Case, Played, cases
from sim.attack.outsider import NotHis, loot_of
from sim.attack.record import changed, line_of, recorded
from sim.attack.scene import BODY, BRAKE, CAMERA, ECUS, HEAD, Scene
from sim.attack.strategies.registry import STRATEGIES
from sim.attack.tables import PRINTED, Mark, Table, marks, printed
from sim.shell.attack_runs import Failed, run
from sim.shell.attacks_command import RECORD
from uptane.model.metadata import DirectorTargets

ROOT = Path(__file__).resolve().parents[2]
CASES = {case.name: case for case in cases(STRATEGIES)}


@pytest.fixture(scope="module")
def played() -> Callable[..., list[Played]]:
    def play(*names: str) -> list[Played]:
        return run([CASES[name] for name in names], 2, lambda _played: None)

    return play


@pytest.fixture
def record() -> dict[str, str]:
    return dict(recorded(RECORD.read_text(encoding="utf-8")))


def attacker(scene: Scene, *reach: Reach, keys: frozenset[Stolen] = NOTHING) -> Attacker:
    return Attacker(scene, Forger(loot_of(scene, keys)), frozenset(reach))


# ---------------------------------------------------------------------------------------------------- the tables


def test_the_papers_tables_are_as_they_were_printed() -> None:
    figure_16 = PRINTED[Table.T16].rows
    rows = {keys.value: row for each in figure_16.values() for keys, row in each.items()}
    assert rows["none"] == "EV DQ PB@"
    assert rows["dTS dSS dTG iTS iSS iSP"] == "EV DQ FZ# PB MM RB* AS*"
    assert rows["dRT iRT"] == "EV DQ FZ PB MM RB AS"
    assert marks("FZ# PB@")[Goal.FREEZE] is Mark.UNTIL
    assert marks("FZ# PB@")[Goal.ARBITRARY] is Mark.NO
    cells = list(printed())
    assert len(cells) == len(set(cells)) == 9 * 6 * (1 + 2 + 2) * 2
    never = {Goal.MIXED_BUNDLES, Goal.ENDLESS_DATA}
    shipped = {Table.T16, Table.T17, Table.T18}
    assert {mark for place, mark in cells if place.table in shipped and place.goal in never} == {Mark.NO}


# ----------------------------------------------------------------------------------------------- who may do what


def test_an_attacker_has_what_he_declares_and_no_more() -> None:
    scene = Scene()
    outside = attacker(scene, Reach.OUT)
    with pytest.raises(NotHis):
        outside.session(BRAKE)
    with pytest.raises(NotHis):
        outside.ecu_key(HEAD)
    with pytest.raises(NotHis):
        attacker(scene, Reach.IN).drop_all()
    assert attacker(scene, Reach.IN).session(BRAKE)
    assert set(loot_of(scene, NOTHING)) == set()
    forged = outside.forger.director(outside.newest, lambda targets: targets)
    assert read(forged.targets, DirectorTargets).header.version == outside.newest.says.header.version + 1
    assert not attacker(scene, Reach.IN).verify(BRAKE, forged), "nobody's key is as good as another"
    stolen = attacker(scene, Reach.IN, keys=frozenset({Stolen.DIRECTOR_TARGETS}))
    forged = stolen.forger.director(stolen.newest, lambda targets: targets)
    assert stolen.verify(BRAKE, forged), "what is signed with the real key is signed"


def test_every_run_has_a_line_on_record_and_every_line_a_run(record: dict[str, str]) -> None:
    assert list(record) == list(CASES)


# --------------------------------------------------------------------------------------------------- the judge


def test_the_judge_finds_nothing_in_an_honest_life() -> None:
    scene = Scene()
    judge = Judge(scene, attacker(scene, Reach.OUT, Reach.IN))
    scene.update()
    scene.run(900)
    judge.look()
    judge.look_after()
    assert judge.verdict.findings == []
    assert judge.verdict.told == []
    assert judge.verdict.recovered
    assert {boot.ecu for boot in judge.witness.boots} == set(ECUS), "it has seen every ECU boot its new image"


def test_the_judge_believes_octets_and_no_records() -> None:
    """Whatever a record says: octets that nobody published are in the slot that runs."""
    scene = Scene()
    judge = Judge(scene, attacker(scene, Reach.IN))
    node: Any = scene.node(BRAKE)
    running = judge.witness.installation(BRAKE).running
    node.slots[running].install(b"\xee" * 600)
    scene.ignition()
    scene.run(10)
    judge.look()
    assert judge.verdict.has(Goal.ARBITRARY, BRAKE)
    assert judge.verdict.has(Goal.ENDLESS_DATA, BRAKE)
    assert not judge.verdict.has(Goal.ARBITRARY, BODY)


def test_a_lost_update_is_one_for_those_that_were_to_have_it() -> None:
    scene = Scene()
    who = attacker(scene, Reach.OUT)
    judge = Judge(scene, who)
    who.drop_all()
    scene.update(BRAKE, CAMERA)
    scene.run(600)
    judge.look()
    found = {(each.goal, each.ecu, each.result) for each in judge.verdict.findings}
    assert found == {(Goal.DROP, ecu, Result.POSSIBLE) for ecu in (BRAKE, CAMERA)}


# ------------------------------------------------------------------------------------------------ the control group


def test_a_variant_is_undone_when_its_run_ends() -> None:
    scene = Scene()
    slots = scene.car.secondaries[BRAKE].slots
    before = uptane.verify.roles.is_file, vars(uptane.verify.partial)["check_released"]
    for variant in Variant:
        with without(variant, scene):
            pass
        assert (uptane.verify.roles.is_file, vars(uptane.verify.partial)["check_released"]) == before
        assert scene.car.secondaries[BRAKE].slots is slots
    with without(Variant.NO_HASHES, scene):
        assert uptane.verify.roles.is_file is not before[0]


# ------------------------------------------------------------------------------------------------------- the record

SOME = (
    "out/eavesdrop",
    "out/old Director",
    "out/endless images",
    "in/foreign vehicle",
    "in/order: roll one back",
    "in/cut off all when one voted",
    "in/say yes for body-1",
    "in/forge malware [dTG]",
    "out/forge malware supplied [dTG dSS dTS iSP iSS iTS]",
    "out/freeze",
    "primary/two bundles",
    "primary/lie",
    "full/say no",
    "out/forge mix under a true Snapshot [dTG] (without hashes in Snapshot)",
)


def test_some_runs_come_out_as_they_are_on_record(played: Callable[..., list[Played]], record: dict[str, str]) -> None:
    assert list(changed(played(*SOME), record)) == []


@contextmanager
def broken(owner: object, name: str) -> Iterator[None]:
    """A core that has lost one of its checks."""
    check = getattr(owner, name)
    setattr(owner, name, lambda *_arguments, **_named: None)
    try:
        yield
    finally:
        setattr(owner, name, check)


@pytest.mark.parametrize(
    ("check", "case"),
    [
        ("_check_succession", "in/old Targets"),
        ("check_speaker", "in/foreign vehicle"),
        ("check_expiry", "out/freeze"),
    ],
)
def test_a_core_without_a_check_changes_what_comes_of_an_attack(
    played: Callable[..., list[Played]], record: dict[str, str], check: str, case: str
) -> None:
    with broken(uptane.verify.roles, check):
        (line,) = changed(played(case), record)
    assert line.startswith(case)


def test_a_run_that_ends_in_an_exception_is_told_as_such() -> None:
    def fails(_attacker: Attacker) -> None:
        raise LookupError("of the attack itself")

    strategy = CASES["out/eavesdrop"].strategy
    case = Case(type(strategy)("out/broken", "", strategy.aims, strategy.reach, fails), NOTHING)
    with pytest.raises(Failed, match="of the attack itself"):
        run([case], 1, lambda _played: None)


def test_a_line_says_all_that_came_of_a_run() -> None:
    found = [("FZ", "head-1", int(Result.BOUNDED), "a day", "x"), ("DQ", "body-1", int(Result.POSSIBLE), "", "y")]
    one = Played("out/x [dTG]", [*found, ("DQ", "radar-1", 3, "", "z")], ["LENGTH"], [], [], recovered=True)
    line = line_of(one)
    assert line == "out/x [dTG] | DQ possible body radar; FZ bounded until a day head | LENGTH | - | recovered"
    assert list(changed([one], recorded(line))) == []
    other = line.replace("LENGTH", "SPEAKER")
    (text,) = changed([one], recorded(other))
    assert text == "out/x [dTG]: refused by 'SPEAKER', now 'LENGTH'"
    (text,) = changed([one], {})
    assert "not on record" in text


# -------------------------------------------------------------------------------------------------- the command line


def marque_sim(*arguments: str, seed: str = "0", cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "sim", "attacks", *arguments]
    return subprocess.run(command, check=False, cwd=cwd, env=environment, capture_output=True, text=True, timeout=3_000)


def test_the_order_of_sets_decides_nothing() -> None:
    said = [marque_sim("--only", "in/freeze signed anew", "--only", "out/mute", seed=seed) for seed in ("1", "7")]
    assert [each.returncode for each in said] == [0, 0], said[0].stdout
    assert said[0].stdout == said[1].stdout
    assert said[0].stdout.count("\n") > 4


def test_names_that_no_run_has_are_refused() -> None:
    said = marque_sim("--only", "no such attack")
    assert said.returncode == 2
    assert "no such attack" in said.stderr
    assert marque_sim("--only", "out/mute", "--write").returncode == 2
    named = marque_sim("--list").stdout.splitlines()
    assert named == list(CASES)


@pytest.mark.alone
@pytest.mark.slow
@pytest.mark.timeout(3_000)
def test_the_whole_matrix_is_as_docs_threats_says(tmp_path: Path) -> None:
    """Every cell of every table; a changed one is to be looked at, and then written by `marque-sim attacks --write`."""
    out = tmp_path / "attacks.json"
    said = marque_sim("--jobs", "2", "--out", str(out))
    assert said.returncode == 0, "\n".join(said.stdout.splitlines()[-40:]) + said.stderr[-4_000:]
    cells = json.loads(out.read_text(encoding="utf-8"))
    assert {*cells[0]} == {"table", "keys", "position", "ecu", "attack", "expected", "measured", "by", "why"}
    assert all(cell["why"] for cell in cells)
    assert {cell["table"] for cell in cells} == {table.value for table in Table}
