"""Whose word counts: trusted outlets and the deciders about shows, as JSON Lines beside this."""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from bot.model import SpeakerRole
from bot.trust import Decider, Outlet, Trust


@lru_cache(maxsize=1)
def trust() -> Trust:
    """The outlets whose reports are trusted, and who decides about shows."""
    outlets = [Outlet(row["name"], row["domain"], row["class"]) for row in _rows("outlets")]
    deciders = [
        Decider(row["name"], SpeakerRole(row["role"]), tuple(row["domains"]))
        for row in _rows("deciders")
    ]
    return Trust(tuple(outlets), tuple(deciders))


def _rows(name: str) -> list[dict[str, Any]]:
    text = Path(__file__).with_name(f"{name}.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]
