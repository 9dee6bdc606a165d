"""The loop: events reach the machine in order, effects their handlers, the deadline a tick; threads may post."""

import os
import signal
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from uptane.moments import Instant
from uptane.shell.loop import Loop, Worker, stopped_by_signals

TICK = "tick"


@dataclass
class Note:
    text: str


@dataclass
class Ask:
    text: str


@dataclass
class Recorder:
    """A machine that notes what it gets; `answers` says which effects follow which event."""

    answers: dict[str, list[Note | Ask]] = field(default_factory=dict)
    wake_at: int | None = None
    seen: list[str] = field(default_factory=list)

    def handle(self, event: str, now: Instant) -> Sequence[Note | Ask]:
        self.seen.append(event)
        if event == TICK:
            self.wake_at = None
        return self.answers.get(event, [])

    def deadline(self) -> Instant | None:
        return None if self.wake_at is None else Instant(self.wake_at)


class Pipe:
    """A source: what is written into it comes out as events."""

    def __init__(self) -> None:
        self.read_end, self.write_end = os.pipe()
        os.set_blocking(self.read_end, False)
        self.taken = 0

    def fileno(self) -> int | None:
        return self.read_end

    def wake_ns(self) -> int | None:
        return None

    def take(self) -> Sequence[str]:
        self.taken += 1
        try:
            return list(os.read(self.read_end, 100).decode())
        except BlockingIOError:
            return []

    def close(self) -> None:
        os.close(self.read_end)
        os.close(self.write_end)


class Stopped:
    """A loop that stops when its machine notes "stop"."""

    def __init__(self, machine: Recorder, sources: Sequence[Pipe] = ()) -> None:
        self.noted: list[str] = []
        self.on_ask: Callable[[Ask], str | None] = lambda effect: effect.text + "!"
        self.loop: Loop[str, Note | Ask] = Loop(machine, {Note: self.note, Ask: self.ask}, sources, tick=TICK)

    def ask(self, effect: Ask) -> str | None:
        return self.on_ask(effect)

    def note(self, effect: Note) -> None:
        self.noted.append(effect.text)
        if effect.text == "stop":
            self.loop.stop()

    def run(self) -> int:
        try:
            return self.loop.run()
        finally:
            self.loop.close()


def test_effects_are_carried_out_in_order_and_answered_in_the_next_round() -> None:
    machine = Recorder({"a": [Ask("x"), Note("after")], "x!": [Note("stop")]})
    bench = Stopped(machine)
    bench.loop.put("a")
    bench.loop.put("b")
    assert bench.run() == 0
    assert machine.seen == ["a", "b", "x!"]
    assert bench.noted == ["after", "stop"]


def test_what_a_source_brings_is_given_to_the_machine_and_sources_may_send_before_an_answer_comes_back() -> None:
    machine = Recorder({"a": [Ask("x")], "x!": [Note("stop")]})
    pipe = Pipe()
    bench = Stopped(machine, [pipe])
    takes: list[int] = []

    def answer(effect: Ask) -> str:
        takes.append(pipe.taken)
        return effect.text + "!"

    bench.on_ask = answer
    os.write(pipe.write_end, b"ab")
    assert bench.run() == 0
    pipe.close()
    assert machine.seen == ["a", "b", "x!"]
    assert pipe.taken == takes[0] + 1


def test_the_deadline_is_slept_to_and_ticks_once() -> None:
    machine = Recorder({TICK: [Note("stop")]})
    bench = Stopped(machine)
    machine.wake_at = bench.loop.now() + 20
    begin = bench.loop.now()
    assert bench.run() == 0
    assert machine.seen == [TICK]
    assert bench.loop.now() - begin >= 20


def test_a_deadline_is_met_even_when_events_keep_coming() -> None:
    machine = Recorder({"x!": [Ask("x")], TICK: [Note("stop")]})
    bench = Stopped(machine)
    machine.wake_at = bench.loop.now() + 5
    bench.loop.put("x!")
    assert bench.run() == 0
    assert TICK in machine.seen


def test_a_worker_thread_posts_its_result() -> None:
    machine = Recorder({"go": [Ask("job")], "done": [Note("stop")]})
    bench = Stopped(machine)
    worker = Worker("test")
    main = threading.get_ident()
    seen: list[int] = []

    def job() -> str:
        seen.append(threading.get_ident())
        return "done"

    def ask(_effect: Ask) -> None:
        worker.do(job, bench.loop.poster())

    bench.on_ask = ask
    bench.loop.put("go")
    assert bench.run() == 0
    assert worker.stop()
    assert machine.seen == ["go", "done"]
    assert seen != [main]


def test_events_for_a_machine_that_was_replaced_are_dropped() -> None:
    first, second = Recorder({"a": [Ask("replace"), Note("never")]}), Recorder({"first": [Note("stop")]})
    bench = Stopped(first)
    post = bench.loop.poster()

    def replace(_effect: Ask) -> None:
        post("late")
        bench.loop.replace(second, "first")

    bench.on_ask = replace
    for event in "ab":
        bench.loop.put(event)
    assert bench.run() == 0
    assert first.seen == ["a"]
    assert second.seen == ["first"]
    assert bench.noted == ["stop"]


@pytest.mark.parametrize("where", ["handler", "worker"])
def test_a_bug_ends_the_loop_loudly(where: str, caplog: pytest.LogCaptureFixture) -> None:
    bench = Stopped(Recorder({"go": [Ask("job")]}))
    worker = Worker("test")

    def broken() -> str:
        raise RuntimeError("never foreseen")

    def ask(_effect: Ask) -> str | None:
        if where == "handler":
            return broken()
        worker.do(broken, bench.loop.poster())
        return None

    bench.on_ask = ask
    bench.loop.put("go")
    assert bench.run() == 70
    assert worker.stop()
    assert "never foreseen" in caplog.text


def test_a_signal_stops_the_loop_and_its_handler_is_put_back() -> None:
    machine = Recorder({"go": [Ask("kill")]})
    bench = Stopped(machine)
    before = signal.getsignal(signal.SIGTERM)

    def kill(_effect: Ask) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    bench.on_ask = kill
    bench.loop.put("go")
    with stopped_by_signals(bench.loop.stop):
        assert bench.run() == 0
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_signal_that_hits_another_thread_wakes_the_loop_at_once() -> None:
    """So does one that comes just before select() begins, which cannot be timed from outside."""
    bench = Stopped(Recorder())
    never = threading.Event()

    def hit_oneself() -> None:
        never.wait(0.2)  # the loop has nothing to do by then
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)

    def give_up() -> None:
        too_late.append(True)
        bench.loop.stop()

    too_late: list[bool] = []
    late = threading.Timer(5, give_up)
    hits = threading.Thread(target=hit_oneself)
    with stopped_by_signals(bench.loop.stop):
        late.start()
        hits.start()
        assert bench.run() == 0
    late.cancel()
    for each in (hits, late):
        each.join()
    assert not too_late
    assert signal.set_wakeup_fd(-1) == -1, "put back"


def test_a_worker_that_hangs_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uptane.shell.loop.WORKERS_STOP_S", 0.01)
    gate = threading.Event()
    worker = Worker("test")
    begun = threading.Event()

    def hang() -> str:
        begun.set()
        gate.wait(10)
        return "late"

    worker.do(hang, lambda _event: None)
    assert begun.wait(10)
    assert not worker.stop()
    gate.set()
