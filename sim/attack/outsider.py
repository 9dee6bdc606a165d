"""An attacker outside: between the servers and the vehicle. And what every attacker has: keys, and what he has seen.

Nothing else is handed out than what a strategy declares: keys by the forger, places by `needs`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from primary.needs import Attest, FetchBlock, FetchMetadata, Poll, Polled, Reason, Unreachable, Versions
from sim.attack.forge import Director, Forger, Loot, read, version_of
from sim.attack.keys import Reach, Stolen
from sim.attack.scene import ECUS, VEHICLE, Lost, Scene
from sim.network import Need
from uptane.crypto import Ed25519Signer
from uptane.errors import MarqueError
from uptane.model.ids import EcuId, Filename
from uptane.model.metadata import Image, Root

BLOCK: Final = 65_536


class NotHis(Exception):
    """A strategy wants what it has not declared: a mistake of its author's."""


@dataclass
class Outsider:
    """One attacker in one scene, and what he can do from outside. `reach` is where this run lets him stand.

    `log` tells what he did and what came of it, for people; `mine` are the ECUs he took over. `copies` are SHA-256 of
    images he put together; `samples` say which ECUs took old metadata for fresh, at which moment of a freeze, as the
    judge's `believes` told. `manifests` counts those he made; `holding`: he lets something not pass just now.
    """

    scene: Scene
    forger: Forger
    reach: frozenset[Reach]
    mine: tuple[EcuId, ...] = ()
    log: list[str] = field(default_factory=list)
    samples: dict[str, dict[EcuId, bool]] = field(default_factory=dict)
    copies: dict[EcuId, bytes] = field(default_factory=dict)
    manifests: int = 0
    holding: bool = False
    believes: Callable[[EcuId], bool] = lambda _ecu: False

    def __post_init__(self) -> None:
        self._tampers: list[tuple[type[Any], Callable[[Any, Any], Any]]] = []
        self._asks: list[tuple[type[Any], Callable[[Any], Any]]] = []

    def needs(self, *reach: Reach) -> None:
        """Use what goes with one of these places."""
        if not self.reach & set(reach):
            raise NotHis(f"{reach}, has {self.reach}")

    def say(self, text: str) -> None:
        """Note something for people."""
        self.log.append(text)

    # ------------------------------------------------------------------------------------------------ what he sees

    @property
    def newest(self) -> Director:
        """The Director's newest set for the vehicle, with the newest Root."""
        return replace(self.scene.seen.sets[-1], root=self.scene.servers.director.fleet.root.octets)

    @property
    def repository(self) -> dict[str, bytes]:
        """The Image repository's newest files by role: they are public."""
        return dict(self.scene.servers.image.records.newest())

    def image(self, filename: Filename) -> Image:
        """A genuine image as the Image repository describes it."""
        return self.scene.seen.image(filename)

    def ecu_key(self, ecu: EcuId) -> Ed25519Signer:
        """The key of an ECU: taken over with it, or stolen."""
        if ecu not in self.mine and Stolen.ECU not in self.forger.loot:
            raise NotHis(f"the key of {ecu}")
        return self.scene.servers.vehicles[VEHICLE].signer(ecu)

    def has_key_of(self, ecu: EcuId) -> bool:
        """Whether he has the key of an ECU."""
        return ecu in self.mine or Stolen.ECU in self.forger.loot

    # ----------------------------------------------------------------------------------------------------- outside

    def outside(self, need: type[Any], change: Callable[[Any, Any], Any]) -> None:
        """Have every answer to a need of this kind changed: `change(need, answer)`; an error instead is a lost call."""
        self.needs(Reach.OUT)
        self._tampers.append((need, change))
        self.scene.network.tamper = self._tamper

    def on_the_way(self, need: type[Any], change: Callable[[Any], Any]) -> None:
        """Have every request of this kind changed before the server hears it."""
        self.needs(Reach.OUT)
        self._asks.append((need, change))
        self.scene.before_call = self._before

    def _tamper(self, _server: str, need: Need, answer: object) -> object:
        for kind, change in self._tampers:
            if isinstance(need, kind) and not isinstance(answer, MarqueError):
                answer = change(need, answer)
        return answer

    def _before(self, need: Need) -> Need | Lost:
        asked: Need | Lost = need
        for kind, change in self._asks:
            if isinstance(asked, kind):
                asked = change(asked)
        return asked

    def drop(self, *needs: type[Any]) -> None:
        """Let none of these pass."""
        for need in needs:
            self.on_the_way(need, Lost)

    def drop_all(self) -> None:
        """Let nothing pass."""
        self.drop(Poll, Attest, FetchMetadata, FetchBlock)

    def poll_newest(self) -> Director:
        """The Director's newest set: whoever reads along has it as soon as the vehicle could."""
        self.scene.servers.director.poll(VEHICLE, Poll(b"", b"", Versions(0, 0, 0, 0)))
        return self.newest

    def speak_as_director(self, forged: Director, *, roots: Mapping[str, bytes] | None = None) -> None:
        """From now on polls are answered with these files, as far as the vehicle lacks them."""

        def change(need: Poll, answer: Polled) -> Polled:
            return replace(answer, files=lacking(need.held, forged, self.root_links() | dict(roots or {})))

        self.outside(Poll, change)

    def root_links(self) -> dict[str, bytes]:
        """Every genuine Director Root, by name."""
        return {f"{number}.root": octets for number, octets in enumerate(self.scene.servers.director.records.roots, 1)}

    def speak_as_images(self, files: Mapping[str, bytes], blobs: Mapping[bytes, bytes] | None = None) -> None:
        """From now on the Image repository has these files by role (and what it had), and these images."""
        named = named_files(files)

        def metadata(need: FetchMetadata, answer: bytes | None) -> bytes | None:
            return named.get(need.name, answer)

        def block(need: FetchBlock, answer: bytes | None) -> bytes | None:
            octets = (blobs or {}).get(need.sha256)
            return answer if octets is None else octets[need.offset : need.offset + BLOCK]

        self.outside(FetchMetadata, metadata)
        self.outside(FetchBlock, block)

    def speak_as_time(self, tell: Callable[[], int]) -> None:
        """From now on the time is what `tell` says, as far as he can sign it."""

        def change(need: Attest, _answer: object) -> object:
            root = self.newest.root
            return tuple(self.forger.attestation(root, tell(), nonce) for nonce in need.nonces)

        self.outside(Attest, change)

    def leave(self) -> None:
        """The attacker goes. What he has taken over he still has."""
        self.scene.network.tamper = None
        self.scene.before_call = None
        self._tampers.clear()
        self._asks.clear()


def lost(need: Need) -> Unreachable:
    """What comes of a call whose answer never comes."""
    return Unreachable(type(need).__name__, Reason.DOWN, "no answer in time")


def named_files(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Files by role as they are asked for: `7.targets`, `timestamp`."""
    return {role if role == "timestamp" else f"{version_of(octets)}.{role}": octets for role, octets in files.items()}


def lacking(held: Versions, forged: Director, roots: Mapping[str, bytes]) -> dict[str, bytes]:
    """What the Director would send of these files to a vehicle that holds these versions."""
    newest = read(forged.root, Root).header.version
    links = dict(roots) | {f"{newest}.root": forged.root}
    files = {name: links[name] for number in range(held.root + 1, newest + 1) if (name := f"{number}.root") in links}
    return files | {name: octets for name, octets in forged.files().items() if not name.endswith(".root")}


def loot_of(scene: Scene, stolen: frozenset[Stolen]) -> Loot:
    """The real keys, from the rings of those they are stolen from: as many as the role's threshold."""
    servers = scene.servers
    director = servers.director.ring.all() | {"root": servers.director.offline.all()["root"]}
    image = servers.image.online.all() | servers.image.offline.all()
    held: dict[Stolen, tuple[Ed25519Signer, ...]] = {
        Stolen.DIRECTOR_ROOT: director["root"][:2],
        Stolen.DIRECTOR_TARGETS: director["targets"],
        Stolen.DIRECTOR_SNAPSHOT: director["snapshot"],
        Stolen.DIRECTOR_TIMESTAMP: director["timestamp"],
        Stolen.TIME: (servers.time.signer,),
        Stolen.IMAGE_ROOT: image["root"][:2],
        Stolen.IMAGE_TARGETS: image["targets"],
        Stolen.SUPPLIER: image["supplier"],
        Stolen.IMAGE_SNAPSHOT: image["snapshot"],
        Stolen.IMAGE_TIMESTAMP: image["timestamp"],
        Stolen.ECU: tuple(servers.vehicles[VEHICLE].signer(ecu) for ecu in ECUS),
    }
    return {each: held[each] for each in sorted(stolen, key=lambda one: one.value)}
