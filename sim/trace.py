"""What happened, one line each: the same seed writes the same lines, on any machine.

A line is the number of the event, virtual seconds, the node, one verb, and the rest for people:

    000123 12.345678901 v1.brake store installation 312 octets

The first line of a file names the format and the seed; the last one the digest over all lines between and their number.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final, TextIO

from sim.clock import NS_PER_S

FORMAT: Final = 1


class Trace:
    """Writes lines to `out`, where there is one; always counts them and runs their digest."""

    def __init__(self, seed: int, out: TextIO | None = None) -> None:
        self._out = out
        self._digest = sha256()
        self.events = 0
        self.latest = ""
        if out is not None:
            out.write(f"marque-sim trace {FORMAT} seed {seed}\n")

    def say(self, now_ns: int, node: str, verb: str, detail: str = "") -> None:
        """Add a line; `node` and `verb` have no spaces."""
        seconds, rest = divmod(now_ns, NS_PER_S)
        self.events += 1
        line = f"{self.events:06} {seconds}.{rest:09} {node} {verb} {detail}".rstrip() + "\n"
        self.latest = line
        self._digest.update(line.encode())
        if self._out is not None:
            self._out.write(line)

    @property
    def digest(self) -> str:
        """SHA-256 over all lines so far, in hex."""
        return self._digest.hexdigest()

    def end(self) -> None:
        """Write the last line."""
        if self._out is not None:
            self._out.write(f"end digest {self.digest} events {self.events}\n")
