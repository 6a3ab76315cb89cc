"""Notes: what a platform remembers between starts."""

from storage.store import open_storage
from storage.trust import trust


async def test_a_note_outlives_a_restart_and_gives_way_to_a_newer_one(database_url: str) -> None:
    async with open_storage(database_url, trust()) as storage:
        assert await storage.notes.get("discord.commands") is None
        for value in ("old", "Новое"):
            await storage.notes.put("discord.commands", value)
        await storage.notes.put("discord.emoji", "other")
    async with open_storage(database_url, trust()) as storage:
        assert await storage.notes.get("discord.commands") == "Новое"
        assert await storage.notes.get("discord.emoji") == "other"
