"""A fleet in one process: the shipping Director, thousands of vehicles, a campaign, an outage, vehicles that sleep.

    outcome = Fleet(Settings(vehicles=10_000, full=1)).run()

Vehicles are whole ones (fleet_vehicle.py) or coarse ones (fleet_coarse.py), mixed as wanted; to the Director they are
the same. Everything is drawn from the seed, and happens in virtual time: the same settings give the same outcome, octet
for octet, but for what a stopwatch measured.

Scenes: everybody wakes; some polls of a fleet with nothing to do; the campaign, with some vehicles revoked and some
asleep; an outage of all servers; at last everybody sleeps but those that slept: they get what they were ordered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

from director.events import Revoke
from director.inventory import Vehicle
from primary.primary import RETRY_MS_MAX, Pace
from sim.campaign import Campaign, Phase, Verdict, verdict_of
from sim.clock import NS_PER_MS, NS_PER_S, Clock
from sim.dice import stream
from sim.director_server import Terms as DirectorTerms
from sim.fleet_garage import HARDWARE, NEW, Draw, FleetVehicle, Garage, pass_time, publish_new
from sim.fleet_load import Load, Rates
from sim.fleet_operator import Operator
from sim.fleet_outcome import Outcome, Recovery, Story, counted, told
from sim.fleet_servers import FleetServers, Tail
from sim.fleet_settings import Settings
from sim.fleet_vehicle import Road
from sim.founding import found
from sim.image_server import TERMS as IMAGE_TERMS
from uptane.model.ids import VehicleId
from uptane.moments import SECOND_MS
from uptane.verify.image import installed_image

Progress: TypeAlias = Callable[[str, int, int], None]
"""Told what is done now, how far it is, and how far it goes; in virtual seconds, or in vehicles."""

DAY_S: Final = 86_400
WAY_MS: Final = (20, 400)  # a request or its answer over a mobile network
CAMPAIGN_S_MAX: Final = 48 * 3_600
WAKING_S: Final = 3_600  # on the morning after, those that slept are switched on within an hour
AFTER_S: Final = 7_200  # and have so long to get what they were ordered
QUIET_POLLS: Final = 2  # of every vehicle before a campaign: what a fleet with nothing to do costs

_STEP_S: Final = 10


def _nothing(_scene: str, _done: int, _total: int) -> None:
    """Nobody watches."""


class Fleet:
    """One run. See the module."""

    def __init__(self, settings: Settings, load: Load | None = None, progress: Progress = _nothing) -> None:
        """Make everything; nothing happens yet. `load` may bring a stopwatch.

        Raises:
            BadInput: a setting is out of its range.
        """
        settings.check()
        self.settings = settings
        self.load = load or Load()
        self._progress = progress
        self._draw = Draw(settings)
        self._dice = stream(settings.seed, "fleet running")
        self.clock = Clock()
        terms = DirectorTerms(poll_s=settings.poll_s), IMAGE_TERMS
        self.founded = found(self.clock, terms=terms)
        self.founded.director.records.audit = Tail()
        self.servers = FleetServers(self.founded, self.load, settings.terms, self._heard)
        self._story = Story()
        self._vehicles: list[FleetVehicle] = []
        self._numbers: dict[VehicleId, int] = {}
        self._make()

    def _make(self) -> None:
        road = Road(self.clock, self.servers, self._way_ns, self._draw.health, Pace(self.settings.poll_s))
        garage = Garage(self.founded, road, self.load, self._jitter)
        for vehicle in garage.make(self.settings.vehicles, self._draw.full):
            self._numbers[vehicle.id] = len(self._vehicles)
            self._vehicles.append(vehicle)
            if len(self._vehicles) % 1_000 == 0:
                self._progress("vehicles leave the factory", len(self._vehicles), self.settings.vehicles)

    def _way_ns(self) -> int:
        return self._dice.randint(*WAY_MS) * NS_PER_MS

    def _jitter(self, most: int) -> int:
        return self._dice.randint(0, most) if self.settings.terms.spread else 0

    # ------------------------------------------------------------------------------------------------------ scenes

    def run(self) -> Outcome:
        """Play all scenes."""
        story = self._story
        self._wake(self._vehicles, self.settings.poll_s)
        self._pass("the fleet wakes", 2 * self.settings.poll_s)
        story.quiet = self._pass("the fleet has nothing to do", QUIET_POLLS * self.settings.poll_s)
        self._campaign()
        self._pass("the fleet comes to rest", self.settings.poll_s)
        if self.settings.outage_min:
            story.recovery = self._outage()
        if self._draw.asleep:
            story.waking = self._morning()
        self._check_end()
        return told(self.settings, self.load, story)

    def _campaign(self) -> None:
        """Some vehicles fall asleep, some lose their access, the others get a new image in waves, or a halt."""
        founded, story, revoked = self.founded, self._story, frozenset(self._draw.revoked)
        for place in self._draw.asleep:
            self._vehicles[place].switch_off()
        for place in self._draw.revoked:
            founded.director.operate(Revoke(founded.director.known(self._vehicles[place].id)))
        publish_new(founded)
        chosen = [self._vehicles[place].id for place in self._draw.order if place not in revoked]
        campaign = Campaign(len(chosen), self.settings.policy)
        operator = Operator(campaign, chosen, self.servers, self.clock, image=(HARDWARE, NEW))
        story.operator, story.before = operator, counted(self.load)
        from_ns = self.clock.now_ns
        operator.start()
        while operator.ended_s is None and self.clock.now_ns < from_ns + CAMPAIGN_S_MAX * NS_PER_S:
            pass_time(self.clock, _STEP_S * NS_PER_S)
            self._progress("the campaign", campaign.confirmed + campaign.failed, len(chosen))
        story.campaign, story.after = self.load.rates(from_ns, self.clock.now_ns), counted(self.load)
        story.confirmed = campaign.confirmed

    def _outage(self) -> Recovery:
        """All servers are gone for a while, and come back at once."""
        self.servers.down = True
        down = self._pass("the servers are down", self.settings.outage_min * 60)
        self.servers.down = False
        self.servers.served.clear()
        up_ns, awake, back_s = self.clock.now_ns, self._talking(), None
        limit_s = RETRY_MS_MAX // SECOND_MS + 3 * self.settings.poll_s
        while self.clock.now_ns < up_ns + limit_s * NS_PER_S:
            passed_s = self._passed_s(up_ns)
            self._progress("the servers are back", passed_s, limit_s)
            if back_s is None and awake <= self.servers.served:
                back_s = passed_s
            pass_time(self.clock, _STEP_S * NS_PER_S)
        if back_s is None:
            missing = len(awake - self.servers.served)
            self._story.violations.append(f"{missing} vehicles were not answered after the outage")
        return Recovery(down, self.load.rates(up_ns, self.clock.now_ns), back_s)

    def _morning(self) -> Rates:
        """Days pass in which nobody is awake; then those that slept are switched on."""
        for vehicle in self._vehicles:
            if vehicle.awake:
                vehicle.switch_off()
        pass_time(self.clock, self.settings.asleep_days * DAY_S * NS_PER_S)
        self._wake([self._vehicles[place] for place in self._draw.asleep], WAKING_S)
        return self._pass("those that slept wake", WAKING_S + AFTER_S)

    # ----------------------------------------------------------------------------------------------------- details

    def _wake(self, vehicles: Iterable[FleetVehicle], within_s: int) -> None:
        """Switch vehicles on, spread over a while; all in the same second when nothing is to be spread."""
        for vehicle in vehicles:
            delay_ns = self._dice.randrange(within_s * NS_PER_S) if self.settings.terms.spread else 0
            self.clock.after(delay_ns, vehicle.switch_on)

    def _pass(self, scene: str, duration_s: int) -> Rates:
        """Let this time pass; what arrived meanwhile."""
        from_ns = self.clock.now_ns
        while (passed_s := self._passed_s(from_ns)) < duration_s:
            self._progress(scene, passed_s, duration_s)
            pass_time(self.clock, min(_STEP_S, duration_s - passed_s) * NS_PER_S)
        return self.load.rates(from_ns, self.clock.now_ns)

    def _passed_s(self, from_ns: int) -> int:
        return (self.clock.now_ns - from_ns) // NS_PER_S

    def _talking(self) -> set[VehicleId]:
        """Those that are awake and may poll."""
        revoked = {self._vehicles[place].id for place in self._draw.revoked}
        return {vehicle.id for vehicle in self._vehicles if vehicle.awake} - revoked

    def _heard(self, vehicle: VehicleId) -> None:
        """A manifest was admitted: the operator reads the record, and the Director must not be ahead of the truth."""
        records = self.founded.director.vehicles
        running = self._vehicles[self._numbers[vehicle]].running
        for record in records[vehicle].ecus:
            assigned = record.assigned
            if assigned is not None and assigned.proven and running != installed_image(assigned.image):
                self._story.violations.append(f"{vehicle} is said to run {assigned.image.filename}, and runs {running}")
        if self._story.operator is not None:
            self._story.operator.heard(vehicle, records)

    def _check_end(self) -> None:
        """Whether everybody is where the campaign wanted it, and the Director knows."""
        operator, records = self._story.operator, self.founded.director.vehicles
        assert operator is not None
        campaign = operator.campaign
        for number, vehicle in enumerate(self._vehicles):
            record = records[vehicle.id]
            if record.revoked is not None:
                self._check_revoked(record)
                continue
            runs_new, proven = vehicle.running.filename == NEW, verdict_of(record, NEW) is Verdict.CONFIRMED
            self._story.running += runs_new
            ordered = operator.place(vehicle.id) < campaign.ordered
            wanted = campaign.phase is Phase.DONE and number not in self._draw.bad
            if record.primary.running != vehicle.running:
                self._story.violations.append(
                    f"{vehicle.id} runs {vehicle.running.filename}, and the Director does not know"
                )
            if runs_new and (number in self._draw.bad or not ordered):
                self._story.violations.append(f"{vehicle.id} runs the new image, and should not")
            if wanted and not (runs_new and proven):
                self._story.violations.append(f"{vehicle.id} should be proven to run the new image, and is not")

    def _check_revoked(self, record: Vehicle) -> None:
        assert record.issued is not None
        assert record.revoked is not None
        if record.issued.issued > record.revoked:
            self._story.violations.append(f"{record.id} was given metadata after it had been revoked")
