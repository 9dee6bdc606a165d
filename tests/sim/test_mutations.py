"""A checker that passes on a broken core is no checker: every deliberate defect has to die, by the killer on record."""

import ast
import os

import pytest

from tests.sim.mutant_runner import PACKAGES, ROOT, Ran, in_copies, judge, mutated_text, recorded, sound
from tests.sim.mutation import Mutation
from tests.sim.mutations import MUTATIONS

JOBS = min(os.cpu_count() or 1, 4)
COPIES = "test"  # not those of whoever hunts meanwhile
KILLERS = sorted({mutation.kills for mutation in MUTATIONS})


def by_name(mutation: Mutation) -> str:
    return mutation.name


# ----------------------------------------------------------------------------------------------------- the table


def test_there_are_enough_and_each_has_a_name_and_a_killer() -> None:
    assert len(MUTATIONS) >= 35
    assert len({mutation.name for mutation in MUTATIONS}) == len(MUTATIONS)
    assert not [mutation.name for mutation in MUTATIONS if not mutation.kills]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=by_name)
def test_a_mutation_is_one_place_of_a_core_and_still_python(mutation: Mutation) -> None:
    text = (ROOT / mutation.path).read_text(encoding="utf-8")
    assert mutation.path.split("/")[0] in PACKAGES
    assert "shell" not in mutation.path
    mutated = mutated_text(mutation, text)
    assert ast.dump(ast.parse(mutated)) != ast.dump(ast.parse(text)), "it changes nothing"
    compile(mutated, mutation.path, "exec")


def test_a_mutation_whose_text_has_gone_or_stands_twice_is_an_error() -> None:
    mutation = Mutation("drop", "uptane/x.py", "check()", "pass", "nothing is checked", "run --seed 1")
    assert mutated_text(mutation, "check()\n") == "pass\n"
    for text in ("", "check()\ncheck()\n"):
        with pytest.raises(ValueError, match="found"):
            mutated_text(mutation, text)


def test_a_killer_is_written_into_its_row_and_no_other() -> None:
    rows = "".join(
        f'    Mutation(\n        name="{name}",\n        before="x",\n        kills="old",\n    ),\n' for name in "ab"
    )
    changed = recorded(rows, "b", "run --seed 7")
    assert changed.count('kills="old"') == 1
    assert changed.index('kills="old"') < changed.index('name="b"') < changed.index('kills="run --seed 7"')


# ------------------------------------------------------------------------------------------------------ the deaths


@pytest.mark.parametrize(
    ("ran", "found"),
    [
        (Ran(1, "seed 1: ...\nbroken COUNTER v1.brake: fell\n", 1.0), "COUNTER v1.brake: fell"),
        (Ran(0, "broken COUNTER v1.brake: fell\n", 1.0), ""),
        (Ran(2, "broken COUNTER v1.brake: fell\n", 1.0), ""),
        (Ran(None, "broken COUNTER v1.brake: fell\n", 60.0), ""),
        (Ran(1, "broken BUG_NameError_x.py:1 x.py:1: NameError\n", 1.0), ""),
        (Ran(1, "broken BUG_AssertionError_x.py:1 x.py:1: no\n", 1.0), "BUG_AssertionError_x.py:1 x.py:1: no"),
        (Ran(1, "Traceback ...\nModuleNotFoundError: No module named 'sim'\n", 1.0), ""),
    ],
)
def test_only_a_broken_rule_is_a_find(ran: Ran, found: str) -> None:
    assert ran.found == found


@pytest.mark.alone
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_mutation_dies_by_its_killer() -> None:
    verdicts = in_copies(JOBS, lambda copy, each: judge(copy, each, each.kills), MUTATIONS, COPIES)
    survived = [str(verdict) for verdict in verdicts if not verdict.killed]
    assert not survived, "\n" + "\n".join(survived)


@pytest.mark.alone
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_no_killer_finds_anything_in_the_cores_as_they_are() -> None:
    runs = in_copies(JOBS, lambda copy, command: (command, sound(copy, command)), KILLERS, COPIES)
    alarms = [f"{command}: {ran.found or ran.said[-500:]}" for command, ran in runs if not ran.passed]
    assert not alarms, "\n" + "\n".join(alarms)
