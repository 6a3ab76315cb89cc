"""Logging: one line an event, with secrets taken out wherever they come from."""

import logging
import sys
import traceback
from collections.abc import Collection, MutableMapping
from functools import partial
from types import TracebackType
from typing import Any
from urllib.parse import quote

import structlog

from bot.config import LogFormat, Settings
from bot.text import MASK, clean, without_secrets


def set_up(settings: Settings) -> None:
    """Log to standard error, at the level and in the form that the settings ask for."""
    secrets = [
        token.get_secret_value()
        for token in (settings.discord_token, settings.telegram_token)
        if token
    ]
    level = logging.getLevelNamesMapping()[settings.log_level]
    redactor = Redactor(secrets)
    form: structlog.types.Processor
    if settings.log_format is LogFormat.JSON:
        form = structlog.processors.JSONRenderer(ensure_ascii=False)
    else:
        form = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    shared: list[structlog.types.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        redactor,
    ]
    structlog.configure(
        processors=[*shared, form],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=_to_stderr,
    )
    handler = _StderrNow()
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processors=[*shared, _bare, form]))
    logging.basicConfig(level=max(level, logging.WARNING), handlers=[handler], force=True)
    sys.excepthook = partial(_last_words, redactor)


def _to_stderr(*_: Any) -> structlog.PrintLogger:
    # Looked up at every line: while a prompt is drawn, standard error is a stand-in.
    return structlog.PrintLogger(sys.stderr)


def _last_words(
    redactor: "Redactor",
    kind: type[BaseException],
    error: BaseException,
    trace: TracebackType | None,
) -> None:
    """Tell of an error that nobody expected, as Python does."""
    told = "".join(traceback.format_exception(kind, error, trace))
    print(redactor(None, "", {"exception": told})["exception"], file=sys.stderr)  # noqa: T201


class _StderrNow(logging.Handler):
    """For the log lines of libraries: standard error as it is at that moment, see above."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one line."""
        print(self.format(record), file=sys.stderr)  # noqa: T201


def _bare(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {key: value for key, value in event.items() if not key.startswith("_")}


class Redactor:
    """Takes tokens, and whatever looks like one, out of every value of a log line."""

    def __init__(self, secrets: Collection[str]) -> None:
        forms = [form for secret in secrets for form in (secret, quote(secret, safe=""))]
        self._secrets = [form for form in forms if form]

    def __call__(
        self, _logger: Any, _method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        """Mask the secrets of one line, and keep it one line."""
        return {key: self._masked(key, value) for key, value in event.items()}

    def _masked(self, key: str, value: Any) -> Any:
        if isinstance(value, int | float | bool | None):
            return value
        text = value if isinstance(value, str) else repr(value)
        # Only a traceback may have several lines: other text could pass for a line of the log.
        lines = text.split("\n") if key == "exception" else [text]
        # Cleaned first: a character that is taken out must not have hidden a token.
        return self._mask("\n".join(map(clean, lines)))

    def _mask(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return without_secrets(text)
