"""The steps from an empty database to today's tables; `HEAD` is the newest."""

from typing import Final

HEAD: Final = "0004"
