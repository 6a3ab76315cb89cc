"""Logging: one line an event, with secrets taken out wherever they come from."""

import logging
import sys
from collections.abc import Collection, MutableMapping
from typing import Any

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
    form: structlog.types.Processor
    if settings.log_format is LogFormat.JSON:
        form = structlog.processors.JSONRenderer(ensure_ascii=False)
    else:
        form = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    shared: list[structlog.types.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        Redactor(secrets),
    ]
    structlog.configure(
        processors=[*shared, form],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=_to_stderr,
    )
    handler = _StderrNow()
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processors=[*shared, _bare, form]))
    logging.basicConfig(level=max(level, logging.WARNING), handlers=[handler], force=True)


def _to_stderr(*_: Any) -> structlog.PrintLogger:
    # Looked up at every line: while a prompt is drawn, standard error is a stand-in.
    return structlog.PrintLogger(sys.stderr)


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
        self._secrets = [secret for secret in secrets if secret]

    def __call__(
        self, _logger: Any, _method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        """Mask the secrets of one line, and keep it one line."""
        return {key: self._masked(key, value) for key, value in event.items()}

    def _masked(self, key: str, value: Any) -> Any:
        if isinstance(value, int | float | bool | None):
            return value
        text = self._mask(value if isinstance(value, str) else repr(value))
        # Only a traceback may have several lines: other text could pass for a line of the log.
        return "\n".join(map(clean, text.split("\n"))) if key == "exception" else clean(text)

    def _mask(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return without_secrets(text)
