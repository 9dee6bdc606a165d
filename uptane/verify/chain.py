"""What every verification begins with (check_root/2; section 5.4.2.2): the Root chain, then the time.

One Root link at a time, durable before the next; what a link takes away is dropped after it is durable, and a start
after a power cut in between judges alike (stored.py).
"""

from __future__ import annotations

from dataclasses import replace

from uptane.errors import Check, Rejected
from uptane.machine import Workflow
from uptane.model.ids import MetaName, Repository, Role
from uptane.model.limits import ROOT_LENGTH_MAX, ROOTS_PER_CYCLE_MAX
from uptane.model.metadata import DirectorTargets, ImageTargets
from uptane.verify import attested
from uptane.verify.needs import Drop, Fetch, Keep, Need, Stands
from uptane.verify.root import check_root
from uptane.verify.stored import under_root
from uptane.verify.threshold import Verifier
from uptane.verify.trusted import ROOT_FILE, TIME_FILE, Held, root_file


def walk_roots(verifier: Verifier, held: Held, repository: Repository, *, keep_links: bool) -> Workflow[Need, Held]:
    """Walk from the trusted Root to the newest, at most 64 links; the rest waits for the next cycle.

    `keep_links`: keep each link under its number as well, to hand it on to Secondaries.
    Raises: as `root_link`; the links before stand.
    """
    for _ in range(ROOTS_PER_CYCLE_MAX):
        version = _root_version(held, repository) + 1
        octets: bytes | None = yield Fetch(repository, MetaName(Role.ROOT.value, version), ROOT_LENGTH_MAX)
        if octets is None:
            break
        held = yield from root_link(verifier, held, repository, octets=octets, keep_link=keep_links)
    return held


def root_link(
    verifier: Verifier, held: Held, repository: Repository, *, octets: bytes, keep_link: bool = False
) -> Workflow[Need, Held]:
    """Take one link of a Root chain: Keep it, then Drop the files that no longer hold under it.

    A Director Root that removes a time key sets the clock back to its floor.

    Raises:
        Rejected, Malformed: as `check_root`; nothing is changed.
    """
    held, dropped = _with_root(verifier, before := held, repository, octets)
    if keep_link:
        yield Keep(repository, root_file(_root_version(held, repository)), octets)
    yield Keep(repository, ROOT_FILE, octets)
    if held.clock != before.clock:
        yield Keep(Repository.DIRECTOR, TIME_FILE, attested.dump(held.clock))
    for file in dropped:
        yield Drop(repository, file)
    yield Stands(held, held.clock != before.clock)
    return held


def set_time(verifier: Verifier, held: Held, *, attestation: bytes, nonce: bytes) -> Workflow[Need, Held]:
    """Set the clock by an attestation for this ECU's `nonce`, and Keep it. All or nothing.

    Raises:
        Rejected, Malformed: as `attested.check_attestation`; the clock stands.
    """
    root = held.director.root
    clock = attested.check_attestation(verifier, attestation, root, clock=held.clock, nonce=nonce)
    yield Keep(Repository.DIRECTOR, TIME_FILE, attested.dump(clock))
    return replace(held, clock=clock)


def _with_root(verifier: Verifier, held: Held, repository: Repository, octets: bytes) -> tuple[Held, tuple[str, ...]]:
    if repository is Repository.DIRECTOR:
        root = check_root(verifier, octets, held.director.root)
        standing = under_root(verifier, held.director, root, DirectorTargets)
        clock = attested.under(held.clock, root)
        return replace(held, director=standing.trusted, clock=clock), standing.dropped
    if held.image is None:
        raise Rejected(Check.ROOT_MISSING, "this ECU holds no Root of the Image repository")
    root = check_root(verifier, octets, held.image.root)
    image = under_root(verifier, held.image, root, ImageTargets)
    return replace(held, image=image.trusted), image.dropped


def _root_version(held: Held, repository: Repository) -> int:
    if repository is Repository.DIRECTOR:
        return held.director.root.value.header.version
    assert held.image is not None, "only full verification walks the Image repository's Roots"
    return held.image.root.value.header.version
