"""which kind of image hash a candidate has

Revision ID: 0010
Revises: 0009
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.add_column("candidate", sa.Column("hash_kind", sa.String(length=16), nullable=True))
    op.execute("ALTER TABLE candidate RENAME COLUMN phash TO image_hash")
    op.execute("ALTER TABLE candidate RENAME COLUMN phash_mirrored TO image_hash_mirrored")
    op.execute("UPDATE candidate SET hash_kind = 'phash' WHERE image_hash IS NOT NULL")


def downgrade() -> None:
    op.execute("UPDATE candidate SET image_hash = NULL, coarse = NULL WHERE hash_kind != 'phash'")
    op.execute("ALTER TABLE candidate RENAME COLUMN image_hash TO phash")
    op.execute("ALTER TABLE candidate RENAME COLUMN image_hash_mirrored TO phash_mirrored")
    op.drop_column("candidate", "hash_kind")
