"""Attempts to sign in, which all workers count together

Revision ID: 0012
Revises: 0011
"""

import sqlalchemy as sa
from alembic import op

revision = '0012'
down_revision = '0011'
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')


def upgrade():
    op.create_table(
        'sign_in_attempts',
        sa.Column('seq', sa.Integer(), nullable=False),
        sa.Column('address', sa.Text(), nullable=False),
        sa.Column('attempted_at', BIG, nullable=False),
        sa.PrimaryKeyConstraint('seq', name=op.f('pk_sign_in_attempts')),
    )
    op.create_index('ix_sign_in_attempts_address', 'sign_in_attempts', ['address', 'attempted_at'])


def downgrade():
    op.drop_index('ix_sign_in_attempts_address', table_name='sign_in_attempts')
    op.drop_table('sign_in_attempts')
