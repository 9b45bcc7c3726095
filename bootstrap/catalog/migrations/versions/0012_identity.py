"""which folder a project's row belongs to

Revision ID: 0012
Revises: 0011
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.add_column("project", sa.Column("identity", sa.String(length=32), nullable=True))
    op.create_index("project_identity", "project", ["identity"], unique=True)


def downgrade() -> None:
    op.drop_index("project_identity", "project")
    op.drop_column("project", "identity")
