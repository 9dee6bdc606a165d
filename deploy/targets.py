"""Which boards there are packages for, which wheels fit them, and what Debian has to lend where there is no wheel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

PYTHON: Final = (3, 11)
"""Debian 12's. The packages carry compiled modules, so they are for one Python, and depend on it."""

GLIBCS: Final = (17, 24, 26, 27, 28, 31, 34, 35, 36)
"""glibc 2.x that wheels are built against; Debian 12 has 2.36."""


DEBIANS: Final = Path("/usr/lib/python3/dist-packages")
"""Debian's own folder of Python modules."""

SUGGESTED: Final = {"python3-pykcs11": "PyKCS11"}
"""Debian packages that some boards want, and what of them the environment sees: tokens (PKCS#11, TPM)."""


@dataclass(frozen=True, slots=True)
class Target:
    """A Debian architecture, and how the package index calls it.

    `lent` names what has no wheel for it and is taken from a Debian package instead: the module's file name in
    Debian's own folder of Python modules. `left_out` names what has none and is not needed on such a board, and why.
    """

    architecture: str
    machine: str
    triplet: str
    lent: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)

    def platforms(self) -> list[str]:
        """The platform tags of wheels that run here, the most demanding last."""
        tags = [f"manylinux_2_{minor}_{self.machine}" for minor in GLIBCS]
        return [f"linux_{self.machine}", f"manylinux2014_{self.machine}", *tags]


TARGETS: Final = {
    target.architecture: target
    for target in (
        Target("amd64", "x86_64", "x86_64-linux-gnu"),
        Target("arm64", "aarch64", "aarch64-linux-gnu"),
        Target(
            "armhf",
            "armv7l",
            "arm-linux-gnueabihf",
            lent={"cffi": ("python3-cffi-backend", "_cffi_backend.cpython-311-arm-linux-gnueabihf.so")},
            left_out={"msgpack": "only CAN between the processes of one host needs it (udp_multicast), not SocketCAN"},
        ),
    )
}
