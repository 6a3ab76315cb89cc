"""What can go wrong, one kind a line, and how a scenario's faults are drawn."""

import random
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from bot.model import Platform


class Fault(Enum):
    """A kind of fault; its value says what happens."""

    # The way to a platform.
    REFUSED = "connections are refused"
    CONNECT_TIMEOUT = "connections are not answered"
    NO_NAME = "the name server knows the platform no more"
    BAD_TLS = "the platform's certificate is not trusted"
    RESET_BEFORE = "the connection breaks before the message is taken"
    RESET_AFTER = "the message is taken, then the connection breaks"
    TIMEOUT_BEFORE = "the message is not taken, and no answer comes"
    TIMEOUT_AFTER = "the message is taken, and no answer comes"
    HUNG_UP = "the server hangs up without an answer"
    SLOW_7 = "the answer takes 7 seconds"
    SLOW_30 = "the answer takes 30 seconds"
    SLOW_70 = "the answer takes 70 seconds"
    SERVER_ERROR = "500, not taken"
    SERVER_ERROR_AFTER = "500, and the message was taken all the same"
    GATEWAY = "502 with a page of a proxy"
    GATEWAY_TIMEOUT_AFTER = "504, and the message was taken all the same"
    UNAVAILABLE = "503"
    JUNK = "200 and something that is no answer; the message was taken"
    PROXY_PAGE = "403 with a page of somebody else"
    DOWN = "the platform is away for hours"
    ALL_DOWN = "both platforms are away for hours"
    FLAPPING = "the platform is there and away, in turns of seconds"
    # Answers of Telegram.
    TELEGRAM_BLOCKED = "403 the person blocks the bot, and starts it again later"
    TELEGRAM_DEACTIVATED = "403 the account was deleted"
    TELEGRAM_NEVER_STARTED = "403 the bot cannot begin a conversation"
    TELEGRAM_KICKED = "403 the bot was kicked from the group, and is added again later"
    TELEGRAM_NOT_MEMBER = "403 the bot is not a member"
    TELEGRAM_GROUP_DELETED = "403 the group is said to be deleted, for a while"
    TELEGRAM_NOT_FOUND = "400 one chat is not found"
    TELEGRAM_NONE_FOUND = "400 no chat is found: the token of another bot"
    TELEGRAM_MIGRATED = "400 the group became a supergroup"
    TELEGRAM_MIGRATED_KNOWN = "400 the same, and the new one follows shows already"
    TELEGRAM_TOPIC_DELETED = "400 the topic was deleted"
    TELEGRAM_TOPIC_CLOSED = "400 the topic is closed, and opened again later"
    TELEGRAM_NO_RIGHT = "400 no right to send, given back later"
    TELEGRAM_WRITE_FORBIDDEN = "403 in capitals: no right to write"
    TELEGRAM_PAYMENT = "400 messages cost money"
    TELEGRAM_MARKUP = "400 the markup is refused"
    TELEGRAM_TOO_LONG = "400 the message is said to be too long"
    TELEGRAM_BUTTONS = "400 the buttons are refused"
    TELEGRAM_PREVIEW = "400 the preview is refused"
    TELEGRAM_UNKNOWN = "400 with words that nobody knows"
    TELEGRAM_TOO_LARGE = "413"
    TELEGRAM_FROZEN = "400 the account is frozen"
    TELEGRAM_CONFLICT = "409 another program uses the token"
    TELEGRAM_TOKEN = "401 for a while"
    TELEGRAM_NO_TOKEN = "404 for a while"
    TELEGRAM_FLOOD = "429, some seconds"
    TELEGRAM_FLOOD_LONG = "429, 10,072 seconds, in one chat"
    TELEGRAM_FLOOD_ALL = "429 for everybody, up to a minute"
    TELEGRAM_FLOOD_ZERO = "429 that does not say how long"
    # Answers of Discord.
    DISCORD_NO_ACCESS = "403/50001 for a while"
    DISCORD_NO_RIGHT = "403/50013 for a while, unseen"
    DISCORD_RIGHT_TAKEN = "the right to write is taken, and given back: the bot is told"
    DISCORD_NO_EMBEDS = "the right to embed is taken for a while: the bot is told"
    DISCORD_UNKNOWN_CHANNEL = "404/10003: the channel is gone, unseen"
    DISCORD_UNKNOWN_GUILD = "404/10004 for a while"
    DISCORD_GUILD_AWAY = "a server is unavailable: its channels do not exist meanwhile"
    DISCORD_KICKED = "the bot is removed from a server, and invited again"
    DISCORD_KICKED_UNSEEN = "the same while the bot is not connected"
    DISCORD_NO_DIRECT = "403/50007, until the person lets it write again"
    DISCORD_NO_MUTUAL = "403/50278"
    DISCORD_FLAGGED = "403/20026: no direct messages for now"
    DISCORD_DIRECT_FAST = "400/40003 direct messages too fast"
    DISCORD_FORM = "400/50035 the form is refused"
    DISCORD_EMPTY = "400/50006"
    DISCORD_AUTOMOD = "400/200000 whatever has a link"
    DISCORD_HARMFUL = "400/240000 whatever has a link"
    DISCORD_ARCHIVED = "400/50083 the thread is archived"
    DISCORD_LOCKED = "403/160005 the thread is locked"
    DISCORD_TOKEN = "401 of Discord for a while"
    DISCORD_DISABLED = "400/40004 sending is switched off"
    DISCORD_OVERLOADED = "503/130000"
    DISCORD_SLOWMODE = "400/20016"
    DISCORD_WRITE_LIMIT = "400/20028"
    DISCORD_UNKNOWN = "400 with a code that nobody knows"
    DISCORD_429 = "429 of a channel, some seconds"
    DISCORD_429_LONG = "429 of a channel, 10,000 seconds"
    DISCORD_429_GLOBAL = "429 for all, some seconds"
    DISCORD_429_SHARED = "429 of a shared limit"
    DISCORD_BAN = "429 with a page of Cloudflare"
    DISCORD_DELETED = "somebody deletes what just arrived: a repeat is 404/10008"
    DISCORD_BUCKET = "the limit is used up: the library waits 4 seconds after the answer"
    DISCORD_NOT_READY = "a new session: not ready for minutes"
    # This machine.
    CRASH_ASKED = "the process dies while a request is on its way"
    CRASH_TAKEN = "the process dies when the platform has taken a message, before the answer"
    CRASH_ANSWERED = "the process dies with the answer in hand, before it is stored"
    CRASH_BEFORE_WRITE = "the process dies before a write"
    CRASH_AMID_WRITE = "the process dies in the middle of a write"
    CRASH_AFTER_WRITE = "the process dies after a write, before it knows"
    CRASH_ANYWHERE = "the process dies at any time"
    CRASH_LOOP = "the process dies again and again, within seconds"
    STOP = "a clean stop, and a start later"
    STOP_BUSY = "a clean stop while messages are on their way"
    CLOCK_HOUR = "the clock is set by an hour"
    CLOCK_DAY = "the clock is set by a day"
    # The database.
    BUSY = "another program writes for a while"
    FULL = "the disk is full for a while"
    FAILING = "writes fail now and then"
    UNREADABLE = "reads fail now and then"
    # The poll.
    POLL_RAISES = "the poll raises"
    POLL_HANGS = "the poll hangs"
    # What people do.
    TOGETHER = "two updates at the same moment"
    BURST = "many updates at once"
    RETRACTED_UNSENT = "an update is retracted before it was sent"
    CORRECTED_UNSENT = "an update is corrected before it was sent"
    CHANGED_MIND = "people subscribe and leave while news go out"


NETWORK: Final = (
    Fault.REFUSED, Fault.CONNECT_TIMEOUT, Fault.NO_NAME, Fault.BAD_TLS, Fault.RESET_BEFORE,
    Fault.RESET_AFTER, Fault.TIMEOUT_BEFORE, Fault.TIMEOUT_AFTER, Fault.HUNG_UP, Fault.SLOW_7,
    Fault.SLOW_30, Fault.SLOW_70, Fault.SERVER_ERROR, Fault.SERVER_ERROR_AFTER, Fault.GATEWAY,
    Fault.GATEWAY_TIMEOUT_AFTER, Fault.UNAVAILABLE, Fault.JUNK, Fault.PROXY_PAGE,
)  # fmt: skip
"""On the way to either platform."""

BEFORE_CONNECTING: Final = frozenset(
    {Fault.REFUSED, Fault.CONNECT_TIMEOUT, Fault.NO_NAME, Fault.BAD_TLS}
)
TAKEN_UNCLEAR: Final = frozenset(
    {
        Fault.RESET_AFTER, Fault.TIMEOUT_AFTER, Fault.SERVER_ERROR_AFTER,
        Fault.GATEWAY_TIMEOUT_AFTER, Fault.JUNK,
    }
)  # fmt: skip
"""The message is taken, and the answer does not say so."""

SLOW: Final = {Fault.SLOW_7: 7.0, Fault.SLOW_30: 30.0, Fault.SLOW_70: 70.0}

Said = tuple[int, str, dict[str, Any] | None]

TELEGRAM: Final[dict[Fault, Said]] = {
    Fault.TELEGRAM_BLOCKED: (403, "Forbidden: bot was blocked by the user", None),
    Fault.TELEGRAM_DEACTIVATED: (403, "Forbidden: user is deactivated", None),
    Fault.TELEGRAM_NEVER_STARTED: (
        403, "Forbidden: bot can't initiate conversation with a user", None,
    ),
    Fault.TELEGRAM_KICKED: (403, "Forbidden: bot was kicked from the supergroup chat", None),
    Fault.TELEGRAM_NOT_MEMBER: (403, "Forbidden: bot is not a member of the supergroup chat", None),
    Fault.TELEGRAM_GROUP_DELETED: (403, "Forbidden: the group chat was deleted", None),
    Fault.TELEGRAM_NOT_FOUND: (400, "Bad Request: chat not found", None),
    Fault.TELEGRAM_NONE_FOUND: (400, "Bad Request: chat not found", None),
    Fault.TELEGRAM_TOPIC_DELETED: (400, "Bad Request: message thread not found", None),
    Fault.TELEGRAM_TOPIC_CLOSED: (400, "Bad Request: TOPIC_CLOSED", None),
    Fault.TELEGRAM_NO_RIGHT: (
        400, "Bad Request: not enough rights to send text messages to the chat", None,
    ),
    Fault.TELEGRAM_WRITE_FORBIDDEN: (403, "Forbidden: CHAT_WRITE_FORBIDDEN", None),
    Fault.TELEGRAM_PAYMENT: (400, "Bad Request: ALLOW_PAYMENT_REQUIRED_5", None),
    Fault.TELEGRAM_MARKUP: (400, "Bad Request: can't parse entities: unexpected end", None),
    Fault.TELEGRAM_TOO_LONG: (400, "Bad Request: message is too long", None),
    Fault.TELEGRAM_BUTTONS: (400, "Bad Request: BUTTON_DATA_INVALID", None),
    Fault.TELEGRAM_PREVIEW: (400, "Bad Request: wrong type of the web page content", None),
    Fault.TELEGRAM_UNKNOWN: (400, "Bad Request: the moon is not right", None),
    Fault.TELEGRAM_TOO_LARGE: (413, "Request Entity Too Large", None),
    Fault.TELEGRAM_FROZEN: (400, "Bad Request: FROZEN_METHOD_INVALID", None),
    Fault.TELEGRAM_CONFLICT: (
        409, "Conflict: terminated by other getUpdates request", None,
    ),
    Fault.TELEGRAM_TOKEN: (401, "Unauthorized", None),
    Fault.TELEGRAM_NO_TOKEN: (404, "Not Found", None),
    Fault.TELEGRAM_FLOOD: (429, "Too Many Requests: retry after 7", {"retry_after": 7}),
    Fault.TELEGRAM_FLOOD_LONG: (
        429, "Too Many Requests: retry after 10072", {"retry_after": 10072},
    ),
    Fault.TELEGRAM_FLOOD_ALL: (429, "Too Many Requests: retry after 41", {"retry_after": 41}),
    Fault.TELEGRAM_FLOOD_ZERO: (429, "Too Many Requests: retry later", {"retry_after": 0}),
}  # fmt: skip
"""The answers of Telegram: status, words, parameters."""

DISCORD: Final[dict[Fault, tuple[int, int, str]]] = {
    Fault.DISCORD_NO_ACCESS: (403, 50001, "Missing Access"),
    Fault.DISCORD_NO_RIGHT: (403, 50013, "Missing Permissions"),
    Fault.DISCORD_UNKNOWN_CHANNEL: (404, 10003, "Unknown Channel"),
    Fault.DISCORD_UNKNOWN_GUILD: (404, 10004, "Unknown Guild"),
    Fault.DISCORD_NO_DIRECT: (403, 50007, "Cannot send messages to this user"),
    Fault.DISCORD_NO_MUTUAL: (403, 50278, "Cannot send messages to this user: no mutual guilds"),
    Fault.DISCORD_FLAGGED: (403, 20026, "Your bot has been flagged by our anti-spam system"),
    Fault.DISCORD_DIRECT_FAST: (400, 40003, "You are opening direct messages too fast"),
    Fault.DISCORD_FORM: (400, 50035, "Invalid Form Body"),
    Fault.DISCORD_EMPTY: (400, 50006, "Cannot send an empty message"),
    Fault.DISCORD_AUTOMOD: (400, 200000, "Message was blocked by automatic moderation"),
    Fault.DISCORD_HARMFUL: (400, 240000, "Message blocked by harmful links filter"),
    Fault.DISCORD_ARCHIVED: (400, 50083, "Thread is archived"),
    Fault.DISCORD_LOCKED: (403, 160005, "Thread is locked"),
    Fault.DISCORD_TOKEN: (401, 0, "401: Unauthorized"),
    Fault.DISCORD_DISABLED: (400, 40004, "Send messages has been temporarily disabled"),
    Fault.DISCORD_OVERLOADED: (503, 130000, "API resource is currently overloaded"),
    Fault.DISCORD_SLOWMODE: (400, 20016, "This action cannot be performed due to slowmode"),
    Fault.DISCORD_WRITE_LIMIT: (400, 20028, "The channel has hit the write rate limit"),
    Fault.DISCORD_UNKNOWN: (400, 31337, "The moon is not right"),
}
"""The answers of Discord: status, code, words."""

ROOMS: Final = {
    Platform.TELEGRAM: {
        "private": (
            Fault.TELEGRAM_BLOCKED, Fault.TELEGRAM_DEACTIVATED, Fault.TELEGRAM_NEVER_STARTED,
            Fault.TELEGRAM_PAYMENT, Fault.TELEGRAM_NOT_FOUND,
        ),
        "group": (
            Fault.TELEGRAM_KICKED, Fault.TELEGRAM_NOT_MEMBER, Fault.TELEGRAM_GROUP_DELETED,
            Fault.TELEGRAM_NO_RIGHT, Fault.TELEGRAM_WRITE_FORBIDDEN, Fault.TELEGRAM_NOT_FOUND,
        ),
        "topic": (Fault.TELEGRAM_TOPIC_DELETED, Fault.TELEGRAM_TOPIC_CLOSED),
        "any": (
            Fault.TELEGRAM_MARKUP, Fault.TELEGRAM_TOO_LONG, Fault.TELEGRAM_BUTTONS,
            Fault.TELEGRAM_PREVIEW, Fault.TELEGRAM_UNKNOWN, Fault.TELEGRAM_FLOOD_LONG,
            Fault.TELEGRAM_TOO_LARGE,
        ),
    },
    Platform.DISCORD: {
        "private": (Fault.DISCORD_NO_DIRECT, Fault.DISCORD_NO_MUTUAL),
        "channel": (
            Fault.DISCORD_NO_ACCESS, Fault.DISCORD_NO_RIGHT, Fault.DISCORD_RIGHT_TAKEN,
            Fault.DISCORD_NO_EMBEDS, Fault.DISCORD_UNKNOWN_CHANNEL, Fault.DISCORD_UNKNOWN_GUILD,
        ),
        "thread": (Fault.DISCORD_ARCHIVED, Fault.DISCORD_LOCKED),
        "any": (
            Fault.DISCORD_FORM, Fault.DISCORD_EMPTY, Fault.DISCORD_AUTOMOD, Fault.DISCORD_HARMFUL,
            Fault.DISCORD_SLOWMODE, Fault.DISCORD_WRITE_LIMIT, Fault.DISCORD_UNKNOWN,
            Fault.DISCORD_429_LONG,
        ),
    },
}  # fmt: skip
"""What can be wrong with one chat, by its kind, for a while."""

EVERYWHERE: Final = {
    Platform.TELEGRAM: (
        Fault.TELEGRAM_NONE_FOUND, Fault.TELEGRAM_FROZEN, Fault.TELEGRAM_CONFLICT,
        Fault.TELEGRAM_TOKEN, Fault.TELEGRAM_NO_TOKEN, Fault.TELEGRAM_FLOOD,
        Fault.TELEGRAM_FLOOD_ALL, Fault.TELEGRAM_FLOOD_ZERO,
    ),
    Platform.DISCORD: (
        Fault.DISCORD_TOKEN, Fault.DISCORD_DISABLED, Fault.DISCORD_OVERLOADED,
        Fault.DISCORD_429, Fault.DISCORD_429_GLOBAL, Fault.DISCORD_429_SHARED,
        Fault.DISCORD_BAN, Fault.DISCORD_FLAGGED, Fault.DISCORD_DIRECT_FAST,
        Fault.DISCORD_DELETED, Fault.DISCORD_BUCKET,
    ),
}  # fmt: skip
"""What a whole platform can say for a while."""

CRASHES: Final = {
    Fault.CRASH_ASKED: "asked",
    Fault.CRASH_TAKEN: "taken",
    Fault.CRASH_ANSWERED: "answered",
    Fault.CRASH_BEFORE_WRITE: "before a write",
    Fault.CRASH_AMID_WRITE: "amid a write",
    Fault.CRASH_AFTER_WRITE: "after a write",
}
"""The points at which a process can be made to die."""


@dataclass
class Weather:
    """What is wrong with the whole of a platform now, and how often it strikes."""

    chance: random.Random
    spells: list[tuple[Fault, float, float]] = field(default_factory=list)
    """Kinds of faults, each with the share of requests it strikes and its end."""

    def strike(self, now: float) -> Fault | None:
        """What happens to a request now, if anything."""
        self.spells = [spell for spell in self.spells if spell[2] > now]
        for fault, share, _ in self.spells:
            if fault is Fault.FLAPPING:
                if int(now / 5) % 2:
                    return Fault.REFUSED
            elif self.chance.random() < share:
                return Fault.REFUSED if fault in (Fault.DOWN, Fault.ALL_DOWN) else fault
        return None
