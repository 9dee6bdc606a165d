"""The Director as a machine: requests in, records to store and replies out.

It keeps in memory only what is the same for the whole fleet; records of vehicles come with the events. What an event
changes of the fleet counts from `Stored` on: should storing fail, nothing has happened.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import assert_never

from director.assign import assign, judge_selections, outcome_notes
from director.audit import Act, Entry, shortened
from director.ceremony import KeyRing, accept_root, signers_under
from director.enrol import enrol, give_keys, same
from director.errors import Declined, Reason
from director.events import (
    AddOperator,
    Assign,
    ByOperator,
    ByVehicle,
    Constrain,
    Done,
    Effect,
    Enrol,
    Event,
    Heard,
    Log,
    Outcome,
    Provision,
    PutCertificate,
    PutRoot,
    PutRules,
    PutVehicle,
    Refresh,
    Reply,
    Revoke,
    RevokeCertificates,
    RevokeOperator,
    Stored,
    SubmitRoot,
    Tick,
    operator_uri,
    vehicle_uri,
)
from director.fleet import Fleet
from director.poll import Desk, first_issue, poll
from director.resolve import resolve
from uptane.model.ids import is_name
from uptane.moments import SECOND_MS, Instant, after

REFRESH_MS = 60 * SECOND_MS  # how often the Image repository is heard: a new image can be ordered at once all the same
RETRY_MS = 5 * SECOND_MS  # while it was not heard at all
RULES_MAX = 10_000  # each is judged for each vehicle at each poll: 10,000 take 5 ms


class Director:
    """See the module. `ring` holds the online keys; `desk` what deciding needs, its signers those of `fleet.root`."""

    def __init__(self, fleet: Fleet, desk: Desk, ring: KeyRing) -> None:
        self._fleet = fleet
        self._desk = desk
        self._ring = ring
        self._next: tuple[Fleet, Desk] | None = None
        self._refresh_at: Instant | None = Instant(0)

    @property
    def fleet(self) -> Fleet:
        """What is the same for every vehicle, as far as it is durable."""
        return self._fleet

    def deadline(self) -> Instant | None:
        """When to hear the Image repository again."""
        return self._refresh_at

    def handle(self, event: Event, now: Instant) -> Sequence[Effect]:
        """Take one event."""
        match event:
            case ByVehicle():
                self._next = None
                return self._poll(event)
            case ByOperator():
                self._next = None
                return self._operated(event)
            case Heard(catalogue=catalogue):
                self._fleet = replace(self._fleet, catalogue=catalogue)
                self._refresh_at = after(now, REFRESH_MS)
                return []
            case Stored():
                if self._next is not None:
                    self._fleet, self._desk = self._next
                    self._next = None
                return []
            case Tick():
                self._refresh_at = after(now, REFRESH_MS if self._fleet.catalogue.known else RETRY_MS)
                return [Refresh()]
            case _:
                assert_never(event)

    # ---------------------------------------------------------------------------------------------- vehicles

    def _poll(self, event: ByVehicle) -> Sequence[Effect]:
        before = event.poll.vehicle
        polled = poll(before, event.poll.asked, self._fleet, desk=self._desk, utc=event.utc)
        effects: list[Effect] = []
        if polled.vehicle != before:
            effects.append(PutVehicle(polled.vehicle))
        effects += [Log(entry) for entry in polled.log]
        return [*effects, Reply(polled.answer)]

    # --------------------------------------------------------------------------------------------- operators

    def _operated(self, event: ByOperator) -> Sequence[Effect]:
        """An operator's act, and its entry in the log; what is declined is logged, too."""
        act = event.act
        try:
            match act:
                case Enrol():
                    return self._enrol(event, act)
                case Provision():
                    return self._provision(event, act)
                case Assign():
                    return self._assign(event, act)
                case Constrain():
                    return self._constrain(event, act)
                case Revoke():
                    return self._revoke(event, act)
                case RevokeOperator():
                    return self._revoke_operator(event, act)
                case AddOperator():
                    return self._add_operator(event, act)
                case SubmitRoot():
                    return self._submit_root(event, act)
                case _:
                    assert_never(act)
        except Declined as declined:
            return [_log(event, Act.DECLINE, type(act).__name__, str(declined)), Reply(declined)]

    def _enrol(self, event: ByOperator, act: Enrol) -> Sequence[Effect]:
        described = enrol(act.vehicle, act.ecus, act.description, event.utc)
        if act.known is not None:
            if same(act.known, described):
                return [Reply(Done(changed=False, vehicle=act.known))]
            raise Declined(Reason.EXISTS, f"{act.vehicle} is enrolled with another description")
        text = ", ".join(f"{record.ecu.id} ({record.ecu.hardware})" for record in described.ecus)
        return [
            PutVehicle(described),
            _log(event, Act.ENROL, act.vehicle, text),
            Reply(Done(changed=True, vehicle=described)),
        ]

    def _provision(self, event: ByOperator, act: Provision) -> Sequence[Effect]:
        if act.vehicle.revoked is not None and not act.replacing:
            text = f"{act.vehicle.id} was revoked at {act.vehicle.revoked}; to bring it back, replace its certificate"
            raise Declined(Reason.REFUSED, text)
        if not self._fleet.catalogue.files():
            raise Declined(Reason.UNREADY, "the Image repository has not been heard yet: full ECUs need its metadata")
        vehicle = give_keys(act.vehicle, act.keys, replacing=act.replacing)
        vehicle, _ = first_issue(replace(vehicle, revoked=None), self._fleet, desk=self._desk, utc=event.utc)
        uri = vehicle_uri(vehicle.id)
        effects: list[Effect] = [PutVehicle(vehicle)]
        if act.replacing:
            effects.append(RevokeCertificates(uri, event.utc))
        keys = ", ".join(sorted(act.keys)) or "none"
        text = f"certificate {act.certificate}, keys given: {keys}{', replacing' if act.replacing else ''}"
        return [
            *effects,
            PutCertificate(act.certificate, uri, event.utc, act.certified),
            _log(event, Act.PROVISION, vehicle.id, text),
            Reply(Done(changed=True, vehicle=vehicle)),
        ]

    def _assign(self, event: ByOperator, act: Assign) -> Sequence[Effect]:
        judge_selections(act.selections)
        if not self._fleet.catalogue.known:
            raise Declined(Reason.UNREADY, "the Image repository has not been heard yet")
        effects: list[Effect] = []
        outcomes: list[Outcome] = []
        for before in act.vehicles:
            vehicle, ordered = assign(before, act.selections, self._fleet.catalogue, every=act.every)
            held_back = resolve(vehicle, self._fleet.rules, self._fleet.catalogue).held_back
            notes = outcome_notes(vehicle, ordered, held_back)
            outcomes += [
                Outcome(vehicle.id, each.record.ecu.id, each.selection.image or "", note)
                for each, note in zip(ordered, notes, strict=True)
            ]
            if vehicle != before and not act.dry_run:
                effects.append(PutVehicle(vehicle))
        if not outcomes:
            raise Declined(Reason.UNKNOWN, "no vehicle has such an ECU")
        if not act.dry_run:
            text = f"{', '.join(map(str, act.selections))}: {len(outcomes)} ECUs"
            subject = act.vehicles[0].id if len(act.vehicles) == 1 else f"{len(act.vehicles)} vehicles"
            effects.append(_log(event, Act.ASSIGN, subject, text))
        return [*effects, Reply(Done(changed=not act.dry_run, outcomes=tuple(outcomes)))]

    def _constrain(self, event: ByOperator, act: Constrain) -> Sequence[Effect]:
        if act.rule.image == act.rule.other:
            raise Declined(Reason.INVALID, "a rule is about two images")
        known = act.rule in self._fleet.rules
        if act.remove and not known:
            raise Declined(Reason.UNKNOWN, f"no such rule: {act.rule}")
        if not act.remove and len(self._fleet.rules) >= RULES_MAX:
            raise Declined(Reason.REFUSED, f"{RULES_MAX} rules are there already")
        others = tuple(rule for rule in self._fleet.rules if rule != act.rule)
        rules = others if act.remove else (*others, act.rule)
        done = Done(changed=act.remove or not known, rules=tuple(map(str, rules)))
        if not done.changed:
            return [Reply(done)]
        self._next = replace(self._fleet, rules=rules), self._desk
        entry = _log(event, Act.CONSTRAIN, act.rule.image, f"{'no longer: ' if act.remove else ''}{act.rule}")
        return [PutRules(rules), entry, Reply(done)]

    def _revoke(self, event: ByOperator, act: Revoke) -> Sequence[Effect]:
        if act.vehicle.revoked is not None:
            return [Reply(Done(changed=False, vehicle=act.vehicle))]
        vehicle = replace(act.vehicle, revoked=event.utc)
        return [
            PutVehicle(vehicle),
            RevokeCertificates(vehicle_uri(vehicle.id), event.utc),
            _log(event, Act.REVOKE, vehicle.id, ""),
            Reply(Done(changed=True, vehicle=vehicle)),
        ]

    def _revoke_operator(self, event: ByOperator, act: RevokeOperator) -> Sequence[Effect]:
        if act.name == event.name:
            raise Declined(Reason.REFUSED, "nobody revokes himself: ask another operator")
        uri = operator_uri(act.name)
        return [
            RevokeCertificates(uri, event.utc),
            _log(event, Act.REVOKE, uri, ""),
            Reply(Done(changed=True)),
        ]

    def _add_operator(self, event: ByOperator, act: AddOperator) -> Sequence[Effect]:
        if not is_name(act.name):
            raise Declined(Reason.INVALID, f"{act.name[:80]!r} is no name")
        uri = operator_uri(act.name)
        return [
            PutCertificate(act.certificate, uri, event.utc),
            _log(event, Act.ADD_OPERATOR, uri, f"certificate {act.certificate}"),
            Reply(Done(changed=True)),
        ]

    def _submit_root(self, event: ByOperator, act: SubmitRoot) -> Sequence[Effect]:
        root = accept_root(self._desk.verifier, self._fleet.root, act.octets, self._ring)
        signers = signers_under(root.value, self._ring)
        version = root.value.header.version
        fleet = replace(self._fleet, root=root, roots=(*self._fleet.roots, root.octets))
        self._next = fleet, replace(self._desk, press=replace(self._desk.press, signers=signers))
        assert version == len(fleet.roots), "every Root since the first is kept"
        entry = _log(event, Act.ROTATE, f"{version}.root", f"expires {root.value.header.expires}")
        return [PutRoot(version, root.octets), entry, Reply(Done(changed=True, version=version))]


def _log(event: ByOperator, act: Act, subject: str, detail: str) -> Log:
    return Log(Entry(event.utc, f"operator:{event.name}", act, subject, shortened(detail)))
