"""The bot on Telegram; `service.Telegram` is the way in."""
