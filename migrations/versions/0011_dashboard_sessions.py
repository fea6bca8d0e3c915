"""What the dashboard's sessions need: the secret that signs them, and the forms that were sent

Revision ID: 0011
Revises: 0010
"""

import sqlalchemy as sa
from alembic import op

revision = '0011'
down_revision = '0010'
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')


def upgrade():
    op.create_table(
        'session_secret',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('secret', sa.Text(), nullable=False),
        sa.CheckConstraint('id = 1', name=op.f('ck_session_secret_one_row')),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_session_secret')),
    )
    op.create_table(
        'sent_forms',
        sa.Column('form_id', sa.Text(), nullable=False),
        sa.Column('sent_at', BIG, nullable=False),
        sa.PrimaryKeyConstraint('form_id', name=op.f('pk_sent_forms')),
    )
    op.create_index('ix_sent_forms_sent_at', 'sent_forms', ['sent_at'])


def downgrade():
    op.drop_index('ix_sent_forms_sent_at', table_name='sent_forms')
    op.drop_table('sent_forms')
    op.drop_table('session_secret')
