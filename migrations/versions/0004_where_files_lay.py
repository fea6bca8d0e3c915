"""Users from files, and where the file lay that a row came from

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = '0004'
down_revision = '0003'
branch_labels = None
depends_on = None


def upgrade():
    op.add_column('model_limits', sa.Column('place', sa.Text(), nullable=True))
    op.add_column('virtual_keys', sa.Column('place', sa.Text(), nullable=True))
    op.add_column('users', sa.Column('config_hash', sa.Text(), nullable=True))
    op.add_column('users', sa.Column('source', sa.Text(), server_default=sa.text("''"), nullable=False))
    op.add_column('users', sa.Column('place', sa.Text(), nullable=True))


def downgrade():
    for table, columns in (('users', ('place', 'source', 'config_hash')), ('virtual_keys', ('place',)),
                           ('model_limits', ('place',))):
        with op.batch_alter_table(table, schema=None) as batch_op:
            for column in columns:
                batch_op.drop_column(column)
