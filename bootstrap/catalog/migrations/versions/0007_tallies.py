"""what had become of earlier shots when a generation began

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column("generation", sa.Column("tallies", sa.JSON(), nullable=False, server_default="[]"))


def downgrade() -> None:
    op.drop_column("generation", "tallies")
