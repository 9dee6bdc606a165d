"""The tables of the Director's database. Their history is Alembic's (migrations/); this is how they are now.

Whatever was signed is kept as the octets that were signed; columns beside them are there to be searched.
"""

from __future__ import annotations

import sqlalchemy as sa

TABLES = sa.MetaData()

VEHICLES = sa.Table(
    "vehicles",
    TABLES,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("description", sa.String, nullable=False),
    sa.Column("enrolled", sa.Integer, nullable=False),  # all times: UTC seconds
    sa.Column("revoked", sa.Integer),
    sa.Column("reissue", sa.Boolean, nullable=False),
    sa.Column("manifests", sa.Integer, nullable=False),
    sa.Column("polled", sa.Integer),  # as of the last poll that changed anything
)

ECUS = sa.Table(
    "ecus",
    TABLES,
    sa.Column("vehicle", sa.String, sa.ForeignKey("vehicles.id"), primary_key=True),
    sa.Column("id", sa.String, primary_key=True),
    # As enrolled.
    sa.Column("hardware", sa.String, nullable=False),
    sa.Column("is_primary", sa.Boolean, nullable=False),
    sa.Column("verification", sa.String, nullable=False),
    sa.Column("bus", sa.String, nullable=False),
    sa.Column("address", sa.Integer, nullable=False),
    sa.Column("filename", sa.String, nullable=False),
    sa.Column("slot_size", sa.Integer, nullable=False),
    sa.Column("key_scheme", sa.String),
    sa.Column("key_octets", sa.LargeBinary, unique=True),  # no two ECUs of a fleet share a key
    sa.Column("factory", sa.JSON),
    # What it should run.
    sa.Column("wanted", sa.LargeBinary),
    sa.Column("assigned", sa.LargeBinary),
    sa.Column("assigned_version", sa.Integer),
    sa.Column("assigned_counter", sa.Integer),
    sa.Column("assigned_held", sa.Boolean),
    sa.Column("assigned_before", sa.JSON),
    sa.Column("assigned_proven", sa.Boolean),
    # What it said.
    sa.Column("report", sa.LargeBinary),
    sa.Column("received", sa.Integer),
    sa.Column("silent_since", sa.Integer),
    # What it may run.
    sa.Column("settled", sa.JSON),
    sa.Column("unsettled", sa.JSON, nullable=False),
    sa.Column("counter_floor", sa.Integer, nullable=False),
    # To find every image the fleet has to do with.
    sa.Column("wanted_name", sa.String),
    sa.Column("assigned_name", sa.String),
    sa.Column("running_name", sa.String),
)

ISSUED = sa.Table(
    "issued",
    TABLES,
    sa.Column("vehicle", sa.String, sa.ForeignKey("vehicles.id"), primary_key=True),
    sa.Column("targets", sa.LargeBinary, nullable=False),
    sa.Column("snapshot", sa.LargeBinary, nullable=False),
    sa.Column("timestamp", sa.LargeBinary, nullable=False),
    sa.Column("targets_version", sa.Integer, nullable=False),
    sa.Column("snapshot_version", sa.Integer, nullable=False),
    sa.Column("timestamp_version", sa.Integer, nullable=False),
    sa.Column("root_version", sa.Integer, nullable=False),
    sa.Column("image_root", sa.Integer, nullable=False),
    sa.Column("issued", sa.Integer, nullable=False),
    sa.Column("expires", sa.Integer, nullable=False),
    sa.Column("bundle", sa.LargeBinary, nullable=False),
    sa.Column("coordinator_scheme", sa.String),
    sa.Column("coordinator_octets", sa.LargeBinary),
)

ADMISSIONS = sa.Table(
    "admissions",
    TABLES,
    sa.Column("vehicle", sa.String, sa.ForeignKey("vehicles.id"), primary_key=True),
    sa.Column("digest", sa.LargeBinary, nullable=False),
    sa.Column("octets", sa.LargeBinary, nullable=False),
    sa.Column("counter", sa.Integer, nullable=False),
    sa.Column("received", sa.Integer, nullable=False),
)

REFUSALS = sa.Table(
    "refusals",
    TABLES,
    sa.Column("vehicle", sa.String, sa.ForeignKey("vehicles.id"), primary_key=True),
    sa.Column("check_code", sa.Integer, primary_key=True),
    sa.Column("count", sa.Integer, nullable=False),
    sa.Column("last", sa.Integer, nullable=False),
    sa.Column("detail", sa.String, nullable=False),
)

CERTIFICATES = sa.Table(
    "certificates",
    TABLES,
    sa.Column("serial", sa.String, primary_key=True),
    sa.Column("uri", sa.String, nullable=False, index=True),
    sa.Column("issued", sa.Integer, nullable=False),
    sa.Column("revoked", sa.Integer),
    sa.Column("key", sa.String, index=True),  # SHA-256 of the key it is for; older ones and operators' do not say
)

ROOTS = sa.Table(
    "roots",
    TABLES,
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("octets", sa.LargeBinary, nullable=False),
)

RULES = sa.Table(
    "rules",
    TABLES,
    sa.Column("kind", sa.String, primary_key=True),
    sa.Column("image", sa.String, primary_key=True),
    sa.Column("other", sa.String, primary_key=True),
    sa.Column("counter_min", sa.Integer, primary_key=True),
    sa.Column("place", sa.Integer, nullable=False),
)

IMAGE_FILES = sa.Table(  # the Image repository's files as the Director trusts them
    "image_files",
    TABLES,
    sa.Column("file", sa.String, primary_key=True),
    sa.Column("octets", sa.LargeBinary, nullable=False),
)

AUDIT = sa.Table(
    "audit",
    TABLES,
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("utc", sa.Integer, nullable=False),
    sa.Column("actor", sa.String, nullable=False),
    sa.Column("act", sa.String, nullable=False),
    sa.Column("subject", sa.String, nullable=False),
    sa.Column("detail", sa.String, nullable=False),
    sa.Column("digest", sa.LargeBinary, nullable=False),
)
