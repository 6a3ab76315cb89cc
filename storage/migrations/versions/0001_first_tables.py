"""Create the first tables."""

import sqlalchemy as sa
from alembic import op

from storage.database import (
    CLUSTERED,
    NEVER_REUSED,
    STRICT,
    WholeNumber,
    append_only,
    partial_index,
)

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create every table of the first release, and the triggers that keep the log as it is."""
    _create_catalogue()
    _create_log()
    _create_people()
    _create_outbox()
    for statement in append_only(op.get_bind().dialect.name, "updates"):
        op.execute(statement)
    for name in ("updates", "fanout", "catalogue"):
        op.execute(sa.text("INSERT INTO counters (name, value) VALUES (:n, 0)").bindparams(n=name))


def _create_catalogue() -> None:
    op.create_table(
        "counters",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("value", WholeNumber, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_counters"),
        **CLUSTERED,
    )
    op.create_table(
        "shows",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("record", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_shows"),
        **CLUSTERED,
    )
    op.create_table(
        "titles",
        sa.Column("show_id", sa.Text, nullable=False),
        sa.Column("place", WholeNumber, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("show_id", "place", name="pk_titles"),
        sa.ForeignKeyConstraint(
            ["show_id"], ["shows.id"], name="fk_titles_show_id", ondelete="CASCADE"
        ),
        **CLUSTERED,
    )


def _create_log() -> None:
    op.create_table(
        "updates",
        sa.Column("seq", WholeNumber, autoincrement=False, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("show_id", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("confirmed", WholeNumber, nullable=False),
        sa.Column("announced", sa.Text, nullable=False),
        sa.Column("until", sa.Text),
        sa.Column("pushes", WholeNumber, nullable=False),
        sa.Column("retracts_seq", WholeNumber),
        sa.Column("record", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_updates"),
        sa.UniqueConstraint("id", name="uq_updates_id"),
        sa.ForeignKeyConstraint(["show_id"], ["shows.id"], name="fk_updates_show_id"),
        sa.CheckConstraint("confirmed IN (0, 1)", name=op.f("ck_updates_confirmed")),
        sa.CheckConstraint("pushes IN (0, 1)", name=op.f("ck_updates_pushes")),
        partial_index("ix_updates_until", "until", where="until IS NOT NULL"),
        **STRICT,
    )
    op.create_index("ix_updates_show", "updates", ["show_id", "seq"])
    op.create_index("ix_updates_announced", "updates", ["announced", "seq"])


def _create_people() -> None:
    op.create_table(
        "destinations",
        sa.Column("id", WholeNumber, nullable=False),
        sa.Column("platform", sa.Text, nullable=False),
        sa.Column("chat_id", WholeNumber, nullable=False),
        sa.Column("thread_id", WholeNumber, server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_destinations"),
        sa.UniqueConstraint("platform", "chat_id", "thread_id", name="uq_destinations_platform"),
        sa.CheckConstraint(
            "platform IN ('terminal', 'discord', 'telegram')", name=op.f("ck_destinations_platform")
        ),
        **NEVER_REUSED,
    )
    op.create_table(
        "suspensions",
        sa.Column("destination_id", WholeNumber, autoincrement=False, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("since", WholeNumber, nullable=False),
        sa.PrimaryKeyConstraint("destination_id", name="pk_suspensions"),
        _of_destination("suspensions"),
        **STRICT,
    )
    op.create_table(
        "subscriptions",
        sa.Column("show_id", sa.Text, nullable=False),
        sa.Column("destination_id", WholeNumber, nullable=False),
        sa.Column("kinds", WholeNumber, nullable=False),
        sa.Column("since_seq", WholeNumber, nullable=False),
        sa.PrimaryKeyConstraint("show_id", "destination_id", name="pk_subscriptions"),
        sa.ForeignKeyConstraint(["show_id"], ["shows.id"], name="fk_subscriptions_show_id"),
        _of_destination("subscriptions"),
        sa.CheckConstraint("kinds BETWEEN 1 AND 15", name=op.f("ck_subscriptions_kinds")),
        **CLUSTERED,
    )
    op.create_index("ix_subscriptions_destination", "subscriptions", ["destination_id", "show_id"])
    op.create_table(
        "wishes",
        sa.Column("destination_id", WholeNumber, nullable=False),
        sa.Column("asked", sa.Text, nullable=False),
        sa.Column("at", WholeNumber, nullable=False),
        sa.PrimaryKeyConstraint("destination_id", "asked", name="pk_wishes"),
        _of_destination("wishes"),
        **CLUSTERED,
    )


def _create_outbox() -> None:
    op.create_table(
        "fanouts",
        sa.Column("update_seq", WholeNumber, autoincrement=False, nullable=False),
        sa.Column("show_id", sa.Text, nullable=False),
        sa.Column("kinds", WholeNumber, nullable=False),
        sa.Column("retracts_seq", WholeNumber),
        sa.Column("due_at", WholeNumber, nullable=False),
        sa.Column("mark", WholeNumber, server_default=sa.text("0"), nullable=False),
        sa.Column("created", WholeNumber, server_default=sa.text("0"), nullable=False),
        sa.Column("done", WholeNumber, server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("update_seq", name="pk_fanouts"),
        _of_update("fanouts"),
        sa.CheckConstraint("done IN (0, 1)", name=op.f("ck_fanouts_done")),
        partial_index("ix_fanouts_open", "update_seq", where="done = 0"),
        **STRICT,
    )
    op.create_table(
        "deliveries",
        sa.Column("destination_id", WholeNumber, nullable=False),
        sa.Column("update_seq", WholeNumber, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("due_at", WholeNumber, nullable=False),
        sa.Column("attempts", WholeNumber, server_default=sa.text("0"), nullable=False),
        sa.Column("flight", WholeNumber, server_default=sa.text("0"), nullable=False),
        sa.Column("message_id", sa.Text),
        sa.Column("reason", sa.Text),
        sa.Column("settled_at", WholeNumber),
        sa.PrimaryKeyConstraint("destination_id", "update_seq", name="pk_deliveries"),
        _of_destination("deliveries"),
        _of_update("deliveries"),
        sa.CheckConstraint(
            "state IN ('pending', 'held', 'sent', 'expired', 'failed', 'uncertain')",
            name=op.f("ck_deliveries_state"),
        ),
        sa.CheckConstraint("flight BETWEEN 0 AND 3", name=op.f("ck_deliveries_flight")),
        partial_index("ix_deliveries_due", "due_at", where="state = 'pending'"),
        **CLUSTERED,
    )


def _of_destination(table: str) -> sa.ForeignKeyConstraint:
    """A row that goes when its destination goes."""
    return sa.ForeignKeyConstraint(
        ["destination_id"],
        ["destinations.id"],
        name=f"fk_{table}_destination_id",
        ondelete="CASCADE",
    )


def _of_update(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["update_seq"], ["updates.seq"], name=f"fk_{table}_update_seq")
