"""Messages as text for a terminal. Pure; nothing gets through that could steer the terminal."""

from collections.abc import Iterator

from rich.style import Style
from rich.text import Text

from bot.message import Action, Line, Link, Message, Piece
from bot.text import clean


def as_plain(message: Message) -> str:
    """A message as plain lines; links show their address."""
    return "\n".join("".join(_plain(piece) for piece in words) for words in _all_lines(message))


def as_rich(message: Message) -> Text:
    """A message with its first line bold; links show their address, as not all can be clicked."""
    first, *rest = (_styled(words) for words in _all_lines(message))
    first.stylize(_style(message.title))
    return Text("\n").join([first, *rest])


def _all_lines(message: Message) -> Iterator[Line]:
    yield (message.title,)
    yield from message.lines
    if message.document:
        yield from ((words,) for words in message.document.text.splitlines())
    if message.video:
        yield (message.video,)
    if message.actions:
        yield tuple(_actions(message.actions))


def _actions(actions: tuple[Action, ...]) -> Iterator[str]:
    for place, action in enumerate(actions):
        yield f"{'   ' if place else ''}[{action.label}: {action.command}]"


def _plain(piece: Piece) -> str:
    if isinstance(piece, Link):
        return f"{clean(piece.text)} <{clean(piece.url)}>"
    return clean(piece if isinstance(piece, str) else piece.text)


def _styled(words: Line) -> Text:
    text = Text()
    for piece in words:
        if isinstance(piece, Link):
            # An address in a style's text would be read as more style at its first blank.
            address = clean(piece.url)
            text.append(clean(piece.text), style=Style(underline=True, link=address))
            text.append(f" <{address}>", style=Style(dim=True, link=address))
        else:
            text.append(clean(piece if isinstance(piece, str) else piece.text))
    return text


def _style(title: str) -> str:
    """Alerts stand out: news in green, corrections and bad news in their own colours."""
    event = title.split(" · ", maxsplit=1)[0]
    if not event.isupper():
        return "bold"
    warning = {"CORRECTION": "bold yellow", "CANCELLED": "bold red", "POSTPONED": "bold yellow"}
    return warning.get(event, "bold green")
