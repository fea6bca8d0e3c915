"""The maximum of each window, and reservations by the time of their admission

Revision ID: 0010
Revises: 0009
"""

import sqlalchemy as sa
from alembic import op

revision = '0010'
down_revision = '0009'
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')


def upgrade():
    op.add_column('counters', sa.Column('max_limit', BIG, nullable=True))
    # the maximum stays unknown if the rule was changed after the window's end, because it may have been another one
    # then
    op.execute("""
        UPDATE counters SET max_limit = rules.max_limit FROM rules
        WHERE rules.id = counters.rule_id AND rules.metric = counters.metric
        AND (rules.updated_at <= counters.window_end OR counters.window_end > (SELECT touched_at FROM config_revision))""")
    op.create_index('ix_reservations_created', 'reservations', ['created_at'])


def downgrade():
    op.drop_index('ix_reservations_created', table_name='reservations')
    with op.batch_alter_table('counters', schema=None) as batch_op:
        batch_op.drop_column('max_limit')
