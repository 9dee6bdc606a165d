"""A Linux process as the board of a Secondary: the machine, its slots, its store, its bus; a restart is a new machine.

Whatever waits for a disk is done by one worker in the order asked for, so that the loop can say "pending" meanwhile;
blocks are written at once and synced behind. The self-test has a worker of its own.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from secondary import needs
from secondary.ecu import Secondary
from secondary.needs import Answered, Event, PowerUp, Tick
from secondary.shell.can import CanSource
from secondary.shell.config import Config, Verification
from secondary.shell.provision import floor, found, provision, secret
from secondary.shell.self_test import SelfTestHook
from secondary.shell.slots import Slots
from secondary.state import Facts
from uptane.codec.oer import Oer
from uptane.crypto import Sha2, valid
from uptane.errors import StorageFailure
from uptane.link.isotp_values import SendFrames
from uptane.link.uds_tasks import Interlock, Traffic
from uptane.shell.can_port import open_can_port
from uptane.shell.files import Store
from uptane.shell.loop import Loop, Source, Worker, monotonic
from uptane.shell.token import own_signer
from uptane.verify.threshold import Verifier
from uptane.verify.trusted import Ecu

SYNC_OCTETS: Final = 128 * 1024  # written before the slot is synced behind: a power cut costs as much, at most
BOOT_S: Final = 0.05  # a boot takes time on any board
BOOT_S_MAX: Final = 1.0  # when boot follows upon boot, since the disk is full or the image does not come up
DISK_S: Final = 0.5  # what a restart grants a disk that does not answer; whatever it still does is durable or is not
INTERLOCK_LENGTH_MAX: Final = 64

log = logging.getLogger("marque.secondary")


class Board:
    """One Secondary process; `ready` is called when it listens for the first time; `sources` take part in the loop.

    Raises MarqueError when it cannot start; the text says why.
    """

    def __init__(
        self, config: Config, store: Store, slots: Slots, ready: Callable[[], None], *sources: Source[Event]
    ) -> None:
        self._ready = ready
        self._config, self._store, self._slots = config, store, slots
        provision(config, store, slots)
        self._facts = facts_of(config, store)
        self._can = CanSource(lambda: open_can_port(config.can, config.address))
        self._disk = Worker("disk")
        self._tests = Worker("self-test")
        self._self_test = SelfTestHook(config.self_test, config.self_test_s, slots)
        self._unsynced = 0
        self._booted_at = time.monotonic()
        self._hasty_boots = 0
        try:
            machine = self._machine()
        except BaseException:
            self._can.close()
            raise
        self._loop: Loop[Event, needs.Effect] = Loop(machine, self._handlers(), [self._can, *sources], tick=Tick())
        self._loop.put(PowerUp())

    def run(self) -> int:
        """Run until `stop`; the exit status of the process."""
        return self._loop.run()

    def stop(self) -> None:
        """End soon; for signal handlers."""
        self._loop.stop()

    def close(self) -> None:
        """Release everything; work under way gets a moment to end."""
        self._self_test.stop()
        if self._disk.stop():
            self._slots.close()
        self._tests.stop()
        self._can.close()
        self._loop.close()

    def _machine(self) -> Secondary:
        durable = found(self._config, self._store, self._slots)
        return Secondary(self._facts, durable, self._interlock, monotonic())

    def _interlock(self) -> Interlock:
        return Interlock.UNSAFE if self._config.interlock is None else read_interlock(self._config.interlock)

    # -------------------------------------------------------------------------------------------------- effects

    def _handlers(self) -> dict[type[Any], Callable[[Any], Event | None]]:
        store, slots = self._store, self._slots
        return {
            SendFrames: self._can.send,
            needs.WriteSlot: self._write,
            needs.Store: lambda need: self._on_disk(lambda: store.write(need.name, need.octets)),
            needs.Delete: lambda need: self._on_disk(lambda: store.delete(need.name)),
            needs.EraseSlot: lambda need: self._on_disk(lambda: slots.erase(need.slot, need.tag)),
            needs.SyncSlot: lambda need: self._on_disk(lambda: slots.sync(need.slot)),
            needs.HashSlot: lambda need: self._on_disk(lambda: slots.content(need.slot, need.length)),
            needs.Breathe: lambda _need: Answered(),
            needs.SelfTest: self._test,
            needs.Running: self._running,
            needs.PowerCycle: lambda _effect: self._power_cycle(),
            needs.Note: lambda note: log.info("%s", note.text),
            Traffic: lambda traffic: log.info("normal messages %s, faults %s", traffic.messages, traffic.faults),
        }

    def _running(self, running: needs.Running) -> None:
        log.info("slot %d runs: %s", running.slot, running.filename)
        ready, self._ready = self._ready, lambda: None
        ready()

    def _on_disk(self, job: Callable[[], Any]) -> None:
        def work() -> Answered:
            try:
                return Answered(job())
            except StorageFailure as failure:
                return Answered(failure)

        self._disk.do(work, self._loop.poster())

    def _write(self, need: needs.WriteSlot) -> Answered:
        try:
            self._slots.write(need.slot, need.offset, need.octets)
        except StorageFailure as failure:
            return Answered(failure)
        self._unsynced += len(need.octets)
        if self._unsynced >= SYNC_OCTETS:
            self._unsynced = 0
            self._disk.do(lambda: self._sync_behind(need.slot), _raised(self._loop.poster()))
        return Answered()

    def _sync_behind(self, slot: int) -> None:
        try:
            self._slots.sync(slot)
        except StorageFailure as failure:
            log.warning("%s", failure)  # the sync at the end of the transfer will say so again

    def _test(self, test: needs.SelfTest) -> None:
        self._tests.do(lambda: needs.SelfTested(self._self_test.judge(test)), self._loop.poster())

    def _power_cycle(self) -> None:
        """Forget everything that is not durable, and boot; after the disk has done what it was asked for."""
        done = threading.Event()
        self._disk.do(done.set, _raised(self._loop.poster()))
        done.wait(DISK_S)
        self._self_test.abort()
        hasty = time.monotonic() - self._booted_at < 2 * BOOT_S_MAX
        self._hasty_boots = self._hasty_boots + 1 if hasty else 0
        time.sleep(min(BOOT_S * 2**self._hasty_boots, BOOT_S_MAX))
        self._booted_at = time.monotonic()
        self._unsynced = 0
        self._loop.replace(self._machine(), PowerUp())


def facts_of(config: Config, store: Store) -> Facts:
    """What this ECU is. Raises MarqueError when its key or its time of provisioning cannot be read."""
    own = Ecu(config.vehicle, config.ecu, config.hardware, config.filename, config.slot_size)
    return Facts(
        own=own,
        address=config.address,
        full=config.verification is Verification.FULL,
        fd=config.can.fd,
        verifier=Verifier(Oer(), valid, Sha2()),
        signer=own_signer(config.key, config.token),
        secret=secret(store),
        floor=floor(config),
        factory=config.factory,
        slow_floor=config.slow_floor,
    )


def read_interlock(path: Path) -> Interlock:
    """What the file's first word says: `safe` or `moving`; anything else, or no file, is not safe."""
    try:
        with path.open("rb") as file:
            words = file.read(INTERLOCK_LENGTH_MAX).split()
    except OSError:
        return Interlock.UNSAFE
    return _INTERLOCKS.get(words[0] if words else b"", Interlock.UNSAFE)


_INTERLOCKS: Final = {b"safe": Interlock.SAFE, b"moving": Interlock.MOVING}


def _raised(post: Callable[[Event | Exception], None]) -> Callable[[object], None]:
    """For jobs nobody waits for: only what they raise is posted."""
    return lambda result: post(result) if isinstance(result, Exception) else None
