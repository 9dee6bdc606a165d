"""Vehicles whose Primary's slots a bootloader keeps, with every fault; it does not always boot what is new."""

import pytest

from sim.asked import Asked
from sim.plan import MANNERS, draw
from sim.run import run
from sim.shell.shipping import BOOTLOADERS, FALLS_BACK, Shipping
from sim.trace import Trace


@pytest.mark.parametrize(("manner", "seed"), [("everything", 6), ("everything", 7), ("cuts", 7), ("cuts", 22)])
def test_what_is_said_runs_and_all_converge(manner: str, seed: int) -> None:
    outcome = run(draw(seed, MANNERS[manner]), falls_back=0.3)
    assert outcome.violations == ()
    assert outcome.updates


def test_the_command_line_has_a_manner_for_it() -> None:
    plain, trace = Trace(6), Trace(6)
    run(draw(6, MANNERS["everything"]), trace=plain, falls_back=FALLS_BACK)
    Shipping().run(Asked(6, "bootloader"), until=None, trace=trace)
    assert trace.digest == plain.digest
    assert set(BOOTLOADERS) < set(Shipping.manners)
    assert set(BOOTLOADERS.values()) <= set(MANNERS)


def test_without_one_a_seed_is_what_it_was() -> None:
    traces = [Trace(6), Trace(6)]
    for trace, chance in zip(traces, (None, 0.3), strict=True):
        run(draw(6, MANNERS["everything"]), trace=trace, falls_back=chance)
    assert traces[0].digest == run(draw(6, MANNERS["everything"])).digest != traces[1].digest
