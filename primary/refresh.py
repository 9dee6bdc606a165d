"""Poll, time, metadata (Uptane 2.1.0, section 5.4.2, steps 1 to 3): full verification in the Standard's order.

Runs uptane.verify's workflows and carries out what they ask for: Director files come with the answer to the poll, Image
repository files over the net, and only when the Director's Targets ask for something new. A server that cannot be
reached is never taken for one that has nothing: the cycle ends, and the next begins clean.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, Final, TypeVar

from primary.collect import collect, leap_manifest, leap_report, on_all_buses
from primary.layout import Secondary
from primary.means import Means
from primary.needs import (
    AnyNeed,
    Attest,
    FetchMetadata,
    Forget,
    Load,
    Note,
    Now,
    Poll,
    Polled,
    Save,
    Step,
    Versions,
)
from primary.state import ADMITTED, NONCES, Memory, metadata_name, numbers_out
from uptane.errors import BY_CODE, Check, LinkFailure, Malformed, Rejected
from uptane.link.uds_client import read_nonce
from uptane.machine import Workflow
from uptane.model.ids import EcuId, Repository, Role
from uptane.model.limits import ATTESTATION_LENGTH_MAX
from uptane.model.metadata import Timestamp
from uptane.model.reports import NONCE_LENGTH, EcuState, InstalledImage, TimeAttestation
from uptane.model.signed import Verified
from uptane.moments import SECOND_MS, UtcTime
from uptane.verify.chain import set_time, walk_roots
from uptane.verify.full import full
from uptane.verify.needs import Drop, Fetch, Keep, Stands
from uptane.verify.needs import Need as VerifyNeed
from uptane.verify.recheck import recheck
from uptane.verify.trusted import Vehicle

ResultT = TypeVar("ResultT")

SLOW_AFTER_MS: Final = 30 * SECOND_MS  # for one metadata file: the largest, 9 MB, takes 18 s at 4 Mbit/s
FRESH_S: Final = 60  # for an attestation that is to be handed on: collecting nonces of 100 ECUs takes a few seconds
_NONCE_LABEL: Final = b"marque time nonce\0"
SETTLED: Final = frozenset({EcuState.IDLE, EcuState.PREPARED, EcuState.COMMITTED, EcuState.RELEASED})


# ----------------------------------------------------------------------------------------------------------- poll


def poll(means: Means, memory: Memory, manifest: bytes) -> Workflow[AnyNeed, Polled]:
    """Tell the Director what is new and ask it the same: one call, two if it lost our last manifest.

    Raises:
        Unreachable: no answer.
        StorageFailure: what it admitted cannot be kept.
    """
    digest = means.hasher.sha256(manifest)
    polled = yield from _poll_once(memory, b"" if digest == memory.admitted else manifest)
    if polled.manifest_wanted and digest == memory.admitted:
        polled = yield from _poll_once(memory, manifest)
    if polled.refused:
        for refusal in polled.refused:
            name = BY_CODE[refusal.check].name if refusal.check in BY_CODE else f"{refusal.check:04X}"
            yield Note(Step.TROUBLE, f"the Director refused the manifest: {name} {refusal.detail}")
        if (yield from _leapt(means, memory, polled)):
            return (yield from _poll_once(memory, (yield from collect(means, memory))))
    return polled


def _poll_once(memory: Memory, manifest: bytes) -> Workflow[AnyNeed, Polled]:
    began = yield Now()
    polled: Polled = yield Poll(memory.admitted, manifest, _versions(memory))
    if polled.files and (yield Now()) - began > SLOW_AFTER_MS:
        memory.slow = True
    if polled.admitted_digest and polled.admitted_digest != memory.admitted:
        yield Save(ADMITTED, polled.admitted_digest)
        memory.admitted = polled.admitted_digest
    return polled


def _versions(memory: Memory) -> Versions:
    trusted = memory.held.director
    return Versions(
        root=trusted.root.value.header.version,
        timestamp=0 if trusted.timestamp is None else trusted.timestamp.value.header.version,
        snapshot=0 if trusted.snapshot is None else trusted.snapshot.value.header.version,
        targets=0 if trusted.targets is None else trusted.targets.value.header.version,
    )


def _leapt(means: Means, memory: Memory, polled: Polled) -> Workflow[AnyNeed, bool]:
    """When the Director knows counters that we do not, our records were lost once: go on above them."""
    codes = {refusal.check for refusal in polled.refused}
    own = any(
        refusal.check == Check.REPORT_COUNTER.code and means.layout.ecu in refusal.detail for refusal in polled.refused
    )
    if own:
        yield from leap_report(means, memory)
    if Check.MANIFEST_COUNTER.code in codes:
        yield from leap_manifest(means, memory)
    return own or Check.MANIFEST_COUNTER.code in codes


# ----------------------------------------------------------------------------------------------------------- time


def own_nonce(means: Means, memory: Memory) -> bytes:
    """What the time service is to answer to: a PRF of a secret and how many there were; reading it changes nothing."""
    return means.hasher.sha256(_NONCE_LABEL + means.secret + memory.nonces.to_bytes(8))[:NONCE_LENGTH]


def next_nonce(memory: Memory) -> Workflow[AnyNeed, None]:
    """Count on: after power-up and after an attestation was accepted."""
    if memory.nonces_lost:
        yield Save(NONCES, numbers_out({"drawn": memory.nonces}))
        memory.nonces_lost = False
    yield Save(NONCES, numbers_out({"drawn": memory.nonces + 1}))
    memory.nonces += 1


def fetch_time(means: Means, memory: Memory, ecus: frozenset[EcuId]) -> Workflow[AnyNeed, dict[EcuId, bytes]]:
    """Have the time attested for these ECUs in one call, ourselves included if named.

    Returns an attestation per ECU that told its nonce.

    Raises:
        Unreachable: no answer of the time service.
    """
    nonces: dict[EcuId, bytes] = {}

    def ask(each: Secondary) -> Workflow[AnyNeed, None]:
        if each.ecu in ecus and each.ecu in memory.statuses:
            nonces[each.ecu] = yield from read_nonce(each.ecu)

    yield from on_all_buses(means, ask)
    if means.layout.ecu in ecus:
        nonces[means.layout.ecu] = own_nonce(means, memory)
    return (yield from attest(nonces)) if nonces else {}


def attest(nonces: Mapping[EcuId, bytes]) -> Workflow[AnyNeed, dict[EcuId, bytes]]:
    """Have the time attested for these nonces, at least one. Raises Unreachable as `fetch_time`."""
    answers: tuple[bytes, ...] = yield Attest(tuple(nonces.values()))
    if len(answers) != len(nonces):
        raise LinkFailure(f"the time service gave {len(answers)} attestations for {len(nonces)} nonces")
    return dict(zip(nonces, answers, strict=True))


def is_good_for(means: Means, attestation: bytes, nonce: bytes, utc: UtcTime) -> bool:
    """Whether an attestation seems to answer `nonce`, and was made a moment ago. For choosing, not for believing.

    An ECU cannot tell how old an answer is: whoever delayed us in between would set its clock back by as much.
    """
    try:
        said = means.codec.parse(means.codec.open(attestation, ATTESTATION_LENGTH_MAX).payload)
    except Malformed:
        return False
    return isinstance(said, TimeAttestation) and said.nonce == nonce and utc - said.time <= FRESH_S


def take_time(means: Means, memory: Memory, attestation: bytes) -> Workflow[AnyNeed, None]:
    """Set our own clock. All or nothing.

    Raises:
        Rejected, Malformed: the clock stands.
    """
    nonce = own_nonce(means, memory)
    verifying = set_time(means.verifier, memory.held, attestation=attestation, nonce=nonce)
    held = yield from carry(memory, verifying, {})
    memory.set_clock(held, (yield Now()))
    yield from next_nonce(memory)


# ------------------------------------------------------------------------------------------------------- metadata


def refresh(
    means: Means, memory: Memory, files: Mapping[str, bytes], *, due: Collection[EcuId] = ()
) -> Workflow[AnyNeed, None]:
    """Verify in full what the Director gave (`files`) and what it makes us ask the Image repository for.

    `due` are ECUs that are to be matched with the Image repository whatever they say they run.

    Raises:
        Rejected, Malformed: a check refused; Root links and the time stand, nothing else has moved.
        Unreachable: the Image repository did not answer.
        StorageFailure: something could not be kept.
    """
    roots = walk_roots(means.verifier, memory.held, Repository.DIRECTOR, keep_links=True)
    memory.set_clock((yield from carry(memory, roots, files)), (yield Now()))
    yield from refresh_time(means, memory)
    clock = memory.held.clock
    now = replace(clock, time=memory.utc((yield Now())))
    vehicle = vehicle_of(means, memory)
    vehicle = replace(vehicle, installed={ecu: runs for ecu, runs in vehicle.installed.items() if ecu not in due})
    found = yield from carry(memory, full(means.verifier, replace(memory.held, clock=now), vehicle), files)
    memory.held = replace(found.held, clock=clock)
    memory.full = found
    yield Note(Step.VERIFY, f"Director Targets {found.targets.value.header.version} verified")


def refresh_time(means: Means, memory: Memory) -> Workflow[AnyNeed, None]:
    """Have the time attested for every ECU. Without a time service there is no new time, and verification goes on."""
    ecus = frozenset(means.layout.inventory())
    try:
        memory.attestations = yield from fetch_time(means, memory, ecus)
    except LinkFailure as failure:
        yield Note(Step.TROUBLE, f"no attested time: {failure}")
        return
    attestation = memory.attestations.pop(means.layout.ecu, None)
    if attestation is not None:
        yield from take_time(means, memory, attestation)


def is_stale(means: Means, memory: Memory, utc: UtcTime) -> bool:
    """Whether what is held has expired, as far as we can tell: then "nothing new" is no answer, but a freeze."""
    clock = replace(memory.held.clock, time=utc)
    try:
        recheck(means.verifier, replace(memory.held, clock=clock), means.layout.ecu)
    except Rejected:
        return True
    return False


def vehicle_of(means: Means, memory: Memory) -> Vehicle:
    """What verification is to know of the vehicle: who is there, what runs confirmed, which counters were released."""
    installed: dict[EcuId, InstalledImage] = {}
    released: dict[EcuId, int] = {}
    for ecu, known in memory.reports.items():
        released[ecu] = known.report.released_counter
        if known.report.state in SETTLED:
            installed[ecu] = known.report.image
    own, installation = means.layout.ecu, memory.installation
    released[own] = installation.released_counter
    home = installation.images[installation.home]
    if home is not None:
        installed[own] = home
    return Vehicle(means.own, means.layout.inventory(), installed, released)


def carry(
    memory: Memory, verifying: Workflow[VerifyNeed, ResultT], files: Mapping[str, bytes]
) -> Workflow[AnyNeed, ResultT]:
    """Run a workflow of uptane.verify, carrying out what it asks for."""
    answer: Any = None
    while True:
        try:
            need = verifying.send(answer)
        except StopIteration as end:
            result: ResultT = end.value
            return result
        match need:
            case Fetch():
                answer = yield from _fetch(memory, need, files)
            case Keep(repository=repository, file=file, octets=octets):
                answer = yield Save(metadata_name(repository, file), octets)
            case Drop(repository=repository, file=file):
                answer = yield Forget(metadata_name(repository, file))
            case Stands(held=held, clock_reset=reset):
                memory.set_clock(held if reset else replace(held, clock=memory.held.clock), (yield Now()))
                answer = None


def _fetch(memory: Memory, need: Fetch, files: Mapping[str, bytes]) -> Workflow[AnyNeed, bytes | None]:
    if need.repository is Repository.DIRECTOR:
        found = files.get(str(need.name))
        # The Director gives no Timestamp that we hold already.
        return _held_timestamp(memory) if found is None and need.name.role == Role.TIMESTAMP.value else found
    began = yield Now()
    octets: bytes | None = yield FetchMetadata(str(need.name), need.length_max)
    if (yield Now()) - began > SLOW_AFTER_MS:
        memory.slow = True
    return octets


def _held_timestamp(memory: Memory) -> bytes | None:
    timestamp: Verified[Timestamp] | None = memory.held.director.timestamp
    return None if timestamp is None else timestamp.octets


def root_links(memory: Memory, repository: Repository, after: int) -> Workflow[AnyNeed, list[tuple[int, bytes]]]:
    """The Root links after version `after` that we hold, ascending, for an ECU that lacks them."""
    trusted = memory.held.director if repository is Repository.DIRECTOR else memory.held.image
    links: list[tuple[int, bytes]] = []
    if trusted is None:
        return links
    for version in range(after + 1, trusted.root.value.header.version + 1):
        octets: bytes | None = yield Load(metadata_name(repository, f"{version}.root"))
        if octets is None:
            raise LinkFailure(f"Root {version} of the {repository.value} repository is not at hand to be handed on")
        links.append((version, octets))
    return links
