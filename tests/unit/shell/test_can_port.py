"""The CAN port on a wire of paper and by a clock of its own: what starts when, what is counted, what fails how."""

import pytest

from uptane.errors import LinkFailure
from uptane.link.bus_model import CATCH_UP_NS
from uptane.link.bus_time import BusSpeed, classic_bits, frame_ns
from uptane.link.can_frame import Address, CanFrame, can_id_of
from uptane.link.isotp_values import SendFrames
from uptane.shell.can_port import JOBS_MAX, POLL_NS, RETRY_NS, STUCK_NS, CanPort, CanSettings, Exchange, Traffic
from uptane.shell.can_wire import Arrival

PRIMARY, BRAKE, BODY = 0xF0, 0x01, 0x02
START_NS = 1_000_000_000
DATA = bytes.fromhex("2155AA55AA55AA55")
FRAME = CanFrame(can_id_of(Address(BRAKE, PRIMARY)), DATA)
LENGTH_NS = frame_ns(FRAME, BusSpeed())


def from_(source: int, target: int = PRIMARY, *, functional: bool = False) -> CanFrame:
    return CanFrame(can_id_of(Address(target, source, functional)), DATA)


class PaperWire:
    """Writes down what is sent and when it starts; `room` is how many frames it takes, `arriving` what comes."""

    def __init__(self, *, heard_at_start: bool = True) -> None:
        self.heard_at_start = heard_at_start
        self.malformed = 0
        self.sent: list[tuple[CanFrame, int]] = []
        self.arriving: list[Arrival] = []
        self.room = 1_000_000
        self.down = False
        self.number: int | None = 7

    def fileno(self) -> int | None:
        return self.number

    def put(self, frame: CanFrame, start_ns: int) -> bool:
        if self.down:
            raise LinkFailure("CAN paper: the interface is down")
        if not self.room:
            return False
        self.room -= 1
        self.sent.append((frame, start_ns))
        return True

    def take(self, now_ns: int) -> list[Arrival]:
        arrived, self.arriving = self.arriving, []
        return arrived

    def close(self) -> None:
        self.down = True


class Desk:
    """A port with its wire and clock."""

    def __init__(self, own: int | None = PRIMARY, *, heard_at_start: bool = True, **settings: object) -> None:
        self.now_ns = START_NS
        self.wire = PaperWire(heard_at_start=heard_at_start)
        self.port = CanPort(
            self.wire,
            CanSettings("paper", "0", **settings),  # type: ignore[arg-type]
            own,
            clock_ns=lambda: self.now_ns,
        )

    def send(self, *frames: CanFrame, ticket: int = 0, separation_us: int = 0) -> None:
        self.port.send(SendFrames(frames, ticket, separation_us))

    def hear(self, *frames: CanFrame, at: int | None = None, extended: bool = True) -> Exchange:
        self.wire.arriving += [(frame, self.now_ns if at is None else at, extended) for frame in frames]
        return self.port.exchange()

    def at(self, now_ns: int) -> Exchange:
        self.now_ns = START_NS + now_ns
        return self.port.exchange()

    def run(self) -> list[int]:
        """Wake when the port wants, until it wants no more; the tickets that came."""
        tickets: list[int] = []
        while (wake_ns := self.port.wake_ns()) is not None:
            self.now_ns = max(self.now_ns, wake_ns)
            tickets += self.port.exchange().tickets
        return tickets

    def starts(self) -> list[int]:
        return [start_ns - START_NS for _, start_ns in self.wire.sent]


# --------------------------------------------------------------------------------------------------------- pacing


def test_frames_follow_each_other_as_on_the_bus() -> None:
    desk = Desk()
    desk.send(FRAME, FRAME, FRAME, ticket=5)
    assert desk.port.wake_ns() == START_NS
    assert desk.port.exchange() == Exchange([], [])
    assert desk.starts() == [0]
    assert desk.port.wake_ns() == START_NS + LENGTH_NS
    assert desk.at(LENGTH_NS - 1).tickets == []
    assert desk.run() == [5]
    assert desk.starts() == [0, LENGTH_NS, 2 * LENGTH_NS]
    assert desk.port.sent == Traffic(3, 24, 3 * LENGTH_NS)


def test_a_late_process_loses_no_bus_time_up_to_a_limit() -> None:
    desk = Desk()
    desk.send(*[FRAME] * 60)
    desk.port.exchange()
    desk.at(10 * LENGTH_NS)
    assert desk.starts() == [at * LENGTH_NS for at in range(11)]
    late = 11 * LENGTH_NS + CATCH_UP_NS + 1_000_000
    desk.at(late)
    assert desk.starts()[11] == late - CATCH_UP_NS


def test_frames_of_others_are_waited_for_whoever_they_are_for() -> None:
    for frame, length_ns in ((from_(BRAKE), LENGTH_NS), (from_(BRAKE, BODY), None), (CanFrame(0x7E8, DATA), None)):
        desk = Desk()
        extended = frame.can_id > 0x7FF
        desk.hear(frame, extended=extended)
        desk.send(FRAME)
        desk.run()
        expected = length_ns or 2_000 * classic_bits(frame.can_id, frame.data, extended=extended)
        assert desk.starts() == [expected]


def test_frames_that_overlap_in_what_is_told_are_put_one_after_the_other() -> None:
    desk = Desk()
    desk.hear(from_(BRAKE), from_(BRAKE), at=START_NS - 1_000)
    desk.send(FRAME)
    desk.run()
    assert desk.starts() == [2 * LENGTH_NS - 1_000]


def test_a_controller_tells_of_a_frame_when_it_is_over() -> None:
    desk = Desk(heard_at_start=False)
    desk.hear(from_(BRAKE))
    desk.send(FRAME)
    desk.port.exchange()
    assert desk.starts() == [0]


def test_unpaced_frames_all_leave_at_once() -> None:
    desk = Desk(paced=False)
    desk.hear(from_(BRAKE))
    desk.send(*[FRAME] * 100, ticket=9)
    assert desk.port.exchange().tickets == [9]
    assert desk.starts() == [0] * 100
    assert desk.port.sent == Traffic(100, 800, 0)
    assert desk.port.wake_ns() is None


@pytest.mark.parametrize("paced", [True, False])
def test_a_separation_is_kept_paced_or_not(paced: bool) -> None:
    desk = Desk(paced=paced)
    desk.send(FRAME, FRAME, FRAME, separation_us=300, ticket=1)
    assert desk.run() == [1]
    step = 300_000 + (LENGTH_NS if paced else 0)
    assert desk.starts() == [0, step, 2 * step]


@pytest.mark.parametrize("paced", [True, False])
def test_the_budget_is_kept_paced_or_not_and_can_be_lifted(paced: bool) -> None:
    desk = Desk(budget_percent=25, paced=paced)
    desk.send(*[FRAME] * 4)
    desk.at(0)
    desk.at(4 * LENGTH_NS - 1)
    assert desk.starts() == [0]
    desk.at(4 * LENGTH_NS)
    assert desk.starts() == [0, 4 * LENGTH_NS]
    desk.port.set_budget(100)
    desk.run()
    assert desk.starts()[2:] == ([5 * LENGTH_NS, 6 * LENGTH_NS] if paced else [4 * LENGTH_NS, 4 * LENGTH_NS])


@pytest.mark.parametrize("percent", [0, 101])
def test_an_impossible_budget_is_refused(percent: int) -> None:
    with pytest.raises(ValueError, match="bus budget"):
        Desk(budget_percent=percent)
    with pytest.raises(ValueError, match="bus budget"):
        Desk().port.set_budget(percent)


def test_runs_take_turns_by_priority_and_the_separated_one_makes_room() -> None:
    desk = Desk()
    to_body = FRAME._replace(can_id=can_id_of(Address(BODY, PRIMARY)))
    urgent = FRAME._replace(can_id=FRAME.can_id & 0x18FF_FFFF)
    desk.send(FRAME, FRAME, separation_us=1_000, ticket=1)
    desk.send(to_body, to_body, ticket=2)
    desk.send(urgent, ticket=3)
    assert desk.run() == [3, 2, 1]
    assert [frame for frame, _ in desk.wire.sent] == [urgent, FRAME, to_body, to_body, FRAME]
    starts = desk.starts()
    assert starts[4] - starts[1] == LENGTH_NS + 1_000_000


# ------------------------------------------------------------------------------------------------------ receiving


def test_only_frames_for_this_ecu_are_handed_over_and_all_are_counted() -> None:
    desk = Desk()
    ours = [from_(BRAKE), from_(BODY), from_(BRAKE, 0x33, functional=True)]
    others = [from_(BRAKE, BODY), from_(BRAKE, PRIMARY, functional=True), CanFrame(0x1CEFF001, DATA)]
    assert list(desk.hear(*ours, *others).frames) == ours
    assert (desk.port.heard.frames, desk.port.heard.octets) == (3, 24)
    assert (desk.port.overheard.frames, desk.port.overheard.octets) == (3, 24)
    assert desk.port.heard.bus_ns == sum(frame_ns(frame, BusSpeed()) for frame in ours)


def test_our_own_echo_counts_for_nothing() -> None:
    desk = Desk()
    assert desk.hear(from_(PRIMARY, BRAKE), from_(PRIMARY, PRIMARY)).frames == []
    assert desk.port.heard == desk.port.overheard == Traffic()
    desk.send(FRAME)
    desk.port.exchange()
    assert desk.starts() == [0]


def test_a_monitor_sees_all_and_may_not_send() -> None:
    desk = Desk(own=None)
    frames = [from_(BRAKE), from_(PRIMARY, BRAKE), CanFrame(0x1CEFF001, DATA)]
    assert list(desk.hear(*frames).frames) == frames
    assert desk.hear(CanFrame(0x7E8, DATA), extended=False).frames == []
    assert (desk.port.overheard.frames, desk.port.heard.frames) == (4, 0)
    with pytest.raises(AssertionError):
        desk.send(FRAME)


def test_an_interface_without_a_descriptor_is_asked_again_soon() -> None:
    desk = Desk()
    desk.wire.number = None
    assert desk.port.wake_ns() == START_NS + POLL_NS
    desk.send(FRAME)
    assert desk.port.wake_ns() == START_NS


# ------------------------------------------------------------------------------------------------------- failures


def test_a_full_interface_is_tried_again_and_nothing_is_lost() -> None:
    desk = Desk()
    desk.wire.room = 1
    desk.send(FRAME, FRAME, FRAME, ticket=4)
    desk.port.exchange()
    desk.at(LENGTH_NS)
    assert desk.port.wake_ns() == START_NS + LENGTH_NS + RETRY_NS
    desk.wire.room = 2
    assert desk.run() == [4]
    assert len(desk.wire.sent) == 3


def test_an_interface_that_stays_full_fails_and_forgets_what_was_waiting() -> None:
    desk = Desk()
    desk.wire.room = 0
    desk.send(FRAME, ticket=4)
    desk.at(0)
    desk.at(STUCK_NS)
    with pytest.raises(LinkFailure, match=r"takes no frames; .*the bit rate, wiring"):
        desk.at(STUCK_NS + 1)
    desk.wire.room = 1
    assert desk.run() == []
    assert desk.wire.sent == []


def test_progress_starts_the_patience_anew() -> None:
    desk = Desk(paced=False)
    desk.send(*[FRAME] * 3)
    for at in range(3):
        desk.wire.room = 0
        desk.at(at * STUCK_NS)
        desk.wire.room = 1
        desk.at(at * STUCK_NS + RETRY_NS)
    assert len(desk.wire.sent) == 3


def test_an_interface_that_goes_down_fails_clearly_and_can_be_used_again() -> None:
    desk = Desk()
    desk.send(FRAME, ticket=1)
    desk.wire.down = True
    with pytest.raises(LinkFailure, match="the interface is down"):
        desk.port.exchange()
    desk.wire.down = False
    assert desk.port.wake_ns() is None
    desk.send(FRAME, ticket=2)
    assert desk.run() == [2]


def test_runs_do_not_pile_up_without_end() -> None:
    desk = Desk()
    for _ in range(JOBS_MAX):
        desk.send(FRAME)
    with pytest.raises(LinkFailure, match="waiting to be sent"):
        desk.send(FRAME)
