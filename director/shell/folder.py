"""A Director's folder: where what lies, its settings, and its keys.

director.toml            settings, read when the server starts
keys/offline/*.pem       Root keys, encrypted; may be carried away on a stick
keys/online/*.pem        Targets, Snapshot and Timestamp keys, encrypted; the server reads them
tls/                     the fleet's authority, the server's certificate; keys encrypted
operators/<name>/        what an operator needs: authority, certificate, key, address
image/                   the Image repository's first Root, and its authority
public/                  the first Root and the fleet's authority
state/director.db        everything the server knows
run/address              where a running server listens
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from uptane.crypto import LocalSigner
from uptane.errors import StorageFailure
from uptane.model.signed import Authority, PublicKey, Scheme
from uptane.shell import keys
from uptane.shell.files import sync
from uptane.shell.settings import Section, read

DAY_S = 86_400
POLL_S = 300  # seconds: a parked vehicle hears of an update within minutes, 100,000 of them make 333 calls a second
LIFETIMES_S = range(60, 31 * DAY_S + 1)
POLLS_S = range(1, 7 * DAY_S + 1)


@dataclass(frozen=True, slots=True)
class Settings:
    """What director.toml says.

    `host` and `port` are where the server listens (port 0: any), `address` where vehicles reach it; empty for what it
    listens on. `names` are further DNS names or addresses in its certificate. `lifetime_s` is how long Targets,
    Snapshot and Timestamp are valid, `poll_s` how often an idle vehicle polls; both in seconds.
    """

    host: str = "127.0.0.1"
    port: int = 7440
    address: str = ""
    names: tuple[str, ...] = ()
    image_address: str = "127.0.0.1:7443"
    time_address: str = "127.0.0.1:7442"
    lifetime_s: int = DAY_S
    poll_s: int = POLL_S


class Folder:
    """The paths below a Director's folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.settings_file = path / "director.toml"
        self.offline = path / "keys" / "offline"
        self.online = path / "keys" / "online"
        self.tls = path / "tls"
        self.operators = path / "operators"
        self.image = path / "image"
        self.public = path / "public"
        self.state = path / "state"
        self.database = path / "state" / "director.db"
        self.run = path / "run"

    def settings(self) -> Settings:
        """The settings.

        Raises:
            StorageFailure: this is no Director's folder.
            SettingsError: a line of them cannot be used; it says which.
        """
        if not self.settings_file.exists():
            raise StorageFailure(f"{self.path} is no Director's folder: make one with `marque-director init`")
        top = read(self.settings_file)
        serve, terms = top.section("serve"), top.section("terms")
        images, clock = top.section("image_repository"), top.section("time")
        settings = Settings(
            host=serve.text("host", "127.0.0.1"),
            port=serve.integer("port", range(65_536), 7440),
            address=_optional(serve, "address"),
            names=serve.texts("names", ()),
            image_address=images.text("address"),
            time_address=clock.text("address"),
            lifetime_s=terms.integer("lifetime_s", LIFETIMES_S, DAY_S),
            poll_s=terms.integer("poll_s", POLLS_S, POLL_S),
        )
        for section in (serve, terms, images, clock, top):
            section.done()
        return settings


def settings_text(settings: Settings) -> str:
    """director.toml, with comments for people."""
    address = f'address = "{settings.address}"' if settings.address else '# address = "director.example:7440"'
    return f"""# A Director. The server reads this when it starts.

[serve]
host = {json.dumps(settings.host)}   # where it listens
port = {settings.port}
{address}   # where vehicles reach it, if that is elsewhere
names = {json.dumps(list(settings.names))}   # further DNS names and addresses in the server's certificate

[image_repository]
address = {json.dumps(settings.image_address)}

[time]
address = {json.dumps(settings.time_address)}

[terms]   # seconds
lifetime_s = {settings.lifetime_s}   # of Targets, Snapshot and Timestamp; issued anew when a quarter is left
poll_s = {settings.poll_s}   # how often a vehicle with nothing to do polls
"""


def _optional(section: Section, key: str) -> str:
    return section.text(key) if section.has(key) else ""


# --------------------------------------------------------------------------------------------------------- keys


class KeyRing:
    """The private keys of one folder. Files are named <role>-<key id>.pem; what they are called decides nothing."""

    def __init__(self, folder: Path, passphrase: bytes | None) -> None:
        self._folder = folder
        self._passphrase = passphrase
        self._loaded: dict[Path, LocalSigner] = {}

    def create(self, role: str, scheme: Scheme = Scheme.ED25519) -> LocalSigner:
        """A new key, kept in the folder under the passphrase.

        Raises:
            StorageFailure: it cannot be kept.
        """
        make_private(self._folder)
        fresh = self._folder / f"new-{os.getpid()}.pem"
        fresh.unlink(missing_ok=True)  # of a process that was killed at this very place
        signer = keys.create(fresh, self._passphrase, scheme)
        named = self._folder / f"{role}-{signer.key_id.hex()}.pem"
        fresh.rename(named)
        sync(self._folder)
        self._loaded[named] = signer
        return signer

    def signers(self, authority: Authority) -> Sequence[LocalSigner]:
        """Those keys in the folder that the authority names, each once; a file added since the last call is read.

        Raises:
            StorageFailure: a key file cannot be used.
        """
        for path in sorted(self._folder.glob("*.pem")):
            if path not in self._loaded and not path.name.startswith("new-"):
                self._loaded[path] = keys.load(path, self._passphrase)
        named: set[PublicKey] = set(authority.keys.values())
        return list({signer.public: signer for signer in self._loaded.values() if signer.public in named}.values())


def make_private(folder: Path) -> None:
    """Make a folder that only its owner can look into.

    Raises:
        StorageFailure: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
    except OSError as error:
        raise StorageFailure(f"{folder} cannot be made: {error.strerror}") from error
