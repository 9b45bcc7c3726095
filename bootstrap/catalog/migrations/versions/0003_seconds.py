"""how long each candidate took to draw

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("candidate", sa.Column("seconds", sa.Double(), nullable=True))


def downgrade() -> None:
    op.drop_column("candidate", "seconds")
