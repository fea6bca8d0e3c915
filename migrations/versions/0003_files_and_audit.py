"""Where rows came from, and who changed what

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = '0003'
down_revision = '0002'
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')


def upgrade():
    op.add_column('model_limits', sa.Column('source', sa.Text(), server_default=sa.text("''"), nullable=False))
    op.add_column('virtual_keys', sa.Column('config_hash', sa.Text(), nullable=True))
    op.add_column('virtual_keys', sa.Column('source', sa.Text(), server_default=sa.text("''"), nullable=False))
    op.create_table('audit',
    sa.Column('seq', sa.Integer(), nullable=False),
    sa.Column('at', BIG, nullable=False),
    sa.Column('actor', sa.Text(), nullable=False),
    sa.Column('entity', sa.Text(), nullable=False),
    sa.Column('entity_id', sa.Text(), nullable=False),
    sa.Column('action', sa.Text(), nullable=False),
    sa.Column('changes', sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint('seq', name=op.f('pk_audit')),
    comment='Who changed what, when, old → new (JSON), written with the change itself. Never a secret.',
    sqlite_autoincrement=True
    )
    with op.batch_alter_table('audit', schema=None) as batch_op:
        batch_op.create_index('ix_audit_entity', ['entity', 'entity_id', 'seq'], unique=False)
        batch_op.create_index('ix_audit_actor', ['actor', 'seq'], unique=False)
        batch_op.create_index('ix_audit_at', ['at', 'seq'], unique=False)


def downgrade():
    op.drop_table('audit')
    with op.batch_alter_table('virtual_keys', schema=None) as batch_op:
        batch_op.drop_column('source')
        batch_op.drop_column('config_hash')

    with op.batch_alter_table('model_limits', schema=None) as batch_op:
        batch_op.drop_column('source')
