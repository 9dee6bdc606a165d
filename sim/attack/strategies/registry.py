"""Every strategy there is, in the order in which tables name them, and against which variants of the code it is played.

All are played against the code as shipped. Against the strawman go those that the tables of 2016 are about; against a
variant without one feature those that the feature might be in the way of.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from sim.attack.control import Variant
from sim.attack.goals import PAPERS
from sim.attack.strategies import denial, forged, freeze, inside, orders, replay, taken_over
from sim.attack.strategies.strategy import Strategy

# By words of their names: what stands in the way of these, or what would show if it did not.
_WITHOUT: Final = {
    Variant.NO_SLOTS: (
        *(
            "in/interrupt",
            "in/alter",
            "in/wear",
            "in/own image",
            "in/cut off all",
            "in/cut off brake",
            "out/drop images",
        ),
        *("primary/erase", "primary/other octets", "in/cut off others when one voted", "in/slow"),
    ),
    Variant.NO_TIME: ("freeze", "out/drop the time", "out/mute", "out/old Director", "in/old Targets", "primary/old"),
    Variant.NO_COUNTERS: ("forge old entries", "forge rollback", "in/old", "out/old", "primary/old"),
    Variant.NO_MANIFEST: (
        *("in/cut off all", "in/say yes", "in/replay", "out/replay", "order:", "primary/lie", "forge the manifest"),
        *("partial/", "full/"),
    ),
    Variant.NO_HASHES: ("out/old beside new", "under a true Snapshot", "out/kinds", "out/same version"),
    Variant.NO_HARDWARE: ("poached",),
}


def _variants(each: Strategy) -> frozenset[Variant]:
    chosen = {Variant.SHIPPED} | {
        variant for variant, words in _WITHOUT.items() if any(word in each.name for word in words)
    }
    if each.aims & set(PAPERS) and not each.name.startswith(("full/", "partial/")):
        chosen.add(Variant.STRAWMAN)
    return frozenset(chosen)


_ALL: Final = (
    *(*denial.strategies(), *replay.strategies(), *inside.strategies(), *forged.strategies()),
    *(*freeze.strategies(), *orders.strategies(), *taken_over.strategies()),
)
STRATEGIES: Final[tuple[Strategy, ...]] = tuple(replace(each, variants=_variants(each)) for each in _ALL)

assert len({each.name for each in STRATEGIES}) == len(STRATEGIES), "two strategies have one name"
