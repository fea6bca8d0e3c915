"""Which database this is

Revision ID: 0006
Revises: 0005
"""

import uuid

import sqlalchemy as sa
from alembic import op

revision = '0006'
down_revision = '0005'
branch_labels = None
depends_on = None


def upgrade():
    op.create_table('database_identity',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('database_id', sa.Text(), nullable=False),
    sa.CheckConstraint('id = 1', name=op.f('ck_database_identity_one_row')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_database_identity')),
    comment='Which database this is: the marker beside the file has it too, so a lost or another one is told.'
    )
    op.execute(f"INSERT INTO database_identity (id, database_id) VALUES (1, '{uuid.uuid4()}')")


def downgrade():
    op.drop_table('database_identity')
