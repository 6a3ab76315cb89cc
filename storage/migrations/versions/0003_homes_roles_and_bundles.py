"""Keep servers, the roles that alerts ping, repeats of one message, forum posts and notes."""

import sqlalchemy as sa
from alembic import op

from storage.database import CLUSTERED, WholeNumber

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the columns and tables; what is stored has none of it."""
    op.add_column("destinations", sa.Column("home_id", WholeNumber))
    _create_partial_index(
        "ix_destinations_home", "destinations", ["platform", "home_id"], "home_id IS NOT NULL"
    )
    _add_extras()
    _add_bundles()
    _create_posts()
    _create_notes()


def _add_extras() -> None:
    op.add_column("subscriptions", sa.Column("role_id", WholeNumber))
    # Written out: SQLite takes a check only together with its column.
    number = WholeNumber.compile(op.get_bind().dialect)
    op.execute(
        f"ALTER TABLE subscriptions ADD COLUMN publish {number} DEFAULT 0 NOT NULL "
        "CONSTRAINT ck_subscriptions_publish CHECK (publish IN (0, 1))"
    )
    _create_partial_index(
        "ix_subscriptions_extras",
        "subscriptions",
        ["destination_id", "show_id"],
        "role_id IS NOT NULL OR publish = 1",
    )


def _add_bundles() -> None:
    op.add_column("deliveries", sa.Column("bundle", WholeNumber))
    _create_partial_index(
        "ix_deliveries_repeats",
        "deliveries",
        ["lane", "due_at"],
        "state = 'pending' AND bundle IS NOT NULL",
    )


def _create_posts() -> None:
    op.create_table(
        "posts",
        sa.Column("destination_id", WholeNumber, nullable=False),
        sa.Column("show_id", sa.Text, nullable=False),
        sa.Column("thread_id", WholeNumber, nullable=False),
        sa.PrimaryKeyConstraint("destination_id", "show_id", name="pk_posts"),
        sa.ForeignKeyConstraint(
            ["destination_id"],
            ["destinations.id"],
            name="fk_posts_destination_id",
            ondelete="CASCADE",
        ),
        **CLUSTERED,
    )


def _create_notes() -> None:
    op.create_table(
        "notes",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_notes"),
        **CLUSTERED,
    )


def _create_partial_index(name: str, table: str, columns: list[str], where: str) -> None:
    condition = sa.text(where)
    op.create_index(name, table, columns, sqlite_where=condition, postgresql_where=condition)
