"""Servers that die between any two durable effects, and whose clocks are wrong."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from image_repo.publish import ClockBehind
from primary.needs import Poll, Reason, Unreachable, Versions
from sim.clock import NS_PER_S, Clock
from sim.founding import Founded, found
from sim.image_node import Wish
from sim.server import Server
from sim.signatures import CODEC
from tests.sim.lone_primary import LonePrimary
from tests.sim.test_servers import FRESH, GATEWAY, LONE, LONE_PLAN, image
from uptane.model.ids import Filename, Role
from uptane.model.metadata import Timestamp

ANYTHING_NEW = Poll(b"", b"", Versions(0, 0, 0, 0))
MOMENTS_MAX = 60


class Fuse:
    """Lets the power of every server fail at the moment of this number, once."""

    def __init__(self) -> None:
        self.left: int | None = None
        self.where = ""
        self.wheres: list[str] = []

    def of(self, server: str) -> Callable[[str], bool]:
        def fails(moment: str) -> bool:
            if self.left is None:
                return False
            self.left -= 1
            self.wheres.append(f"{server} {moment}")
            return self.left == -1

        return fails


def servers_of(founded: Founded) -> tuple[Server, ...]:
    return (founded.director, founded.image, founded.time)


def again_and_again(founded: Founded, act: Callable[[], object]) -> int:
    """Do it until it works, restarting what died; how often something died."""
    deaths = 0
    while True:
        try:
            act()
        except Unreachable:
            died = [each for each in servers_of(founded) if not each.up]
            assert len(died) == 1
            deaths += 1
            died[0].restart()
        else:
            for each in servers_of(founded):
                if not each.up:  # it died while somebody else asked, who can do without the answer
                    deaths += 1
                    each.restart()
            return deaths


def one_update(founded: Founded) -> None:
    """Everything an update needs of servers; each step can be done again."""
    steps: list[Callable[[], object]] = [
        lambda: founded.image.publish({FRESH: image(FRESH, 2)}),
        lambda: founded.director.assign([LONE], {GATEWAY: FRESH}),
        lambda: founded.director.poll(LONE, ANYTHING_NEW),
        lambda: founded.director.rotate(Role.TARGETS),
        founded.rotate_time,
        lambda: founded.image.rotate(Role.SNAPSHOT),
        lambda: founded.time.attest((b"n" * 16,)),
    ]
    for step in steps:
        again_and_again(founded, step)


def test_a_crash_at_any_moment_loses_nothing_that_was_durable() -> None:
    wheres: set[str] = set()
    for number in range(MOMENTS_MAX):
        fuse = Fuse()
        founded = found(Clock(), [LONE_PLAN], power=fuse.of)
        fuse.left = number
        one_update(founded)
        if fuse.left >= 0:
            break
        wheres.add(fuse.wheres[number])
        primary = LonePrimary(founded, LONE)
        primary.run()
        primary.run()
        assert primary.runs.filename == FRESH, fuse.wheres[number]
    else:
        raise AssertionError("more moments than expected")
    assert {"image before blob", "image after blob", "image before commit", "image after commit"} <= wheres
    assert {"director before commit", "director after commit", "time before mark", "time after mark"} <= wheres
    assert {"director after online key", "director before keeping timestamp"} <= wheres


@pytest.mark.parametrize(("moment", "ordered"), [("before commit", False), ("after commit", True)])
def test_a_crash_before_the_commit_loses_the_event_and_after_it_the_answer(moment: str, *, ordered: bool) -> None:
    dying = [""]
    founded = found(Clock(), [LONE_PLAN], power=lambda _server: lambda name: name == dying[0])
    founded.image.publish({FRESH: image(FRESH, 2)})
    dying[0] = moment
    with pytest.raises(Unreachable):
        founded.director.assign([LONE], {GATEWAY: FRESH})
    assert not founded.director.up
    with pytest.raises(Unreachable):
        founded.director.poll(LONE, ANYTHING_NEW)
    dying[0] = ""
    founded.director.restart()
    record = founded.director.vehicles[LONE].find(GATEWAY)
    assert record is not None
    assert (record.wanted is not None) == ordered


def test_dice_decide_at_which_moment_a_server_dies() -> None:
    crashed = set()
    for seed in range(30):
        founded = found(Clock(), [LONE_PLAN])
        founded.image.crash_soon(Random(seed))
        try:
            founded.image.publish({FRESH: image(FRESH, 2)})
        except Unreachable:
            crashed.add(FRESH in str(founded.image.records.releases([FRESH])))
    assert crashed == {False, True}


def test_what_a_publication_had_uploaded_is_seen_by_nobody_before_it_is_published() -> None:
    dying = [""]
    founded = found(Clock(), [LONE_PLAN], power=lambda _server: lambda name: name == dying[0])
    dying[0] = "after blob"
    wish = image(FRESH, 2)
    with pytest.raises(Unreachable):
        founded.image.publish({FRESH: wish})
    dying[0] = ""
    founded.image.restart()
    digest = founded.image.upload(wish.octets)
    assert founded.image.block(digest, 0) is None
    founded.image.publish({FRESH: wish})
    assert founded.image.block(digest, 0) == wish.octets


def test_a_director_whose_clock_is_certainly_wrong_decides_nothing() -> None:
    founded = found(Clock(), [LONE_PLAN])
    founded.director.set_clock(-301)
    with pytest.raises(Unreachable, match="clock"):
        founded.director.poll(LONE, ANYTHING_NEW)
    founded.director.set_clock(-300)
    founded.director.poll(LONE, ANYTHING_NEW)


def test_what_a_clock_that_was_ahead_signed_is_signed_anew() -> None:
    founded = found(Clock(), [LONE_PLAN])
    founded.director.set_clock(10 * 86_400)
    founded.director.poll(LONE, ANYTHING_NEW)
    issued = founded.director.vehicles[LONE].issued
    assert issued is not None
    assert issued.issued == founded.clock.utc + 10 * 86_400
    founded.director.set_clock(0)
    founded.director.poll(LONE, ANYTHING_NEW)
    issued = founded.director.vehicles[LONE].issued
    assert issued is not None
    assert issued.issued == founded.clock.utc


def test_a_time_service_that_was_ahead_is_given_up_for_another() -> None:
    founded = found(Clock(), [LONE_PLAN])
    nonce = b"n" * 16
    primary = LonePrimary(founded, LONE)
    founded.time.set_clock(40 * 86_400)
    primary.run()
    founded.time.set_clock(0)
    with pytest.raises(Unreachable):
        founded.time.attest((nonce,))
    founded.time.crash()
    founded.time.restart()
    with pytest.raises(Unreachable):  # the mark is durable
        founded.time.attest((nonce,))
    founded.rotate_time()
    assert len(founded.time.attest((nonce, nonce))) == 2
    founded.image.publish({FRESH: image(FRESH, 2)})
    founded.director.assign([LONE], {GATEWAY: FRESH})
    primary.run()  # sets its clock back, and is believed again
    primary.run()
    assert primary.runs.filename == FRESH


def test_a_time_service_says_nothing_to_those_who_ask_wrongly() -> None:
    founded = found(Clock(), [LONE_PLAN])
    for nonces in ((), (b"short",), (b"n" * 16,) * 129):
        with pytest.raises(Unreachable) as refused:
            founded.time.attest(nonces)
        assert refused.value.reason is Reason.REFUSED


def test_servers_that_are_down_answer_nobody() -> None:
    founded = found(Clock(), [LONE_PLAN])
    for each in servers_of(founded):
        each.crash()
        each.crash()
        assert each.crashes == 1
    asked: list[Callable[[], object]] = [
        lambda: founded.director.poll(LONE, ANYTHING_NEW),
        lambda: founded.director.revoke(LONE),
        lambda: founded.image.metadata("timestamp", 1_000),
        lambda: founded.image.block(b"0" * 32, 0),
        lambda: founded.image.publish({FRESH: Wish(b"", LONE_PLAN.primary.hardware, 2)}),
        lambda: founded.time.attest((b"n" * 16,)),
    ]
    for ask in asked:
        with pytest.raises(Unreachable) as refused:
            ask()
        assert refused.value.reason is Reason.DOWN
    for each in servers_of(founded):
        each.restart()
    founded.director.poll(LONE, ANYTHING_NEW)


def test_a_director_that_does_not_hear_the_image_repository_answers_all_the_same() -> None:
    founded = found(Clock(), [LONE_PLAN])
    founded.image.crash()
    founded.clock.now_ns += 61 * NS_PER_S
    founded.director.poll(LONE, ANYTHING_NEW)
    assert "image" in founded.director.trouble
    founded.image.restart()
    founded.clock.now_ns += 61 * NS_PER_S
    founded.director.poll(LONE, ANYTHING_NEW)
    assert founded.director.trouble == ""


@pytest.mark.parametrize(("moment", "published"), [("before commit", False), ("after commit", True)])
def test_a_publication_is_there_as_a_whole_or_not_at_all(moment: str, *, published: bool) -> None:
    dying = [""]
    founded = found(Clock(), [LONE_PLAN], power=lambda _server: lambda name: name == dying[0])
    before = dict(founded.image.records.files)
    dying[0] = moment
    with pytest.raises(Unreachable):
        founded.image.publish({FRESH: image(FRESH, 2)})
    dying[0] = ""
    founded.image.restart()
    fresh = founded.image.records.files.keys() - before.keys()
    assert sorted(role for role, _ in fresh) == (["snapshot", "targets", "timestamp"] if published else [])
    assert (founded.image.standing.targets.value.entries.find(FRESH) is not None) == published


@pytest.mark.parametrize("moment", ["before commit", "after commit"])
def test_an_exchange_that_was_not_answered_is_made_again(moment: str) -> None:
    dying = [""]
    founded = found(Clock(), [LONE_PLAN], power=lambda server: lambda name: (server, name) == ("director", dying[0]))
    old = founded.vehicles[LONE].signer(GATEWAY)
    dying[0] = moment
    with pytest.raises(Unreachable):
        founded.replace_ecu(LONE, GATEWAY)
    assert founded.vehicles[LONE].signer(GATEWAY) is old
    dying[0] = ""
    founded.director.restart()
    founded.replace_ecu(LONE, GATEWAY)
    primary = LonePrimary(founded, LONE)
    primary.run()
    record = founded.director.vehicles[LONE].find(GATEWAY)
    assert record is not None
    assert record.ecu.key == founded.vehicles[LONE].signer(GATEWAY).public
    assert record.reported is not None


def test_an_image_repository_that_was_ahead_is_mended_by_people() -> None:
    founded = found(Clock(), [LONE_PLAN])
    primary = LonePrimary(founded, LONE)
    primary.run()
    founded.image.publish({FRESH: image(FRESH, 2)})
    founded.director.assign([LONE], {GATEWAY: FRESH})
    founded.image.set_clock(400 * 86_400)
    primary.run()
    assert expiry_held(primary) > founded.clock.utc + 400 * 86_400
    founded.image.set_clock(0)
    other = Filename("fleet/gateway-3")
    with pytest.raises(ClockBehind):
        founded.image.publish({other: image(other, 3)})
    founded.image.metadata("timestamp", 1 << 14)
    assert "rotate timestamp" in founded.image.trouble
    founded.mend()
    founded.image.publish({other: image(other, 3)})
    founded.director.assign([LONE], {GATEWAY: other})
    primary.run()
    assert primary.runs.filename == other
    assert expiry_held(primary) <= founded.clock.utc + 3 * 86_400
    assert founded.image.trouble == ""


def expiry_held(primary: LonePrimary) -> int:
    """Until when the Timestamp of the Image repository is valid that a Primary holds."""
    held = CODEC.parse(CODEC.open(primary.records["metadata/image/timestamp"], 1 << 14).payload)
    assert isinstance(held, Timestamp)
    return held.header.expires


def test_people_mend_all_servers_at_once() -> None:
    founded = found(Clock(), [LONE_PLAN])
    primary = LonePrimary(founded, LONE)
    for each in servers_of(founded):
        each.set_clock(400 * 86_400)
    primary.run()
    founded.time.crash()
    founded.director.crash()
    founded.mend()
    assert all(each.up and not each.skew_s for each in servers_of(founded))
    assert not founded.image.was_ahead
    assert not founded.time.was_ahead
    roots = founded.director.fleet.root.value.header.version
    founded.mend()  # nothing is left to do
    assert founded.director.fleet.root.value.header.version == roots
    founded.image.publish({FRESH: image(FRESH, 2)})
    primary.run()
    primary.run()
    founded.director.assign([LONE], {GATEWAY: FRESH})
    primary.run()
    assert primary.runs.filename == FRESH
