"""The command with the shipping cores: the same seed writes the same trace in every process, whatever its hash seed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sim.trace_reader import read
from sim.view import view

ROOT = Path(__file__).resolve().parent.parent.parent
SEED = 3

pytestmark = [pytest.mark.process, pytest.mark.timeout(400)]


def marque_sim(*arguments: object, hash_seed: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sim", *map(str, arguments)]
    environment = os.environ | {"PYTHONHASHSEED": str(hash_seed)}
    return subprocess.run(command, check=False, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=110)


def test_a_seed_is_the_same_everywhere_and_can_be_looked_at(tmp_path: Path) -> None:
    traces = [tmp_path / "one", tmp_path / "two"]
    for number, path in enumerate(traces):
        ran = marque_sim("run", "--seed", SEED, "--trace", path, "--page", f"{path}.html", "--json", hash_seed=number)
        assert ran.returncode == (0 if json.loads(ran.stdout)["ok"] else 1), ran.stderr
    one, two = (path.read_bytes() for path in traces)
    assert one == two
    assert Path(f"{traces[0]}.html").read_bytes() == Path(f"{traces[1]}.html").read_bytes()
    seen = view(read(one.splitlines(keepends=True)))
    assert seen.ecus
    assert seen.buses
    assert sum(sum(bus.frames.values()) for bus in seen.buses) > 100
    assert all(ecu.state in {"idle", "released", "running"} for ecu in seen.ecus if not seen.violations)
    assert marque_sim("diff", traces[0], hash_seed=2).returncode == 0


def test_a_replay_is_the_beginning_of_the_run(tmp_path: Path) -> None:
    whole = marque_sim("replay", SEED, "--json", "--lines", 100_000)
    part = marque_sim("replay", SEED, "--until", 150, "--json", "--lines", 100_000)
    assert json.loads(part.stdout)["lines"] == json.loads(whole.stdout)["lines"][:150]


def test_a_soak_runs_them_as_a_run_does() -> None:
    ran = marque_sim("soak", "--seeds", f"{SEED}..{SEED + 1}", "--jobs", 2, "--again", 1, "--json")
    found = json.loads(ran.stdout)
    assert found["run"] == 2
    assert not [
        each for each in found["failed"] if each["violations"][0]["rule"] in {"NOT_REPEATABLE", "DIED", "HANGS"}
    ]
    alone = [json.loads(marque_sim("run", "--seed", seed, "--json").stdout) for seed in (SEED, SEED + 1)]
    assert [found[name] for name in ("events", "cuts", "updates")] == [
        sum(each[name] for each in alone) for name in ("events", "cuts", "updates")
    ]
