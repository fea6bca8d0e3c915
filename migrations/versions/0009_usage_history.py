"""Usage by 15 minutes, day and month, and the tokens by kind of a reservation

Revision ID: 0009
Revises: 0008
"""

import sqlalchemy as sa
from alembic import op

from governance.domain.names import spelled

revision = '0009'
down_revision = '0008'
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')
AMOUNTS = ('requests', 'input_tokens', 'output_tokens', 'cached_tokens', 'other_tokens', 'cost', 'overrun', 'denied')
COMMENTS = {
    'usage_buckets': 'What was used in 15 minutes (UTC, of admission) by a series.',
    'usage_days': 'Sums of buckets over closed days of the time zone in usage_sums.',
    'usage_months': 'Sums of days over closed months of the time zone in usage_sums.',
}
QUARTER, DAY = 15 * 60 * 10**6, 24 * 3600 * 10**6


def upgrade():
    op.create_table('usage_series',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('provider', sa.Text(), nullable=False),
    sa.Column('model', sa.Text(), nullable=False),
    sa.Column('virtual_key_id', sa.Text(), nullable=False),
    sa.Column('user_id', sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_usage_series')),
    sa.UniqueConstraint('provider', 'model', 'virtual_key_id', 'user_id', name='uq_usage_series_whole'),
    comment="Who used what: canonical provider and model, virtual key and user, '' for none."
    )
    op.create_table('usage_series_days',
    sa.Column('day', sa.Integer(), nullable=False),
    sa.Column('series_id', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('day', 'series_id', name=op.f('pk_usage_series_days')),
    sqlite_with_rowid=False,
    comment='Which series are kept apart in a UTC day (days since 1970). The others are added together.'
    )
    for name, comment in COMMENTS.items():
        op.create_table(name,
        sa.Column('start', BIG, nullable=False),
        sa.Column('series_id', sa.Integer(), nullable=False),
        *(sa.Column(amount, BIG, nullable=False) for amount in AMOUNTS),
        sa.PrimaryKeyConstraint('start', 'series_id', name=op.f(f'pk_{name}')),
        sqlite_with_rowid=False,
        comment=comment
        )
    op.create_table('usage_sums',
    sa.Column('period', sa.Text(), nullable=False),
    sa.Column('start', BIG, nullable=False),
    sa.Column('timezone', sa.Text(), nullable=False),
    sa.Column('generation', sa.Integer(), nullable=False),
    sa.Column('is_current', sa.Boolean(), nullable=False),
    sa.CheckConstraint("period IN ('day', 'month')", name=op.f('ck_usage_sums_period')),
    sa.PrimaryKeyConstraint('period', 'start', name=op.f('pk_usage_sums')),
    comment='Which days and months are summed. A late correction raises generation; the sum is then not current.'
    )
    op.create_table('usage_bounds',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('pruned_until', BIG, nullable=False),
    sa.Column('buckets_since', BIG, nullable=False),
    sa.CheckConstraint('id = 1', name=op.f('ck_usage_bounds_one_row')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_usage_bounds')),
    comment='Reservations admitted before pruned_until may be gone; buckets before buckets_since are.'
    )
    for column in ('input_tokens', 'output_tokens', 'cached_tokens'):
        op.add_column('reservations', sa.Column(column, BIG, server_default='0', nullable=False))
    # a reservation stays a day at least, so all that were admitted in the last day are there
    op.execute(f'INSERT INTO usage_bounds SELECT 1, max(0, touched_at - {DAY}), 0 FROM config_revision')
    add_stored(op.get_bind())


def add_stored(bind):
    """Add the reservations and reports that are still stored to their buckets."""
    connection = bind.connection.driver_connection
    connection.create_function('canonical_provider', 2, lambda model, provider: spelled(model, provider)[0])
    connection.create_function('canonical_model', 2, lambda model, provider: spelled(model, provider)[1])
    names = 'provider, model, virtual_key_id, user_id'
    bind.exec_driver_sql(f"""
        CREATE TEMP TABLE used AS
        SELECT created_at - created_at % {QUARTER} AS start, canonical_provider(model, coalesce(provider, '')) AS provider,
               canonical_model(model, coalesce(provider, '')) AS model, coalesce(virtual_key_id, '') AS virtual_key_id,
               coalesce(user_id, '') AS user_id, sum(requests) AS requests, sum(used_tokens) AS tokens,
               sum(used_cost) AS cost,
               sum(CASE status WHEN 'reported' THEN 0 ELSE max(0, used_cost - held_cost) END) AS overrun
        FROM reservations WHERE status <> 'open' AND (requests > 0 OR used_tokens > 0 OR used_cost > 0)
        GROUP BY 1, 2, 3, 4, 5""")
    bind.exec_driver_sql(f'INSERT INTO usage_series ({names}) SELECT DISTINCT {names} FROM used')
    bind.exec_driver_sql(f"""
        INSERT INTO usage_buckets (start, series_id, {', '.join(AMOUNTS)})
        SELECT start, id, requests, 0, 0, 0, tokens, cost, overrun, 0 FROM used JOIN usage_series USING ({names})""")
    bind.exec_driver_sql(f"""
        INSERT INTO usage_series_days SELECT DISTINCT start / {DAY}, series_id FROM usage_buckets""")
    bind.exec_driver_sql('DROP TABLE used')


def downgrade():
    with op.batch_alter_table('reservations', schema=None) as batch_op:
        for column in ('cached_tokens', 'output_tokens', 'input_tokens'):
            batch_op.drop_column(column)
    for name in ('usage_bounds', 'usage_sums', *COMMENTS, 'usage_series_days', 'usage_series'):
        op.drop_table(name)
