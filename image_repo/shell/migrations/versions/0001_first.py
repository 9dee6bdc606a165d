"""The first schema: metadata files, published images, release counters, publications."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "publications",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("at", sa.Integer, nullable=False),
        sa.Column("who", sa.String, nullable=False),
    )
    op.create_table(
        "files",
        sa.Column("role", sa.String, primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True),
        sa.Column("octets", sa.LargeBinary, nullable=False),
        sa.Column("publication", sa.Integer, sa.ForeignKey("publications.number"), nullable=False),
    )
    op.create_table(
        "images",
        sa.Column("sha256", sa.LargeBinary, primary_key=True),
        sa.Column("length", sa.Integer, nullable=False),
    )
    op.create_table(
        "releases",
        sa.Column("filename", sa.String, primary_key=True),
        sa.Column("sha256", sa.LargeBinary, nullable=False),
        sa.Column("counter", sa.Integer, nullable=False),
    )
    op.create_table(
        "counters",
        sa.Column("role", sa.String, primary_key=True),
        sa.Column("hardware", sa.String, primary_key=True),
        sa.Column("counter", sa.Integer, nullable=False),
    )
