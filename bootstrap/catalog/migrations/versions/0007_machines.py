"""several machines on one catalog: who works on a project, in which order candidates were planned, when reviews ended

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column("generation", sa.Column("reviewed_at", sa.DateTime(), nullable=True))
    op.add_column("candidate", sa.Column("turn", sa.Integer(), nullable=False, server_default="0"))
    op.create_table(
        "lease",
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("holder", sa.String(length=32), nullable=False),
        sa.Column("machine", sa.String(length=255), nullable=False),
        sa.Column("process", sa.Integer(), nullable=False),
        sa.Column("beats", sa.BigInteger(), nullable=False),
        sa.Column("beat_at", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("project_id"),
    )


def downgrade() -> None:
    op.drop_table("lease")
    op.drop_column("candidate", "turn")
    op.drop_column("generation", "reviewed_at")
