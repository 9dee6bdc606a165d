"""A node: any machine on virtual time, with power that can fail before every effect.

A node has a name, a machine as long as it has power, and a clock of its own, which is not quite right. Every boot is a
life: what was on its way to an earlier one is not delivered.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Final

from sim.clock import NS_PER_MS
from sim.power import PowerLost, Stage
from sim.verbs import Verb
from uptane.moments import Instant
from uptane.verify import record

_PPM: Final = 1_000_000
CLOCK_PPM_MAX: Final = 20_000  # two percent: an RC oscillator of a cheap controller


class Node(ABC):
    """One ECU. `ppm` is how much faster (or slower) than true time its own clock runs: parts in a million."""

    def __init__(self, name: str, stage: Stage, *, ppm: int = 0) -> None:
        assert -CLOCK_PPM_MAX <= ppm <= CLOCK_PPM_MAX
        self.name = name
        self.stage = stage
        self.clock = stage.clock
        self.machine: Any = None
        self.powered = False
        self.life = 0
        self._rate = _PPM + ppm
        self._wake_ns: int | None = None

    # ------------------------------------------------------------------------------------------------------ power

    def power_up(self) -> None:
        """Boot with what is durable."""
        if self.powered:
            return
        self.powered = True
        self.life += 1
        self.say(Verb.POWER_UP)
        self._begin()

    def cut(self, during: object = None) -> None:
        """The power fails, in the middle of the effect `during` or between two: all but what is durable is lost."""
        if not self.powered:
            return
        self.say(Verb.CUT, "" if during is None else f"in {brief(during)}")
        self.powered = False
        self._end_life()
        self.lose_power(during)

    def restart(self, again_ns: int) -> None:
        """The machine asked for a restart: it boots again in `again_ns`, from what is durable."""
        self._end_life()
        self.reset_links()
        self.later(again_ns, self._begin)

    def _begin(self) -> None:
        self.stage.watch.booted(self)
        self.boot()

    def _end_life(self) -> None:
        self.machine = None
        self.life += 1
        self._wake_ns = None

    @abstractmethod
    def boot(self) -> None:
        """Make a machine from what is durable, and give it its first event."""

    @abstractmethod
    def lose_power(self, during: object) -> None:
        """What a cut does to storage and links."""

    @abstractmethod
    def reset_links(self) -> None:
        """Nothing that was queued for a bus leaves any more."""

    @abstractmethod
    def carry_out(self, effect: object) -> None:
        """Carry out one effect of the machine."""

    # ----------------------------------------------------------------------------------------------------- events

    @property
    def now(self) -> Instant:
        """What this node's clock shows."""
        return Instant(self.clock.now_ns * self._rate // (_PPM * NS_PER_MS))

    def give(self, event: object) -> None:
        """Let the machine handle an event, and carry out what it answers, as far as the power lasts."""
        if self.machine is None:
            return
        self._do(self.machine.handle(event, self.now))

    def _do(self, effects: Sequence[object]) -> None:
        life = self.life
        for effect in effects:
            try:
                self.stage.watch.before(self, effect)
            except PowerLost as lost:
                self.cut(effect if lost.during else None)
                return
            self.carry_out(effect)
            self.stage.watch.after(self, effect)
            if self.life != life:
                return
        self.set_alarm()

    def later(self, delay_ns: int, act: Callable[[], None]) -> None:
        """Have `act` happen in `delay_ns`, if this life lasts that long."""
        life = self.life

        def in_this_life() -> None:
            if self.life == life:
                act()

        self.clock.after(delay_ns, in_this_life)

    def set_alarm(self) -> None:
        """Have the machine woken at its deadline."""
        deadline = None if self.machine is None else self.machine.deadline()
        if deadline is None:
            self._wake_ns = None
            return
        when = max(-(-deadline * _PPM * NS_PER_MS // self._rate), self.clock.now_ns)
        if self._wake_ns is not None and self._wake_ns <= when:
            return  # an alarm goes off before that, and looks again
        self._wake_ns = when
        self.clock.at(when, lambda: self._woken(when))

    def _woken(self, when: int) -> None:
        if self._wake_ns != when or self.machine is None:
            return
        self._wake_ns = None
        deadline = self.machine.deadline()
        if deadline is not None and deadline <= self.now:
            self.tick()
        self.set_alarm()

    @abstractmethod
    def tick(self) -> None:
        """Tell the machine that its deadline has come."""

    def say(self, verb: Verb, detail: str = "") -> None:
        """Add a line to the trace."""
        self.stage.trace.say(self.clock.now_ns, self.name, verb.value, detail)


def brief(effect: object) -> str:
    """The kind of an effect, as it stands in the trace."""
    return type(effect).__name__


def state_in(octets: bytes) -> str:
    """The state of an ECU, and the bundle it is in, from the record of its installation."""
    installation = record.load(octets)
    bundle = "" if installation.bundle is None else f" {installation.bundle.hex()[:8]}"
    return f"{installation.state.value}{bundle}"
