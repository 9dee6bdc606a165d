"""Deliberate defects of the shipping cores, one each: the simulator or the attack matrix has to find every one.

A mutation is an exact text of one core, found there once, and what stands in its place. `kills` is what finds it: the
arguments of `python -m sim`, or of scenarios.py, which fail with the defect and pass without it (mutant_runner.py,
which also searches for the cheapest). Defects that a second check makes harmless are no entries: nothing can be told
from them. Rows without a killer yet wait in their files, and count for nothing.
"""

from __future__ import annotations

from typing import Final

from tests.sim.mutations_servers import SERVERS
from tests.sim.mutations_vehicle import INSTALLATION, PRIMARY, SECONDARY
from tests.sim.mutations_verify import VERIFY

ALL: Final = (*VERIFY, *INSTALLATION, *SECONDARY, *PRIMARY, *SERVERS)
MUTATIONS: Final = tuple(mutation for mutation in ALL if mutation.kills)
