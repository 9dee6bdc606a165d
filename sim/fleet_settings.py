"""What a fleet is to be and what is to happen to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from sim.asked import SEED_MAX, BadInput
from sim.campaign import Policy
from sim.fleet_servers import Terms

VEHICLES_MAX: Final = 1_000_000  # some 6 GB: more does not fit where this is meant to run
OUTAGE_MIN_MAX: Final = 1_440
POLL_S_MIN, POLL_S_MAX = 30, 3_600  # busy vehicles poll six times as often
ASLEEP_DAYS_MAX: Final = 300  # coarse vehicles know one Root, which is renewed before its year is over


@dataclass(frozen=True, slots=True)
class Settings:
    """Shares are percents of the fleet. `full` vehicles run the whole Primary core, the others are coarse.

    `bad`: on so many vehicles the new image does not work. `asleep`: so many are switched off when the campaign begins,
    and for `asleep_days`. `revoked`: so many lose their access then. `poll_s` is the interval of idle vehicles.
    """

    vehicles: int
    seed: int = 0
    full: float = 0.0
    bad: float = 0.0
    asleep: float = 5.0
    revoked: float = 0.1
    asleep_days: int = 3
    outage_min: int = 0
    poll_s: int = 300
    terms: Terms = field(default_factory=Terms)
    policy: Policy = field(default_factory=Policy)

    def check(self) -> None:
        """Judge every setting.

        Raises:
            BadInput: one is out of its range.
        """
        _within("vehicles", self.vehicles, 1, VEHICLES_MAX)
        _within("seed", self.seed, 0, SEED_MAX)
        for name in ("full", "bad", "asleep", "revoked"):
            _within(f"{name} (percent)", getattr(self, name), 0, 100)
        if self.asleep + self.revoked > 100:
            raise BadInput("more vehicles are asleep or revoked than there are")
        _within("outage (minutes)", self.outage_min, 0, OUTAGE_MIN_MAX)
        _within("poll (seconds)", self.poll_s, POLL_S_MIN, POLL_S_MAX)
        _within("asleep (days)", self.asleep_days, 0, ASLEEP_DAYS_MAX)
        _within("capacity (polls a second)", self.terms.capacity, 0, VEHICLES_MAX)
        _within("canary (vehicles)", self.policy.canary, 1, VEHICLES_MAX)
        _within("growth", self.policy.growth, 1, 100)

    def count(self, percent: float) -> int:
        """So many vehicles are this share."""
        return int(self.vehicles * percent / 100 + 0.5)


def _within(name: str, value: float, least: int, most: int) -> None:
    if not least <= value <= most:
        raise BadInput(f"{name}: {value} is not between {least} and {most}")
