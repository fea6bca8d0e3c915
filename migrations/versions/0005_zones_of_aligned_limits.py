"""A limit whose windows do not follow the calendar has no time zone but UTC

Revision ID: 0005
Revises: 0004
"""

from alembic import op

revision = '0005'
down_revision = '0004'
branch_labels = None
depends_on = None


def upgrade():
    op.execute("UPDATE model_limits SET timezone = 'UTC' WHERE calendar_aligned = 0 AND timezone <> 'UTC'")


def downgrade():
    """Keep the rows: the zones that are gone had no effect."""
