"""Give each platform its lane in the outbox; keep doubts, moved chats and conversations."""

import sqlalchemy as sa
from alembic import op

from storage.database import CLUSTERED, STRICT, WholeNumber

revision = "0002"
down_revision = "0001"

_LANES = "CASE platform WHEN 'terminal' THEN 0 WHEN 'discord' THEN 1 ELSE 2 END"
_PLATFORMS = "platform IN ('terminal', 'discord', 'telegram')"


def upgrade() -> None:
    """Add the columns and tables, and fill the lanes from the destinations."""
    _add_lanes()
    _add_moved()
    _create_doubts()
    _create_conversations()


def _add_lanes() -> None:
    for table in ("subscriptions", "deliveries"):
        op.add_column(
            table, sa.Column("lane", WholeNumber, server_default=sa.text("0"), nullable=False)
        )
        op.execute(
            f"UPDATE {table} SET lane = (SELECT {_LANES} FROM destinations "  # noqa: S608 - no input
            f"WHERE destinations.id = {table}.destination_id)"
        )
    op.drop_index("ix_deliveries_due", "deliveries")
    op.create_index(
        "ix_deliveries_due",
        "deliveries",
        ["lane", "due_at"],
        sqlite_where=sa.text("state = 'pending'"),
        postgresql_where=sa.text("state = 'pending'"),
    )


def _add_moved() -> None:
    op.add_column("destinations", sa.Column("moved_to", WholeNumber))
    op.create_index(
        "ix_destinations_moved",
        "destinations",
        ["moved_to"],
        sqlite_where=sa.text("moved_to IS NOT NULL"),
        postgresql_where=sa.text("moved_to IS NOT NULL"),
    )


def _create_doubts() -> None:
    op.create_table(
        "doubts",
        sa.Column("destination_id", WholeNumber, autoincrement=False, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("since", WholeNumber, nullable=False),
        sa.Column("times", WholeNumber, nullable=False),
        sa.PrimaryKeyConstraint("destination_id", name="pk_doubts"),
        sa.ForeignKeyConstraint(
            ["destination_id"],
            ["destinations.id"],
            name="fk_doubts_destination_id",
            ondelete="CASCADE",
        ),
        **STRICT,
    )


def _create_conversations() -> None:
    op.create_table(
        "keyboards",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("platform", sa.Text, nullable=False),
        sa.Column("chat_id", WholeNumber, nullable=False),
        sa.Column("message_id", sa.Text),
        sa.Column("for_chat_id", WholeNumber, nullable=False),
        sa.Column("for_thread_id", WholeNumber, nullable=False),
        sa.Column("user_id", WholeNumber, nullable=False),
        sa.Column("commands", sa.Text, nullable=False),
        sa.Column("made_at", WholeNumber, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_keyboards"),
        sa.CheckConstraint(_PLATFORMS, name=op.f("ck_keyboards_platform")),
        **STRICT,
    )
    op.create_index("ix_keyboards_made", "keyboards", ["made_at"])
    op.create_index("ix_keyboards_for", "keyboards", ["platform", "for_chat_id"])
    op.create_table(
        "focuses",
        sa.Column("platform", sa.Text, nullable=False),
        sa.Column("chat_id", WholeNumber, nullable=False),
        sa.Column("for_chat_id", WholeNumber, nullable=False),
        sa.PrimaryKeyConstraint("platform", "chat_id", name="pk_focuses"),
        sa.CheckConstraint(_PLATFORMS, name=op.f("ck_focuses_platform")),
        **CLUSTERED,
    )
