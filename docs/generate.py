"""Write docs/checks.md, and the parts of other pages that stand between markers; a test proves that they are fresh."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from bench import sizes
from docs import examples
from sim.plan import Act, Fault
from sim.rules import Rule
from uptane.errors import Check
from uptane.model.reports import EcuState, Phase
from uptane.verify.states import NEXT, PHASES, Event

HEAD = """# Check codes

Every check of Marque, once: its code on the wire, where it is demanded (an anchor of the Uptane Standard 2.1.0, or
a section of [wire.md](wire.md)), the attack it stops, and what it refuses. Written from `uptane/errors.py` by
`make generate`.

| code | check | anchor | stops | refuses what |
|---|---|---|---|---|
"""

ON_THE_WIRE: Final[dict[Event, str]] = {
    Event.PREPARE: "`31 0202 00`: the other slot holds the assigned image",
    Event.REBIND: "newer Targets with the same bundle are stored, `activate` is not held",
    Event.CANCEL: "newer Targets with another bundle are stored, `activate` is not held",
    Event.ERASE: "`31 FF00`",
    Event.WRITE: "`34` of the image",
    Event.ORDER_ACTIVATE: "order `activate`",
    Event.ORDER_COMMIT: "order `commit`",
    Event.ORDER_ROLL_BACK: "order `rollBack`",
    Event.ORDER_RELEASE: "order `release`",
    Event.START: "`11 01`, activation being due",
    Event.FIRST_BOOT: "the first boot of the new image",
    Event.BOOT: "any other boot",
    Event.FALL_BACK: "a boot after three that did not pass the self-test",
    Event.PASSED: "the self-test passes",
    Event.FAILED: "the self-test fails",
    Event.CONFIRM: "after passing, if the Targets name no coordinator",
}
_OCTETS, _FRAMES, _TIME = "octets", "ISO-TP frames, classic", "bus time at 500 kbit/s"
_DER, _JSON = "reference DER", "JSON"


def checks() -> str:
    """The table, in order of codes."""
    ordered = sorted(Check, key=lambda check: check.code)
    rows = (
        f"| `{check.code:04X}` | `{check.name}` | {check.anchor} | {check.attack.value} | {check.value.text} |"
        for check in ordered
    )
    return HEAD + "\n".join(rows) + "\n"


def states() -> str:
    """What may happen in which state, and the state after it."""
    rows = [
        [ON_THE_WIRE[event], *(after.value if (after := NEXT.get((state, event))) else "" for state in EcuState)]
        for event in Event
    ]
    return _table(["", *(state.value for state in EcuState)], rows)


def phases() -> str:
    """Which order may follow which."""
    rows = [
        [
            "none" if before is None else f"`{before.value}`",
            ", ".join(f"`{each.value}`" for each in Phase if each in after),
        ]
        for before, after in PHASES.items()
    ]
    return _table(["latest order", "next"], rows)


def worked() -> str:
    """The worked examples."""
    return "\n\n".join(map(examples.shown, (examples.attestation(), examples.targets())))


def measured() -> str:
    """Octets, frames and bus time of what is carried beside an image."""
    cells: dict[str, dict[str, object]] = {}
    for row in sizes.rows():
        name, _, what = str(row["name"]).rpartition(": ")
        if what not in {_FRAMES, _TIME}:
            name, what = str(row["name"]), _OCTETS
        cell = cells.setdefault(name, {})
        cell[what] = row["ours"]
        if row["peer_name"] is not None:
            cell[str(row["peer_name"])] = row["peer"]
    columns = (_OCTETS, _DER, _JSON, _FRAMES, _TIME)
    heads = ["", "octets", "DER", "JSON", "frames", "ms on the bus"]
    return _table(heads, [[name, *(_shown(cell.get(column)) for column in columns)] for name, cell in cells.items()])


def faults() -> str:
    """What can go wrong in a simulation."""
    return _table(["fault", "what it is"], ([f"`{fault.value}`", fault.text] for fault in Fault))


def acts() -> str:
    """What people do in a simulation."""
    return _table(["act", "what it is"], ([f"`{act.value}`", act.text] for act in Act))


def rules() -> str:
    """What must always hold."""
    rows = ([rule.value, f"`{rule.name}`", rule.text, rule.protects] for rule in Rule)
    return _table(["rule", "name", "what holds", "protects"], rows)


def filled(text: str, marker: str, content: str) -> str:
    """`text` with `content` between the two markers of that name."""
    begin, end = f"<!-- {marker} -->\n", f"<!-- /{marker} -->"
    before, found, rest = text.partition(begin)
    _, closed, behind = rest.partition(end)
    assert found, marker
    assert closed, marker
    return f"{before}{begin}{content}\n{end}{behind}"


def main() -> None:
    """Write the files beside this one."""
    folder = Path(__file__).parent
    folder.joinpath("checks.md").write_text(checks(), encoding="utf-8")
    wire = (("examples", worked), ("states", states), ("phases", phases), ("sizes", measured))
    simulation = (("faults", faults), ("acts", acts), ("rules", rules))
    for page, parts in (("wire.md", wire), ("simulation.md", simulation)):
        text = (folder / page).read_text(encoding="utf-8")
        for marker, content in parts:
            text = filled(text, marker, content())
        (folder / page).write_text(text, encoding="utf-8")


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |".replace("|  |", "| |").replace("|  |", "| |") for line in lines)


def _shown(figure: object) -> str:
    match figure:
        case None:
            return ""
        case int():
            return f"{figure:,}"
        case _:
            return str(figure)


if __name__ == "__main__":
    main()
