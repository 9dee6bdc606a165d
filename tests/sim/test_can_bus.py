"""The simulated CAN bus as its users see it: what is heard when, and each fault alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from random import Random

import pytest

from sim.can_bus import BABBLE, RUN_NS_MAX, CanBus
from sim.can_controller import JOBS_MAX, Controller
from sim.can_faults import QUIET, BusFaults, gap
from sim.clock import NS_PER_MS, NS_PER_S, Clock
from uptane.errors import LinkFailure
from uptane.link.bus_time import BusSpeed, frame_ns
from uptane.link.can_frame import CanFrame

CLASSIC = BusSpeed(500_000)
FD = BusSpeed(500_000, 2_000_000)
BIT_NS = 2_000
TO_B, TO_A, URGENT = 0x1CDA02F1, 0x1CDAF102, 0x0CF00400
FRAME = CanFrame(TO_B, b"12345678")
RUN = [CanFrame(TO_B, bytes([number]) * 8) for number in range(64)]


class Line:
    """A bus with nodes a, b and c, and what they heard."""

    def __init__(
        self, speed: BusSpeed = CLASSIC, *, faults: BusFaults = QUIET, seed: int = 1, restart_ms: int = 0
    ) -> None:
        self.clock = Clock()
        self.lines: list[str] = []
        self.heard: dict[str, list[tuple[int, tuple[CanFrame, ...]]]] = {"a": [], "b": [], "c": []}
        self.bus = CanBus(
            "v1.bus.classic",
            self.clock,
            speed,
            dice=Random(seed),
            say=lambda verb, detail: self.lines.append(f"{verb} {detail}"),
            faults=faults,
            restart_ms=restart_ms,
        )
        self.a, self.b, self.c = (
            self._attach(node, accepted) for node, accepted in (("a", TO_A), ("b", TO_B), ("c", 0))
        )

    def _attach(self, node: str, accepted: int) -> Controller:
        def hear(frames: Sequence[CanFrame]) -> None:
            self.heard[node].append((self.clock.now_ns, tuple(frames)))

        return self.bus.attach(node, lambda can_id: can_id == accepted, hear)

    def frames(self, node: str) -> list[CanFrame]:
        return [frame for _, frames in self.heard[node] for frame in frames]

    def run(self, until_ns: int = NS_PER_S) -> int:
        """How many events it took."""
        steps = 0
        while (due := self.clock.next_ns()) is not None and due <= until_ns:
            self.clock.step()
            steps += 1
        return steps

    def said(self, word: str) -> list[str]:
        return [line for line in self.lines if line.split()[0] == word]


def last(frames: Sequence[CanFrame], speed: BusSpeed = CLASSIC) -> int:
    return sum(frame_ns(frame, speed) for frame in frames)


# ------------------------------------------------------------------------------------------------ frames that pass


@pytest.mark.parametrize(
    ("speed", "frames"),
    [(CLASSIC, RUN), (FD, [CanFrame(TO_B, bytes([number]) * 64, fd=True, brs=True) for number in range(64)])],
)
def test_a_run_is_one_event_at_its_end(speed: BusSpeed, frames: list[CanFrame]) -> None:
    line, sent = Line(speed), []
    line.a.send(frames, sent=lambda: sent.append(line.clock.now_ns))
    assert line.run() == 1
    assert sent == [last(frames, speed)]
    assert line.heard == {"a": [], "b": [(last(frames, speed), tuple(frames))], "c": []}
    assert line.a.traffic.frames == 64
    assert line.a.traffic.busy_ns == last(frames, speed)
    assert line.lines == ["frames 64 from a"]


def test_a_more_urgent_frame_comes_after_the_one_on_the_wire() -> None:
    line = Line()
    line.a.send(RUN)
    third_ns = last(RUN[:3])
    line.clock.at(third_ns - 1, lambda: line.c.send([CanFrame(TO_A - 1, b"")]))
    line.run()
    urgent_ns = last([CanFrame(TO_A - 1, b"")])
    assert [when for when, _ in line.heard["b"]] == [last(RUN)]  # 0x1CDAF101 is less urgent: nobody is interrupted
    line = Line()
    line.a.send(RUN)
    line.clock.at(third_ns - 1, lambda: line.c.send([CanFrame(URGENT, b"")]))
    line.run()
    urgent_ns = last([CanFrame(URGENT, b"")])
    assert line.heard["b"] == [(third_ns, tuple(RUN[:3])), (last(RUN) + urgent_ns, tuple(RUN[3:]))]


def test_who_is_ready_when_the_bus_becomes_free_takes_part() -> None:
    line = Line()
    line.a.send(RUN[:3])
    line.clock.at(last(RUN[:2]), lambda: line.c.send([CanFrame(URGENT, b"")]))
    line.run()
    assert [when for when, _ in line.heard["b"]] == [last(RUN[:2]), last(RUN[:3]) + last([CanFrame(URGENT, b"")])]


def test_between_separated_frames_there_is_room_for_any_other() -> None:
    line = Line()
    line.a.send(RUN[:3], separation_us=1_000)
    line.clock.at(last(RUN[:1]), lambda: line.b.send([CanFrame(TO_A, b"1")]))
    line.run()
    assert line.heard["a"] == [(last(RUN[:1]) + last([CanFrame(TO_A, b"1")]), (CanFrame(TO_A, b"1"),))]
    assert line.heard["b"][-1][0] == last(RUN[:3]) + 2 * NS_PER_MS


def test_long_separations_are_no_long_silence() -> None:
    line = Line()
    line.a.send(RUN, separation_us=127_000)
    line.run(100 * NS_PER_S)
    heard = [0, *(when for when, _ in line.heard["b"])]
    assert max(after - before for before, after in pairwise(heard)) < RUN_NS_MAX + 130 * NS_PER_MS
    assert line.frames("b") == RUN


def test_sends_of_one_node_go_by_priority_and_then_in_their_order() -> None:
    line, order = Line(), []
    line.a.send([FRAME], sent=lambda: order.append("on the wire"))
    line.clock.at(1, lambda: line.a.send([CanFrame(TO_A, b"1")], sent=lambda: order.append("less urgent")))
    line.clock.at(1, lambda: line.a.send([FRAME], sent=lambda: order.append("first")))
    line.clock.at(1, lambda: line.a.send([FRAME], sent=lambda: order.append("second")))
    line.run()
    assert order == ["on the wire", "first", "second", "less urgent"]


def test_too_many_sends_are_a_link_failure() -> None:
    line = Line()
    for _ in range(JOBS_MAX):
        line.a.send([FRAME])
    with pytest.raises(LinkFailure, match="1024 runs"):
        line.a.send([FRAME])


def test_what_is_sent_out_of_a_callback_follows_at_once() -> None:
    line = Line()
    line.a.send([FRAME], sent=lambda: line.a.send([FRAME]))
    line.run()
    assert [when for when, _ in line.heard["b"]] == [last([FRAME]), 2 * last([FRAME])]


# ---------------------------------------------------------------------------------------------------------- power


def test_a_reset_node_is_not_called_and_what_it_was_sending_breaks_off() -> None:
    line = Line()
    line.a.send(RUN, sent=lambda: pytest.fail("it is another life"))
    line.clock.at(last(RUN[:2]) + 50 * BIT_NS, line.a.reset)
    line.run()
    assert line.frames("b") == RUN[:2]
    assert line.said("error") == ["error 1 from a why=broken-off"]
    assert (line.a.sending_errors, line.b.receiving_errors) == (0, 1)


def test_a_frame_that_was_acknowledged_arrives_though_its_sender_is_gone() -> None:
    line = Line()
    line.a.send(RUN[:1])
    line.clock.at(last(RUN[:1]) - 5 * BIT_NS, line.a.reset)
    line.run()
    assert line.frames("b") == RUN[:1]


def test_without_power_a_node_hears_nothing_and_does_not_acknowledge() -> None:
    line = Line()
    line.b.listening = line.c.listening = False
    line.a.send([FRAME], sent=lambda: pytest.fail("nobody acknowledged"))
    assert line.run() < 20  # a lone node tries for ever, and nothing happens
    assert not line.frames("b")
    assert line.said("error") == ["error 1 from a why=unacknowledged"]
    assert line.a.sending_errors == 128  # error passive, and no further
    assert not line.a.off


@pytest.mark.parametrize("offset", range(0, 170, 6))
def test_a_lone_node_is_heard_by_the_first_that_comes(offset: int) -> None:
    line, sent = Line(), []
    line.b.listening = line.c.listening = False
    line.a.send([FRAME], sent=lambda: sent.append(line.clock.now_ns))
    comes_ns = 500 * NS_PER_MS + offset * BIT_NS

    def come() -> None:
        line.b.listening = True

    line.clock.at(comes_ns, come)
    line.run()
    # Each attempt has an error flag instead of the end; after the 16th error, 8 bits more are waited.
    start_ns, attempts = 0, 0
    while start_ns < comes_ns + 11 * BIT_NS:
        attempts += 1
        start_ns += last([FRAME]) + (6 if attempts < 16 else 14) * BIT_NS
    assert line.a.traffic.errors == attempts
    assert line.a.traffic.busy_ns == (attempts + 1) * last([FRAME]) + attempts * 6 * BIT_NS
    assert sent == [start_ns + last([FRAME])]
    assert line.frames("b") == [FRAME]


@pytest.mark.parametrize(("before_end", "first"), [(12, 3), (11, 3), (10, 4), (1, 4)])
def test_who_comes_in_a_run_hears_what_begins_11_bits_later(before_end: int, first: int) -> None:
    line = Line()
    line.b.listening = False
    line.a.send(RUN)

    def come() -> None:
        line.b.listening = True

    line.clock.at(last(RUN[:3]) - before_end * BIT_NS, come)
    line.run()
    assert line.frames("b") == RUN[first:]


def test_who_is_cut_in_a_run_hears_none_of_it() -> None:
    line = Line()
    line.a.send(RUN)

    def cut() -> None:
        line.b.reset()
        line.b.listening = False

    line.clock.at(last(RUN[:10]) + 1, cut)
    line.run()
    assert not line.heard["b"]
    assert line.a.traffic.frames == 64  # c acknowledges


# --------------------------------------------------------------------------------------------------------- faults


def until(faults: BusFaults, wanted: Callable[[Line], object]) -> Line:
    """The first seed that shows what is wanted in a run of frames from a to b."""
    for seed in range(100):
        line = Line(faults=faults, seed=seed)
        line.a.send(RUN)
        line.run()
        if wanted(line):
            return line
    raise AssertionError("no such seed")


def test_a_lost_frame_is_missed_by_one_and_the_next_is_heard_at_once() -> None:
    line = until(BusFaults(loss=0.02), lambda line: len(line.said("lost")) == 1)
    assert line.said("lost") == ["lost 1 at b"]
    heard = [frames for _, frames in line.heard["b"]]
    missing = next(number for number, frame in enumerate(RUN) if frame not in line.frames("b"))
    assert heard == [tuple(RUN[:missing]), (RUN[missing + 1],), tuple(RUN[missing + 2 :])]
    assert line.a.traffic.frames == 64
    assert not line.said("error")


def test_a_corrupted_frame_costs_an_error_frame_and_comes_again() -> None:
    line = until(BusFaults(corruption=0.02), lambda line: len(line.said("error")) == 1)
    assert line.frames("b") == RUN
    assert line.a.traffic.errors == 1
    more_ns = line.heard["b"][-1][0] - last(RUN)
    assert (20 + 17) * BIT_NS < more_ns < (160 + 23) * BIT_NS  # a part of the frame, then 17 to 23 bits


def test_a_duplicated_frame_is_heard_twice_and_the_second_at_once() -> None:
    line = until(BusFaults(duplication=0.02), lambda line: len(line.frames("b")) == 65)
    frames = line.frames("b")
    twice = next(number for number in range(64) if frames[number] == frames[number + 1])
    assert frames == [*RUN[: twice + 1], *RUN[twice:]]
    assert [heard for _, heard in line.heard["b"]].count((frames[twice],)) == 2


def test_faults_can_be_changed_while_frames_are_on_the_wire() -> None:
    line = Line(faults=BusFaults(loss=1.0))
    line.a.send(RUN)

    def calm() -> None:
        line.bus.faults = QUIET

    line.clock.at(last(RUN[:8]) + 1, calm)
    line.run()
    assert line.frames("b") == RUN[9:]


@pytest.mark.parametrize("rates", [(-0.1, 0, 0), (0.5, 0.5, 0.1), (2, -1, 0)])
def test_impossible_rates_are_refused(rates: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="bus faults"):
        BusFaults(*rates)


@pytest.mark.parametrize("rate", [1.0, 0.5, 0.01, 1e-6])
def test_gaps_have_the_mean_of_their_rate(rate: float) -> None:
    dice = Random(5)
    gaps = [gap(dice, rate) for _ in range(4_000)]
    assert sum(gaps) / len(gaps) == pytest.approx((1 - rate) / rate, rel=0.05)


def test_a_disturbed_node_falls_off_and_comes_back_by_itself() -> None:
    line = Line()
    line.bus.disturb(8 * NS_PER_MS, "a")
    line.a.send([FRAME])
    line.run()
    assert line.said("bus-off") == ["bus-off a"]
    assert line.said("bus-on") == ["bus-on a"]
    assert line.a.traffic.errors == 32
    assert line.frames("b") == [FRAME]
    assert not line.b.off
    assert line.b.receiving_errors == 31  # one for each error frame, less the frame that passed


def test_a_restart_time_delays_the_recovery() -> None:
    times = []
    for restart_ms in (0, 100):
        line = Line(restart_ms=restart_ms)
        line.bus.disturb(8 * NS_PER_MS, "a")
        line.a.send([FRAME])
        line.run()
        times.append(line.heard["b"][0][0])
    # The error frame that ended it counts as the first sequence when the recovery begins there.
    assert times[1] - times[0] == 100 * NS_PER_MS + 11 * BIT_NS


def test_while_it_is_off_a_node_neither_hears_nor_acknowledges() -> None:
    line = Line(restart_ms=100)
    line.bus.disturb(20 * NS_PER_MS, "b")
    line.c.listening = False
    line.a.send([FRAME])
    line.b.send([CanFrame(TO_A, b"")])
    line.clock.at(30 * NS_PER_MS, lambda: line.a.send([RUN[3]], sent=lambda: line.lines.append("answered")))
    line.run(90 * NS_PER_MS)
    assert line.said("bus-off") == ["bus-off b"]
    assert line.frames("b") == [FRAME]
    assert "answered" not in line.lines
    line.run()
    assert line.frames("b") == [FRAME, RUN[3]]


def test_an_error_passive_receiver_is_active_again_after_a_good_frame() -> None:
    line = Line()
    line.b.receiving_errors = 200
    line.a.send([FRAME])
    line.bus.disturb(1)  # the first frame is wrong: errors are counted from there on
    line.run()
    assert line.b.receiving_errors == 119


def test_a_babbling_node_takes_the_whole_bus_for_its_time() -> None:
    line = Line()
    line.a.send(RUN)
    line.clock.at(1, lambda: line.bus.babble("c", 50 * NS_PER_MS))
    steps = line.run()
    assert steps < 12
    assert line.heard["b"][0] == (last(RUN[:1]), (RUN[0],))
    assert line.frames("b") == RUN
    end_ns = line.heard["b"][-1][0]
    assert 50 * NS_PER_MS + last(RUN[1:]) <= end_ns < 50 * NS_PER_MS + last(RUN) + 2 * last([BABBLE])
    assert len(line.bus.controllers) == 3
    assert line.bus.busy_ns == end_ns  # it never was idle


def test_a_man_in_the_middle_alters_and_drops_what_others_hear() -> None:
    line = Line()

    def middle(node: str, frame: CanFrame) -> CanFrame | None:
        assert node == "a"
        if frame == RUN[1]:
            return None
        return frame._replace(data=b"forged") if frame == RUN[2] else frame

    line.bus.filter = middle
    line.a.send(RUN[:4])
    line.run()
    assert line.frames("b") == [RUN[0], CanFrame(TO_B, b"forged"), RUN[3]]
    assert line.said("dropped") == ["dropped 1 from a"]
    assert line.said("altered") == ["altered 1 from a"]
    assert line.heard["b"][-1][0] == last(RUN[:4])  # the wire carries what was sent
    assert len(line.heard["b"]) == 3  # each in its time


def test_two_with_one_identifier_disturb_each_other_until_one_gives_way() -> None:
    line = Line()
    line.b.send([CanFrame(URGENT, b"")])
    line.a.send([CanFrame(TO_B, b"\x00one")])
    line.c.send([CanFrame(TO_B, b"\xffother")])
    line.run()
    assert len(line.said("error")) == 16
    assert [frame.data for frame in line.frames("b")] == [b"\x00one", b"\xffother"]


def test_the_same_frame_of_two_is_one() -> None:
    line = Line()
    line.c.send([CanFrame(URGENT, b"")])
    line.a.send([FRAME])
    line.c.send([FRAME])
    line.run()
    assert line.frames("b") == [FRAME]
    assert line.a.traffic.frames == 1
    assert line.c.traffic.frames == 2


def test_the_same_seed_does_the_same() -> None:
    def lines(seed: int) -> list[str]:
        line = Line(faults=BusFaults(0.01, 0.01, 0.01), seed=seed)
        for _ in range(10):
            line.a.send(RUN)
            line.b.send([CanFrame(TO_A, b"")])
        line.run()
        return [*line.lines, repr(line.heard)]

    assert lines(1) == lines(1)
    assert lines(1) != lines(2)
