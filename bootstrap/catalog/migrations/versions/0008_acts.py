"""one act of a reviewer is applied once, candidates are held by one browser at a time, captions can be edited

Revision ID: 0008
Revises: 0007
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("candidate", sa.Column("caption", sa.String(), nullable=True))
    op.add_column("candidate", sa.Column("reason", sa.String(length=80), nullable=False, server_default=""))
    op.add_column("candidate", sa.Column("held_by", sa.String(length=36), nullable=True))
    op.add_column("candidate", sa.Column("held_until", sa.DateTime(), nullable=True))
    op.add_column("candidate", sa.Column("postponed_at", sa.DateTime(), nullable=True))
    op.add_column("verdict", sa.Column("act", sa.String(length=36), nullable=False, server_default=""))
    op.add_column("verdict", sa.Column("reason", sa.String(length=80), nullable=False, server_default=""))
    verdict = sa.table("verdict", sa.column("id", sa.Integer), sa.column("act", sa.String))
    op.execute(verdict.update().values(act=sa.literal("verdict ") + sa.cast(verdict.c.id, sa.String)))
    op.create_index("verdict_act", "verdict", ["act", "candidate_id"], unique=True)


def downgrade() -> None:
    op.drop_index("verdict_act", "verdict")
    for name in ("reason", "act"):
        op.drop_column("verdict", name)
    for name in ("postponed_at", "held_until", "held_by", "reason", "caption"):
        op.drop_column("candidate", name)
