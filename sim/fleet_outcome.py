"""What came of a fleet's run, as data: the same settings give the same octets. Times are virtual seconds.

What a stopwatch measured is no part of it (fleet_load.py).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from typing import Any, Final

from sim.campaign import Phase
from sim.fleet_load import Load, Rates, Work
from sim.fleet_operator import Operator
from sim.fleet_settings import Settings

FORMAT: Final = 1
TOUCHED_PERCENT_MAX: Final = 1.0  # of a fleet, when a canary of bad images is halted
HERD_MAX: Final = 2.0  # times the usual load, in the worst ten seconds after an outage
HERD_FROM_MIN: Final = 10  # minutes down: after a shorter outage vehicles are still at their first, quick retries
JUDGED_FROM: Final = 10.0  # polls a second: below that, ten seconds hold so few that chance alone doubles them


@dataclass(frozen=True, slots=True)
class Recovery:
    """An outage: what arrived during it and after it, and how long it took until everybody had been answered again."""

    down: Rates
    after: Rates
    back_s: int | None


@dataclass(frozen=True, slots=True)
class Counted:
    """Work so far."""

    polls: int
    manifests: int
    issues: int
    signatures: int
    octets_in: int
    octets_out: int


@dataclass(slots=True)
class Story:
    """What the scenes brought."""

    quiet: Rates | None = None
    operator: Operator | None = None
    campaign: Rates | None = None
    confirmed: int = 0
    """Vehicles that were proven when the campaign ended; those that slept follow later."""
    running: int = 0
    """Vehicles that run the new image at the very end, in truth; after a halt some had gone too far to stop."""
    before: Counted | None = None
    after: Counted | None = None
    recovery: Recovery | None = None
    waking: Rates | None = None
    violations: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure; `aim` is the most it should be, None where there is none."""

    name: str
    unit: str
    value: float
    aim: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether the aim is met; None without one."""
        return None if self.aim is None else self.value <= self.aim


@dataclass(frozen=True, slots=True)
class Outcome:
    """All of it. `violations` are sentences about what must never be so; there should be none."""

    settings: Settings
    campaign: Mapping[str, Any]
    load: Mapping[str, int]
    rates: Mapping[str, Rates]
    figures: tuple[Figure, ...]
    violations: tuple[str, ...]

    @property
    def good(self) -> bool:
        """No violation, and no aim missed."""
        return not self.violations and all(figure.met is not False for figure in self.figures)

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "format": FORMAT,
            "settings": asdict(self.settings),
            "campaign": dict(self.campaign),
            "load": dict(self.load),
            "rates": {name: asdict(rates) for name, rates in self.rates.items()},
            "figures": [{**asdict(figure), "met": figure.met} for figure in self.figures],
            "violations": list(self.violations),
        }

    def octets(self) -> bytes:
        """As octets, the same for the same settings."""
        return json.dumps(self.document(), indent=1, sort_keys=True).encode()

    @property
    def digest(self) -> str:
        """SHA-256 of them, in hex."""
        return sha256(self.octets()).hexdigest()


def counted(load: Load) -> Counted:
    """What was done so far."""
    spent = load.spent
    return Counted(
        polls=load.polls,
        manifests=spent[Work.MANIFEST].count + spent[Work.BOTH].count,
        issues=spent[Work.ISSUE].count + spent[Work.BOTH].count,
        signatures=load.signatures,
        octets_in=load.octets_in,
        octets_out=load.octets_out,
    )


def told(settings: Settings, load: Load, story: Story) -> Outcome:
    """The outcome of a story that has ended."""
    rates = {"quiet": story.quiet, "campaign": story.campaign, "waking": story.waking}
    if story.recovery is not None:
        rates |= {"outage": story.recovery.down, "recovery": story.recovery.after}
    totals = asdict(counted(load)) | {
        "polls_turned_away": sum(load.turned_away.values()),
        "attestations": load.attestations,
        "image_octets": load.image_octets,
    }
    return Outcome(
        settings=settings,
        campaign=_campaign(story),
        load=totals,
        rates={name: each for name, each in rates.items() if each is not None},
        figures=tuple(_figures(settings, story)),
        violations=tuple(story.violations),
    )


def _campaign(story: Story) -> dict[str, Any]:
    operator = story.operator
    if operator is None:
        return {}
    campaign = operator.campaign
    began = campaign.waves[0].ordered_s if campaign.waves else 0
    return {
        "phase": campaign.phase.value,
        "seconds": None if operator.ended_s is None else operator.ended_s - began,
        "touched": campaign.ordered,
        "confirmed": story.confirmed,
        "confirmed_at_last": campaign.confirmed,
        "failed": campaign.failed,
        "run_it_at_last": story.running,
        "waves": [
            {
                "size": wave.size,
                "confirmed": wave.confirmed,
                "failed": wave.failed,
                "ordered_s": wave.ordered_s - began,
                "quorum_s": None if wave.quorum_s is None else wave.quorum_s - began,
            }
            for wave in campaign.waves
        ],
    }


def _figures(settings: Settings, story: Story) -> list[Figure]:
    """The figures that a person asks for first."""
    operator, quiet = story.operator, story.quiet
    assert operator is not None
    assert quiet is not None
    campaign = operator.campaign
    touched = 100 * campaign.ordered / settings.vehicles
    # A canary that is itself more than the aim says nothing about it: a fleet of 10,000 has a canary of two percent.
    judged = campaign.phase is Phase.HALTED and 100 * settings.policy.canary < TOUCHED_PERCENT_MAX * settings.vehicles
    figures = [
        Figure("fleet touched by the campaign", "%", round(touched, 3), TOUCHED_PERCENT_MAX if judged else None),
        Figure("usual load", "polls/s", round(quiet.mean, 3)),
        Figure("worst second of the usual load", "polls", quiet.peak_second),
    ]
    if story.campaign is not None:
        figures.append(Figure("worst load of the campaign", "x usual", round(story.campaign.times(quiet), 3)))
    if story.before is not None and story.after is not None and story.confirmed:
        for name in ("polls", "manifests", "issues", "signatures", "octets_out"):
            spent = getattr(story.after, name) - getattr(story.before, name)
            figures.append(
                Figure(f"{name.replace('_', ' ')} in the campaign", "per update", _per(spent, story.confirmed))
            )
    if story.recovery is not None:
        knocking = round(story.recovery.down.times(quiet), 3)
        figures.append(Figure("worst load of knocking while the servers were down", "x usual", knocking))
        times = round(story.recovery.after.times(quiet), 3)
        judged = settings.outage_min >= HERD_FROM_MIN and quiet.mean >= JUDGED_FROM
        aim = HERD_MAX if judged and settings.terms.spread else None
        figures.append(Figure("worst load after the outage", "x usual", times, aim))
        figures.append(Figure("worst second after the outage", "polls", story.recovery.after.peak_second))
        if story.recovery.back_s is not None:
            figures.append(Figure("until everybody was answered again", "s", story.recovery.back_s))
    return figures


def _per(spent: int, updates: int) -> float:
    return round(spent / updates, 3)
