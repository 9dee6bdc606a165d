"""A campaign in waves: who is counted, when the next wave goes out, and when everything stops."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from director.inventory import Vehicle
from director.poll import Asked, HeldVersions, poll
from sim.campaign import Campaign, Finish, Halt, Order, Phase, Policy, Verdict, verdict_of
from sim.dice import stream
from tests.unit.director.garage import DESK, NOW, Said, Words, fleet, image, vehicle
from uptane.model.ids import EcuId, Filename
from uptane.model.reports import EcuState, Outcome
from uptane.moments import UtcTime
from uptane.verify.image import installed_image

POLICY = Policy(canary=10, growth=2, failures_least=2, tolerated_permille=100, quorum_percent=80, soak_s=60)


def begun(vehicles: int = 100, policy: Policy = POLICY) -> Campaign:
    campaign = Campaign(vehicles, policy)
    assert campaign.decide(0) == Order(0, min(policy.canary, vehicles))
    return campaign


@pytest.mark.parametrize("vehicles", [0, 1, 9, 10, 11, 30, 31, 1_000])
def test_waves_grow_and_are_everybody_once(vehicles: int) -> None:
    waves = list(POLICY.waves(vehicles))
    assert sum(waves) == vehicles
    assert waves[:-1] == [10 * 2**number for number in range(len(waves) - 1)]


@pytest.mark.parametrize(
    ("failed", "ordered", "halts"),
    [(2, 200, False), (3, 200, True), (1, 1, False), (3, 300, False), (4, 300, True), (8, 800, False), (9, 800, True)],
)
def test_a_campaign_halts_above_what_is_tolerated(failed: int, ordered: int, halts: bool) -> None:
    assert Policy().halts(failed, ordered) is halts


def test_the_next_wave_goes_out_after_quorum_and_soak() -> None:
    campaign = begun()
    for place in range(7):
        campaign.heard(place, Verdict.CONFIRMED, 5)
    assert campaign.decide(10_000) is None  # seven of ten are no quorum, however long one waits
    campaign.heard(7, Verdict.CONFIRMED, 20_000)
    assert campaign.decide(20_059) is None
    assert campaign.decide(20_060) == Order(10, 30)
    assert campaign.decide(20_061) is None


def test_a_campaign_ends_when_the_last_wave_has_soaked() -> None:
    campaign = begun(10)
    for place in range(10):
        campaign.heard(place, Verdict.CONFIRMED, 0)
    assert campaign.decide(60) == Finish()
    assert campaign.phase is Phase.DONE
    assert campaign.decide(61) is None


def test_failures_halt_it_for_good() -> None:
    campaign = begun()
    for place in range(8):
        campaign.heard(place, Verdict.CONFIRMED, 0)
    campaign.heard(8, Verdict.FAILED, 1)
    assert campaign.decide(2) is None
    campaign.heard(9, Verdict.FAILED, 3)
    assert campaign.decide(4) == Halt()
    assert campaign.phase is Phase.HALTED
    assert campaign.decide(100_000) is None
    assert campaign.ordered == 10


def test_each_vehicle_counts_once_as_what_it_said_last() -> None:
    campaign = begun()
    for verdict in (Verdict.FAILED, Verdict.FAILED, Verdict.WAITING):
        campaign.heard(3, verdict, 0)
    assert (campaign.confirmed, campaign.failed) == (0, 1)
    assert campaign.places(Verdict.FAILED) == [3]
    campaign.heard(3, Verdict.CONFIRMED, 0)
    assert (campaign.confirmed, campaign.failed) == (1, 0)
    assert campaign.places(Verdict.WAITING) == [0, 1, 2, 4, 5, 6, 7, 8, 9]


def test_who_was_not_ordered_anything_does_not_count() -> None:
    campaign = begun()
    campaign.heard(10, Verdict.FAILED, 0)
    campaign.heard(99, Verdict.CONFIRMED, 0)
    assert (campaign.confirmed, campaign.failed) == (0, 0)


def touched(seed: int, bad_permille: int, vehicles: int = 100_000) -> Campaign:
    """A campaign in which vehicles answer one after the other, a tenth of them never; the image is bad on some."""
    dice, campaign = stream(seed, "canary"), Campaign(vehicles, Policy())
    now_s = 0
    while isinstance(step := campaign.decide(now_s), Order):
        places = list(range(step.first, step.last))
        dice.shuffle(places)
        for place in places[: len(places) * 9 // 10]:
            now_s += 1
            bad = dice.randrange(1_000) < bad_permille
            campaign.heard(place, Verdict.FAILED if bad else Verdict.CONFIRMED, now_s)
            if campaign.policy.halts(campaign.failed, campaign.ordered):
                break
        now_s += campaign.policy.soak_s
        if campaign.ordered >= 800 and not campaign.policy.halts(campaign.failed, campaign.ordered):
            break  # no need to go on: nothing has stopped it before a hundredth
    return campaign


def test_five_percent_bad_images_stop_before_a_hundredth_of_the_fleet() -> None:
    campaigns = [touched(seed, 50) for seed in range(1_000)]
    assert all(campaign.phase is Phase.HALTED for campaign in campaigns)
    assert max(campaign.ordered for campaign in campaigns) < 1_000
    assert sum(campaign.ordered == 200 for campaign in campaigns) > 980


def test_one_bad_vehicle_in_a_thousand_stops_nobody() -> None:
    assert sum(touched(seed, 1).phase is Phase.HALTED for seed in range(200)) <= 2


# ---------------------------------------------------------------------------------------------------- verdicts


NAME = Filename("brake-1")


def polled(of: Vehicle, said: Said, manifest: bytes = b"") -> Vehicle:
    digest = b"" if of.admission is None else of.admission.digest
    asked = Asked(digest, manifest, HeldVersions(0, 0, 0, 0))
    return poll(of, asked, fleet(said), desk=DESK, utc=UtcTime(NOW)).vehicle


@pytest.fixture(scope="module")
def said() -> Said:
    word = Said()
    word.publish(*(image(f"{kind}-0", counter=0) for kind in ("body", "brake", "gw")), image("brake-1"))
    return word


@pytest.fixture
def ordered(said: Said) -> tuple[Vehicle, Words]:
    """A vehicle whose brake has been sent the image."""
    words = Words.first()
    known = polled(vehicle(), said, words.manifest())
    record = known.find(EcuId("brake"))
    assert record is not None
    sent = polled(known.with_records({record.ecu.id: replace(record, wanted=image("brake-1"))}), said)
    return sent, words


def told(ordered: tuple[Vehicle, Words], said: Said, **changes: Any) -> Vehicle:
    """The vehicle after a manifest in which the brake says this of what it was sent."""
    sent, words = ordered
    assert sent.issued is not None
    about = {"bundle": sent.issued.bundle, "targets_version": sent.issued.targets_version, "counter": 2}
    words.say("brake", **(about | changes))
    return polled(sent, said, words.manifest())


def test_a_vehicle_that_was_never_ordered_it_waits(said: Said) -> None:
    assert verdict_of(vehicle(), NAME) is Verdict.WAITING
    assert verdict_of(polled(vehicle(), said, Words.first().manifest()), NAME) is Verdict.WAITING


def test_a_vehicle_waits_until_it_says_something(ordered: tuple[Vehicle, Words]) -> None:
    assert verdict_of(ordered[0], NAME) is Verdict.WAITING


RUNS = {"image": installed_image(image("brake-1"))}


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({**RUNS, "state": EcuState.TRIAL}, Verdict.WAITING),
        ({**RUNS, "state": EcuState.VOTED}, Verdict.WAITING),
        ({**RUNS, "state": EcuState.COMMITTED, "outcome": Outcome.INSTALLED}, Verdict.CONFIRMED),
        ({**RUNS, "state": EcuState.RELEASED, "outcome": Outcome.INSTALLED}, Verdict.CONFIRMED),
        ({**RUNS, "state": EcuState.RELEASED, "targets_version": 1}, Verdict.WAITING),
        ({"state": EcuState.RELEASED, "outcome": Outcome.INSTALLED}, Verdict.WAITING),
        ({"state": EcuState.IDLE, "outcome": Outcome.NONE}, Verdict.WAITING),
        ({"state": EcuState.IDLE, "outcome": Outcome.SELF_TEST_FAILED}, Verdict.FAILED),
        ({"state": EcuState.IDLE, "outcome": Outcome.ROLLED_BACK}, Verdict.FAILED),
        ({"state": EcuState.IDLE, "outcome": Outcome.UNBOOTABLE}, Verdict.FAILED),
        ({"state": EcuState.IDLE, "outcome": Outcome.ROLLED_BACK, "bundle": b"o" * 32}, Verdict.WAITING),
        ({"state": EcuState.IDLE, "outcome": Outcome.ROLLED_BACK, "targets_version": 1}, Verdict.WAITING),
    ],
)
def test_only_what_a_report_proves_counts(
    ordered: tuple[Vehicle, Words], said: Said, changes: dict[str, Any], verdict: Verdict
) -> None:
    assert verdict_of(told(ordered, said, **changes), NAME) is verdict


def test_a_proof_stands_while_metadata_are_renewed(ordered: tuple[Vehicle, Words], said: Said) -> None:
    proven = told(ordered, said, **RUNS, state=EcuState.RELEASED)
    assert verdict_of(polled(replace(proven, reissue=True), said), NAME) is Verdict.CONFIRMED


def test_a_failure_under_an_earlier_order_is_none_under_this_one(ordered: tuple[Vehicle, Words], said: Said) -> None:
    failed = told(ordered, said, state=EcuState.IDLE, outcome=Outcome.ROLLED_BACK)
    assert verdict_of(failed, NAME) is Verdict.FAILED
    assert verdict_of(polled(replace(failed, reissue=True), said), NAME) is Verdict.WAITING
