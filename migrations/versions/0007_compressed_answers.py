"""Answers for repeats, compressed

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = '0007'
down_revision = '0006'
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')


def upgrade():
    op.create_table('answers',
    sa.Column('seq', sa.Integer(), nullable=False),
    sa.Column('digest', sa.LargeBinary(), nullable=False),
    sa.Column('fingerprint', sa.LargeBinary(), nullable=False),
    sa.Column('created_at', BIG, nullable=False),
    sa.Column('texts', sa.LargeBinary(), nullable=False),
    sa.Column('body', sa.LargeBinary(), nullable=False),
    sa.PrimaryKeyConstraint('seq', name=op.f('pk_answers')),
    sa.UniqueConstraint('digest', name=op.f('uq_answers_digest')),
    comment="The first answer to an effect, compressed, for its repeats. seq is the reservation's, so it rises."
    )
    op.create_table('answer_texts',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('digest', sa.LargeBinary(), nullable=False),
    sa.Column('text', sa.LargeBinary(), nullable=False),
    sa.Column('last_use', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_answer_texts')),
    sa.UniqueConstraint('digest', name=op.f('uq_answer_texts_digest')),
    comment='What answers have in common, stored once. last_use: the seq of an answer that uses it, now and then.'
    )


def downgrade():
    op.drop_table('answer_texts')
    op.drop_table('answers')
