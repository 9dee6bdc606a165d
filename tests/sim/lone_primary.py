"""A Primary whose buses are dead: the shipping Core on perfect storage, calling the simulator's servers at once."""

from __future__ import annotations

from typing import Any

from primary import needs
from primary.cycle import Finished
from primary.primary import Core, CycleEnded, Done, Pace, Start, Stopped
from sim.founding import Founded, factory_octets
from uptane.errors import MarqueError
from uptane.link.isotp_values import Tick
from uptane.link.uds_client import Ask, Listen
from uptane.model.ids import VehicleId
from uptane.model.reports import InstalledImage
from uptane.moments import Instant
from uptane.verify import record
from uptane.verify.installation import factory


class LonePrimary:
    """See the module. `run` lets it poll until it has nothing more to do at once."""

    def __init__(self, servers: Founded, vehicle: VehicleId) -> None:
        self.servers, self.vehicle = servers, vehicle
        self.records = servers.primary_records(vehicle)
        self.blobs: dict[needs.Blob, bytes] = {}
        self.blobs[needs.Blob(needs.Place.SLOT_0)] = factory_octets(servers.vehicles[vehicle].plan.primary)
        self.notes: list[str] = []

    @property
    def runs(self) -> InstalledImage:
        octets = self.records.get("installed/own")
        known = self.servers.means(self.vehicle, lambda most: most).factory
        return (factory(known) if octets is None else record.load(octets)).image

    def run(self) -> Finished:
        """As `marque-primary once`: start anew, and go on until nothing is left to do."""
        while True:
            outcome = self._boot()
            if outcome is not None:
                assert isinstance(outcome, Finished), f"{outcome}: {self.notes[-5:]}"
                return outcome

    def _boot(self) -> Finished | MarqueError | None:
        core = Core(self.servers.means(self.vehicle, lambda most: most // 2), Pace(60, once=True))
        effects: list[Any] = list(core.handle(Start(), self._now))
        while True:
            while effects:
                effect = effects.pop(0)
                match effect:
                    case needs.Perform(need=needs.Restart()):
                        return None
                    case needs.Perform(ticket=ticket, need=need):
                        effects += core.handle(Done(ticket, self._answer(need)), self._now)
                    case needs.Note(step=step, text=text):
                        self.notes.append(f"{step.value}: {text}")
                    case Stopped(outcome=outcome):
                        return outcome
                    case CycleEnded():
                        pass
                    case _:
                        raise AssertionError(effect)
            deadline = core.deadline()
            assert deadline is not None, "it waits for nothing"
            self._sleep_until(deadline)
            effects += core.handle(Tick(), self._now)

    @property
    def _now(self) -> Instant:
        return self.servers.clock.instant

    def _sleep_until(self, instant: Instant) -> None:
        clock = self.servers.clock
        clock.at(max(instant * 1_000_000, clock.now_ns), lambda: None)
        clock.step()

    def _answer(self, need: Any) -> Any:
        servers = self.servers
        try:
            match need:
                case Ask() | Listen():
                    return None
                case needs.Poll():
                    return servers.director.poll(self.vehicle, need)
                case needs.Attest(nonces=nonces):
                    return servers.time.attest(nonces)
                case needs.FetchMetadata(name=name, length_max=length_max):
                    return servers.image.metadata(name, length_max)
                case needs.FetchBlock(sha256=digest, offset=offset):
                    return servers.image.block(digest, offset)
                case _:
                    return self._local(need)
        except MarqueError as failure:
            return failure

    def _local(self, need: Any) -> Any:
        match need:
            case needs.Save(name=name, octets=octets):
                self.records[name] = octets
            case needs.Forget(name=name):
                self.records.pop(name, None)
            case needs.Load(name=name):
                return self.records.get(name)
            case needs.Names(prefix=prefix):
                return sorted(name for name in self.records if name.startswith(prefix))
            case needs.Damaged():
                return ()
            case needs.LookAtVehicle():
                return needs.VehicleState(parked=True, energy_s=None, consent=None)
            case needs.SelfTest():
                return True
            case needs.FreeSpace():
                return 1 << 30
            case _:
                return self._blob(need)
        return None

    def _blob(self, need: Any) -> Any:
        match need:
            case needs.ListCache():
                return tuple(blob.name for blob in self.blobs if blob.place is needs.Place.CACHE)
            case needs.Measure(blob=blob):
                return len(self.blobs.get(blob, b""))
            case needs.ReadBlob(blob=blob, offset=offset, length=length):
                return self.blobs.get(blob, b"")[offset : offset + length]
            case needs.WriteBlob(blob=blob, offset=offset, octets=octets):
                held = self.blobs.get(blob, b"")
                assert offset == len(held), "written out of order"
                self.blobs[blob] = held + octets
            case needs.EraseBlob(blob=blob):
                self.blobs.pop(blob, None)
            case _:
                raise AssertionError(need)
        return None
