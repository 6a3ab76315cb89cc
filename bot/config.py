"""The settings: one field for each line of `.env.example`, built by the command line alone."""

import re
import stat
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from bot.errors import SettingsError
from bot.text import clean, shorten

ENV_FILE: Final = Path(".env")

_TELEGRAM_TOKEN: Final = re.compile(r"\d{6,}:[A-Za-z0-9_-]{30,}")
_DISCORD_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{23,28}\.[A-Za-z0-9_-]{6,7}\.[A-Za-z0-9_-]{27,}")


class LogLevel(StrEnum):
    """How much is logged."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


class LogFormat(StrEnum):
    """How log lines look: for people, or one JSON object a line."""

    CONSOLE = "console"
    JSON = "json"


def _web_address(url: str) -> str:
    if not url.startswith(("http://", "https://")):
        raise ValueError("is not a web address (https://…)")
    return url.rstrip("/")


def _safe_address(url: str) -> str:
    local = url.startswith(("http://127.0.0.1", "http://localhost", "http://[::1]"))
    if not url.startswith("https://") and not local:
        raise ValueError("is not an address that Telegram sends to (https://…)")
    return url


_Url = Annotated[str, AfterValidator(_web_address)]
_SafeUrl = Annotated[str, AfterValidator(_safe_address)]


def _host_and_port(listen: str) -> str:
    host, _, port = listen.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError("is a host and a port, such as 127.0.0.1:8080")
    return listen


_Listen = Annotated[str, AfterValidator(_host_and_port)]


class Settings(BaseSettings):
    """What an operator can set, in the environment or in a file `.env`.

    Tokens and the database's address are secret: they are masked wherever settings are shown.
    """

    model_config = SettingsConfigDict(
        env_file=ENV_FILE, env_file_encoding="utf-8", env_ignore_empty=True, extra="ignore"
    )

    discord_token: SecretStr | None = None
    telegram_token: SecretStr | None = None
    database_url: SecretStr = SecretStr("sqlite:///cliffhanger.db")
    poll_seconds: Annotated[float, Field(ge=0.1, le=86_400)] = 60
    curators: Annotated[frozenset[str], NoDecode] = frozenset()
    log_level: LogLevel = LogLevel.WARNING
    log_format: LogFormat = LogFormat.CONSOLE
    discord_api_url: _Url = "https://discord.com/api/v10"
    discord_shards: Annotated[int, Field(ge=1, le=10_000)] | None = None
    discord_dev_guild: Annotated[int, Field(ge=1)] | None = None
    telegram_api_url: _Url = "https://api.telegram.org"
    telegram_webhook_url: _SafeUrl | None = None
    telegram_webhook_listen: _Listen = "127.0.0.1:8080"
    telegram_paid_broadcast: bool = False

    @field_validator("log_level", mode="before")
    @classmethod
    def _any_case(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("discord_token", "telegram_token")
    @classmethod
    def _right_platform(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        telegrams = bool(value and _TELEGRAM_TOKEN.fullmatch(value.get_secret_value()))
        discords = bool(value and _DISCORD_TOKEN.fullmatch(value.get_secret_value()))
        if telegrams and info.field_name == "discord_token":
            raise ValueError("holds a token of Telegram; set it as TELEGRAM_TOKEN")
        if discords and info.field_name == "telegram_token":
            raise ValueError("holds a token of Discord; set it as DISCORD_TOKEN")
        return value

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, value: SecretStr) -> SecretStr:
        if not _is_database(value.get_secret_value()):
            raise ValueError(
                "is not a database: write sqlite:///cliffhanger.db (three slashes, then the file) "
                "or postgresql://user:password@host/name"
            )
        return value

    @field_validator("curators", mode="before")
    @classmethod
    def _split_curators(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        names = [name.strip() for name in value.split(",") if name.strip()]
        for name in names:
            platform, _, user = name.partition(":")
            if platform not in ("discord", "telegram") or not (user.isascii() and user.isdigit()):
                raise ValueError("is a list such as discord:123456789,telegram:987654321")
        return frozenset(names)

    @classmethod
    def read(cls) -> Self:
        """Read the settings; raises `SettingsError` that names the setting and what it takes."""
        try:
            return cls()
        except ValidationError as error:
            raise SettingsError(_problem(error)) from None
        except UnicodeDecodeError:
            raise SettingsError(f"{ENV_FILE} is not a text file in UTF-8.") from None
        except OSError as error:
            raise SettingsError(f"{ENV_FILE} cannot be read: {error.strerror}.") from None


def _is_database(url: str) -> bool:
    """A file, or a PostgreSQL address that makes sense."""
    if url.startswith("sqlite:"):
        file = url.removeprefix("sqlite:///")
        return file not in (url, "", "/", ":memory:") and "?" not in file
    try:
        parts = urlsplit(url)
        return parts.scheme == "postgresql" and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


_SECRET: Final = frozenset({"discord_token", "telegram_token", "database_url"})


def _problem(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False)[0]
    name = str(first["loc"][0])
    given = "" if name in _SECRET else f" = {clean(shorten(repr(first['input']), 60))}"
    message = first["msg"].removeprefix("Value error, ")
    return f"The setting {name.upper()}{given}: {message}. See .env.example for every setting."


def unknown_settings(path: Path = ENV_FILE) -> list[str]:
    """The names in the file that are no settings of ours: perhaps mistyped."""
    from dotenv import dotenv_values

    try:
        names = dotenv_values(path, interpolate=False) if path.is_file() else {}
    except (OSError, UnicodeDecodeError):
        return []  # reading the settings says so
    return [name for name in names if name.lower() not in Settings.model_fields]


def env_file_warning(path: Path = ENV_FILE) -> str | None:
    """What to do when others can read the file with the tokens."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return None
    if not mode & (stat.S_IRWXG | stat.S_IRWXO):
        return None
    return f"Others on this machine can read {path}, which holds secrets. Run: chmod 600 {path}"
