"""What a check of the set-up found, for `cliffhanger doctor`."""

from enum import StrEnum
from typing import NamedTuple


class Verdict(StrEnum):
    """What the doctor thinks of a finding."""

    OK = "ok"
    NOTE = "note"
    MEND = "MEND"


class Finding(NamedTuple):
    """One thing that was looked at; the words say what to do where it is not well."""

    verdict: Verdict
    words: str
