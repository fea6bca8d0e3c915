"""Prices, the price and the cost's source of a reservation, and models without a price

Revision ID: 0008
Revises: 0007
"""

import sqlalchemy as sa
from alembic import op

revision = '0008'
down_revision = '0007'
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')


def upgrade():
    op.create_table('prices',
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('provider', sa.Text(), nullable=True),
    sa.Column('model', sa.Text(), nullable=False),
    sa.Column('same_as_provider', sa.Text(), nullable=True),
    sa.Column('same_as_model', sa.Text(), nullable=True),
    sa.Column('rates', sa.Text(), nullable=False),
    sa.Column('effective_from', BIG, nullable=False),
    sa.Column('match_provider', sa.Text(), nullable=False),
    sa.Column('match_model', sa.Text(), nullable=False),
    sa.Column('config_hash', sa.Text(), nullable=True),
    sa.Column('source', sa.Text(), server_default=sa.text("''"), nullable=False),
    sa.Column('place', sa.Text(), nullable=True),
    sa.Column('created_at', BIG, nullable=False),
    sa.Column('updated_at', BIG, nullable=False),
    sa.Column('search_name', sa.Text(), nullable=False),
    sa.Column('revision', BIG, nullable=False),
    sa.CheckConstraint("(rates = '') = (same_as_model IS NOT NULL)", name=op.f('ck_prices_rates')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_prices')),
    sa.UniqueConstraint('match_provider', 'match_model', 'effective_from', name='uq_prices_model'),
    comment="Prices that come before the list's: rates as JSON, or an alias. effective_from: 0 (always), or when."
    )
    op.create_index('ix_prices_created', 'prices', ['created_at', 'id'], unique=False)
    op.create_index(op.f('ix_prices_revision'), 'prices', ['revision'], unique=False)
    op.create_table('unpriced_models',
    sa.Column('provider', sa.Text(), nullable=False),
    sa.Column('model', sa.Text(), nullable=False),
    sa.Column('count', BIG, nullable=False),
    sa.Column('last_at', BIG, nullable=False),
    sa.PrimaryKeyConstraint('provider', 'model', name=op.f('pk_unpriced_models')),
    comment='Models whose price a call needed and nobody knew: statistics for doctor, at most one poll behind.'
    )
    op.add_column('reservations', sa.Column('price', sa.Text(), nullable=True))
    op.add_column('reservations',
                  sa.Column('cost_source', sa.Text(), server_default=sa.text("'none'"), nullable=False))
    # until now each cost was given by the caller
    op.execute("UPDATE reservations SET cost_source = 'given' WHERE held_cost > 0 OR used_cost > 0")


def downgrade():
    with op.batch_alter_table('reservations', schema=None) as batch_op:
        batch_op.drop_column('cost_source')
        batch_op.drop_column('price')
    op.drop_table('unpriced_models')
    op.drop_index(op.f('ix_prices_revision'), table_name='prices')
    op.drop_index('ix_prices_created', table_name='prices')
    op.drop_table('prices')
