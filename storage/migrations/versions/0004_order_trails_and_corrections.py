"""Keep deaths and trails of deliveries, what is corrected, and what waits at each destination."""

import sqlalchemy as sa
from alembic import op

from storage.database import WholeNumber

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the columns and the index; what is stored has died of nothing and corrects nothing."""
    op.add_column("updates", sa.Column("supersedes_seq", WholeNumber))
    op.add_column("fanouts", sa.Column("corrects_seq", WholeNumber))
    deaths = sa.Column("deaths", WholeNumber, nullable=False, server_default=sa.text("0"))
    op.add_column("deliveries", deaths)
    op.add_column("deliveries", sa.Column("trail", sa.Text))
    pending = sa.text("state = 'pending'")
    op.create_index(
        "ix_deliveries_waiting",
        "deliveries",
        ["destination_id", "update_seq"],
        sqlite_where=pending,
        postgresql_where=pending,
    )
