"""What every platform with buttons says about them, and about too many commands."""

from typing import Final

FOREIGN: Final = "This button does not belong to this message. Write the command instead: /help"
USED: Final = "These buttons were used or are too old. Ask again: /help lists what I can do."
NOT_YOURS: Final = "These buttons are for whoever asked. Send it yourself: {command}"
MANAGERS: Final = "Only administrators of this chat can do that, in their own name: {command}"
TOO_FAST: Final = "That was too much at once. Wait a few seconds, then send it again."
