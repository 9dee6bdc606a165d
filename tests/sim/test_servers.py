"""The servers of the simulator: shipping cores behind doors, durable state, crashes, wrong clocks, rotations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from director.errors import Declined
from director.resolve import Kind, Rule
from primary.cycle import Result
from primary.needs import Poll, Reason, Unreachable, Versions
from secondary.ecu import Secondary
from secondary.needs import Answered, Found, PowerUp, Running, SelfTest, SelfTested, Verdict
from sim.clock import Clock
from sim.founding import EcuPlan, Founded, VehiclePlan, factory_image, found, image_octets
from sim.image_node import Wish
from sim.verbs import Verb
from tests.sim.lone_primary import LonePrimary
from uptane.errors import Check, Rejected
from uptane.link.uds_tasks import Interlock
from uptane.model.ids import TOP_TARGETS, EcuId, Filename, HardwareId, RoleName, VehicleId
from uptane.moments import Instant

VEHICLE = VehicleId("v1")
GATEWAY, BRAKE, CAMERA = EcuId("gateway"), EcuId("brake"), EcuId("camera")
PLAN = VehiclePlan(
    VEHICLE,
    EcuPlan(GATEWAY, HardwareId("gateway-hw"), full=True, bus="", address=0),
    (
        EcuPlan(BRAKE, HardwareId("brake-hw"), full=False, bus="classic", address=0x21),
        EcuPlan(CAMERA, HardwareId("camera-hw"), full=True, bus="fast", address=0x22),
    ),
)
LONE = VehicleId("v2")
LONE_PLAN = VehiclePlan(LONE, EcuPlan(GATEWAY, HardwareId("gateway-hw"), full=True, bus="", address=0))
FRESH = Filename("fleet/gateway-2")


def founded() -> Founded:
    return found(Clock(), [PLAN, LONE_PLAN])


ANYBODY = Poll(b"", b"", Versions(0, 0, 0, 0))


def image(name: Filename, counter: int, role: RoleName = TOP_TARGETS) -> Wish:
    return Wish(image_octets(name, counter, 700), HardwareId("gateway-hw"), counter, role)


def update(
    servers: Founded, primary: LonePrimary, name: Filename, counter: int, *, role: RoleName = TOP_TARGETS
) -> None:
    """Publish an image, assign it to a lone Primary, and let it run."""
    servers.image.publish({name: image(name, counter, role)})
    primary.run()
    servers.director.assign([primary.vehicle], {GATEWAY: name})
    primary.run()


def test_one_update_goes_through_all_servers() -> None:
    servers = founded()
    primary = LonePrimary(servers, LONE)
    assert primary.run().result is Result.IDLE
    assert primary.runs == factory_image(PLAN.primary)
    servers.image.publish({FRESH: image(FRESH, 2)})
    servers.director.assign([LONE], {GATEWAY: FRESH})
    primary.run()
    assert primary.runs.filename == FRESH
    record = servers.director.vehicles[LONE].find(GATEWAY)
    assert record is not None
    assert record.assigned is not None
    assert record.assigned.proven


def test_secondaries_start_from_what_they_are_born_with() -> None:
    servers = founded()
    for ecu in (BRAKE, CAMERA):
        records = servers.secondary_records(VEHICLE, ecu)
        assert ("image/targets" in records) == (ecu == CAMERA)
        machine = Secondary(servers.facts(VEHICLE, ecu), Found(records), lambda: Interlock.SAFE, Instant(0))
        effects = list(machine.handle(PowerUp(), Instant(0)))
        booted = False
        while effects:
            effect = effects.pop(0)
            booted = booted or isinstance(effect, Running)
            answer = SelfTested(Verdict.PASSED) if isinstance(effect, SelfTest) else Answered()
            if not isinstance(effect, Running):
                effects += machine.handle(answer, Instant(0))
        assert booted


def test_a_primary_starts_from_what_it_is_born_with() -> None:
    servers = founded()
    assert LonePrimary(servers, VEHICLE).run().result is Result.IDLE
    vehicle = servers.director.vehicles[VEHICLE]
    assert vehicle.admission is not None
    assert {record.ecu.id for record in vehicle.ecus if record.reported is not None} == {GATEWAY}


# ----------------------------------------------------------------------------------------- what is told, what is kept


def test_listeners_hear_exactly_what_is_served() -> None:
    servers = founded()
    issued: dict[str, bytes] = {}
    published: dict[str, bytes] = {}
    images: dict[bytes, bytes] = {}
    admitted: list[bytes] = []
    servers.director.listeners.on_issue = lambda vehicle, files: issued.update(files if vehicle == LONE else {})
    servers.director.listeners.on_admitted = lambda _vehicle, digest: admitted.append(digest)
    servers.image.on_publish = lambda files, octets: (published.update(files), images.update(octets))[0]
    update(servers, LonePrimary(servers, LONE), FRESH, 2)
    answer = servers.director.poll(LONE, ANYBODY)
    assert {name: octets for name, octets in issued.items() if name in answer.files} == {
        name: octets for name, octets in answer.files.items() if not name.endswith("root")
    }
    assert answer.admitted_digest == admitted[-1]
    assert published
    assert all(
        servers.image.metadata(name, 1 << 20) == octets for name, octets in published.items() if name[0] in "123"
    )
    assert list(images.values()) == [image(FRESH, 2).octets]


def test_the_same_founding_makes_the_same_octets() -> None:
    first, second = founded(), founded()
    for servers in (first, second):
        update(servers, LonePrimary(servers, LONE), FRESH, 2)
    assert first.director.records.audit == second.director.records.audit
    assert first.director.vehicles == second.director.vehicles
    assert first.image.records.files == second.image.records.files


def test_what_servers_do_is_told_in_words() -> None:
    said: list[str] = []

    def say(server: str) -> Callable[[Verb, str], None]:
        return lambda verb, detail: said.append(f"{server} {verb} {detail}")

    servers = found(Clock(), [LONE_PLAN], say=say)
    update(servers, LonePrimary(servers, LONE), FRESH, 2)
    text = "\n".join(said)
    for line in (
        "image published 1.supplier 2.targets 2.snapshot timestamp",
        "director enrolled v2",
        "director issued v2 timestamp 1.snapshot 1.targets",
        "director admitted v2 ",
        "director assigned v2 gateway=fleet/gateway-2",
    ):
        assert line in text, text


def test_metadata_are_cut_off_behind_their_limit() -> None:
    servers = founded()
    whole = servers.image.metadata("1.root", 1 << 16)
    assert whole is not None
    assert servers.image.metadata("1.root", len(whole)) == whole
    assert servers.image.metadata("1.root", 10) == whole[:11]
    for name in ("9.root", "root", "1.timestamp", "../1.root", ""):
        assert servers.image.metadata(name, 1 << 16) is None


def test_images_come_in_blocks() -> None:
    servers = founded()
    wish = image(FRESH, 2)
    servers.image.publish({FRESH: wish})
    digest = servers.image.upload(wish.octets)
    servers.image.block_length = 300
    assert [servers.image.block(digest, offset) for offset in (0, 300, 600, 700)] == [
        wish.octets[:300],
        wish.octets[300:600],
        wish.octets[600:],
        b"",
    ]
    with pytest.raises(Unreachable):
        servers.image.block(digest, 701)


# -------------------------------------------------------------------------------------------------- orders and rules


def test_an_order_that_vehicles_would_refuse_changes_nothing() -> None:
    servers = founded()
    LonePrimary(servers, LONE).run()
    before = servers.director.vehicles[LONE]
    for ecu, name in ((GATEWAY, "fleet/unknown"), (BRAKE, FRESH)):
        with pytest.raises(Declined):
            servers.director.assign([LONE], {ecu: Filename(name)})
    assert servers.director.vehicles[LONE] == before


def test_the_latest_order_counts_and_an_order_can_be_withdrawn() -> None:
    servers = founded()
    primary = LonePrimary(servers, LONE)
    primary.run()
    other = Filename("fleet/gateway-3")
    servers.image.publish({FRESH: image(FRESH, 2), other: image(other, 3)})
    servers.director.assign([LONE], {GATEWAY: FRESH})
    servers.director.assign([LONE], {GATEWAY: other})
    servers.director.assign([LONE], {GATEWAY: None})
    assert primary.run().result is Result.IDLE
    servers.director.assign(None, {}, {HardwareId("gateway-hw"): other})
    primary.run()
    assert primary.runs.filename == other
    with pytest.raises(Declined, match="COUNTER"):
        servers.director.assign([LONE], {GATEWAY: FRESH})


def test_a_rule_between_images_holds_an_order_back() -> None:
    servers = founded()
    primary = LonePrimary(servers, LONE)
    primary.run()
    servers.image.publish({FRESH: image(FRESH, 2)})
    rule = Rule(Kind.REQUIRES, FRESH, Filename("supplier/brake-2"))
    servers.director.constrain(rule)
    servers.director.assign([LONE], {GATEWAY: FRESH})
    primary.run()
    assert primary.runs.filename != FRESH
    assert "requires" in servers.director.status(LONE).ecus[0].held_back
    servers.director.constrain(rule, remove=True)
    servers.director.crash()
    servers.director.restart()
    primary.run()
    assert primary.runs.filename == FRESH


def test_an_image_taken_back_is_installed_no_longer() -> None:
    servers = founded()
    primary = LonePrimary(servers, LONE)
    primary.run()
    servers.image.publish({FRESH: image(FRESH, 2)})
    servers.director.assign([LONE], {GATEWAY: FRESH})
    servers.image.withdraw([FRESH])
    primary.run()
    assert primary.runs.filename != FRESH


# -------------------------------------------------------------------------------------------- vehicles come and go


def test_a_revoked_vehicle_is_not_answered_until_it_is_brought_back() -> None:
    servers = founded()
    servers.director.poll(LONE, ANYBODY)
    old = servers.director.given[LONE]
    servers.director.revoke(LONE)
    with pytest.raises(Unreachable) as refused:
        servers.director.poll(LONE, ANYBODY)
    assert refused.value.reason is Reason.FORBIDDEN
    servers.bring_back(LONE)
    servers.director.poll(LONE, ANYBODY)
    for certificate in (old, servers.director.given[VEHICLE], "none"):
        with pytest.raises(Unreachable):
            servers.director.poll(LONE, ANYBODY, certificate)


def test_a_vehicle_nobody_enrolled_is_not_answered() -> None:
    with pytest.raises(Unreachable):
        founded().director.poll(VehicleId("nobody"), ANYBODY)


def test_an_exchanged_ecu_takes_the_place_of_the_old_one() -> None:
    servers = founded()
    old = LonePrimary(servers, LONE)
    update(servers, old, FRESH, 2)
    means = servers.means(LONE, lambda most: most)
    servers.replace_ecu(LONE, GATEWAY)
    new = LonePrimary(servers, LONE)
    assert servers.means(LONE, lambda most: most).signer.public != means.signer.public
    assert new.run().result in {Result.IDLE, Result.DONE}
    assert new.runs == factory_image(LONE_PLAN.primary)
    record = servers.director.vehicles[LONE].find(GATEWAY)
    assert record is not None
    assert record.running == factory_image(LONE_PLAN.primary)
    other = Filename("fleet/gateway-3")
    update(servers, new, other, 3)
    assert new.runs.filename == other


def test_a_new_vehicle_joins_later_and_no_two_have_one_key() -> None:
    servers = founded()
    plan = replace(LONE_PLAN, vehicle=VehicleId("v3"))
    servers.enrol(plan)
    servers.enrol(plan)  # once more is no mistake
    LonePrimary(servers, plan.vehicle).run()
    public = servers.vehicles[LONE].signer(GATEWAY).public
    with pytest.raises(Declined, match="key of another vehicle"):
        servers.director.provision(plan.vehicle, {GATEWAY: public}, replacing=True)
    record = servers.director.vehicles[plan.vehicle].find(GATEWAY)
    assert record is not None
    assert record.ecu.key == servers.vehicles[plan.vehicle].signer(GATEWAY).public


def test_a_release_counter_never_goes_down_whatever_the_name() -> None:
    servers = founded()
    servers.image.publish({FRESH: image(FRESH, 5)})
    for name in (FRESH, Filename("fleet/gateway-3")):
        with pytest.raises(Rejected) as refused:
            servers.image.publish({name: image(name, 4)})
        assert refused.value.check is Check.PUBLISH_COUNTER
