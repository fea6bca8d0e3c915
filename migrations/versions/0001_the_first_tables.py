"""The first tables

Revision ID: 0001
Revises: 
"""

import sqlalchemy as sa
from alembic import op

revision = '0001'
down_revision = None
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')


def upgrade():
    op.create_table('api_keys',
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('key_prefix', sa.Text(), nullable=False),
    sa.Column('digest', sa.Text(), nullable=False),
    sa.Column('scopes', sa.Text(), nullable=False),
    sa.Column('expires_at', BIG, nullable=True),
    sa.Column('last_used_at', BIG, nullable=True),
    sa.Column('created_at', BIG, nullable=False),
    sa.Column('revision', BIG, nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_api_keys')),
    sa.UniqueConstraint('digest', name=op.f('uq_api_keys_digest'))
    )
    with op.batch_alter_table('api_keys', schema=None) as batch_op:
        batch_op.create_index('ix_api_keys_created', ['created_at', 'id'], unique=False)
        batch_op.create_index(batch_op.f('ix_api_keys_revision'), ['revision'], unique=False)

    op.create_table('config_revision',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('revision', BIG, nullable=False),
    sa.CheckConstraint('id = 1', name=op.f('ck_config_revision_one_row')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_config_revision')),
    comment='Raised as the first statement of every management write, so that revisions become visible in order.'
    )
    op.create_table('model_limits',
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('model_name', sa.Text(), nullable=False),
    sa.Column('provider', sa.Text(), nullable=False),
    sa.Column('scope', sa.Text(), nullable=False),
    sa.Column('scope_id', sa.Text(), nullable=False),
    sa.Column('calendar_aligned', sa.Boolean(), nullable=False),
    sa.Column('timezone', sa.Text(), nullable=False),
    sa.Column('config_hash', sa.Text(), nullable=True),
    sa.Column('created_at', BIG, nullable=False),
    sa.Column('updated_at', BIG, nullable=False),
    sa.Column('version', BIG, nullable=False),
    sa.Column('search_name', sa.Text(), nullable=False),
    sa.Column('match_provider', sa.Text(), nullable=False),
    sa.Column('match_name', sa.Text(), nullable=False),
    sa.Column('revision', BIG, nullable=False),
    sa.CheckConstraint("(scope = 'global') = (scope_id = '')", name=op.f('ck_model_limits_scope_id')),
    sa.CheckConstraint("scope IN ('global', 'virtual_key', 'user')", name=op.f('ck_model_limits_scope')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_model_limits')),
    sa.UniqueConstraint('scope', 'scope_id', 'match_provider', 'match_name', name='uq_model_limits_identity'),
    comment='Whom a limit concerns. search_name and match_* are folded by us, never by the database.'
    )
    with op.batch_alter_table('model_limits', schema=None) as batch_op:
        batch_op.create_index('ix_model_limits_created', ['created_at', 'id'], unique=False)
        batch_op.create_index('ix_model_limits_name', ['search_name', 'id'], unique=False)
        batch_op.create_index('ix_model_limits_provider_created', ['provider', 'created_at', 'id'], unique=False)
        batch_op.create_index(batch_op.f('ix_model_limits_revision'), ['revision'], unique=False)
        batch_op.create_index('ix_model_limits_scope_created', ['scope', 'created_at', 'id'], unique=False)
        batch_op.create_index('ix_model_limits_scope_id_created', ['scope_id', 'created_at', 'id'], unique=False)

    op.create_table('tombstones',
    sa.Column('entity', sa.Text(), nullable=False),
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('revision', BIG, nullable=False),
    sa.PrimaryKeyConstraint('entity', 'id', name=op.f('pk_tombstones')),
    comment='What was deleted at which revision, for the memory of other workers.'
    )
    with op.batch_alter_table('tombstones', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_tombstones_revision'), ['revision'], unique=False)

    op.create_table('users',
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('created_at', BIG, nullable=False),
    sa.Column('updated_at', BIG, nullable=False),
    sa.Column('search_name', sa.Text(), nullable=False),
    sa.Column('revision', BIG, nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_users'))
    )
    with op.batch_alter_table('users', schema=None) as batch_op:
        batch_op.create_index('ix_users_created', ['created_at', 'id'], unique=False)
        batch_op.create_index(batch_op.f('ix_users_revision'), ['revision'], unique=False)

    op.create_table('virtual_keys',
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('description', sa.Text(), nullable=True),
    sa.Column('digest', sa.Text(), nullable=False),
    sa.Column('value_prefix', sa.Text(), nullable=False),
    sa.Column('is_active', sa.Boolean(), nullable=False),
    sa.Column('calendar_aligned', sa.Boolean(), nullable=False),
    sa.Column('expires_at', BIG, nullable=True),
    sa.Column('created_at', BIG, nullable=False),
    sa.Column('updated_at', BIG, nullable=False),
    sa.Column('search_name', sa.Text(), nullable=False),
    sa.Column('revision', BIG, nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_virtual_keys')),
    sa.UniqueConstraint('digest', name=op.f('uq_virtual_keys_digest')),
    sa.UniqueConstraint('name', name=op.f('uq_virtual_keys_name'))
    )
    with op.batch_alter_table('virtual_keys', schema=None) as batch_op:
        batch_op.create_index('ix_virtual_keys_created', ['created_at', 'id'], unique=False)
        batch_op.create_index(batch_op.f('ix_virtual_keys_revision'), ['revision'], unique=False)

    op.create_table('rules',
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('metric', sa.Text(), nullable=False),
    sa.Column('model_limit_id', sa.Text(), nullable=False),
    sa.Column('position', sa.Integer(), nullable=False),
    sa.Column('max_limit', BIG, nullable=False),
    sa.Column('reset_duration', sa.Text(), nullable=False),
    sa.Column('anchor', BIG, nullable=False),
    sa.Column('generation', sa.Integer(), nullable=False),
    sa.Column('config_hash', sa.Text(), nullable=True),
    sa.Column('created_at', BIG, nullable=False),
    sa.Column('updated_at', BIG, nullable=False),
    sa.CheckConstraint("metric IN ('cost', 'tokens', 'requests')", name=op.f('ck_rules_metric')),
    sa.CheckConstraint('max_limit > 0', name=op.f('ck_rules_max_limit')),
    sa.ForeignKeyConstraint(['model_limit_id'], ['model_limits.id'], name=op.f('fk_rules_model_limits'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', 'metric', name=op.f('pk_rules')),
    comment='A budget is one rule of metric cost; a rate limit is one or two, tokens and requests, that share an id.'
    )
    with op.batch_alter_table('rules', schema=None) as batch_op:
        batch_op.create_index('ix_rules_metric_created', ['metric', 'created_at', 'id'], unique=False)
        batch_op.create_index('ix_rules_model_limit', ['model_limit_id', 'position'], unique=False)

    op.create_table('counters',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('rule_id', sa.Text(), nullable=False),
    sa.Column('metric', sa.Text(), nullable=False),
    sa.Column('generation', sa.Integer(), nullable=False),
    sa.Column('window_start', BIG, nullable=False),
    sa.Column('window_end', BIG, nullable=False),
    sa.Column('used', BIG, server_default='0', nullable=False),
    sa.Column('reserved', BIG, server_default='0', nullable=False),
    sa.Column('folded', BIG, server_default='0', nullable=False),
    sa.Column('touched_at', BIG, nullable=False),
    sa.CheckConstraint('reserved >= 0', name=op.f('ck_counters_reserved')),
    sa.CheckConstraint('used + reserved <= 4611686018427387904', name=op.f('ck_counters_sum')),
    sa.CheckConstraint('used >= 0', name=op.f('ck_counters_used')),
    sa.CheckConstraint('window_start < window_end', name=op.f('ck_counters_window')),
    sa.ForeignKeyConstraint(['rule_id', 'metric'], ['rules.id', 'rules.metric'], name=op.f('fk_counters_rules'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_counters')),
    sa.UniqueConstraint('rule_id', 'metric', 'generation', 'window_start', name='uq_counters_window'),
    comment="What was used of a rule in a window. A window's end is no event: the next one has another row.",
    sqlite_autoincrement=True
    )
    with op.batch_alter_table('counters', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_counters_touched_at'), ['touched_at'], unique=False)

    op.execute('INSERT INTO config_revision (id, revision) VALUES (1, 0)')


def downgrade():
    with op.batch_alter_table('counters', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_counters_touched_at'))

    op.drop_table('counters')
    with op.batch_alter_table('rules', schema=None) as batch_op:
        batch_op.drop_index('ix_rules_model_limit')
        batch_op.drop_index('ix_rules_metric_created')

    op.drop_table('rules')
    with op.batch_alter_table('virtual_keys', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_virtual_keys_revision'))
        batch_op.drop_index('ix_virtual_keys_created')

    op.drop_table('virtual_keys')
    with op.batch_alter_table('users', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_users_revision'))
        batch_op.drop_index('ix_users_created')

    op.drop_table('users')
    with op.batch_alter_table('tombstones', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_tombstones_revision'))

    op.drop_table('tombstones')
    with op.batch_alter_table('model_limits', schema=None) as batch_op:
        batch_op.drop_index('ix_model_limits_scope_id_created')
        batch_op.drop_index('ix_model_limits_scope_created')
        batch_op.drop_index(batch_op.f('ix_model_limits_revision'))
        batch_op.drop_index('ix_model_limits_provider_created')
        batch_op.drop_index('ix_model_limits_name')
        batch_op.drop_index('ix_model_limits_created')

    op.drop_table('model_limits')
    op.drop_table('config_revision')
    with op.batch_alter_table('api_keys', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_api_keys_revision'))
        batch_op.drop_index('ix_api_keys_created')

    op.drop_table('api_keys')
