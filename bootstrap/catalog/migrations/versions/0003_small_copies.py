"""what else of a candidate is compared with later ones: its small copy, and the averages of a few cells of it

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("candidate", sa.Column("coarse", sa.LargeBinary(), nullable=True))
    op.create_table(
        "small_copy",
        sa.Column("candidate_id", sa.Integer(), nullable=False),
        sa.Column("pixels", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["candidate_id"], ["candidate.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("candidate_id"),
    )


def downgrade() -> None:
    op.drop_table("small_copy")
    op.drop_column("candidate", "coarse")
