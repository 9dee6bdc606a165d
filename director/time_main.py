"""marque-time: attests the time to whoever asks, with a key of its own.

Exit codes: 0 done, 1 refused (the reason is on standard error), 2 the command line is wrong.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from director.shell.options import HERE, Json, Port, PortFile, Secret
from director.shell.reporting import reporting, say
from uptane.shell import keys

PORT = 7442

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    help="The time service: says what time it is, signed. Begin with `init`, give public.pem to the Director.",
)


@app.command()
def init(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Absent or empty.")],
    *,
    passphrase_file: Secret = None,
    as_json: Json = False,
) -> None:
    """Make the key that signs the time, and ask for a server certificate."""
    from director.shell.time_serving import found  # noqa: PLC0415  (help without gRPC comes at once)

    with reporting(as_json=as_json):
        found(directory, keys.passphrase(passphrase_file, prompt="Passphrase for the key", confirm=True))
        public, request = directory / "public.pem", directory / "request.pem"
        text = f"{directory}: founded. Next: marque-director init ... --time-key {public} (which certifies {request})"
        say(text, as_json=as_json, folder=str(directory), public=str(public), request=str(request))


@app.command()
def serve(
    *,
    folder: Annotated[Path, typer.Option("--folder", "-C", help="The time service's folder.")] = HERE,
    host: Annotated[str, typer.Option(help="Where to listen.")] = "127.0.0.1",
    port: Port = PORT,
    port_file: PortFile = None,
    passphrase_file: Secret = None,
) -> None:
    """Attest the time. Refuses to while this machine's clock is certainly wrong. Ends on SIGTERM."""
    from director.shell.time_serving import serve as serve_until_told  # noqa: PLC0415  (as in init)

    with reporting(as_json=False):
        passphrase = keys.passphrase(passphrase_file, prompt="Passphrase of the key")
        number = PORT if port is None else port
        serve_until_told(folder, passphrase, host=host, port=number, port_file=port_file)


def main() -> None:
    """Run the command line."""
    if not __debug__:
        sys.exit("asserts are part of the design: do not run with -O")
    app(prog_name="marque-time")


if __name__ == "__main__":
    main()
