"""how long each candidate took to draw

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("candidate", sa.Column("seconds", sa.Double(), nullable=True))


def downgrade() -> None:
    op.drop_column("candidate", "seconds")
