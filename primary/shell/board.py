"""A Linux process as the board of a Primary: the machine, its buses, servers, records and images.

Whatever waits for a disk is done by one worker in the order asked for; reading what the page cache holds is done at
once. Each server has a thread of its own. A restart is a new machine in the same process, after everything that was
asked of the disk is durable.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from primary import needs
from primary.buses import SendOn
from primary.means import Means
from primary.needs import Note, Perform
from primary.primary import CycleEnded, Done, Pace, Primary, Start, Stopped
from primary.shell.can import BusSource
from primary.shell.config import Config
from primary.shell.files import Blobs
from primary.shell.gate_file import read_gate
from primary.shell.installer import Kind
from primary.shell.installing import Installing, open_installer
from primary.shell.provision import floor, provision, secret
from primary.shell.self_test import SelfTestHook
from primary.shell.servers import Servers
from uptane.codec.oer import Oer
from uptane.crypto import Sha2, valid
from uptane.errors import StorageFailure
from uptane.link.isotp_values import IsoTpSettings, Tick
from uptane.link.uds_values import PRIMARY_ADDRESS
from uptane.shell.can_port import CanSettings, open_can_port
from uptane.shell.files import Store
from uptane.shell.loop import Loop, Source, Worker
from uptane.shell.token import own_signer
from uptane.verify.threshold import Verifier
from uptane.verify.trusted import Ecu

FD_DATA_LENGTH: Final = 64
REBOOT_S: Final = 0.2  # a restart takes time on any board
REST_MS: Final = 30_000  # a pause from which connecting anew costs less than gRPC's threads: 200 wakeups
DISK_S: Final = 5.0  # what a restart grants a disk to do what it was asked

log = logging.getLogger("marque.primary")

Show = Callable[[Note | CycleEnded], None]


class Board:
    """One Primary process; `show` gets everything people want to see, `sources` take part in the loop.

    Raises MarqueError when it cannot start; the text says why.
    """

    def __init__(self, config: Config, store: Store, pace: Pace, show: Show, *sources: Source[Any]) -> None:
        self._config, self._store, self._pace, self._show = config, store, pace, show
        self._blobs = Blobs(config.cache, config.slots)
        provision(config, store, self._blobs)
        self._means = means_of(config, store)
        self.servers = Servers(config)
        self._disk = Worker("disk")
        self._tests = Worker("self-test")
        installer = open_installer(config.installer, config.slots)
        self._installing = None if installer is None else Installing(installer, self._blobs)
        self._self_test = SelfTestHook(config.self_test, config.self_test_s, self._buses_down)
        self._buses = {
            name: BusSource(name, _opener(bus), self._parked, driving_percent=bus.budget_percent)
            for name, bus in config.buses.items()
        }
        self.outcome: Stopped | None = None
        handlers: dict[type[Any], Callable[[Any], Any]] = {
            Perform: self._perform,
            SendOn: lambda effect: self._buses[effect.bus].send(effect.frames),
            Note: show,
            CycleEnded: self._cycle_ended,
            Stopped: self._stopped,
        }
        self._loop: Loop[Any, Any] = Loop(self._machine(), handlers, [*self._buses.values(), *sources], tick=Tick())
        self._loop.put(Start())

    def run(self) -> int:
        """Run until `stop`, or until the machine ends; the loop's exit status."""
        return self._loop.run()

    def stop(self) -> None:
        """End soon; for signal handlers."""
        self._loop.stop()

    def close(self) -> None:
        """Release everything; work under way gets a moment to end."""
        self._self_test.stop()
        if self._installing is not None:
            self._installing.stop()
        self.servers.close()
        self._disk.stop()
        self._tests.stop()
        for bus in self._buses.values():
            bus.close()
        self._loop.close()

    def _buses_down(self) -> list[str]:
        return [name for name, bus in self._buses.items() if not bus.is_open]

    def _parked(self) -> bool:
        return read_gate(self._config.gate.file, self._config.gate.draw_w).parked

    def _machine(self) -> Primary:
        settings = {name: _isotp(bus) for name, bus in self._config.buses.items()}
        return Primary(self._means, self._pace, settings)

    def _cycle_ended(self, ended: CycleEnded) -> None:
        self._show(ended)
        if ended.pause_ms is not None and ended.pause_ms >= REST_MS:
            self.servers.rest(self._loop.poster())

    def _stopped(self, effect: Stopped) -> None:
        self.outcome = effect
        self._loop.stop()

    # -------------------------------------------------------------------------------------------------- effects

    def _perform(self, effect: Perform) -> Done | None:
        ticket, need = effect.ticket, effect.need
        post = self._loop.poster()

        def answer(found: object) -> None:
            post(found if isinstance(found, Exception) and not _is_answer(found) else Done(ticket, found))

        match need:
            case needs.Poll() | needs.Attest() | needs.FetchMetadata() | needs.FetchBlock():
                self.servers.ask(need, answer)
            case needs.ReadBlob(blob=blob, offset=offset, length=length):
                return Done(ticket, _answered(lambda: self._blobs.read(blob, offset, length)))
            case needs.LookAtVehicle():
                return Done(ticket, read_gate(self._config.gate.file, self._config.gate.draw_w))
            case needs.SelfTest():
                self._tests.do(self._self_test.passes, answer)
            case needs.RunningSlot() | needs.InstallSlot() | needs.CheckSlot() | needs.MarkSlot():
                assert self._installing is not None, "only asked where a bootloader keeps the slots"
                self._installing.do(need, lambda found: post(Done(ticket, found)))
            case needs.Restart() if self._installing is not None:
                self._installing.do(need, lambda found: post(Done(ticket, found)))
            case needs.Restart():
                self._restart()
            case _:
                job = self._storage(need)
                self._disk.do(lambda: _answered(job), answer)
        return None

    def _storage(self, need: needs.Need) -> Callable[[], object]:
        store, blobs = self._store, self._blobs
        match need:
            case needs.Save(name=name, octets=octets):
                return lambda: store.write(name, octets)
            case needs.Forget(name=name):
                return lambda: store.delete(name)
            case needs.Load(name=name):
                return lambda: store.read(name)
            case needs.Names(prefix=prefix):
                return lambda: tuple(store.names(prefix))
            case needs.Damaged():
                return self._damaged
            case needs.Measure(blob=blob):
                return lambda: blobs.measure(blob)
            case needs.WriteBlob(blob=blob, offset=offset, octets=octets, last=last):
                return lambda: blobs.write(blob, offset, octets, last=last)
            case needs.EraseBlob(blob=blob):
                return lambda: blobs.erase(blob)
            case needs.ListCache():
                return blobs.cached
            case needs.FreeSpace():
                return blobs.free
            case _:
                raise AssertionError(f"a need nobody carries out: {need}")

    def _damaged(self) -> tuple[str, ...]:
        found = tuple(self._store.damaged)
        self._store.damaged.clear()
        return found

    def _restart(self) -> None:
        """Forget everything that is not durable, and boot the slot that the record names."""
        log.info("restarting")
        done = threading.Event()
        self._disk.do(done.set, lambda _: None)
        done.wait(DISK_S)
        time.sleep(REBOOT_S)
        self._loop.replace(self._machine(), Start())


def means_of(config: Config, store: Store) -> Means:
    """What this ECU is and works with. Raises MarqueError when its key or its provisioning cannot be read."""
    layout = config.layout
    dice = random.SystemRandom()
    return Means(
        layout=layout,
        own=Ecu(layout.vehicle, layout.ecu, layout.hardware, layout.filename, layout.slot_size),
        verifier=Verifier(Oer(), valid, Sha2()),
        signer=own_signer(config.key, config.token),
        secret=secret(store),
        floor=floor(config),
        factory=config.factory,
        jitter=lambda most: dice.randint(0, most),
        bootloader=config.installer.kind is not Kind.DIRECTORY,
    )


def _isotp(bus: CanSettings) -> IsoTpSettings:
    return IsoTpSettings(FD_DATA_LENGTH, fd=True, brs=True) if bus.fd else IsoTpSettings()


def _opener(settings: CanSettings) -> Callable[[], Any]:
    return lambda: open_can_port(settings, PRIMARY_ADDRESS)


def _answered(job: Callable[[], object]) -> object:
    """What the job returns, or the failure of storage that is its answer."""
    try:
        return job()
    except StorageFailure as failure:
        return failure


def _is_answer(found: Exception) -> bool:
    """Whether an exception is the answer to a need; anything else that is raised is a bug, and ends the loop."""
    return isinstance(found, StorageFailure | needs.Unreachable)
