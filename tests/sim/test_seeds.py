"""Seeds: the same ones every time, every plan that ever failed, and fresh ones nobody has run before."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sim.plan import MANNERS, STORM, draw
from sim.plan_text import dump, load
from sim.run import run
from sim.shell.shipping import BOOTLOADERS, Shipping
from tests.sim.found import FOUND
from uptane.errors import Malformed

ROOT = Path(__file__).resolve().parents[2]
FRESH_MINUTES = 5


def marque_sim(*arguments: str, hash_seed: str = "random", timeout_s: int = 110) -> str:
    environment = os.environ | {"PYTHONHASHSEED": hash_seed, "COLUMNS": "150"}
    command = [sys.executable, "-m", "sim", *arguments]
    ran = subprocess.run(
        command, check=False, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=timeout_s
    )
    assert ran.returncode == 0, f"{' '.join(arguments)}\n{ran.stdout[-4000:]}{ran.stderr[-2000:]}"
    return ran.stdout


@pytest.mark.parametrize(("what", "text"), FOUND, ids=range(len(FOUND)))
def test_a_plan_that_once_failed(what: str, text: str) -> None:
    assert run(load(text)).violations == (), what


@pytest.mark.alone
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("manner", "last"), [("everything", 100), ("cuts", 60), ("storm", 20)])
def test_the_same_seeds_every_time(manner: str, last: int) -> None:
    print(marque_sim("soak", "--seeds", f"1..{last}", "--manner", manner, "--again", "20", timeout_s=580))


@pytest.mark.alone
@pytest.mark.slow
@pytest.mark.timeout(60 * FRESH_MINUTES + 300)
def test_fresh_seeds(capsys: pytest.CaptureFixture[str]) -> None:
    """Five minutes of seeds nobody has run. One that fails is printed with the command that shows it again."""
    said = marque_sim("soak", "--seeds", "fresh", "--minutes", str(FRESH_MINUTES), timeout_s=60 * FRESH_MINUTES + 280)
    with capsys.disabled():
        print(f"\n{said}")


def test_a_seed_means_the_same_whatever_python_hashes() -> None:
    """Sets and dicts of strings come in another order in every process; a trace must not."""
    said = [json.loads(marque_sim("run", "--seed", "8", "--json", hash_seed=each)) for each in ("0", "1", "4242")]
    assert len({run["digest"] for run in said}) == 1, said


def test_commands_know_every_manner() -> None:
    assert list(Shipping.manners) == [*MANNERS, *BOOTLOADERS]


def test_plans_survive_being_written_down() -> None:
    for seed in range(60):
        assert load(dump(draw(seed))) == draw(seed)
        assert load(dump(draw(seed, STORM))) == draw(seed, STORM)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "plan 2 seed 1 image 1 calm 1",
        "plan 1 seed 1 image 1",
        "plan 1 seed 1 image 1 calm 1\nvehicle 2 head",
        "plan 1 seed 1 image 1 calm 1\nvehicle 1 head brake:half:classic",
        "plan 1 seed 1 image 1 calm 1\nvehicle 1 head\n1 5 explode v1 0 0 0",
        "plan 1 seed 1 image 1 calm 1\nvehicle 1 head\n1 5 cut v1.primary 0 0",
    ],
)
def test_what_is_no_plan_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        load(text)
