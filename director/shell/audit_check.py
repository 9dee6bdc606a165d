"""The audit log at the operator's end: does each entry follow from the one before?"""

from __future__ import annotations

from collections.abc import Sequence

from director.audit import Act, Entry, Linked, broken_at
from uptane.crypto import Sha2
from uptane.moments import UtcTime
from uptane.rpc.gen import director_pb2 as pb


def check_chain(entries: Sequence[pb.AuditEntry]) -> int | None:
    """The number of the first entry that does not follow; None if all do. `entries` begin with the first."""
    known = {act.value: act for act in Act}
    linked = []
    for each in entries:
        act = known.get(each.act)
        if act is None:
            return each.number
        entry = Entry(UtcTime(each.time), each.actor, act, each.subject, each.detail)
        linked.append(Linked(each.number, entry, each.digest))
    return broken_at(linked, Sha2())
