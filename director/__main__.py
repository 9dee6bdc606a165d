"""marque-director: the Director's server and its operators' commands.

Exit codes: 0 done, 1 refused (the reason is on standard error, or in the JSON), 2 the command line is wrong.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from director.shell import commands
from director.shell.folder import LIFETIMES_S, POLLS_S, Folder, KeyRing, Settings, make_private
from director.shell.options import HERE, FolderOption, Json, OfflineSecret, Port, PortFile, Secret, Server, connected
from director.shell.public_key import read_public_key
from director.shell.reporting import reporting, say
from uptane.model.ids import Role, is_name
from uptane.model.signed import THRESHOLD_MAX
from uptane.shell import keys

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    help="The Director: decides which image goes on which ECU, and signs that. Begin with `init`, then `serve`.",
)

Address = Annotated[str | None, typer.Option(help="HOST:PORT where vehicles reach this Director, if elsewhere.")]
ImageAddress = Annotated[str | None, typer.Option(help="HOST:PORT of the Image repository.")]
TimeAddress = Annotated[str | None, typer.Option(help="HOST:PORT of the time service.")]
Lifetime = Annotated[
    int | None,
    typer.Option("--lifetime", help="Seconds metadata are valid.", min=LIFETIMES_S.start, max=LIFETIMES_S.stop - 1),
]
Poll = Annotated[
    int | None, typer.Option("--poll", help="Seconds between polls.", min=POLLS_S.start, max=POLLS_S.stop - 1)
]
TimeKeys = Annotated[list[Path], typer.Option("--time-key", help="Public key of the time service; repeat it.")]


@app.command()
def init(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Absent or empty.")],
    *,
    time_key: TimeKeys,
    image_repo: Annotated[Path, typer.Option(help="The Image repository's folder, or its public bundle.")],
    image_address: ImageAddress = None,
    time_address: TimeAddress = None,
    address: Address = None,
    host: Annotated[str, typer.Option(help="Where the server listens.")] = Settings().host,
    port: Port = None,
    name: Annotated[list[str] | None, typer.Option(help="Further DNS names or addresses of the server.")] = None,
    operator: Annotated[str, typer.Option(help="Whose certificate to make.")] = "operator",
    root_keys: Annotated[str, typer.Option(help="M/N: of N Root keys M must sign.")] = "1/1",
    lifetime: Lifetime = None,
    poll: Poll = None,
    passphrase_file: Secret = None,
    offline_passphrase_file: OfflineSecret = None,
    as_json: Json = False,
) -> None:
    """Found a Director: keys (offline and online apart, encrypted), the fleet's authority, the first Root."""
    from director.shell.founding import Plan, certify_time, found, image_bundle  # noqa: PLC0415  (loads a database)

    count, threshold = _holders(root_keys)
    if not is_name(operator) or "/" in operator:
        raise typer.BadParameter(f"{operator!r} is no name", param_hint="--operator")
    with reporting(as_json=as_json):
        online = keys.passphrase(passphrase_file, prompt="Passphrase for the keys", confirm=True)
        offline = online if offline_passphrase_file is None else keys.passphrase(offline_passphrase_file)
        standard = Settings(host=host, names=tuple(name or ()))
        settings = _adjusted(
            standard,
            port=port,
            address=address,
            image_address=image_address or image_bundle(image_repo)[2] or None,
            time_address=time_address,
            lifetime_s=lifetime,
            poll_s=poll,
        )
        times = tuple(read_public_key(path) for path in time_key)
        plan = Plan(settings, offline, online, times, image_repo, root_keys=(count, threshold), operator=operator)
        founded = found(directory, plan)
        certified = certify_time(Folder(directory), online, time_key, settings)
        ids = {role.value: [key_id.hex() for key_id in made] for role, made in founded.keys.items()}
        text = "\n".join([f"{directory}: founded. Next: marque-director serve -C {directory}", *certified])
        say(text, as_json=as_json, folder=str(directory), keys=ids, certified=certified)


@app.command(name="serve")
def serve_until_told(
    *,
    folder: FolderOption = HERE,
    host: Annotated[str | None, typer.Option(help="Where to listen, if not as configured.")] = None,
    port: Port = None,
    port_file: PortFile = None,
    address: Address = None,
    image_address: ImageAddress = None,
    time_address: TimeAddress = None,
    lifetime: Lifetime = None,
    poll: Poll = None,
    passphrase_file: Secret = None,
) -> None:
    """Serve vehicles and operators, and hear the Image repository. Ends on SIGTERM."""
    from director.shell.serving import serve  # noqa: PLC0415  (no other command loads the server)

    with reporting(as_json=False):
        where = Folder(folder)
        settings = _adjusted(
            where.settings(),
            host=host,
            port=port,
            address=address,
            image_address=image_address,
            time_address=time_address,
            lifetime_s=lifetime,
            poll_s=poll,
        )
        serve(where, settings, keys.passphrase(passphrase_file, prompt="Passphrase of the server's keys"), port_file)


@app.command()
def certify(
    request: Annotated[
        Path | None, typer.Argument(metavar="REQUEST", help="PKCS#10, PEM; else the Director's own.", exists=True)
    ] = None,
    *,
    out: Annotated[Path | None, typer.Option(help="Where to write; else certificate.pem beside it.")] = None,
    name: Annotated[list[str] | None, typer.Option(help="Further DNS names or addresses of that server.")] = None,
    folder: FolderOption = HERE,
    passphrase_file: Secret = None,
    as_json: Json = False,
) -> None:
    """Sign a server's certificate (825 days), such as the time service's, so that vehicles of this fleet trust it."""
    from director.shell.founding import certify_server, renew_own  # noqa: PLC0415  (loads a database)

    if request is None and out is not None:
        raise typer.BadParameter("--out belongs to a REQUEST")
    with reporting(as_json=as_json):
        passphrase = keys.passphrase(passphrase_file, prompt="Passphrase of the server's keys")
        where = Folder(folder)
        if request is None:
            target = renew_own(where, passphrase, where.settings(), name or ())
        else:
            target = out or request.with_name("certificate.pem")
            certify_server(where, passphrase, request, target=target, names=name or ())
        say(f"{target}: written", as_json=as_json, certificate=str(target))


@app.command()
def operator(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    *,
    out: Annotated[Path, typer.Option(help="Folder for the certificate and its key; absent or empty.")],
    folder: FolderOption = HERE,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Bring in a further operator: make a key, and have a certificate signed for it."""
    from uptane.shell import tls  # noqa: PLC0415  (help without gRPC comes at once)

    with connected(folder, server, as_json=as_json) as client:
        make_private(out)
        key = tls.new_key()
        reply = client.add_operator(name, tls.request_for(key))
        tls.save_credential(tls.Credential(reply.certificate, key), out / "operator.pem", out / "operator.key")
        tls.write_public(out / "ca.pem", reply.ca)
        tls.write_public(out / "address", f"{client.address}\n".encode())
        say(f"{out}: for {name}, with this folder as --folder", as_json=as_json, folder=str(out), operator=name)


@app.command()
def rotate(
    role: Annotated[Role, typer.Argument(help="Whose keys to replace.")],
    *,
    time_key: Annotated[list[Path] | None, typer.Option(help="New public key of the time service; repeat it.")] = None,
    folder: FolderOption = HERE,
    server: Server = None,
    offline_passphrase_file: OfflineSecret = None,
    as_json: Json = False,
) -> None:
    """Replace the keys of a role by a new Root, signed by the offline keys here. Also renews the Root's expiry."""
    if (role is Role.TIME) != bool(time_key):
        raise typer.BadParameter("--time-key belongs to `rotate time`, and to nothing else")
    if role in (Role.OFFLINE_SNAPSHOT, Role.OFFLINE_TARGETS):
        raise typer.BadParameter(f"{role.value} is not in use yet")
    from director.shell import rotation  # noqa: PLC0415  (as in operator)

    with connected(folder, server, as_json=as_json) as client:
        passphrase = keys.passphrase(offline_passphrase_file, prompt="Passphrase of the Root keys")
        times = tuple(read_public_key(path) for path in time_key or ())
        ring = KeyRing(Folder(folder).offline, passphrase)
        version = rotation.rotate(client, ring, rotation.Rotation(role, times))
        say(f"Root {version}: {role.value} has new keys", as_json=as_json, root=version, role=role.value)


app.add_typer(commands.app)


def _adjusted(settings: Settings, **given: str | int | None) -> Settings:
    """The settings with what the command line says instead."""
    return replace(settings, **{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]  # typer has judged each


def _holders(text: str) -> tuple[int, int]:
    """`M/N` as number of keys and threshold."""
    threshold, slash, count = text.partition("/")
    if not slash or not threshold.isdecimal() or not count.isdecimal():
        raise typer.BadParameter(f"{text!r} is not M/N", param_hint="--root-keys")
    if not 1 <= int(threshold) <= int(count) <= THRESHOLD_MAX:
        text = f"{text!r}: 1 to {THRESHOLD_MAX} keys, of which at least one must sign"
        raise typer.BadParameter(text, param_hint="--root-keys")
    return int(count), int(threshold)


def main() -> None:
    """Run the command line."""
    if not __debug__:
        sys.exit("asserts are part of the design: do not run with -O")
    app(prog_name="marque-director")


if __name__ == "__main__":
    main()
