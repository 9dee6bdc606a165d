"""The rules of what an ECU trusts: metadata that were issued, versions and a time that go forward (R7, R8, R12)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, TypeAlias

from sim.issued import METADATA, Issued, Read, read
from sim.primary_node import PrimaryNode
from sim.rules import Rule
from sim.signatures import HASHER
from sim.truth import DIRECTOR, IMAGE, TIME, Clock, EcuTruth, clock_of, counter_of, nonce_name, time_keys
from uptane.model.ids import TOP_TARGETS, Repository, Role
from uptane.model.metadata import DirectorTargets, ImageTargets, Root, Snapshot, Timestamp
from uptane.model.reports import NONCE_LENGTH
from uptane.verify.root import role_authority
from uptane.verify.trusted import PREVIOUS_FILE, ROOT_FILE, SNAPSHOT_FILE, TARGETS_FILE, TIMESTAMP_FILE

Finding: TypeAlias = tuple[Rule, str]

_ROLE: Final = "role/"
_KINDS: Final = {
    ROOT_FILE: (Root,),
    TIMESTAMP_FILE: (Timestamp,),
    SNAPSHOT_FILE: (Snapshot,),
    TARGETS_FILE: (DirectorTargets, ImageTargets),
    PREVIOUS_FILE: (DirectorTargets,),
}
_SIGNED_BY: Final = {
    TIMESTAMP_FILE: Role.TIMESTAMP,
    SNAPSHOT_FILE: Role.SNAPSHOT,
    TARGETS_FILE: Role.TARGETS,
    PREVIOUS_FILE: Role.TARGETS,
}


def kept(truth: EcuTruth, name: str, issued: Issued) -> Iterator[Finding]:
    """What is wrong with a metadata file that has just become durable, or has gone."""
    repository, file_name = _parts(name)
    held = truth.records[name]
    if held.octets is None:
        if name in truth.floors and not file_name.startswith(_ROLE) and file_name != PREVIOUS_FILE:
            yield Rule.FORWARD, f"dropped {name}, which still holds"
        truth.floors.pop(name, None)
        return
    file = read(held.octets)
    if file is None or not isinstance(file.value, _KINDS.get(file_name, (ImageTargets,))):
        yield Rule.GENUINE, f"keeps something else as {name}"
        return
    assert isinstance(file.value, METADATA)
    if not issued.is_genuine(file, repository, truth.vehicle):
        yield Rule.GENUINE, f"keeps {name} {file.value.header.version}, which was never issued to it"
    if not file_name.startswith(_ROLE):
        yield from _forward(truth, name, file)
    before = truth.floors.get(name)
    truth.floors[name] = file
    if file_name == ROOT_FILE:
        if repository is Repository.DIRECTOR and isinstance(file.value, Root):
            _time_under(truth, before, file.value)
        stand_under(truth, repository)


def stand_under(truth: EcuTruth, repository: Repository) -> None:
    """A rotation frees the versions of files that no longer have enough signatures under the durable Root."""
    root = truth.root(repository)
    if root is None:
        return
    gone = set()
    for file_name, role in _SIGNED_BY.items():
        floor = truth.floors.get(f"{repository.value}/{file_name}")
        if floor is not None and not floor.under(role_authority(root, role)):
            gone.add(file_name)
    if gone & {TIMESTAMP_FILE, SNAPSHOT_FILE}:
        gone |= {TIMESTAMP_FILE, SNAPSHOT_FILE}  # the Timestamp holds the Snapshot's version, too
    for file_name in gone:
        truth.floors.pop(f"{repository.value}/{file_name}", None)


def _parts(name: str) -> tuple[Repository, str]:
    if name.startswith(DIRECTOR):
        return Repository.DIRECTOR, name.removeprefix(DIRECTOR)
    return Repository.IMAGE, name.removeprefix(IMAGE)


def _forward(truth: EcuTruth, name: str, file: Read) -> Iterator[Finding]:
    """R8 for versions: from the floor on, each content once; Roots one by one; a Snapshot loses nothing."""
    floor = truth.floors.get(name)
    if floor is None or file.message == floor.message:
        return
    assert isinstance(floor.value, METADATA)
    assert isinstance(file.value, METADATA)
    before, now = floor.value.header.version, file.value.header.version
    if now <= before:
        yield (
            Rule.FORWARD,
            f"keeps {name} {now} in place of {before}" + (" with other content" if now == before else ""),
        )
    elif isinstance(file.value, Root) and now != before + 1:
        yield Rule.FORWARD, f"keeps {name} {now} after {before}: links were left out"
    if isinstance(file.value, Snapshot) and isinstance(floor.value, Snapshot):
        freed = None if f"{_parts(name)[0].value}/{TARGETS_FILE}" in truth.floors else TOP_TARGETS
        for listed in floor.value.files:
            found = file.value.files.find(listed.name)
            if found is None:
                yield Rule.FORWARD, f"keeps a {name} that no longer lists {listed.name}"
            elif found.info.version < listed.info.version and listed.name != freed:
                was = f"{found.info.version}, {listed.info.version} was listed"
                yield Rule.FORWARD, f"keeps a {name} that lists {listed.name} {was}"


# ------------------------------------------------------------------------------------------------------- the time


def _time_under(truth: EcuTruth, before: Read | None, root: Root) -> None:
    """A Director Root sets the time back to its floor, or raises it there: what is stored then is not attested."""
    reset = not truth.clock.keys <= time_keys(root)
    floor = max(truth.clock.time, truth.floor)
    if before is not None and isinstance(before.value, Root):
        floor = max(floor, before.value.header.issued)
    truth.attested = truth.attested and not reset
    truth.unattested = reset or floor < root.header.issued


def clocked(truth: EcuTruth) -> Iterator[Finding]:
    """What is wrong with the clock that has just become durable."""
    held = truth.records[TIME]
    before = truth.clock
    if held.octets is None:
        truth.clock = before._replace(time=0, keys=frozenset())
        return
    truth.clock = now = clock_of(truth, held.octets)
    freed = not before.keys <= time_keys(truth.root(Repository.DIRECTOR))
    if now.time < before.time and not freed:
        yield Rule.FORWARD, f"its time went back from {before.time} to {now.time}"


def attested(truth: EcuTruth, answers: Mapping[bytes, set[int]] | None) -> Iterator[Finding]:
    """A time was stored, the same as before or another: it was attested, unless it comes of a Root.

    `answers` is what the time service ever said, by nonce; None while nobody tells.
    """
    if truth.unattested:
        truth.unattested = False
        return
    truth.attested = True
    if answers is not None and truth.clock.time not in answers.get(nonce_of(truth), ()):
        yield Rule.GENUINE, f"takes {truth.clock.time} for the time, which nobody attested for its nonce"
    if not truth.asked:
        yield Rule.SAID_ONCE, "has taken two times for the answer to one nonce"
    truth.asked = False


def nonce_of(truth: EcuTruth) -> bytes:
    """The nonce that this ECU shows now: a function of its secret and of how many it has drawn."""
    given = truth.node.means if isinstance(truth.node, PrimaryNode) else truth.node.facts
    octets = truth.nonces.to_bytes(8 if truth.primary else 4)
    return HASHER.sha256(b"marque time nonce\0" + given.secret + octets)[:NONCE_LENGTH]


def boot_clock(truth: EcuTruth) -> None:
    """A boot begins with the durable time; one that a Root has set back before it was stored is at its floor."""
    root = truth.root(Repository.DIRECTOR)
    clock = truth.clock._replace(at=truth.now)
    if root is not None and not clock.keys <= time_keys(root):
        clock = Clock(max(truth.floor, root.header.issued), time_keys(root), truth.now)
    truth.clock = clock


def counted(truth: EcuTruth) -> Iterator[Finding]:
    """What is wrong with the number of nonces that has just become durable."""
    now = counter_of(truth, truth.records[nonce_name(truth)].octets)
    if now <= truth.nonces:
        yield Rule.SAID_ONCE, f"draws nonce {now} once more; {truth.nonces} was drawn before"
    truth.nonces = max(truth.nonces, now)
    truth.asked = True
