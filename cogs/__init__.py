"""Discord's command surface: one Cog per topic, each declaring what `bot.commands` answers."""
