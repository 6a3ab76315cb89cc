"""What only Discord has to say: about channels, roles and rights."""

from typing import Final

NOT_A_MEMBER: Final = (
    "I am no member here: I send alerts to servers that I am in, or to you alone. Send me the "
    "command in a direct message, or ask somebody who manages this server to invite me."
)
ONLY_IN_A_SERVER: Final = "Channels and roles can be chosen in a server; here I answer you alone."
OTHER_SERVER: Final = "#{channel} is not a channel of this server. Choose one of this server."
NOT_TEXT: Final = (
    "Nobody can read messages in #{channel}. Choose a text channel, a thread or a forum."
)
YOU_LACK: Final = (
    "You lack {rights} in #{channel}, so you cannot decide what it gets. Ask somebody who may post "
    "there."
)
I_LACK: Final = (
    "I lack {rights} in #{channel}. Open Edit Channel → Permissions, add my role and allow it; "
    "then send the command again."
)
NOT_VISIBLE: Final = "You cannot see #{channel}, so I do not tell what it follows."
NOT_ANNOUNCING: Final = (
    "Only an announcement channel can publish, and #{channel} is none. Leave “publish” out, or "
    "choose an announcement channel."
)
EVERYONE: Final = "I do not ping everyone. Choose a role that people can take for themselves."
SILENT_ROLE: Final = (
    "I may not mention @{role}. Open Server Settings → Roles → {role} and switch on “Allow anyone "
    "to @mention this role”, then send the command again."
)
RIGHTS_UNKNOWN: Final = (
    "Discord does not tell me whether this command is for you. Try again in a moment."
)
MANAGERS: Final = (
    "Only members with the permission Manage Server decide what its channels get; who owns the "
    "server can let others (Server Settings → Integrations). To follow a show yourself, send me "
    "the command in a direct message."
)
FOR_CHANNEL: Final = "(This is about #{channel}.)"
MOVED_HERE: Final = (
    "(This was meant for a thread that takes no messages any more. Somebody who manages the server "
    "can subscribe elsewhere: /subscribe)"
)
OLDER: Final = (
    "That command has changed since Discord showed it to you. Restart Discord to see it as it is "
    "now; /help lists what I can do."
)
