"""Buses for tests: a multicast group and port of its own for each, since nothing tells whether one is in use."""

import random
import select
import time
from collections.abc import Callable

from uptane.shell.can_port import CanPort, CanSettings

_DICE = random.SystemRandom()
WAIT_S = 20.0  # a busy machine; nothing here waits for time to pass


def settings_of_own_group(*, fd: bool = False, paced: bool = False) -> CanSettings:
    group = f"239.{_DICE.randint(1, 254)}.{_DICE.randint(0, 255)}.{_DICE.randint(1, 254)}"
    return CanSettings("udp_multicast", group, fd=fd, paced=paced, options={"port": _DICE.randint(20_000, 30_000)})


def wait_until(done: Callable[[], bool], *ports: CanPort) -> None:
    """Call `done` again whenever one of the ports has something, until it is true."""
    end = time.monotonic() + WAIT_S
    while not done():
        assert time.monotonic() < end, "nothing came"
        select.select([number for port in ports if (number := port.fileno()) is not None], [], [], 0.01)
