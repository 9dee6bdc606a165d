"""The Director's records in SQLite: one process owns the file, one request is one transaction.

What a transaction wrote is durable when it ends, whoever pulls the plug then; what it did not finish never was.
The audit log refuses to be changed, by triggers.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, assert_never

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import DatabaseError, IntegrityError

from director.audit import Act, Entry, Linked, link
from director.errors import Declined, Reason
from director.events import (
    Log,
    PutCertificate,
    PutRoot,
    PutRules,
    PutVehicle,
    RevokeCertificates,
    Store,
)
from director.inventory import Vehicle
from director.resolve import Kind, Rule
from director.shell import records
from director.shell.tables import (
    ADMISSIONS,
    AUDIT,
    CERTIFICATES,
    ECUS,
    IMAGE_FILES,
    ISSUED,
    REFUSALS,
    ROOTS,
    RULES,
    VEHICLES,
)
from uptane.errors import StorageFailure
from uptane.model.ids import VehicleId
from uptane.moments import UtcTime
from uptane.ports import Codec, Hasher
from uptane.verify.delegations import Wanted

MIGRATIONS = Path(__file__).resolve().parent / "migrations"
BUSY_TIMEOUT_MS = 10_000  # an order for 10,000 vehicles is written in 5,000


class Records:
    """What can be read and written within one transaction."""

    def __init__(self, connection: sa.Connection, codec: Codec, hasher: Hasher) -> None:
        self._connection = connection
        self._codec = codec
        self._hasher = hasher

    # ------------------------------------------------------------------------------------------------ reading

    def vehicle(self, vehicle: VehicleId) -> Vehicle | None:
        """One vehicle."""
        return next(self.vehicles([vehicle]), None)

    def vehicles(self, ids: Sequence[VehicleId] | None = None) -> Iterator[Vehicle]:
        """These vehicles, as far as they are there; all of them, ascending, for None."""
        query = sa.select(VEHICLES).order_by(VEHICLES.c.id)
        if ids is not None:
            query = query.where(VEHICLES.c.id.in_(ids))
        for row in self._connection.execute(query).mappings().all():
            yield self._vehicle(row)

    def polled(self, vehicle: VehicleId) -> UtcTime | None:
        """When this vehicle last polled with anything to tell or to get."""
        query = sa.select(VEHICLES.c.polled).where(VEHICLES.c.id == vehicle)
        polled: UtcTime | None = self._connection.execute(query).scalar()
        return polled

    def vehicles_total(self) -> int:
        """How many vehicles are enrolled."""
        return int(self._connection.execute(sa.select(sa.func.count()).select_from(VEHICLES)).scalar_one())

    def images_in_use(self) -> set[Wanted]:
        """Every image the fleet has to do with, by name and the hardware it is looked up for."""
        found: set[Wanted] = set()
        for column in (ECUS.c.wanted_name, ECUS.c.assigned_name, ECUS.c.running_name):
            query = sa.select(column, ECUS.c.hardware).where(column.is_not(None)).distinct()
            found.update(Wanted(filename, hardware) for filename, hardware in self._connection.execute(query))
        return found

    def roots(self) -> tuple[bytes, ...]:
        """Every Root, from version 1 on."""
        query = sa.select(ROOTS.c.octets).order_by(ROOTS.c.version)
        return tuple(self._connection.execute(query).scalars())

    def rules(self) -> tuple[Rule, ...]:
        """The rules between images, in the order they were made."""
        query = sa.select(RULES).order_by(RULES.c.place)
        return tuple(
            Rule(Kind(row.kind), row.image, row.other, row.counter_min) for row in self._connection.execute(query)
        )

    def image_files(self) -> Mapping[str, bytes]:
        """The Image repository's files, as trusted."""
        return {row.file: row.octets for row in self._connection.execute(sa.select(IMAGE_FILES))}

    def is_admitted(self, serial: str, uri: str) -> bool | None:
        """Whether this certificate may act under this name; None if nobody issued it."""
        query = sa.select(CERTIFICATES.c.revoked).where(CERTIFICATES.c.serial == serial, CERTIFICATES.c.uri == uri)
        row = self._connection.execute(query).one_or_none()
        return None if row is None else row.revoked is None

    def audit(self, later_than: int = 0, limit: int | None = None) -> Iterator[Linked]:
        """The log after an entry, oldest first."""
        query = sa.select(AUDIT).where(AUDIT.c.number > later_than).order_by(AUDIT.c.number).limit(limit)
        for row in self._connection.execute(query):
            yield _linked(row)

    # ------------------------------------------------------------------------------------------------ writing

    def carry_out(self, effects: Sequence[Store]) -> None:
        """Store, in order.

        Raises:
            Declined: a key that another vehicle, or an ECU of one, has.
        """
        for effect in effects:
            match effect:
                case PutVehicle(vehicle=vehicle):
                    self._put_vehicle(vehicle)
                case PutRoot(version=version, octets=octets):
                    self._connection.execute(sa.insert(ROOTS).values(version=version, octets=octets))
                case PutRules(rules=rules):
                    self._put_rules(rules)
                case PutCertificate():
                    self._put_certificate(effect)
                case RevokeCertificates(uri=uri, utc=utc):
                    still = sa.and_(CERTIFICATES.c.uri == uri, CERTIFICATES.c.revoked.is_(None))
                    self._connection.execute(sa.update(CERTIFICATES).where(still).values(revoked=utc))
                case Log(entry=entry):
                    self.append(entry)
                case _:
                    assert_never(effect)

    def append(self, entry: Entry) -> Linked:
        """Append to the audit log."""
        last = self._connection.execute(sa.select(AUDIT).order_by(AUDIT.c.number.desc()).limit(1)).one_or_none()
        linked = link(None if last is None else _linked(last), entry, self._hasher)
        values = {"utc": entry.utc, "actor": entry.actor, "act": entry.act.value}
        values |= {"subject": entry.subject, "detail": entry.detail}
        self._connection.execute(sa.insert(AUDIT).values(number=linked.number, digest=linked.digest, **values))
        return linked

    def set_polled(self, vehicle: VehicleId, utc: UtcTime) -> None:
        """Note when a vehicle polled."""
        self._connection.execute(sa.update(VEHICLES).where(VEHICLES.c.id == vehicle).values(polled=utc))

    def keep_image_file(self, file: str, octets: bytes | None) -> None:
        """Store a file of the Image repository, or drop it for None."""
        if octets is None:
            self._connection.execute(sa.delete(IMAGE_FILES).where(IMAGE_FILES.c.file == file))
        else:
            self._upsert(IMAGE_FILES, {"file": file, "octets": octets})

    # ------------------------------------------------------------------------------------------------ in detail

    def _vehicle(self, row: records.Row) -> Vehicle:
        def of(table: sa.Table) -> Sequence[records.Row]:
            query = sa.select(table).where(table.c.vehicle == row["id"])
            return self._connection.execute(query).mappings().all()

        def one_of(table: sa.Table) -> records.Row | None:
            return next(iter(of(table)), None)

        ecus = sorted(of(ECUS), key=lambda each: str(each["id"]).encode())
        return records.vehicle_of(
            self._codec, row, ecus, one_of(ISSUED), admission=one_of(ADMISSIONS), refusals=of(REFUSALS)
        )

    def _put_certificate(self, put: PutCertificate) -> None:
        """Whoever has a vehicle's TLS key could talk as each vehicle that is certified for it."""
        others = sa.and_(CERTIFICATES.c.uri != put.uri, CERTIFICATES.c.revoked.is_(None))
        query = sa.select(CERTIFICATES.c.uri).where(CERTIFICATES.c.key == put.key, others).limit(1)
        if put.key is not None and (uri := self._connection.execute(query).scalar()) is not None:
            raise Declined(
                Reason.EXISTS,
                f"the TLS key {put.key} (SHA-256) is certified for {uri}: is this another board's request.pem? If the "
                "board moved, revoke that vehicle first",
            )
        row = {"serial": put.serial, "uri": put.uri, "issued": put.utc, "key": put.key}
        self._connection.execute(sa.insert(CERTIFICATES).values(row))

    def _put_vehicle(self, vehicle: Vehicle) -> None:
        self._upsert(VEHICLES, records.vehicle_row(vehicle))
        try:
            for record in vehicle.ecus:
                self._upsert(ECUS, records.ecu_row(vehicle, record))
        except IntegrityError as error:
            raise Declined(Reason.EXISTS, f"an ECU of {vehicle.id} has the key of another vehicle's ECU") from error
        if vehicle.issued is not None:
            self._upsert(ISSUED, records.issued_row(vehicle, vehicle.issued))
        if vehicle.admission is None:
            self._connection.execute(sa.delete(ADMISSIONS).where(ADMISSIONS.c.vehicle == vehicle.id))
        else:
            self._upsert(ADMISSIONS, records.admission_row(vehicle, vehicle.admission))
        for filed in vehicle.filed:
            self._upsert(REFUSALS, records.refusal_row(vehicle, filed))

    def _put_rules(self, rules: Sequence[Rule]) -> None:
        self._connection.execute(sa.delete(RULES))
        for place, rule in enumerate(rules):
            values = {"kind": rule.kind.value, "image": rule.image, "other": rule.other}
            self._connection.execute(sa.insert(RULES).values(place=place, counter_min=rule.counter_min, **values))

    def _upsert(self, table: sa.Table, row: Mapping[str, Any]) -> None:
        keys = [column.name for column in table.primary_key]
        statement = insert(table).values(**row)
        changed = {name: statement.excluded[name] for name in row if name not in keys}
        self._connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=changed))


class Database:
    """The records in one SQLite file, brought up to date when opened. Safe for threads."""

    def __init__(self, path: Path, codec: Codec, hasher: Hasher) -> None:
        self._path = path
        self._codec = codec
        self._hasher = hasher
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise StorageFailure(f"{path.parent} cannot be made: {error.strerror}") from error
        self._engine = sa.create_engine(sa.URL.create("sqlite", database=str(path)))
        sa.event.listen(self._engine, "connect", _configure)
        sa.event.listen(self._engine, "begin", _begin)
        with self._connection(writing=True) as connection:
            settings = Config()
            settings.set_main_option("script_location", str(MIGRATIONS))
            settings.attributes["connection"] = connection
            command.upgrade(settings, "head")

    def close(self) -> None:
        """Let go of the file."""
        self._engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Records]:
        """A transaction that only reads, from one state of the database."""
        with self._connection(writing=False) as connection:
            yield Records(connection, self._codec, self._hasher)

    @contextmanager
    def writing(self) -> Iterator[Records]:
        """A transaction that is durable when the block ends, and never was if the block raises.

        Raises:
            StorageFailure: it cannot be read or written; what was there before still stands.
        """
        with self._connection(writing=True) as connection:
            yield Records(connection, self._codec, self._hasher)

    @contextmanager
    def _connection(self, *, writing: bool) -> Iterator[sa.Connection]:
        try:
            with self._engine.connect() as connection:
                connection.info["writing"] = writing
                with connection.begin():
                    yield connection
        except (DatabaseError, OSError) as error:
            raise StorageFailure(f"{self._path}: {error.__cause__ or error}") from error


def _linked(row: sa.Row[Any]) -> Linked:
    entry = Entry(row.utc, row.actor, Act(row.act), row.subject, row.detail)
    return Linked(row.number, entry, row.digest)


def _configure(connection: sqlite3.Connection, _record_of_pool: object) -> None:
    """Durable commits; transactions begin where SQLAlchemy says, not where sqlite3 guesses."""
    connection.isolation_level = None
    for setting in (
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        f"busy_timeout = {BUSY_TIMEOUT_MS}",
    ):
        connection.execute(f"PRAGMA {setting}")


def _begin(connection: sa.Connection) -> None:
    """A writer takes the lock at once: two that read first and write then would stop each other for good."""
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.info.get("writing") else "BEGIN")
