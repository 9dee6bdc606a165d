"""Why a server is UNAVAILABLE: gRPC says the same for a closed port and for a certificate that one side refuses.

A bare TLS connection tells them apart, by exception types and by who speaks first. Only tried after a failure.
"""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from typing import Final

from primary.needs import Reason
from primary.shell.config import Server

PROBE_S: Final = 1.0
LISTEN_S: Final = 0.5


def probe(server: Server, own: tuple[Path, Path] | None) -> Reason:
    """Why a call failed: DOWN, UNTRUSTED or FORBIDDEN. A server that greets us is up by now, and was DOWN."""
    return greeted(server, own) or Reason.DOWN


def greeted(server: Server, own: tuple[Path, Path] | None) -> Reason | None:
    """Connect, shake hands (with our certificate and key), wait for a word: None when it comes, else why not."""
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
            return _welcome(secure)
    except ssl.SSLCertVerificationError:
        return Reason.UNTRUSTED
    except ssl.SSLError:
        return Reason.FORBIDDEN
    except OSError:
        return Reason.DOWN


def _welcome(secure: ssl.SSLSocket) -> Reason | None:
    """A server of gRPC speaks first. One that hangs up instead has refused our certificate, after the handshake."""
    secure.settimeout(LISTEN_S)
    try:
        return None if secure.recv(1) else Reason.FORBIDDEN
    except TimeoutError:
        return Reason.DOWN
    except OSError:  # an alert, or a connection that was reset
        return Reason.FORBIDDEN
