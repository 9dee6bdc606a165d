"""Why a measured cell is not what was expected: one sentence for each difference, by what the cell is about.

The first rule that fits speaks. A difference that none fits is a failure of `marque-sim attacks`: somebody has to look.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from sim.attack.cells import Cell, Severe
from sim.attack.goals import Goal
from sim.attack.keys import DIRECTOR_ONLINE, EcuClass, Position, Stolen
from sim.attack.tables import PRINTED, Table

G = Goal
STRAWMAN: Final = frozenset(table for table, each in PRINTED.items() if each.strawman)


@dataclass(frozen=True, slots=True)
class Rule:
    """A sentence, and the cells it is about: each part that is given has to fit; `step` is expected and measured."""

    text: str
    goals: AbstractSet[Goal]
    step: str
    tables: AbstractSet[Table] = frozenset(Table)
    positions: AbstractSet[Position] = frozenset(Position)
    ecus: AbstractSet[EcuClass] = frozenset(EcuClass)
    keys: AbstractSet[Stolen] = frozenset()

    def fits(self, cell: Cell) -> bool:
        """Whether it is about this cell."""
        place = cell.place
        return (
            place.goal in self.goals
            and f"{cell.expected.value}{cell.measured.value}" == self.step
            and place.table in self.tables
            and place.position in self.positions
            and place.ecu in self.ecus
            and self.keys <= place.keys.stolen
        )


def why(cell: Cell) -> str:
    """The sentence for a cell that differs; empty when nobody has explained it."""
    return next((rule.text for rule in RULES if rule.fits(cell)), "")


def why_severity(each: Severe) -> str:
    """The same for the table of 2018."""
    if each.ecu is EcuClass.PARTIAL and each.column == 1:
        return (
            "The table takes it that an honest Primary stands before a partial ECU. On a bus it does not: whoever has"
            " the Director's Targets key and a node on the bus speaks to the ECU itself, which has nobody else to ask"
            " (uptane.md 2.4 i)."
        )
    return ""


_INSIDE: Final = frozenset(Position) - {Position.OUT}
_MALWARE: Final = frozenset({G.ARBITRARY, G.ROLLBACK, G.WRONG_HARDWARE})


def _rules() -> Iterator[Rule]:
    yield from _strawman()
    yield from _bundles()
    yield from _freeze()
    yield from _forward()
    yield from _others()


def _strawman() -> Iterator[Rule]:
    yield Rule(
        "The strawman of the papers has no transaction. The shipping code keeps one even with all three features taken"
        " out: orders name one bundle, and no node on the bus can give them.",
        frozenset({G.MIXED_BUNDLES}),
        "y-",
        tables=STRAWMAN,
    )
    for step in ("-y", "*y"):
        yield Rule(
            "With one slot an image is written over the one that runs before anybody can verify it, and this simulated"
            " bootloader starts whatever is there: with a second slot the same octets are refused.",
            frozenset({G.ARBITRARY}),
            step,
            tables=frozenset({Table.T11}),
        )
    yield Rule(
        "The text to the papers' figure 9 says so, too; the figure shows it only with the Image repository's keys.",
        frozenset({G.MIX_AND_MATCH}),
        "-y",
        tables=frozenset({Table.T9}),
    )


def _bundles() -> Iterator[Rule]:
    yield Rule(
        "Whoever is on the bus when the first ECU has voted can cut it off and answer for it with its report of before,"
        " or, outside as well, let no manifest out: it runs the new image, the others the old, and the Director sees"
        " nothing new. It lasts as long as he stays: then the Primary has it go back. (A vote alone cannot be feigned:"
        " it counts as signed.) Whoever has taken over the Primary does the same with its orders.",
        frozenset({G.PARTIAL_BUNDLE}),
        "@y",
    )
    yield Rule(
        "From outside alone no bundle can be split: every image is whole in the Primary's cache, and every ECU has"
        " prepared its own, before the first one is activated.",
        frozenset({G.PARTIAL_BUNDLE}),
        "@-",
    )
    for step in ("-y", "-@"):
        yield Rule(
            "The Primary gives the orders. One that was taken over leads some ECUs through one update and some through"
            " the next, both genuine and fresh, and hands in no reports; what it leads them to was assigned to each.",
            frozenset({G.MIXED_BUNDLES}),
            step,
            positions=frozenset({Position.PRIMARY}),
        )
        yield Rule(
            "Whoever signs as the Director may assign any images together, also halves of two bundles that he wants to"
            " be mixed; the papers count that as mix-and-match. On the bus alone ECUs' reports tell the Director.",
            frozenset({G.MIXED_BUNDLES}),
            step,
        )
    yield Rule(
        "Bundles are activated as a whole: whoever keeps one Secondary from its part keeps the Primary from its own.",
        frozenset({G.DROP}),
        "-y",
        ecus=frozenset({EcuClass.PRIMARY}),
    )


def _freeze() -> Iterator[Rule]:
    yield Rule(
        "To say that there is nothing new takes the Director's online keys alone: the Image repository is asked when"
        " something is to be installed, and not before. It ends when the Director's Root expires, a year at most, or"
        " when a Root with other keys gets through.",
        frozenset({G.FREEZE}),
        "-#",
        keys=DIRECTOR_ONLINE,
    )
    yield Rule(
        "Whoever holds back what is new freezes a vehicle until the files it holds expire, a day after they were"
        " issued; the papers call as much none. Without attested time it ends at the next start: ECUs know that they"
        " were not told, and activate nothing.",
        frozenset({G.FREEZE}),
        "-#",
    )
    yield Rule(
        "Partial ECUs judge the Root's expiry as well: without its keys a freeze ends after a year at most.",
        frozenset({G.FREEZE}),
        "y#",
    )
    yield Rule(
        "Secondaries are told the time when there is something new for them. With the time key alone there is nothing:"
        " they know since their last start that no time was attested.",
        frozenset({G.FREEZE}),
        "y-",
        positions=frozenset({Position.OUT}),
    )


def _forward() -> Iterator[Rule]:
    yield Rule(
        "The reports' counters can be pushed to their end with the keys that sign them: until a workshop has given the"
        " ECUs new keys the Director takes no honest report for newer, and orders nothing.",
        frozenset({G.FAST_FORWARD}),
        "-#",
        keys=frozenset({Stolen.ECU}),
    )
    yield Rule(
        "A stolen Root is beyond recovery, and where one ECU no longer hears the honest Director or Image repository no"
        " bundle comes about for the others.",
        frozenset({G.FAST_FORWARD}),
        "-y",
        keys=frozenset({Stolen.DIRECTOR_ROOT}),
    )
    yield Rule(
        "A stolen Root is beyond recovery, and where full ECUs no longer hear the honest Image repository no bundle"
        " comes about for partial ones either.",
        frozenset({G.FAST_FORWARD}),
        "-y",
        keys=frozenset({Stolen.IMAGE_ROOT}),
    )
    yield Rule(
        "Versions fall back when stolen keys are replaced, release counters never do: an image that was installed under"
        " the highest one stays, unless the honest Image repository goes up to it as well. On a partial ECU the"
        " Director's Targets key and a node on the bus suffice.",
        frozenset({G.FAST_FORWARD}),
        "-y",
    )


def _others() -> Iterator[Rule]:
    for step in ("-y", "*y"):
        yield Rule(
            "On a bus the honest Primary stands before nobody: whoever has the Director's Targets key and a node on the"
            " bus speaks to the partial ECU itself, which has nobody else to ask (uptane.md 2.4 i).",
            _MALWARE,
            step,
            positions=_INSIDE,
            ecus=frozenset({EcuClass.PARTIAL}),
            keys=frozenset({Stolen.DIRECTOR_TARGETS}),
        )
    yield Rule(
        "The Primary keeps every link of the Root chain to hand it on. Whoever has as many Root keys as it takes makes"
        " the chain as long as he likes: 64 links a cycle, each of up to 64 KB.",
        frozenset({G.ENDLESS_DATA}),
        "-y",
        ecus=frozenset({EcuClass.PRIMARY}),
        keys=frozenset({Stolen.DIRECTOR_ROOT}),
    )
    yield Rule(
        "Whoever has the ECUs' keys, the Primary's among them, signs reports and manifests anywhere, also outside.",
        frozenset({G.FALSE_REPORT}),
        "-y",
        keys=frozenset({Stolen.ECU}),
    )
    yield Rule(
        "An attestation answers a nonce, and a nonce does not say when it was shown. Whoever is on the bus can hold a"
        " true one back, and hand it on hours later: the clock is set back by as much, never before what was attested"
        " already, and never ahead.",
        frozenset({G.FALSE_TIME}),
        "-y",
        positions=_INSIDE,
        ecus=frozenset({EcuClass.FULL, EcuClass.PARTIAL}),
    )


RULES: Final = tuple(_rules())


def unused(cells: Iterable[Cell]) -> list[str]:
    """Rules that no cell needs: what they say is no longer so."""
    said = {why(cell) for cell in cells if not cell.agrees}
    return sorted({rule.text for rule in RULES} - said)
