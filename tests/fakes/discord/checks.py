"""What every message of the bot is held against: Discord's limits, and who may be mentioned."""

from collections.abc import Iterator
from typing import Any, Final

from tests.fakes.discord.people import Json
from tests.fakes.discord.records import COMPONENTS_V2, walk

_EMBED_PARTS: Final = {"title": 256, "description": 4096}
_MOST_IN_EMBEDS: Final = 6000
_BUTTON: Final = 2
_ROW: Final = 1
_LINK: Final = 5
_SELECTS: Final = (3, 5, 6, 7, 8)


def mentions(body: Json) -> Iterator[str]:
    """Whether a message could mention whom nobody meant; Discord itself would take it."""
    given = body.get("allowed_mentions")
    if given is None:
        yield "a message without allowed_mentions"
    elif given.get("parse") != []:
        yield f"a message whose allowed_mentions parse {given.get('parse')!r}"


def message(body: Json) -> Iterator[str]:
    """What Discord would refuse in the parts of a message that are given."""
    content = body.get("content") or ""
    if not isinstance(content, str):
        yield "content is no text"
    elif len(content) > 2000:
        yield f"content of {len(content)} characters"
    yield from _embeds(body.get("embeds") or [])
    yield from components(body.get("components") or [], body.get("flags") or 0)
    nonce = body.get("nonce")
    if isinstance(nonce, str) and len(nonce) > 25:
        yield f"nonce of {len(nonce)} characters"
    allowed = body.get("allowed_mentions") or {}
    for what in ("users", "roles"):
        named = allowed.get(what) or []
        if len(named) > 100:
            yield f"allowed_mentions with {len(named)} {what}"
        if named and what in (allowed.get("parse") or []):
            yield f"allowed_mentions that parse {what} and name some"


def is_empty(body: Json, files: int = 0) -> bool:
    """Whether a new message has nothing in it."""
    parts = ("content", "embeds", "sticker_ids", "components", "poll")
    return not files and not any(body.get(part) for part in parts)


def _embeds(embeds: list[Json]) -> Iterator[str]:
    if len(embeds) > 10:
        yield f"{len(embeds)} embeds"
    total = 0
    for embed in embeds:
        for part, most in _EMBED_PARTS.items():
            total += (length := len(embed.get(part) or ""))
            if length > most:
                yield f"embed {part} of {length} characters"
        for part, key, most in (("footer", "text", 2048), ("author", "name", 256)):
            total += (length := len((embed.get(part) or {}).get(key) or ""))
            if length > most:
                yield f"embed {part} of {length} characters"
        fields = embed.get("fields") or []
        if len(fields) > 25:
            yield f"embed with {len(fields)} fields"
        for field in fields:
            for key, most in (("name", 256), ("value", 1024)):
                total += (length := len(field.get(key) or ""))
                if not 0 < length <= most:
                    yield f"embed field {key} of {length} characters"
        yield from _addresses(embed)
    if total > _MOST_IN_EMBEDS:
        yield f"embeds of {total} characters in all"


def _addresses(embed: Json) -> Iterator[str]:
    places = {"url": embed.get("url")}
    for part in ("image", "thumbnail"):
        places[f"{part}.url"] = (embed.get(part) or {}).get("url")
    for part in ("footer", "author"):
        places[f"{part}.icon_url"] = (embed.get(part) or {}).get("icon_url")
    for place, address in places.items():
        if address and not address.startswith(("http://", "https://", "attachment://")):
            yield f"embed {place} {address!r}"


def components(rows: list[Json], flags: int) -> Iterator[str]:
    """What Discord would refuse in components."""
    is_new = bool(flags & COMPONENTS_V2)
    if len(rows) > (40 if is_new else 5):
        yield f"{len(rows)} rows of components"
    seen: set[str] = set()
    for row in rows:
        if not is_new and row.get("type") != _ROW:
            yield f"a component of type {row.get('type')} outside of a row"
    for one in walk(rows):
        if one.get("type") == _ROW:
            held = one.get("components") or []
            if not 1 <= len(held) <= 5:
                yield f"a row of {len(held)} components"
        custom = one.get("custom_id")
        if custom is not None:
            if not 1 <= len(custom) <= 100:
                yield f"custom_id of {len(custom)} characters"
            if custom in seen:
                yield f"custom_id {custom!r} twice"
            seen.add(custom)
        if one.get("type") == _BUTTON:
            yield from _button(one)
        if one.get("type") in _SELECTS:
            yield from _select(one)


def _button(button: Json) -> Iterator[str]:
    label = button.get("label")
    if label is not None and len(label) > 80:
        yield f"label of {len(label)} characters"
    if not label and not button.get("emoji"):
        yield "a button without label"
    is_link = button.get("style") == _LINK
    if is_link != bool(button.get("url")) or is_link == bool(button.get("custom_id")):
        yield "a button needs an address or a custom_id, as its style says"
    if len(button.get("url") or "") > 512:
        yield "a button with an address of more than 512 characters"


def _select(select: Json) -> Iterator[str]:
    options: list[Any] = select.get("options") or []
    if select["type"] == 3 and not 1 <= len(options) <= 25:
        yield f"a select of {len(options)} options"
    if len(select.get("placeholder") or "") > 150:
        yield "a placeholder of more than 150 characters"
    for option in options:
        for part in ("label", "value", "description"):
            if len(option.get(part) or "") > 100:
                yield f"a select option's {part} of {len(option[part])} characters"


def choices(given: object) -> Iterator[str]:
    """What Discord would refuse in the choices of an autocomplete."""
    if not isinstance(given, list):
        yield "no list of choices"
        return
    if len(given) > 25:
        yield f"{len(given)} choices"
    for choice in given:
        for part in ("name", "value"):
            value = choice.get(part)
            if isinstance(value, str) and not 1 <= len(value) <= 100:
                yield f"a choice's {part} of {len(value)} characters"
