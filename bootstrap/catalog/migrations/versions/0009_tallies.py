"""what had become of earlier shots when a generation began

Revision ID: 0009
Revises: 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.add_column("generation", sa.Column("tallies", sa.JSON(), nullable=False, server_default="[]"))


def downgrade() -> None:
    op.drop_column("generation", "tallies")
