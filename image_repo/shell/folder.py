"""A repository's folder: where what lies, its settings, and its keys.

repository.toml          settings, read by every command
keys/offline/*.pem       Root and Targets keys, encrypted; may be carried away on a stick
keys/online/*.pem        Snapshot and Timestamp keys, encrypted; the server reads them
tls/                     the authority, the server's certificate, revoked certificates
operator/                what an operator needs to publish: authority, certificate, key, addresses, Root
public/                  what vehicles and the Director need: Root, authority, address
state/                   the server's records and images
run/                     where a running server listens
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from image_repo.publish import Terms
from uptane.crypto import LocalSigner
from uptane.errors import StorageFailure
from uptane.model.ids import Role
from uptane.model.signed import Authority, PublicKey, Scheme
from uptane.shell import keys
from uptane.shell.files import sync

SETTINGS_LENGTH_MAX = 65_536
OFFLINE = (Role.ROOT, Role.TARGETS)
ONLINE = (Role.TIMESTAMP, Role.SNAPSHOT)


@dataclass(frozen=True, slots=True)
class Settings:
    """What repository.toml says. `names` are further DNS names or addresses of the server; ports are 0 to 65535."""

    address: str = "127.0.0.1:7443"
    host: str = "127.0.0.1"
    port: int = 7443
    operator_port: int = 7444
    names: tuple[str, ...] = ()
    terms: Terms = field(default_factory=Terms)


class Folder:
    """The paths below a repository's folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.settings_file = path / "repository.toml"
        self.offline = path / "keys" / "offline"
        self.online = path / "keys" / "online"
        self.delegated = path / "keys" / "delegated"
        self.pending = path / "pending"
        self.tls = path / "tls"
        self.operator = path / "operator"
        self.public = path / "public"
        self.state = path / "state"
        self.run = path / "run"

    def settings(self) -> Settings:
        """The settings.

        Raises:
            StorageFailure: there are none, or a line of them cannot be used; it says which.
        """
        try:
            with self.settings_file.open("rb") as file:
                text = file.read(SETTINGS_LENGTH_MAX).decode()
            return _settings(tomllib.loads(text))
        except FileNotFoundError:
            raise StorageFailure(f"{self.path} is no repository: make one with `marque-repo init`") from None
        except OSError as error:
            raise StorageFailure(f"{self.settings_file}: {error.strerror}") from error
        except ValueError as error:
            raise StorageFailure(f"{self.settings_file}: {error}") from error

    def revoked(self) -> frozenset[str]:
        """Serial numbers of operators' certificates that are refused."""
        try:
            return frozenset((self.tls / "revoked").read_text().split())
        except FileNotFoundError:
            return frozenset()


def settings_text(settings: Settings) -> str:
    """repository.toml, with comments for people."""
    terms = "\n".join(f"{term.name} = {getattr(settings.terms, term.name)}" for term in fields(Terms))
    names = ", ".join(f'"{name}"' for name in settings.names)
    return f"""# Image repository. The server reads this when it starts; the commands read it each time.

[serve]
address = "{settings.address}"   # where vehicles reach it
host = "{settings.host}"   # where it listens
port = {settings.port}   # public: metadata and images, read only
operator_port = {settings.operator_port}   # publishing, with a client certificate
names = [{names}]   # further DNS names and addresses in the server's certificate

[terms]   # seconds for which what is signed is valid; the server renews Snapshot and Timestamp at half of it
{terms}
"""


def _settings(table: Mapping[str, Any]) -> Settings:
    serve, terms = _section(table, "serve"), _section(table, "terms")
    unknown = table.keys() - {"serve", "terms"}
    if unknown:
        raise ValueError(f"unknown section {min(unknown)!r}")
    standard = Settings()
    _known(serve, ("address", "host", "port", "operator_port", "names"), "serve")
    _known(terms, [term.name for term in fields(Terms)], "terms")
    names = serve.get("names", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError("serve.names is a list of texts")
    return Settings(
        address=_text(serve, "address", standard.address),
        host=_text(serve, "host", standard.host),
        port=_number(serve, "port", standard.port, range(65_536)),
        operator_port=_number(serve, "operator_port", standard.operator_port, range(65_536)),
        names=tuple(names),
        terms=Terms(
            **{
                term.name: _number(terms, term.name, getattr(standard.terms, term.name), range(1, 2**32))
                for term in fields(Terms)
            }
        ),
    )


def _section(table: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = table.get(name, {})
    if not isinstance(section, dict):
        raise ValueError(f"[{name}] is a section")  # noqa: TRY004  (one kind of complaint for the whole file)
    return section


def _known(section: Mapping[str, Any], names: Sequence[str], title: str) -> None:
    unknown = section.keys() - set(names)
    if unknown:
        raise ValueError(f"[{title}] has no {min(unknown)!r}: {', '.join(names)}")


def _text(section: Mapping[str, Any], name: str, standard: str) -> str:
    value = section.get(name, standard)
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name} is a text")
    return value


def _number(section: Mapping[str, Any], name: str, standard: int, allowed: range) -> int:
    value = section.get(name, standard)
    if type(value) is not int or value not in allowed:
        raise ValueError(f"{name} is a whole number from {allowed.start} to {allowed.stop - 1}")
    return value


# --------------------------------------------------------------------------------------------------------- keys


class KeyRing:
    """The private keys of one folder. Files are named <role>-<key id>.pem; what they are called decides nothing."""

    def __init__(self, folder: Path, passphrase: bytes | None) -> None:
        self.folder = folder
        self._passphrase = passphrase
        self._loaded: dict[Path, LocalSigner] = {}

    def create(self, role: str, scheme: Scheme = Scheme.ED25519) -> LocalSigner:
        """A new key, kept in the folder under the passphrase."""
        make_private(self.folder)
        fresh = self.folder / f"new-{os.getpid()}.pem"
        signer = keys.create(fresh, self._passphrase, scheme)
        named = self.folder / f"{role}-{signer.key_id.hex()}.pem"
        fresh.rename(named)
        sync(self.folder)
        self._loaded[named] = signer
        return signer

    def signers(self, authority: Authority) -> Sequence[LocalSigner]:
        """Those keys in the folder that the authority names; a file added since the last call is read.

        Raises:
            StorageFailure: a key file cannot be used.
        """
        named = set(authority.keys.values())
        files = [path for path in sorted(self.folder.glob("*.pem")) if not path.name.startswith("new-")]
        # Opening a key takes a quarter of a second: those that are called after a wanted key's id come first.
        hinted = [path for path in files if any(path.stem.endswith(key_id.hex()) for key_id in authority.keys)]
        found: dict[PublicKey, LocalSigner] = {}
        for path in (*hinted, *(path for path in files if path not in hinted)):
            if len(found) == len(named):
                break
            if path not in self._loaded:
                self._loaded[path] = keys.load(path, self._passphrase)
            signer = self._loaded[path]
            if signer.public in named:
                found[signer.public] = signer
        return list(found.values())


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


def write_whole(path: Path, octets: bytes) -> None:
    """Write a file that nobody ever sees half of, in place of one that may be there.

    Raises:
        StorageFailure: it cannot be written; what was there is untouched.
    """
    fresh = path.with_name(f"{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with fresh.open("wb") as file:
            file.write(octets)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        sync(path.parent)
    except OSError as error:
        raise StorageFailure(f"{path} cannot be written: {error.strerror}") from error
