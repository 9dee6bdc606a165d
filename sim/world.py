"""One simulated world: three servers, a network, vehicles; faults, operators and checkers around them.

Everything happens on one clock, in one thread, in one order: the same plan gives the same trace.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, assert_never

from primary.needs import Attest, FetchBlock, FetchMetadata, Poll
from sim.checkers import Checkers
from sim.clock import NS_PER_MS, NS_PER_S, Clock
from sim.dice import stream
from sim.director_server import Terms as DirectorTerms
from sim.firmware_node import Maker
from sim.founding import Founded, found
from sim.fuses import Fuses
from sim.garage import Garage
from sim.image_server import TERMS as IMAGE_TERMS
from sim.injector import Injector
from sim.network import Need, Network
from sim.operators import Operators
from sim.plan import Fault, Plan, short
from sim.power import Powered, Stage
from sim.primary_node import PrimaryNode
from sim.secondary_node import SecondaryNode
from sim.server import Say
from sim.trace import Trace
from sim.truth import SimEcu
from sim.vehicle import SimVehicle
from sim.verbs import Verb
from uptane.model.ids import VehicleId

POLL_S: Final = 6  # a vehicle asks more often than a fleet's would, so that a run is about updates and not about pauses


class World:
    """See the module. `without`: the numbers of faults and acts that are left out; the others are as in Garage."""

    def __init__(
        self,
        plan: Plan,
        trace: Trace,
        *,
        without: frozenset[int] = frozenset(),
        maker: Maker | None = None,
        falls_back: float | None = None,
    ) -> None:
        self.plan = plan
        self.trace = trace
        self.clock = Clock()
        self.events = 0
        self.fuses = Fuses()
        self.network = Network(self.clock, stream(plan.seed, "network"), say=self.say)
        terms = (DirectorTerms(poll_s=POLL_S), IMAGE_TERMS)
        self.servers: Founded = found(self.clock, plan.vehicles, say=self._say_of, terms=terms)
        self.checkers = Checkers(self.servers.director.records.vehicles.get)
        self.checkers.founded(self.servers.director, self.servers.image)
        stage = Stage(self.clock, trace, self)
        garage = Garage(self.servers, stage, self, plan.seed, maker, falls_back)
        self.vehicles: dict[str, SimVehicle] = {short(each): garage.build(each) for each in plan.vehicles}
        self.operators = Operators(self.servers, self.vehicles, garage, plan.image_length)
        self.injector = Injector(self, stream(plan.seed, "faults"))
        planned = [each for each in (*plan.acts, *plan.faults) if each.number not in without]
        self._planned = deque(sorted(planned, key=lambda each: (each.at_ms, each.number)))
        self._slept_ns = 0
        self._await_planned()
        for vehicle in self.vehicles.values():
            for node in vehicle.nodes():
                self.clock.at(0, node.power_up)

    def say(self, node: str, verb: Verb, detail: str) -> None:
        """Add a line to the trace."""
        self.trace.say(self.clock.now_ns, node, verb.value, detail)

    def _say_of(self, server: str) -> Say:
        return lambda verb, detail: self.say(server, verb, detail)

    # ----------------------------------------------------------------------------------------------------- running

    @property
    def calm_ns(self) -> int:
        """When faults stop: as planned, and as much later as vehicles slept."""
        return self.plan.calm_ms * NS_PER_MS + self._slept_ns

    def _await_planned(self) -> None:
        if self._planned:
            self.clock.at(self._planned[0].at_ms * NS_PER_MS + self._slept_ns, self._do_planned)

    def _do_planned(self) -> None:
        planned = self._planned.popleft()
        if isinstance(planned.kind, Fault):
            self.injector.begin(planned)
        else:
            self._slept_ns += self.operators.do(planned)
        self._await_planned()

    def play(self, until_ns: int, *, lines_max: int | None = None) -> bool:
        """Let everything happen up to `until_ns`; False when the trace has so many lines before."""
        clock, trace = self.clock, self.trace
        clock.at(until_ns, _nothing)
        while (due := clock.next_ns()) is not None and due <= until_ns:
            if lines_max is not None and trace.events >= lines_max:
                return False
            clock.step()
            self.events += 1
        return True

    def calm(self) -> None:
        """Nothing fails any more; people mend what people mend."""
        self.say("faults", Verb.CALM, "")
        self.injector.calm()
        for vehicle in self.vehicles.values():
            if vehicle.primary.bootloader is not None:
                vehicle.primary.bootloader.calm()
        self.operators.calm()

    # ------------------------------------------------------------------------------------------------- what is told

    def before(self, node: Powered, effect: object) -> None:
        """An effect is about to be carried out.

        Raises:
            PowerLost: it is not.
            Violated: it must not be.
        """
        ecu = _ecu(node)
        self.fuses.before(ecu, effect)
        self.checkers.before(ecu)

    def after(self, node: Powered, effect: object) -> None:
        """An effect was carried out. Raises Violated."""
        self.checkers.after(_ecu(node), effect)

    def booted(self, node: Powered) -> None:
        """A machine is about to begin. Raises Violated."""
        self.checkers.booted(_ecu(node))

    def tested(self, node: Powered, *, passed: bool) -> None:
        """What runs was tested."""
        self.checkers.tested(_ecu(node), passed=passed)

    # -------------------------------------------------------------------------------------------- calls to servers

    def ask(self, caller: PrimaryNode, need: Need, answered: Callable[[object], None]) -> None:
        """Carry a need to its server."""
        server, run = self._served(caller.means.layout.vehicle, need)
        self.network.call(caller.name, server, run, answered, need=need)

    def cut(self, caller: PrimaryNode) -> None:
        """The caller has lost its power."""
        self.network.cut(caller.name)

    def _served(self, vehicle: VehicleId, need: Need) -> tuple[str, Callable[[], object]]:
        servers = self.servers
        match need:
            case Poll():
                return "director", lambda: servers.director.poll(vehicle, need)
            case Attest(nonces=nonces):
                return "time", lambda: self._attest(nonces)
            case FetchMetadata(name=name, length_max=length_max):
                return "image", lambda: servers.image.metadata(name, length_max)
            case FetchBlock(sha256=sha256, offset=offset):
                return "image", lambda: servers.image.block(sha256, offset)
            case _:
                assert_never(need)

    def _attest(self, nonces: tuple[bytes, ...]) -> tuple[bytes, ...]:
        answers = self.servers.time.attest(nonces)
        self.checkers.attested(answers)
        return answers

    # ---------------------------------------------------------------------------------------------------- looking

    def unsettled(self) -> list[str]:
        """What keeps the fleet from being where it should be: nothing, once it has converged."""
        if self.operators.busy:
            return ["people have not done yet what they set out to do"]
        return self.checkers.unsettled(self.operators.wanted)

    def updates(self) -> int:
        """Transactions that vehicles have ended."""
        return sum(each.primary.updates for each in self.vehicles.values())

    @property
    def virtual_s(self) -> int:
        """Seconds since the beginning."""
        return self.clock.now_ns // NS_PER_S


def _ecu(node: Powered) -> SimEcu:
    assert isinstance(node, PrimaryNode | SecondaryNode)
    return node


def _nothing() -> None:
    """Let time pass."""
