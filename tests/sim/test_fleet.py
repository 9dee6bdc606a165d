"""Fleets in virtual time: campaigns, halts, outages, sleepers; coarse vehicles held to whole ones."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from primary.needs import Poll, Polled
from primary.primary import Pace
from sim import fleet as fleets
from sim.asked import BadInput
from sim.campaign import Phase, Policy
from sim.clock import NS_PER_MS, NS_PER_S, Clock
from sim.fleet import Fleet
from sim.fleet_coarse import CoarseVehicle
from sim.fleet_garage import HARDWARE, NEW, Draw, Garage, pass_time, plan_of, publish_new
from sim.fleet_load import Load, Work
from sim.fleet_outcome import Outcome
from sim.fleet_servers import FleetServers, Terms
from sim.fleet_settings import Settings
from sim.fleet_vehicle import FullVehicle, Health, Road
from sim.founding import found
from sim.shell.fleet_command import app
from uptane.model.ids import VehicleId
from uptane.model.reports import EcuState
from uptane.moments import UtcTime

ROOT = Path(__file__).resolve().parent.parent.parent
SMALL = Settings(vehicles=40, seed=7, full=50, asleep=10, revoked=5, policy=Policy(canary=8))


def ran(settings: Settings) -> Outcome:
    outcome = Fleet(settings).run()
    assert outcome.violations == ()
    return outcome


# -------------------------------------------------------------------------------------------- coarse and whole ones


class Lane:
    """One vehicle of either kind and its servers; every request takes as long as every other."""

    def __init__(self, *, full: bool, health: Health) -> None:
        self.clock = Clock()
        self.founded = found(self.clock)
        self.load = Load()
        self.polls: list[tuple[int, Poll, Polled | None]] = []
        self.servers = FleetServers(self.founded, self.load, Terms(), lambda _vehicle: None)
        new = Draw(Settings(vehicles=1, bad=100))
        road = Road(self.clock, self, lambda: 50 * NS_PER_MS, self._health(new, health), Pace(300))
        garage = Garage(self.founded, road, self.load, lambda most: most // 2)
        (self.vehicle,) = garage.make(1, frozenset({0}) if full else frozenset())

    def _health(self, draw: Draw, health: Health) -> Any:
        return lambda place, image: health if draw.health(place, image) is not Health.GOOD else Health.GOOD

    def meet(self, vehicle: VehicleId, need: object) -> object:
        answer = None
        try:
            answer = self.servers.meet(vehicle, need)
        finally:
            if isinstance(need, Poll):
                self.polls.append((self.clock.now_ns, need, answer if isinstance(answer, Polled) else None))
        return answer

    def order(self) -> None:
        """The image is published, and ordered."""
        publish_new(self.founded)
        self.servers.order([self.vehicle.id], HARDWARE, NEW)

    def live(self) -> None:
        """Wake, get an update, an outage, a day and a half in which metadata are renewed, a night, an hour."""
        self.vehicle.switch_on()
        pass_time(self.clock, 700 * NS_PER_S)
        self.order()
        pass_time(self.clock, 2_000 * NS_PER_S)
        self.servers.down = True
        pass_time(self.clock, 1_000 * NS_PER_S)
        self.servers.down = False
        pass_time(self.clock, 130_000 * NS_PER_S)
        self.vehicle.switch_off()
        pass_time(self.clock, 90_000 * NS_PER_S)
        self.vehicle.switch_on()
        pass_time(self.clock, 3_600 * NS_PER_S)


@pytest.mark.parametrize("health", Health)
def test_a_coarse_vehicle_says_what_a_whole_one_says_octet_for_octet(health: Health) -> None:
    lanes = [Lane(full=full, health=health) for full in (True, False)]
    for lane in lanes:
        lane.live()
    whole, coarse = lanes
    assert isinstance(whole.vehicle, FullVehicle)
    assert isinstance(coarse.vehicle, CoarseVehicle)
    for one, other in zip(whole.polls, coarse.polls, strict=False):
        assert one == other
    assert len(whole.polls) == len(coarse.polls)
    assert any(answer is None for _, _, answer in whole.polls)
    assert whole.founded.director.vehicles == coarse.founded.director.vehicles
    assert (whole.vehicle.running.filename == NEW) is (health is Health.GOOD)
    assert whole.vehicle.running == coarse.vehicle.running
    assert coarse.load.attestations == coarse.load.image_octets == 0


@pytest.mark.parametrize("off_ms", [20, 150, 8_290, 8_600, 10_320, 10_380, 10_440])
def test_both_go_on_alike_when_they_are_switched_off_in_the_middle_of_an_update(off_ms: int) -> None:
    reports = []
    for full in (True, False):
        lane = Lane(full=full, health=Health.GOOD)
        lane.vehicle.switch_on()
        pass_time(lane.clock, 700 * NS_PER_S)
        lane.order()
        lane.polls.clear()
        while not any(answer is not None and answer.files for _, _, answer in lane.polls):
            lane.clock.step()
        pass_time(lane.clock, off_ms * NS_PER_MS)
        lane.vehicle.switch_off()
        pass_time(lane.clock, 1_000 * NS_PER_S)
        lane.vehicle.switch_on()
        pass_time(lane.clock, 4_000 * NS_PER_S)
        record = lane.founded.director.known(lane.vehicle.id).primary
        assert record.running == lane.vehicle.running
        assert record.reported is not None
        reports.append((record.reported.report.state, record.reported.report.outcome, record.running))
    assert reports[0] == reports[1]
    assert reports[0][0] is (EcuState.IDLE if 8_300 < off_ms < 10_350 else EcuState.RELEASED)


# ------------------------------------------------------------------------------------------------------- campaigns


def test_everybody_gets_the_image_and_is_proven_to_run_it() -> None:
    outcome = ran(SMALL)
    campaign = outcome.campaign
    assert campaign["phase"] == "done"
    assert campaign["touched"] == 38
    assert campaign["confirmed"] == 34  # four are asleep
    assert campaign["confirmed_at_last"] == campaign["run_it_at_last"] == 38
    assert [wave["size"] for wave in campaign["waves"]] == [8, 24, 6]
    assert outcome.good


def test_bad_images_halt_the_campaign_and_nobody_else_is_touched() -> None:
    settings = replace(SMALL, vehicles=100, full=10, bad=30, asleep=30, revoked=0, policy=Policy(canary=40))
    fleet = Fleet(settings)
    outcome = fleet.run()
    campaign, draw = outcome.campaign, Draw(settings)
    assert outcome.violations == ()
    assert campaign["phase"] == "halted"
    assert campaign["touched"] == 40
    assert campaign["failed"] >= 3
    asleep = set(draw.order[:40]) & set(draw.asleep)
    assert asleep
    for place in asleep:  # the order was taken back before they woke
        record = fleet.founded.director.known(plan_of(place).vehicle).primary
        assert record.wanted is None
        assert record.running is not None
        assert record.running.filename != NEW


@pytest.mark.parametrize("seed", range(3))
def test_only_the_canary_is_touched_when_it_halts(seed: int) -> None:
    outcome = ran(Settings(vehicles=300, seed=seed, bad=5, asleep=0, policy=Policy(canary=100)))
    assert outcome.campaign["phase"] == "halted"
    assert outcome.campaign["touched"] == 100


def test_sleepers_get_what_they_were_ordered_when_they_wake_with_expired_metadata() -> None:
    fleet = Fleet(replace(SMALL, asleep=50, asleep_days=6, policy=Policy(canary=38, quorum_percent=20)))
    outcome = fleet.run()
    assert outcome.violations == ()
    assert outcome.campaign["confirmed_at_last"] - outcome.campaign["confirmed"] == 20
    for place in Draw(fleet.settings).asleep:
        issued = fleet.founded.director.known(plan_of(place).vehicle).issued
        assert issued is not None
        assert fleet.clock.utc - issued.issued < 6 * 3_600


def test_revoked_vehicles_are_answered_nothing_and_ask_less_and_less() -> None:
    quiet = Settings(vehicles=20, asleep=0, revoked=50, policy=Policy(canary=10))
    fleet = Fleet(quiet)
    outcome = fleet.run()
    assert outcome.violations == ()
    assert outcome.campaign["touched"] == outcome.campaign["run_it_at_last"] == 10
    for place in Draw(quiet).revoked:
        known = fleet.founded.director.known(plan_of(place).vehicle)
        assert known.revoked is not None
        assert known.primary.wanted is None
    seconds = sum(fleet.load.turned_away.values()) / 10
    assert 5 < seconds < 40


# ----------------------------------------------------------------------------------------------- what must not pass


def test_a_director_that_is_ahead_of_the_truth_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A vehicle that runs something else than it says."""
    factory = property(lambda vehicle: vehicle._model.factory.image)
    monkeypatch.setattr(CoarseVehicle, "running", factory)
    outcome = Fleet(replace(SMALL, full=0)).run()
    assert any("is said to run" in sentence for sentence in outcome.violations)
    assert not outcome.good


def test_a_sleeper_that_is_forgotten_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleets, "WAKING_S", 1)
    monkeypatch.setattr(fleets, "AFTER_S", 5)
    outcome = Fleet(SMALL).run()
    assert sum("should be proven" in sentence for sentence in outcome.violations) == 4


def test_a_revoked_vehicle_that_is_given_metadata_is_noticed() -> None:
    fleet = Fleet(replace(SMALL, asleep=0))
    fleet.run()
    known = fleet.founded.director.known(plan_of(Draw(fleet.settings).revoked[0]).vehicle)
    assert known.issued is not None
    assert known.revoked is not None
    for issued_s, noticed in ((0, False), (1, True)):
        fleet._check_revoked(replace(known, issued=replace(known.issued, issued=UtcTime(known.revoked + issued_s))))
        assert bool(fleet._story.violations) is noticed


def test_a_vehicle_that_should_not_run_it_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A self-test that passes on a vehicle on which the image does not work."""
    monkeypatch.setattr(Draw, "health", lambda _draw, _place, _image: Health.GOOD)
    fleet = Fleet(replace(SMALL, full=0, bad=50, asleep=0))
    assert sum("should not" in sentence for sentence in fleet.run().violations) >= 18


# --------------------------------------------------------------------------------------------------- load and herds


def test_a_fleet_comes_back_from_an_outage_spread_out() -> None:
    herds = {}
    for spread in (True, False):
        settings = Settings(
            vehicles=300, outage_min=10, asleep=0, revoked=0, terms=Terms(spread), policy=Policy(canary=300)
        )
        outcome = ran(settings)
        herds[spread] = outcome.rates
        assert outcome.load["polls_turned_away"] == outcome.rates["outage"].requests > 300
    quiet = herds[True]["quiet"]
    assert quiet.mean == pytest.approx(1.0, rel=0.02)
    assert herds[True]["recovery"].times(quiet) < 4  # one poll a second: chance alone makes four of them now and then
    assert herds[False]["recovery"].times(quiet) > 20
    assert herds[False]["recovery"].peak_second > 20 * herds[True]["recovery"].peak_second


def test_a_full_director_turns_away_what_is_over() -> None:
    settings = Settings(vehicles=60, asleep=0, revoked=0, terms=Terms(spread=False, capacity=10))
    fleet = Fleet(settings)
    outcome = fleet.run()
    assert outcome.violations == ()
    served = {second: fleet.load.arrived[second] - away for second, away in fleet.load.turned_away.items()}
    assert max(served.values()) == 10
    assert outcome.load["polls_turned_away"] > 50


@pytest.mark.parametrize("spread", [True, False])
def test_a_director_with_little_to_spare_is_reached_again_by_a_fleet_that_spreads_itself(*, spread: bool) -> None:
    """Three times the usual load is all it takes: those that come back together keep each other out."""
    policy = Policy(canary=200, quorum_percent=1, soak_s=0)
    terms = Terms(spread, capacity=2)
    outcome = Fleet(Settings(vehicles=200, outage_min=5, asleep=0, revoked=0, terms=terms, policy=policy)).run()
    left_out = any("not answered after the outage" in sentence for sentence in outcome.violations)
    assert left_out is not spread


def test_what_the_director_does_is_counted() -> None:
    ticks = iter(range(0, 10**12, 1_000))
    fleet = Fleet(replace(SMALL, full=0, asleep=0, revoked=0), Load(lambda: next(ticks)))
    outcome = fleet.run()
    spent = fleet.load.spent
    assert outcome.load["polls"] == sum(fleet.load.arrived.values()) - outcome.load["polls_turned_away"]
    assert outcome.load["signatures"] == 3 * outcome.load["issues"]
    assert outcome.load["issues"] >= 40
    assert spent[Work.ENROL].count == spent[Work.ORDER].count == 40
    assert all(each.cpu_ns >= 1_000 for each in spent.values() if each.count)
    assert spent[Work.IDLE].mean_us == 1.0


def test_rates_are_of_the_stretch_that_was_asked_for() -> None:
    load = Load()
    load.arrived.update({5: 30, 14: 10, 15: 7, 40: 99})
    rates = load.rates(5 * NS_PER_S, 25 * NS_PER_S)
    assert (rates.seconds, rates.requests, rates.mean, rates.peak_second) == (20, 47, 2.35, 30)
    assert rates.peak_window == 4.0
    assert rates.times(load.rates(14 * NS_PER_S, 15 * NS_PER_S)) == 0.4
    assert rates.times(load.rates(0, 4 * NS_PER_S)) == 0.0


# ---------------------------------------------------------------------------------------------------- the same again


def test_the_same_settings_give_the_same_octets() -> None:
    first, again = ran(SMALL), ran(SMALL)
    assert first.octets() == again.octets()
    assert ran(replace(SMALL, seed=8)).octets() != first.octets()


CODE = """
from sim.fleet import Fleet
from tests.sim.test_fleet import SMALL
print(Fleet(SMALL).run().digest)
"""


def test_another_process_gives_the_same_octets() -> None:
    """The order in which sets of strings are walked is drawn anew by every process."""
    digests = set()
    for number in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": number, "PYTHONPATH": str(ROOT)}
        done = subprocess.run([sys.executable, "-c", CODE], env=environment, capture_output=True, text=True, check=True)
        digests.add(done.stdout.strip())
    assert digests == {ran(SMALL).digest}


# --------------------------------------------------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"vehicles": 0}, "vehicles"),
        ({"vehicles": 1_000_001}, "vehicles"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**63}, "seed"),
        ({"full": 100.1}, "full"),
        ({"bad": -1}, "bad"),
        ({"asleep": 60, "revoked": 60}, "asleep or revoked"),
        ({"asleep": float("nan")}, "asleep"),
        ({"outage_min": 1_441}, "outage"),
        ({"poll_s": 29}, "poll"),
        ({"asleep_days": 301}, "days"),
        ({"terms": Terms(capacity=-1)}, "capacity"),
        ({"policy": Policy(canary=0)}, "canary"),
        ({"policy": Policy(growth=0)}, "growth"),
    ],
)
def test_settings_out_of_range_are_refused(changes: dict[str, Any], word: str) -> None:
    with pytest.raises(BadInput, match=word):
        Fleet(replace(SMALL, **changes))


@pytest.mark.parametrize("vehicles", [1, 2, 5])
def test_the_smallest_fleets_run(vehicles: int) -> None:
    for revoked in (0, 100):
        outcome = ran(Settings(vehicles=vehicles, full=50, asleep=0, revoked=revoked))
        assert outcome.campaign["phase"] == Phase.DONE.value


# ---------------------------------------------------------------------------------------------------- command line


def call(*arguments: str) -> Any:
    ran = CliRunner().invoke(app, arguments)
    assert ran.exception is None or isinstance(ran.exception, SystemExit), ran.exception
    return ran


def test_the_command_tells_people_and_programs() -> None:
    small = ("--vehicles", "40", "--canary", "8", "--full", "10", "--outage", "2")
    people = call(*small)
    assert people.exit_code == 0
    assert "The campaign is done" in people.stdout
    assert "idle poll" in people.stdout
    told = json.loads(call(*small, "--json").stdout)
    assert told["ok"]
    assert told["digest"][:16] in people.stdout
    assert told["measured"]["work"]["idle poll"]["cpu_us_each"] > 0
    assert told["measured"]["octets_per_vehicle_at_last"] >= 0


def test_the_command_refuses_what_cannot_be() -> None:
    assert call("--vehicles", "0").exit_code == 2
    ran = call("--vehicles", "2000000", "--json")
    assert ran.exit_code == 2
    assert "vehicles" in json.loads(ran.stdout)["error"]


def test_the_command_says_that_an_aim_was_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sim.fleet_outcome.JUDGED_FROM", 0)
    monkeypatch.setattr("sim.fleet_outcome.HERD_MAX", 0.1)
    ran = call("--vehicles", "40", "--canary", "8", "--outage", "10")
    assert ran.exit_code == 1
    assert "missed" in ran.stdout
