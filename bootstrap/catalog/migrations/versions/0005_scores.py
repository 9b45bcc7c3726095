"""what is known of a candidate before anyone looks at it, and its place in the queue

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_SCORES = ("quality", "closeness", "novelty", "agreement")


def upgrade() -> None:
    for name in _SCORES:
        op.add_column("candidate", sa.Column(name, sa.Double(), nullable=True))
    op.add_column("candidate", sa.Column("flaw", sa.String(length=16), nullable=True))
    op.add_column("candidate", sa.Column("rank", sa.Integer(), nullable=False, server_default="0"))
    op.create_index("candidate_rank", "candidate", ["project_id", "generation_id", "state", "rank"])
    op.create_table(
        "feature",
        sa.Column("candidate_id", sa.Integer(), nullable=False),
        sa.Column("embedder", sa.String(length=80), nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["candidate_id"], ["candidate.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("candidate_id"),
    )


def downgrade() -> None:
    op.drop_table("feature")
    op.drop_index("candidate_rank", "candidate")
    for name in ("rank", "flaw", *_SCORES):
        op.drop_column("candidate", name)
