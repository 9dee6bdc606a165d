"""Who may pass, and how a refusal looks from outside: shared by the vehicles' door and the operators'."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import grpc
import structlog

from director.errors import ClockWrong, Declined, Reason
from director.shell.database import Records
from uptane.errors import LinkFailure, Malformed, Rejected, StorageFailure, check_of
from uptane.model.ids import is_name
from uptane.shell import tls

CHECK_KEY = "marque-check"
PIECE_LENGTH = 262_144  # octets of a file in one message

STATUS = {
    Reason.INVALID: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.UNKNOWN: grpc.StatusCode.NOT_FOUND,
    Reason.EXISTS: grpc.StatusCode.ALREADY_EXISTS,
    Reason.REFUSED: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.UNREADY: grpc.StatusCode.ABORTED,
}

_LOG = structlog.get_logger("marque.director")


class OutOfLimits(Exception):
    """A request that does not keep to the interface; answered INVALID_ARGUMENT."""


class NotAdmitted(Exception):
    """A certificate that opens nothing here; answered PERMISSION_DENIED."""


def caller(context: grpc.ServicerContext, kind: str) -> tuple[str, tls.Peer]:
    """The name of the caller, who has to be a `kind` ("vehicle", "operator"), and his certificate.

    Raises:
        NotAdmitted: he is something else.
        PeerRefused: he shows no certificate that names anybody.
    """
    peer = tls.peer(context)
    prefix = f"marque:{kind}:"
    name = peer.uri.removeprefix(prefix)
    if name == peer.uri or not is_name(name):
        raise NotAdmitted(f"the certificate names {peer.uri[:100]!r}, which is no {kind}")
    return name, peer


def check_admitted(records: Records, peer: tls.Peer) -> None:
    """Refuse a certificate that this Director did not issue, or that was revoked.

    Raises:
        NotAdmitted: it says which.
    """
    admitted = records.is_admitted(peer.serial, peer.uri)
    if admitted is None:
        raise NotAdmitted(f"the certificate {peer.serial} of {peer.uri} is not known here")
    if not admitted:
        raise NotAdmitted(f"the certificate {peer.serial} of {peer.uri} has been revoked")


@contextmanager
def answering(context: grpc.ServicerContext) -> Iterator[None]:
    """Whatever is refused within becomes a status of the call."""
    try:
        yield
    except Declined as declined:
        if declined.check is not None:
            context.set_trailing_metadata(((CHECK_KEY, str(declined.check.code)),))
        context.abort(STATUS[declined.reason], declined.text)
    except (Rejected, Malformed) as refusal:
        context.set_trailing_metadata(((CHECK_KEY, str(check_of(refusal).code)),))
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(refusal))
    except OutOfLimits as wrong:
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(wrong))
    except tls.RequestRefused as refused:
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(refused))
    except tls.PeerRefused as refused:
        context.abort(grpc.StatusCode.UNAUTHENTICATED, str(refused))
    except NotAdmitted as refused:
        _LOG.warning("not admitted", detail=str(refused))
        context.abort(grpc.StatusCode.PERMISSION_DENIED, str(refused))
    except ClockWrong as wrong:
        _LOG.error("clock", detail=str(wrong))
        context.abort(grpc.StatusCode.UNAVAILABLE, str(wrong))
    except LinkFailure as failure:
        context.abort(grpc.StatusCode.ABORTED, str(failure))
    except StorageFailure as failure:
        _LOG.error("storage", detail=str(failure))
        context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, str(failure))


def pieces(octets: bytes) -> Iterator[tuple[bytes, bool]]:
    """A file in pieces, and whether each is the last; an empty file is one empty piece."""
    for start in range(0, max(1, len(octets)), PIECE_LENGTH):
        piece = octets[start : start + PIECE_LENGTH]
        yield piece, start + PIECE_LENGTH >= len(octets)
