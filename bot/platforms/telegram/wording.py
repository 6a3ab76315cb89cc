"""What only Telegram has to say: about its channels and what may be sent there."""

from typing import Final

RIGHTS_UNKNOWN: Final = (
    "Telegram does not tell me whether you are an administrator there. Add me to that chat again "
    "if I was removed, or make me an administrator of it, or try again in a moment."
)
CHOOSE: Final = "Choose a channel"
BEGIN: Final = "Write me a title to see where a show stands. /channel is for a channel of yours."
ASK_CHANNEL: Final = (
    "Which channel is to get alerts? Press “Choose a channel” below; I join it as an administrator "
    "who may post messages. What you then send here is about that channel, until you send "
    "/channel off."
)
NOW_FOR: Final = (
    "From now on what you send here is about the channel {title}: start with /subscribe and a "
    "title. /channel off ends it."
)
FOR_ITSELF: Final = "What you send here is about this chat again."
ABOUT: Final = "(About the channel {title}; /channel off ends that.)"
WAS_ABOUT: Final = "(That was about the channel {title}; what you send here now is not.)"
NOT_MANAGED: Final = (
    "You may not post in {title}, so you cannot decide what it gets. Ask one of its administrators "
    "to choose it, or to let you post messages there."
)
NO_LONGER_MANAGED: Final = (
    "You may not decide for that channel: its administrators who may post do. /channel off makes "
    "what you send here be about this chat again."
)
CANNOT_POST: Final = (
    "I may not post in {title}. Make me an administrator there with the right to post messages, "
    "then choose it again: /channel"
)
NO_FILES: Final = "I may not send files here. Allow me to, then ask again: /privacy export"
ONLY_DIRECT: Final = "Channels are set up in a direct chat with me: send /channel there."
