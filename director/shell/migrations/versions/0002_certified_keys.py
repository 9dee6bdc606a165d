"""Which key a certificate is for, so that no two vehicles are certified for one; older certificates do not say."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("certificates", sa.Column("key", sa.String))
    op.create_index("ix_certificates_key", "certificates", ["key"])
