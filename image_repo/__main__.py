"""marque-repo: the Image repository's server and its operators' commands.

Exit codes: 0 done, 1 refused (the reason is on standard error, or in the JSON), 2 the command line is wrong.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from image_repo.shell import console, publishing
from image_repo.shell.folder import Folder, Settings
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
)
from image_repo.shell.publishing import Wish
from image_repo.shell.tables import reporting, say, show_done, show_status, uploading
from uptane.model.ids import TOP_TARGETS, Role
from uptane.model.signed import THRESHOLD_MAX, Scheme
from uptane.shell import keys

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    help="The Image repository: keeps images and the offline-signed word on them. Begin with `init`, then `serve`.",
)

Port = Annotated[int | None, typer.Option(help="Public port, if not as configured; 0: any free one.", min=0, max=65535)]
OperatorPort = Annotated[int | None, typer.Option(help="Operators' port, likewise.", min=0, max=65535)]


@app.command()
def init(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Absent or empty.")],
    *,
    address: Annotated[str, typer.Option(help="HOST:PORT where vehicles will reach it.")] = Settings().address,
    host: Annotated[str, typer.Option(help="Where the server listens.")] = Settings().host,
    port: Annotated[int, typer.Option(help="Public port; 0: any.", min=0, max=65535)] = Settings().port,
    operator_port: Annotated[int, typer.Option(help="Operators' port.", min=0, max=65535)] = Settings().operator_port,
    name: Annotated[list[str] | None, typer.Option(help="Further DNS names or addresses of the server.")] = None,
    operator: Annotated[str, typer.Option(help="Whose certificate to make.")] = "operator",
    root_keys: Annotated[str, typer.Option(help="M/N: of N Root keys M must sign.")] = "1/1",
    targets_keys: Annotated[str, typer.Option(help="The same for Targets.")] = "1/1",
    scheme: SchemeName = Scheme.ED25519,
    passphrase_file: Secret = None,
    online_passphrase_file: OnlineSecret = None,
    as_json: Json = False,
) -> None:
    """Found a repository: keys (offline and online apart, encrypted), certificates, the first metadata."""
    from image_repo.shell.founding import Plan, found  # noqa: PLC0415  (no other command loads a database)

    holders = {Role.ROOT: _holders(root_keys), Role.TARGETS: _holders(targets_keys)}
    with reporting(as_json=as_json):
        offline = keys.passphrase(passphrase_file, prompt="Passphrase for the keys", confirm=True)
        online = offline if online_passphrase_file is None else keys.passphrase(online_passphrase_file)
        settings = Settings(address, host, port, operator_port, tuple(name or ()))
        founded = found(directory, Plan(settings, offline, online, holders, scheme=scheme, operator=operator))
        ids = {role.value: [key_id.hex() for key_id in made] for role, made in founded.keys.items()}
        text = f"{directory}: founded. For vehicles: {directory / 'public'}. Next: marque-repo serve -C {directory}"
        say(text, as_json=as_json, folder=str(directory), keys=ids)


@app.command(name="serve")
def serve_until_told(
    *,
    repo: Repo = HERE,
    host: Annotated[str | None, typer.Option(help="Where to listen, if not as configured.")] = None,
    port: Port = None,
    operator_port: OperatorPort = None,
    port_file: Annotated[Path | None, typer.Option(help="Write the public port there.")] = None,
    operator_port_file: Annotated[Path | None, typer.Option(help="Write the operators' port there.")] = None,
    passphrase_file: Secret = None,
) -> None:
    """Serve metadata and images, and publish what operators sign. Renews Snapshot and Timestamp. Ends on SIGTERM."""
    from image_repo.shell.serving import Ports, serve  # noqa: PLC0415  (no other command loads a database)

    with reporting(as_json=False):
        folder = Folder(repo)
        settings = folder.settings()
        ports = Ports(
            settings.host if host is None else host,
            settings.port if port is None else port,
            settings.operator_port if operator_port is None else operator_port,
            public_file=port_file,
            operator_file=operator_port_file,
        )
        serve(folder, keys.passphrase(passphrase_file, prompt="Passphrase of the server's keys"), ports)


@app.command()
def publish(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Images.", exists=True, dir_okay=False)],
    *,
    hardware: Annotated[list[str], typer.Option(help="Hardware id it is for; repeat it for others it fits.")],
    filename: Annotated[str | None, typer.Option(help="Its name in the repository; else the file's name.")] = None,
    counter: Annotated[
        int | None, typer.Option(help="Release counter; else the lowest vehicles take.", min=0, max=0xFFFFFFFF)
    ] = None,
    sha512: Annotated[bool, typer.Option("--sha512", help="Sign SHA-512 too.")] = False,
    role: AsRole = TOP_TARGETS,
    key: KeyFile = None,
    repo: Repo = HERE,
    server: Server = None,
    passphrase_file: Secret = None,
    as_json: Json = False,
) -> None:
    """Upload images and publish them, all at once. An upload that broke off goes on where it ended."""
    if filename is not None and len(files) > 1:
        raise typer.BadParameter("one --filename for several files", param_hint="--filename")
    wishes = [Wish(path, filename or path.name, tuple(hardware), counter, sha512) for path in files]
    with at_desk(repo, server, Passphrase(passphrase_file), role=role, key=key, as_json=as_json) as desk:
        with uploading(as_json=as_json) as told:
            done = publishing.publish(desk, wishes, told)
        show_done(done, as_json=as_json)


@app.command()
def withdraw(
    filenames: Annotated[list[str], typer.Argument(metavar="FILENAME...")],
    *,
    role: AsRole = TOP_TARGETS,
    key: KeyFile = None,
    repo: Repo = HERE,
    server: Server = None,
    passphrase_file: Secret = None,
    as_json: Json = False,
) -> None:
    """Take images back: no Director can assign them any more. Their release counters stay remembered."""
    with at_desk(repo, server, Passphrase(passphrase_file), role=role, key=key, as_json=as_json) as desk:
        show_done(publishing.withdraw(desk, filenames), as_json=as_json)


@app.command()
def status(*, repo: Repo = HERE, server: Server = None, as_json: Json = False) -> None:
    """What is published, until when it is valid, and what lies about unpublished."""
    with connected(repo, server, as_json=as_json) as client:
        show_status(client.status(), as_json=as_json)


app.add_typer(console.app)


def _holders(text: str) -> tuple[int, int]:
    """`M/N` as keys and threshold."""
    threshold, slash, count = text.partition("/")
    if not slash or not threshold.isdecimal() or not count.isdecimal():
        raise typer.BadParameter(f"{text!r} is not M/N")
    if not 1 <= int(threshold) <= int(count) <= THRESHOLD_MAX:
        raise typer.BadParameter(f"{text!r}: 1 to {THRESHOLD_MAX} keys, of which at least one must sign")
    return int(count), int(threshold)


def main() -> None:
    """Run the command line."""
    if not __debug__:
        sys.exit("asserts are part of the design: do not run with -O")
    app(prog_name="marque-repo")


if __name__ == "__main__":
    main()
