"""The tables beside what was measured, for people (docs/threats.md, the terminal) and for machines (attacks.json)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sim.attack.cells import Cell, Change, Ran, Severe, all_cells, changes, severities
from sim.attack.control import Variant
from sim.attack.goals import MEANING, PAPERS, RESULTS, Goal, Result
from sim.attack.keys import EcuClass, KeySet, Position
from sim.attack.tables import IEEE_COLUMNS, MARKS, PRINTED, Mark, Table
from sim.attack.why import unused, why, why_severity

WORDS: Final = {Mark.SOME: "possible on ECUs whose images those keys sign"}


@dataclass(frozen=True, slots=True)
class Matrix:
    """All that was measured."""

    runs: Sequence[Ran]
    cells: tuple[Cell, ...]
    severe: tuple[Severe, ...]
    changes: tuple[Change, ...]


def matrix_of(runs: Sequence[Ran]) -> Matrix:
    """Put together what came of all runs."""
    return Matrix(runs, tuple(all_cells(runs)), tuple(severities(runs)), tuple(changes(runs)))


def unexplained(matrix: Matrix) -> list[str]:
    """The cells that differ from what was expected and that nobody has explained; cells for which nothing was tried."""
    found = [
        f"{named(cell)}: expected {cell.expected.value}, measured {cell.measured.value}"
        for cell in matrix.cells
        if not cell.agrees and not why(cell)
    ]
    found += [f"{named(cell)}: nothing was tried" for cell in matrix.cells if not cell.tried]
    found += [
        f"2.3 {each.ecu.value} {IEEE_COLUMNS[each.column].title}: {each.measured.value}"
        for each in matrix.severe
        if each.measured is not each.expected and not why_severity(each)
    ]
    found += [f"no cell needs the sentence {text!r} any more" for text in unused(matrix.cells)]
    return found


def named(cell: Cell) -> str:
    """A cell in words."""
    place = cell.place
    return f"{place.table.value} [{place.keys.value}] {place.position.value}, {place.ecu.value}: {place.goal.value}"


# ------------------------------------------------------------------------------------------------- for machines


def document(matrix: Matrix) -> list[dict[str, Any]]:
    """Every cell of every table, as data."""
    return [*map(_entry, matrix.cells), *map(_severe_entry, matrix.severe)]


def _entry(cell: Cell) -> dict[str, Any]:
    place = cell.place
    return {
        "table": place.table.value,
        "keys": place.keys.value.split() if place.keys is not KeySet.NONE else [],
        "position": place.position.value,
        "ecu": place.ecu.value,
        "attack": place.goal.title,
        "expected": MARKS[cell.expected],
        "measured": _measured(cell),
        "by": list(cell.by or cell.tried),
        "why": sentence(cell),
    }


def _measured(cell: Cell) -> str:
    if cell.measured is Mark.SOME:
        return WORDS[Mark.SOME]
    word = RESULTS[cell.result]
    return f"{word} until {cell.until}" if cell.until and cell.result is not Result.PREVENTED else word


def sentence(cell: Cell) -> str:
    """Why a cell is as it is: where it differs what made the difference, else what refused or what it takes."""
    if not cell.agrees:
        return why(cell)
    if cell.result is Result.PREVENTED:
        return f"refused by {', '.join(cell.checks)}" if cell.checks else "no strategy came that far"
    told = f"; told meanwhile: {', '.join(cell.told)}" if cell.told else ""
    return f"{MEANING[cell.result]}{told}"


def _severe_entry(each: Severe) -> dict[str, Any]:
    column = IEEE_COLUMNS[each.column]
    goals = ", ".join(goal.title for goal in each.by)
    return {
        "table": Table.IEEE.value,
        "keys": column.keys.value.split() if column.keys is not KeySet.NONE else [],
        "position": column.position.value,
        "ecu": each.ecu.value,
        "attack": "all",
        "expected": each.expected.value,
        "measured": each.measured.value,
        "by": [goal.title for goal in each.by],
        "why": why_severity(each)
        or (f"possible: {goals}" if goals else "nothing worse than an update that does not come"),
    }


# --------------------------------------------------------------------------------------------------- for people


@dataclass
class _Notes:
    """Sentences by number, each once."""

    numbers: dict[str, int] = field(default_factory=dict)

    def number(self, text: str) -> int:
        """Under which number a sentence stands."""
        return self.numbers.setdefault(text, len(self.numbers) + 1)

    def lines(self) -> Iterator[str]:
        """The sentences."""
        for text, number in self.numbers.items():
            yield f"{number}. {text}"


def page(matrix: Matrix) -> str:
    """docs/threats.md."""
    notes = _Notes()
    parts = [
        _INTRODUCTION,
        *_papers(matrix, notes, strawman=False),
        *_severity(matrix, notes),
        *_ours(matrix, notes),
        "## The control group: what each feature prevents\n",
        _CONTROL,
        *_papers(matrix, notes, strawman=True),
        *_features(matrix),
        "## Why measured and expected differ\n",
        "\n".join(notes.lines()),
        "\n## The strategies\n",
        _STRATEGIES,
        *_strategies(matrix),
    ]
    return "\n".join(parts).rstrip() + "\n"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(lines) + "\n"


def _shown(cell: Cell, notes: _Notes) -> str:
    if cell.agrees:
        return cell.measured.value
    return f"{cell.expected.value} → **{cell.measured.value}** ({notes.number(why(cell))})"


def _by_place(cells: Iterable[Cell]) -> Mapping[tuple[Table, KeySet, Position, EcuClass, Goal], Cell]:
    return {(c.place.table, c.place.keys, c.place.position, c.place.ecu, c.place.goal): c for c in cells}


def _papers(matrix: Matrix, notes: _Notes, *, strawman: bool) -> Iterator[str]:
    known = _by_place(matrix.cells)
    for table, each in PRINTED.items():
        if each.strawman is not strawman:
            continue
        for ecu, rows in each.rows.items():
            suffix = (
                "" if len(each.rows) == 1 else f", those that verify {'fully' if ecu is EcuClass.FULL else 'partially'}"
            )
            level = "###" if strawman else "##"
            yield f"{level} {table.value}: {each.title}{suffix}\n"
            yield _table(
                ["keys", *(goal.value for goal in PAPERS)],
                (
                    [keys.value, *(_shown(known[table, keys, each.position, ecu, goal], notes) for goal in PAPERS)]
                    for keys in rows
                ),
            )


def _severity(matrix: Matrix, notes: _Notes) -> Iterator[str]:
    yield "## 2.3: the table of 2018\n"
    yield _SEVERITY
    rows: dict[EcuClass, list[str]] = {}
    for each in matrix.severe:
        shown = each.measured.value
        if each.measured is not each.expected:
            shown = f"{each.expected.value} → **{shown}** ({notes.number(why_severity(each))})"
        goals = ", ".join(goal.value for goal in each.by)
        rows.setdefault(each.ecu, [each.ecu.value]).append(f"{shown}{f': {goals}' if goals else ''}")
    yield _table(["ECU", *(column.title for column in IEEE_COLUMNS)], rows.values())


def _ours(matrix: Matrix, notes: _Notes) -> Iterator[str]:
    known = _by_place(matrix.cells)
    yield "## 2.5: every set of keys, every position\n"
    yield _OURS
    for position in Position:
        for ecu in EcuClass:
            if (Table.OURS, KeySet.NONE, position, ecu, Goal.EAVESDROP) not in known:
                continue
            yield f"### Attacker: {position.value}. ECU: {ecu.value}\n"
            yield _table(
                ["keys", *(goal.value for goal in Goal)],
                (
                    [keys.value, *(_shown(known[Table.OURS, keys, position, ecu, goal], notes) for goal in Goal)]
                    for keys in KeySet
                ),
            )


def _features(matrix: Matrix) -> Iterator[str]:
    for variant in Variant:
        found: dict[tuple[str, str], list[str]] = {}
        for each in matrix.changes:
            if each.variant is variant:
                ecus = ", ".join(ecu.value for ecu in each.ecus)
                step = f"{RESULTS[each.shipped]} → {RESULTS[each.without]}"
                found.setdefault((each.goal.title, step), []).append(f"{each.strategy} ({ecus})")
        if variant in {Variant.SHIPPED, Variant.STRAWMAN}:
            continue
        yield f"### {variant.title.capitalize()}\n"
        rows = (
            [title, step, "; ".join(names[:3]) + (f"; {len(names) - 3} more" if len(names) > 3 else "")]
            for (title, step), names in found.items()
        )
        yield _table(["attack", "with the feature → without", "strategies"], rows) if found else "Nothing changed.\n"


def _strategies(matrix: Matrix) -> Iterator[str]:
    """Each strategy once, with what refused it as shipped."""
    rows: dict[str, list[Ran]] = {}
    for each in matrix.runs:
        if each.case.variant is Variant.SHIPPED:
            rows.setdefault(each.case.strategy.name, []).append(each)

    def cells(name: str, runs: Sequence[Ran]) -> Sequence[str]:
        strategy = runs[0].case.strategy
        aims = " ".join(goal.value for goal in Goal if goal in strategy.aims)
        reached = {found.goal for each in runs for found in each.findings}
        checks = sorted({check for each in runs for check in each.played.refused})
        hit = " ".join(goal.value for goal in Goal if goal in reached) or "nothing"
        return name, strategy.text, aims, str(len(runs)), hit, ", ".join(checks) or "no check"

    yield _table(
        ["strategy", "what it does", "aims at", "sets of keys", "reached with some", "refused by"],
        (cells(name, runs) for name, runs in rows.items()),
    )


# ------------------------------------------------------------------------------------------------------ sentences

_LEGEND = "\n".join(f"- `{mark.value}` {text}" for mark, text in MARKS.items())
_GOALS = "\n".join(f"| {goal.value} | {goal.title} | {goal.text} |" for goal in Goal)
_RESULTS = "\n".join(f"- **{RESULTS[result]}**: {text}" for result, text in MEANING.items())

_INTRODUCTION = f"""# What attackers gain

Every cell below was measured: somebody played attacks against the shipping code (Director, Image repository, time
service, Primary, Secondaries on simulated CAN buses), with real keys, real metadata and real frames, and a judge looked
at what was true afterwards. `make attacks` plays them again, prints what changed, and writes `build/attacks.json`; a
changed cell fails the tests. This page is written by `marque-sim attacks --write`.

**Keys** are those of the Director (`dRT` Root, `dTG` Targets, `dSS` Snapshot, `dTS` Timestamp), the Image repository
(`iRT`, `iTG`, `iSS`, `iTS`, and `iSP` of a supplier it delegates to), the time service (`time`), and of every ECU of
the vehicle (`ECU`, the Primary's among them). As many are stolen as the role's threshold asks for. The papers' single
Director key is here the three that lie together on the Director; their one Root is both Roots.

**Positions**: `out` is between the servers and the vehicle, `in` on the vehicle's buses, both with every power over
what passes. TLS is not counted: whoever stands outside here has broken it already. Whoever has taken an ECU over has
its key and its place, and stands inside and outside as well; he is judged on the others. What needs a hand on the
hardware, or a supplier who signs malware himself, is out of scope (the Standard's section 3.4).

**Cells**:

{_LEGEND}

`x → **y** (n)` says that x was expected and y measured; sentence n at the end of the page says why. Behind each mark is
a result:

{_RESULTS}

| | attack | counts as reached when |
|---|---|---|
{_GOALS}
"""

_SEVERITY = """Serious: images that were never meant to go together, or an ECU that no longer works.
Critical: software of the attacker's choice. What the Director learns of while it lasts is no worse than mild.
"""

_OURS = """Expected is what follows from the papers' tables when the attacker's place and each key are told apart
(`sim/attack/predicted.py`).
"""

_CONTROL = """The same attacks against the shipping code with features taken out of it, in the simulator only
(`sim/attack/control.py`). The strawman of 2016 has one slot, no time and no manifests; its tables come first. Then each
feature by itself: what gets worse without it.
"""

_STRATEGIES = """`aims at` are the attacks it is a try for; all of them are judged whatever it aims at.
"""
