"""Metering

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = '0002'
down_revision = '0001'
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')


def upgrade():
    op.add_column('config_revision', sa.Column('touched_at', BIG, server_default='0', nullable=False))
    op.add_column('counters', sa.Column('reset_at', BIG, server_default='0', nullable=False))
    op.create_table('idempotency',
    sa.Column('api_key_id', sa.Text(), nullable=False),
    sa.Column('path', sa.Text(), nullable=False),
    sa.Column('key', sa.Text(), nullable=False),
    sa.Column('fingerprint', sa.Text(), nullable=False),
    sa.Column('answer', sa.LargeBinary(), nullable=False),
    sa.Column('created_at', BIG, nullable=False),
    sa.PrimaryKeyConstraint('api_key_id', 'path', 'key', name=op.f('pk_idempotency')),
    comment='The first answer to an effect, given again to its repeats.',
    sqlite_with_rowid=False
    )
    with op.batch_alter_table('idempotency', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_idempotency_created_at'), ['created_at'], unique=False)

    op.create_table('ledger',
    sa.Column('seq', sa.Integer(), nullable=False),
    sa.Column('counter_id', sa.Integer(), nullable=False),
    sa.Column('held', BIG, nullable=False),
    sa.Column('used', BIG, nullable=False),
    sa.PrimaryKeyConstraint('seq', 'counter_id', name=op.f('pk_ledger')),
    comment='What each reservation holds and used of each counter; rows of a counter that is gone are pruned.',
    sqlite_with_rowid=False
    )
    op.create_table('reservations',
    sa.Column('seq', sa.Integer(), nullable=False),
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('status', sa.Text(), nullable=False),
    sa.Column('model', sa.Text(), nullable=False),
    sa.Column('provider', sa.Text(), nullable=True),
    sa.Column('virtual_key_id', sa.Text(), nullable=True),
    sa.Column('user_id', sa.Text(), nullable=True),
    sa.Column('requests', BIG, nullable=False),
    sa.Column('held_tokens', BIG, nullable=False),
    sa.Column('held_cost', BIG, nullable=False),
    sa.Column('used_tokens', BIG, nullable=False),
    sa.Column('used_cost', BIG, nullable=False),
    sa.Column('created_at', BIG, nullable=False),
    sa.Column('expires_at', BIG, nullable=False),
    sa.Column('settled_at', BIG, nullable=True),
    sa.Column('late', sa.Boolean(), nullable=False),
    sa.Column('ended_at', BIG, nullable=True),
    sa.CheckConstraint("status IN ('open', 'settled', 'released', 'expired', 'reported')", name=op.f('ck_reservations_status')),
    sa.PrimaryKeyConstraint('seq', name=op.f('pk_reservations')),
    sa.UniqueConstraint('id', name=op.f('uq_reservations_id')),
    comment='Reservations, and (reported) usage that had none. seq rises with admission and names them in the ledger.',
    sqlite_autoincrement=True
    )
    with op.batch_alter_table('reservations', schema=None) as batch_op:
        batch_op.create_index('ix_reservations_open', ['expires_at'], unique=False, sqlite_where=sa.text("status = 'open'"))

    op.create_table('verifications',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('at', BIG, nullable=False),
    sa.Column('counters', BIG, nullable=False),
    sa.Column('differences', BIG, nullable=False),
    sa.CheckConstraint('id = 1', name=op.f('ck_verifications_one_row')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_verifications')),
    comment='The last result of `flask governance verify`.'
    )
    op.create_table('denials',
    sa.Column('model_limit_id', sa.Text(), nullable=False),
    sa.Column('count', BIG, nullable=False),
    sa.Column('last_at', BIG, nullable=False),
    sa.ForeignKeyConstraint(['model_limit_id'], ['model_limits.id'], name=op.f('fk_denials_model_limits'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('model_limit_id', name=op.f('pk_denials')),
    comment='How often each limit refused a call: statistics, at most one poll behind.'
    )


def downgrade():
    with op.batch_alter_table('counters', schema=None) as batch_op:
        batch_op.drop_column('reset_at')

    with op.batch_alter_table('config_revision', schema=None) as batch_op:
        batch_op.drop_column('touched_at')

    op.drop_table('denials')
    op.drop_table('verifications')
    with op.batch_alter_table('reservations', schema=None) as batch_op:
        batch_op.drop_index('ix_reservations_open', sqlite_where=sa.text("status = 'open'"))

    op.drop_table('reservations')
    op.drop_table('ledger')
    with op.batch_alter_table('idempotency', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_idempotency_created_at'))

    op.drop_table('idempotency')
