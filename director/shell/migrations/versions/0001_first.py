"""The first schema: inventory, issued metadata, manifests, certificates, rules, the audit log."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    _vehicles()
    _ecus()
    _metadata()
    _records()
    op.create_index("ix_certificates_uri", "certificates", ["uri"])
    for verb in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER audit_no_{verb.lower()} BEFORE {verb} ON audit "
            "BEGIN SELECT RAISE(ABORT, 'the audit log is only appended to'); END"
        )


def _vehicles() -> None:
    op.create_table(
        "vehicles",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("description", sa.String, nullable=False),
        sa.Column("enrolled", sa.Integer, nullable=False),
        sa.Column("revoked", sa.Integer),
        sa.Column("reissue", sa.Boolean, nullable=False),
        sa.Column("manifests", sa.Integer, nullable=False),
        sa.Column("polled", sa.Integer),
    )


def _ecus() -> None:
    op.create_table(
        "ecus",
        sa.Column("vehicle", sa.String, sa.ForeignKey("vehicles.id"), primary_key=True),
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("hardware", sa.String, nullable=False),
        sa.Column("is_primary", sa.Boolean, nullable=False),
        sa.Column("verification", sa.String, nullable=False),
        sa.Column("bus", sa.String, nullable=False),
        sa.Column("address", sa.Integer, nullable=False),
        sa.Column("filename", sa.String, nullable=False),
        sa.Column("slot_size", sa.Integer, nullable=False),
        sa.Column("key_scheme", sa.String),
        sa.Column("key_octets", sa.LargeBinary, unique=True),
        sa.Column("factory", sa.JSON),
        sa.Column("wanted", sa.LargeBinary),
        sa.Column("assigned", sa.LargeBinary),
        sa.Column("assigned_version", sa.Integer),
        sa.Column("assigned_counter", sa.Integer),
        sa.Column("assigned_held", sa.Boolean),
        sa.Column("assigned_before", sa.JSON),
        sa.Column("assigned_proven", sa.Boolean),
        sa.Column("report", sa.LargeBinary),
        sa.Column("received", sa.Integer),
        sa.Column("silent_since", sa.Integer),
        sa.Column("settled", sa.JSON),
        sa.Column("unsettled", sa.JSON, nullable=False),
        sa.Column("counter_floor", sa.Integer, nullable=False),
        sa.Column("wanted_name", sa.String),
        sa.Column("assigned_name", sa.String),
        sa.Column("running_name", sa.String),
    )


def _metadata() -> None:
    op.create_table(
        "issued",
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
    op.create_table(
        "roots",
        sa.Column("version", sa.Integer, primary_key=True),
        sa.Column("octets", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "rules",
        sa.Column("kind", sa.String, primary_key=True),
        sa.Column("image", sa.String, primary_key=True),
        sa.Column("other", sa.String, primary_key=True),
        sa.Column("counter_min", sa.Integer, primary_key=True),
        sa.Column("place", sa.Integer, nullable=False),
    )
    op.create_table(
        "image_files",
        sa.Column("file", sa.String, primary_key=True),
        sa.Column("octets", sa.LargeBinary, nullable=False),
    )


def _records() -> None:
    op.create_table(
        "admissions",
        sa.Column("vehicle", sa.String, sa.ForeignKey("vehicles.id"), primary_key=True),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("octets", sa.LargeBinary, nullable=False),
        sa.Column("counter", sa.Integer, nullable=False),
        sa.Column("received", sa.Integer, nullable=False),
    )
    op.create_table(
        "refusals",
        sa.Column("vehicle", sa.String, sa.ForeignKey("vehicles.id"), primary_key=True),
        sa.Column("check_code", sa.Integer, primary_key=True),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("last", sa.Integer, nullable=False),
        sa.Column("detail", sa.String, nullable=False),
    )
    op.create_table(
        "certificates",
        sa.Column("serial", sa.String, primary_key=True),
        sa.Column("uri", sa.String, nullable=False),
        sa.Column("issued", sa.Integer, nullable=False),
        sa.Column("revoked", sa.Integer),
    )
    op.create_table(
        "audit",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("utc", sa.Integer, nullable=False),
        sa.Column("actor", sa.String, nullable=False),
        sa.Column("act", sa.String, nullable=False),
        sa.Column("subject", sa.String, nullable=False),
        sa.Column("detail", sa.String, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
    )
