"""The error tree: what a person did wrong, what the machine refused, why a delivery failed.

    CliffhangerError
    ├── UserError             a request that cannot be done; its text is the reply
    │   └── UnknownShow       no show by that name; carries the nearest shows
    ├── BadRecord             a curated record breaks the format or a rule; names the field
    │   └── BadFile           the same, found in a file; names file and line
    ├── SettingsError         a setting has a value that cannot be used
    ├── StorageError          the database cannot be used
    │   ├── StorageBusy       another process holds it; nothing was written
    │   ├── StorageFull       the disk is full; nothing was written
    │   └── StorageUnusable   not a database, not writable, damaged or of a newer version
    └── DeliveryError         one message did not arrive; named by what follows from it
        ├── NotSent           surely not sent: try again, later each time
        ├── MustWait          the platform told how long to wait: try again then, uncounted
        │   └── WaitsAlone    it is so for one chat or server, and says nothing of others
        ├── MaybeSent         no answer came: it may have arrived
        │   ├── HardlySent    the platform itself failed: it has hardly arrived
        │   └── AskAgain      the platform knows a repeat by its key: asked again within moments
        │       └── Troubled  and it failed itself (`HardlySent` too): then asked on as any other
        ├── Refused           refused for good: trying again cannot help
        ├── DestinationLost   nobody can be reached there: suspend it, keep its subscriptions
        ├── DestinationMoved  the chat has another id now: everything of it moves there
        └── PlatformStopped   nothing can be sent on this platform: stop there, say why

Every text says what happened and what to do next; none holds a secret.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass


class CliffhangerError(Exception):
    """Anything this project reports to a person."""


class UserError(CliffhangerError):
    """A request that cannot be done; the text is the reply the person reads."""


class UnknownShow(UserError):
    """No show of the catalogue is meant beyond doubt.

    `nearest` holds those whose titles come close, each as its id and title.
    """

    def __init__(self, text: str, nearest: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(text)
        self.nearest = tuple(nearest)


class BadRecord(CliffhangerError):
    """A curated record breaks the format or a quality rule; `field` is the part to mend."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}" if field else problem)
        self.field = field
        self.problem = problem


class BadFile(BadRecord):
    """A bad record in a file; nothing of that file was stored."""

    def __init__(self, path: str, line: int, cause: BadRecord) -> None:
        super().__init__(cause.field, cause.problem)
        self.path = path
        self.line = line

    def __str__(self) -> str:
        where = f"{self.path}, line {self.line}" if self.line else self.path
        field = f", field {self.field!r}" if self.field else ""
        return f"{where}{field}: {self.problem} Nothing of this file was stored."


class SettingsError(CliffhangerError):
    """A setting has a value that cannot be used; the text names it and what is allowed."""


class StorageError(CliffhangerError):
    """The database cannot be used; the text says what to do."""


class StorageBusy(StorageError):
    """Another process holds the database for too long; nothing was written."""


class StorageFull(StorageError):
    """The disk is full; nothing of the unit of work was written."""


class StorageUnusable(StorageError):
    """The database is missing rights, damaged, not a database, or of a newer version."""


class DeliveryError(CliffhangerError):
    """One message did not arrive; the subclass says what follows from it."""


class NotSent(DeliveryError):
    """Surely not sent; a later attempt may succeed."""


class MustWait(DeliveryError):
    """Not sent: the platform asks to wait `seconds`. This attempt does not count."""

    def __init__(self, text: str, seconds: float) -> None:
        super().__init__(text)
        self.seconds = seconds


class WaitsAlone(MustWait):
    """Not sent for a reason of this chat or its server: however many wait so, others need not."""


class MaybeSent(DeliveryError):
    """The request went out and no answer came: the message may have arrived."""


class HardlySent(MaybeSent):
    """The platform answered that it is in trouble: the message has hardly arrived, but may have."""


class AskAgain(MaybeSent):
    """No answer came, and for some minutes the platform takes a repeat for what it is.

    So the same message is sent again soon, with the same key, and cannot arrive twice.
    """


class Troubled(AskAgain, HardlySent):
    """The platform answered that it is in trouble, and for some minutes knows a repeat.

    So it is asked again soon, and then as long as any other message.
    """


class Refused(DeliveryError):
    """The platform refused this message for good."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """How often, and over how long a time, a loss must be seen before it is believed."""

    times: int
    over: dt.timedelta
    every: dt.timedelta
    """The wait before the destination is tried again."""

    ours: bool = False
    """Whether it looks the same when the fault is ours: where many do, none is believed."""


class DestinationLost(DeliveryError):
    """Nobody can be reached at this destination for now: blocked, kicked, deleted.

    With a `doubt` it may be a passing state: it is believed only when it lasts. A `message_id` is
    that of a message which arrived all the same, elsewhere in the chat and for the last time.
    """

    def __init__(
        self, text: str, doubt: Doubt | None = None, message_id: str | None = None
    ) -> None:
        super().__init__(text)
        self.doubt = doubt
        self.message_id = message_id


class DestinationMoved(DeliveryError):
    """Not sent: the chat goes on under another id, `chat_id`."""

    def __init__(self, text: str, chat_id: int) -> None:
        super().__init__(text)
        self.chat_id = chat_id


class PlatformStopped(DeliveryError):
    """Not sent, and nothing else can be: a token that is not accepted, an account that is frozen.

    Nothing is sent there for a while; the text tells the operator what to do.
    """
