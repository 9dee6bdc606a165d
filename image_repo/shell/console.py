"""Commands about keys: who may sign what, new keys for old ones, signatures gathered one by one, operators."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from image_repo.delegate import role_name
from image_repo.publish import ROOT, Occasion, Terms, first_targets
from image_repo.shell import ceremonies, publishing
from image_repo.shell.bundle import give_bundle, renew_certificate
from image_repo.shell.folder import ONLINE, Folder, KeyRing
from image_repo.shell.options import (
    HERE,
    AsRole,
    Json,
    KeyFile,
    OnlineSecret,
    Passphrase,
    Repo,
    SchemeName,
    Secret,
    Server,
    at_desk,
    connected,
    load_key,
)
from image_repo.shell.outside import now
from image_repo.shell.tables import reporting, say, show_done
from uptane.codec.oer import Oer
from uptane.errors import Malformed, StorageFailure
from uptane.model.ids import TOP_TARGETS, Role, name
from uptane.model.signed import PublicKey, Scheme
from uptane.shell import keys, tls
from uptane.verify.signing import sign as envelope_of

app = typer.Typer()

Files = Annotated[list[Path], typer.Argument(metavar="FILE...", exists=True, dir_okay=False)]


@app.command()
def delegate(
    roles: Annotated[list[str], typer.Argument(metavar="ROLE...", help="Who may sign; several must agree.")],
    *,
    path: Annotated[list[str], typer.Option(help="Pattern of filenames, such as 'acme/*'; repeat it.")],
    hardware: Annotated[list[str] | None, typer.Option(help="Only for this hardware; repeat it. Else for any.")] = None,
    terminating: Annotated[bool, typer.Option("--terminating", help="Nobody after them is asked.")] = False,
    first: Annotated[bool, typer.Option("--first", help="They are asked before all others.")] = False,
    threshold: Annotated[int, typer.Option(help="How many of a role's keys must sign.", min=1, max=16)] = 1,
    min_agree: Annotated[int | None, typer.Option(help="How many of the roles must agree; else all.", min=1)] = None,
    public_key: Annotated[list[str] | None, typer.Option(help="ROLE=FILE: a supplier's own key; repeat it.")] = None,
    begun: Annotated[list[str] | None, typer.Option(help="ROLE=FILE: the role's first Targets (`begin`).")] = None,
    scheme: SchemeName = Scheme.ED25519,
    role: AsRole = TOP_TARGETS,
    key: KeyFile = None,
    repo: Repo = HERE,
    server: Server = None,
    passphrase_file: Secret = None,
    as_json: Json = False,
) -> None:
    """Let others sign what matches. Who brings no key gets one made. Again for the same roles: changes it in place."""
    secret = Passphrase(passphrase_file)
    with at_desk(repo, server, secret, role=role, key=key, as_json=as_json) as desk:
        order = ceremonies.Order(
            roles=tuple(roles),
            paths=tuple(path),
            hardware=tuple(hardware or ()),
            terminating=terminating,
            first=first,
            threshold=threshold,
            min_agree=len(roles) if min_agree is None else min_agree,
            public=_public_keys(public_key or ()),
            firsts={role: publishing.read_envelope(file) for role, file in _pairs(begun or ())},
        )
        ring = KeyRing(Folder(repo).delegated, secret.octets)
        show_done(ceremonies.delegate(desk, order, ring, scheme), as_json=as_json)


@app.command()
def undelegate(
    role_to_remove: Annotated[str, typer.Argument(metavar="ROLE")],
    *,
    role: AsRole = TOP_TARGETS,
    key: KeyFile = None,
    repo: Repo = HERE,
    server: Server = None,
    passphrase_file: Secret = None,
    as_json: Json = False,
) -> None:
    """Take a role's right to sign back, and with it all it has published."""
    with at_desk(repo, server, Passphrase(passphrase_file), role=role, key=key, as_json=as_json) as desk:
        show_done(ceremonies.undelegate(desk, role_to_remove), as_json=as_json)


@app.command()
def rotate(
    role: Annotated[Role, typer.Argument(help="root, targets, timestamp or snapshot.")],
    *,
    scheme: SchemeName = Scheme.ED25519,
    repo: Repo = HERE,
    server: Server = None,
    passphrase_file: Secret = None,
    online_passphrase_file: OnlineSecret = None,
    as_json: Json = False,
) -> None:
    """Give a role new keys, by a new Root; the old ones are revoked. Needs a threshold of the Root keys."""
    secret = Passphrase(passphrase_file)
    with at_desk(repo, server, secret, role=TOP_TARGETS, key=None, as_json=as_json) as desk:
        folder = Folder(repo)
        offline = KeyRing(folder.offline, secret.octets)
        online = KeyRing(
            folder.online, (Passphrase(online_passphrase_file) if online_passphrase_file else secret).octets
        )
        rings = {each: online if each in ONLINE else offline for each in Role}
        done = ceremonies.rotate(desk, role, rings, scheme)
        if done.published is not None:
            ceremonies.keep_root(folder, desk.client)
        show_done(done, as_json=as_json)


@app.command()
def renew(
    role: Annotated[str, typer.Argument(help="root, targets or a delegated role.")] = TOP_TARGETS,
    *,
    key: KeyFile = None,
    repo: Repo = HERE,
    server: Server = None,
    passphrase_file: Secret = None,
    as_json: Json = False,
) -> None:
    """Sign a file of people's keys again, unchanged, before it expires. Snapshot and Timestamp the server renews."""
    secret = Passphrase(passphrase_file)
    speaking = TOP_TARGETS if role == ROOT else role
    with at_desk(repo, server, secret, role=speaking, key=key, as_json=as_json) as desk:
        if role != ROOT:
            show_done(publishing.renew(desk), as_json=as_json)
            return
        folder = Folder(repo)
        done = ceremonies.renew_root(desk, KeyRing(folder.offline, secret.octets))
        if done.published is not None:
            ceremonies.keep_root(folder, desk.client)
        show_done(done, as_json=as_json)


@app.command()
def sign(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A pending file.")],
    *,
    key: Annotated[Path, typer.Option(help="The private key to sign with.")],
    root: Annotated[Path | None, typer.Option(help="The Root before it: says which signatures are missing.")] = None,
    passphrase_file: Secret = None,
    as_json: Json = False,
) -> None:
    """Add a signature to a pending file, in place. Needs no server: do it where the key is."""
    with reporting(as_json=as_json):
        count = publishing.sign_further(file, [load_key(key, Passphrase(passphrase_file))])
        missing = [] if root is None else [each.hex() for each in ceremonies.missing_signatures(file, root)]
        text = f"{file}: {count} signatures" + (f", missing: {', '.join(missing) or 'none'}" if root else "")
        say(text, as_json=as_json, file=str(file), signatures=count, missing=missing)


@app.command()
def submit(files: Files, *, repo: Repo = HERE, server: Server = None, as_json: Json = False) -> None:
    """Submit pending files that have their signatures, all at once."""
    with connected(repo, server, as_json=as_json) as client:
        done = publishing.submit(client, files)
        folder = Folder(repo)
        if folder.settings_file.exists():
            ceremonies.keep_root(folder, client)
        show_done(done, as_json=as_json)


@app.command(name="key")
def make_key(
    file: Annotated[Path, typer.Argument(help="Where to keep it; the public half goes to FILE.pub.")],
    *,
    scheme: SchemeName = Scheme.ED25519,
    passphrase_file: Secret = None,
    as_json: Json = False,
) -> None:
    """Make a key of one's own, as a supplier: the public half goes to the repository's owner."""
    with reporting(as_json=as_json):
        signer = keys.create(file, keys.passphrase(passphrase_file, confirm=True), scheme)
        public = file.with_name(f"{file.name}.pub")
        tls.write_public(public, ceremonies.public_text(signer.public).encode())
        identity = signer.key_id.hex()
        say(f"{file}: key {identity}; give {public} away", as_json=as_json, key=identity, public=str(public))


@app.command()
def begin(
    role: Annotated[str, typer.Argument(help="The role that was agreed upon.")],
    *,
    key: Annotated[Path, typer.Option(help="The role's private key.")],
    out: Annotated[Path, typer.Option(help="Where to write it.")],
    version: Annotated[int, typer.Option(help="Higher than 1 if the role had files before.", min=1)] = 1,
    passphrase_file: Secret = None,
    as_json: Json = False,
) -> None:
    """Sign a supplier's first, empty Targets: it goes to the repository's owner with the public key."""
    with reporting(as_json=as_json):
        signer = load_key(key, Passphrase(passphrase_file))
        first = first_targets(role_name(role), Oer(), Occasion(now(), Terms()), version=version)
        tls.write_public(out, envelope_of(Oer(), first, [signer]))
        say(f"{out}: first Targets of {role}", as_json=as_json, file=str(out))


@app.command()
def operator(
    who: Annotated[str, typer.Argument(metavar="NAME", help="Whom it is for.")],
    *,
    out: Annotated[Path, typer.Option(help="A new folder for the bundle.")],
    repo: Repo = HERE,
    server: Server = None,
    passphrase_file: Secret = None,
    as_json: Json = False,
) -> None:
    """Make an operator's bundle: certificate, key, authority, Root and address. It opens the door and signs nothing."""
    with reporting(as_json=as_json):
        folder = Folder(repo)
        settings = folder.settings()
        authority = tls.Authority.load(folder.tls / "ca.pem", folder.tls / "ca.key", Passphrase(passphrase_file).octets)
        serial = give_bundle(authority, out, name(who), root=tls.read_public(folder.public / ROOT))
        address = server or f"{settings.address.rsplit(':', 1)[0]}:{settings.operator_port}"
        tls.write_public(out / "address", f"{address}\n".encode())
        say(f"{out}: bundle of {who}, certificate {serial}", as_json=as_json, serial=serial, folder=str(out))


@app.command()
def certify(
    *,
    repo: Repo = HERE,
    passphrase_file: Secret = None,
    online_passphrase_file: OnlineSecret = None,
    as_json: Json = False,
) -> None:
    """Give the server a new certificate, for the names in repository.toml; it takes it when it starts next."""
    with reporting(as_json=as_json):
        folder = Folder(repo)
        names = folder.settings().names
        secret = Passphrase(passphrase_file)
        online = Passphrase(online_passphrase_file) if online_passphrase_file else secret
        authority = tls.Authority.load(folder.tls / "ca.pem", folder.tls / "ca.key", secret.octets)
        serial = renew_certificate(folder, authority, names, passphrase=online.octets)
        text = f"{folder.tls / 'server.pem'}: certificate {serial}; restart the server"
        say(text, as_json=as_json, serial=serial)


@app.command()
def revoke(
    serial: Annotated[str, typer.Argument(help="Serial number of an operator's certificate, in hex.")],
    *,
    repo: Repo = HERE,
    as_json: Json = False,
) -> None:
    """Refuse an operator's certificate from now on; the server need not be told."""
    with reporting(as_json=as_json):
        folder = Folder(repo)
        folder.settings()
        if not serial or not set(serial) <= set("0123456789abcdef"):
            raise Malformed(f"{serial[:80]!r} is no serial number: hexadecimal, lower case")
        try:
            with (folder.tls / "revoked").open("a") as file:
                file.write(f"{serial}\n")
        except OSError as error:
            raise StorageFailure(f"{folder.tls / 'revoked'}: {error.strerror}") from error
        say(f"{serial} is refused from now on", as_json=as_json, serial=serial)


def _pairs(texts: Iterable[str]) -> list[tuple[str, Path]]:
    """ROLE=FILE options."""
    pairs = [text.partition("=") for text in texts]
    wrong = [text for text, (role, sign, file) in zip(texts, pairs, strict=True) if not (role and sign and file)]
    if wrong:
        raise Malformed(f"{wrong[0]!r} is not ROLE=FILE")
    return [(role, Path(file)) for role, _sign, file in pairs]


def _public_keys(texts: Iterable[str]) -> dict[str, tuple[PublicKey, ...]]:
    """Public keys by role; a role may have several."""
    found: dict[str, tuple[PublicKey, ...]] = {}
    for role, file in _pairs(texts):
        found[role] = (*found.get(role, ()), ceremonies.read_public_key(file))
    return found
