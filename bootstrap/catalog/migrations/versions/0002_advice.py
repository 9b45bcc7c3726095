"""how close and how flexible each snapshot is, and which ones to draw with

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

# Never in a batch: that makes the table anew, and dropping the old one would delete all rows that refer to it.


def upgrade() -> None:
    for name in ("closeness", "freedom", "elimination"):
        op.add_column("snapshot", sa.Column(name, sa.Double(), nullable=True))
    for name in ("variation", "replication"):
        op.add_column("training", sa.Column(name, sa.Integer(), nullable=True))


def downgrade() -> None:
    for name in ("replication", "variation"):
        op.drop_column("training", name)
    for name in ("elimination", "freedom", "closeness"):
        op.drop_column("snapshot", name)
