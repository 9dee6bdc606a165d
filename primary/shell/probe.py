"""Why a server is UNAVAILABLE: gRPC says the same for a closed port and for a certificate that one side refuses.

A bare TLS connection tells them apart by exception types. Only tried after a failure, so `ssl` is loaded only then.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from primary.needs import Reason
from primary.shell.config import Server

PROBE_S: Final = 1.0
LISTEN_S: Final = 0.5  # in TLS 1.3 a client certificate is refused after the handshake, in an alert


def probe(server: Server, own: tuple[Path, Path] | None) -> Reason:
    """Connect, shake hands (with our certificate and key), and listen for an alert: DOWN, UNTRUSTED or FORBIDDEN."""
    import socket  # noqa: PLC0415 (see above)
    import ssl  # noqa: PLC0415

    host, _, port = server.address.rpartition(":")
    host = host.strip("[]")
    try:
        context = ssl.create_default_context(cafile=str(server.authority))
        if own is not None:
            context.load_cert_chain(*own)
        context.set_alpn_protocols(["h2"])
        with (
            socket.create_connection((host, int(port)), timeout=PROBE_S) as plain,
            context.wrap_socket(plain, server_hostname=server.name or host) as secure,
        ):
            secure.settimeout(LISTEN_S)
            secure.recv(1)
    except ssl.SSLCertVerificationError:
        return Reason.UNTRUSTED
    except ssl.SSLError:
        return Reason.FORBIDDEN
    except OSError:
        return Reason.DOWN
    return Reason.DOWN
