"""Runs a machine on the real world: what comes in to events, effects to handlers, the deadline to a sleep.

One thread runs the machine; it waits in select() only, and owns the monotonic clock. Whatever may take long (a disk,
a server, a subprocess) runs in a Worker, which posts its event when done. A round takes what the sources have, gives
every event to the machine, carries out the effects in their order, and ticks when the deadline has passed; an event
that a handler returns is given in the next round, after the sources had a chance to send what was handed to them.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import select
import signal
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar

from uptane.errors import SignerFailure
from uptane.machine import Machine
from uptane.moments import Instant

EventT = TypeVar("EventT")
EffectT = TypeVar("EffectT")
EventT_co = TypeVar("EventT_co", covariant=True)

MILLISECOND_NS = 1_000_000
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
WORKERS_STOP_S = 1.0  # how long work under way may take to end; two seconds are granted to the whole process

log = logging.getLogger("marque.loop")


def monotonic() -> Instant:
    """The monotonic clock in milliseconds, as the loop gives it to its machine."""
    return Instant(time.monotonic_ns() // MILLISECOND_NS)


class Source(Protocol[EventT_co]):
    """Something that brings events: a CAN port, a socket. Never blocks."""

    def fileno(self) -> int | None:
        """What to wait for; None when only `wake_ns` tells. It may change."""
        ...

    def wake_ns(self) -> int | None:
        """When `take` has something to do whether or not the descriptor is readable (monotonic ns); None for never."""
        ...

    def take(self) -> Sequence[EventT_co]:
        """Send what is due, take what has come."""
        ...


class Loop(Generic[EventT, EffectT]):
    """Runs one machine until `stop`.

    `handlers` has one handler per type of effect; a handler returns the event that answers it, or None. `tick` is the
    event that means "the deadline has come".
    """

    def __init__(
        self,
        machine: Machine[EventT, EffectT],
        handlers: Mapping[type[Any], Callable[[Any], EventT | None]],
        sources: Sequence[Source[EventT]],
        *,
        tick: EventT,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._machine = machine
        self._handlers = handlers
        self._sources = sources
        self._tick = tick
        self._clock_ns = clock_ns
        self._events: deque[EventT] = deque()
        self._posted: queue.SimpleQueue[tuple[int, EventT | Exception]] = queue.SimpleQueue()
        self._life = 0  # which machine posted events are meant for
        self._stopping = False
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)

    def now(self) -> Instant:
        """The monotonic clock in milliseconds."""
        return Instant(self._clock_ns() // MILLISECOND_NS)

    def poster(self) -> Callable[[EventT | Exception], None]:
        """A function any thread may call to give an event to the present machine; lost if it has been replaced.

        An exception posted ends the loop: work that failed in a way nobody foresaw must not go unnoticed.
        """
        life = self._life

        def post(event: EventT | Exception) -> None:
            self._posted.put((life, event))
            self._wake()

        return post

    def put(self, event: EventT) -> None:
        """Give an event in the next round; for the loop's own thread and before `run`."""
        self._events.append(event)

    def replace(self, machine: Machine[EventT, EffectT], first: EventT) -> None:
        """Run another machine from now on; events meant for the one before are dropped, and so are its effects."""
        self._machine = machine
        self._life += 1
        self._events.clear()
        self._events.append(first)

    def stop(self) -> None:
        """End after the present round; for any thread and for signal handlers."""
        self._stopping = True
        self._wake()

    def run(self) -> int:
        """Run until `stop`; return an exit status: 0, or 70 after a bug, which is logged with its traceback.

        Raises:
            SignerFailure: the token with the key does not answer; whoever starts the process next may have it.
        """
        try:
            with self._woken_by_signals():
                while not self._stopping:
                    self._wait()
                    self._round()
        except SignerFailure:
            raise
        except Exception:
            log.critical("stopped by a bug", exc_info=True)
            return 70
        return 0

    @contextlib.contextmanager
    def _woken_by_signals(self) -> Iterator[None]:
        """End the present select() at a signal, whichever thread it hits, and if it comes just before select() begins.

        Python runs a signal's handler when its main thread goes on, which is not soon if nothing else happens.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.set_wakeup_fd(self._wake_out.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)

    def _round(self) -> None:
        for source in self._sources:
            self._events.extend(source.take())
        self._take_posted()
        for _ in range(len(self._events)):
            if not self._events:
                return  # the machine was replaced
            self._give(self._events.popleft())
        deadline = self._machine.deadline()
        if deadline is not None and deadline <= self.now():
            self._give(self._tick)

    def _give(self, event: EventT) -> None:
        machine, handlers = self._machine, self._handlers
        for effect in machine.handle(event, self.now()):
            answer = handlers[type(effect)](effect)
            if self._machine is not machine:
                return
            if answer is not None:
                self._events.append(answer)

    def _take_posted(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                life, event = self._posted.get_nowait()
                if isinstance(event, Exception):
                    raise event
                if life == self._life:
                    self._events.append(event)

    def _wait(self) -> None:
        """Sleep until something can be done. select() takes a timeout of microseconds, which a paced bus needs."""
        wake = self._wake_in.fileno()
        descriptors = [wake, *(number for source in self._sources if (number := source.fileno()) is not None)]
        readable, _, _ = select.select(descriptors, (), (), self._timeout_s())
        if wake in readable:
            with contextlib.suppress(BlockingIOError):
                self._wake_in.recv(4_096)

    def _timeout_s(self) -> float | None:
        if self._events or not self._posted.empty():
            return 0.0
        wakes_ns = [wake_ns for source in self._sources if (wake_ns := source.wake_ns()) is not None]
        deadline = self._machine.deadline()
        if deadline is not None:
            wakes_ns.append(deadline * MILLISECOND_NS)
        if not wakes_ns:
            return None
        return max(0.0, (min(wakes_ns) - self._clock_ns()) / 1e9)

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError, OSError):  # full: it will wake anyway; closed: nobody waits
            self._wake_out.send(b"\0")

    def close(self) -> None:
        """Release the loop's own descriptors; nothing may be posted any more."""
        self._wake_in.close()
        self._wake_out.close()


class Worker:
    """One thread that does jobs in the order given, so that the loop need not wait for disks and servers."""

    def __init__(self, name: str) -> None:
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def do(self, job: Callable[[], EventT], post: Callable[[EventT | Exception], None]) -> None:
        """Run `job` after those given before it, and post the event it returns."""

        def run() -> None:
            try:
                post(job())
            except Exception as error:
                post(error)  # the loop ends, loudly

        self._jobs.put(run)

    def stop(self) -> bool:
        """Let the job under way end, if it does so in time; True if it did. Jobs not begun are dropped."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._jobs.get_nowait()
        self._jobs.put(None)
        self._thread.join(WORKERS_STOP_S)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()


@contextlib.contextmanager
def stopped_by_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` at SIGTERM and SIGINT, and put the handlers back at the end. For the main thread."""
    before = {number: signal.signal(number, lambda _number, _frame: stop()) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
