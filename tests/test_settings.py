"""Settings are read strictly and never shown with a secret; logs neither."""

import logging
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import example, given
from hypothesis import strategies as st

from bot.config import LogFormat, LogLevel, Settings, env_file_warning
from bot.errors import SettingsError
from bot.logs import Redactor, set_up
from bot.text import clean
from tests.build import ROOT

TELEGRAM = "8012345678:AAFakeFakeFakeFakeFakeFakeFakeFake-_1"
DISCORD = "MTAxMjM0NTY3ODkwMTIzNDU2Nw.GabcDe.FakeFakeFakeFakeFakeFakeFakeFakeFake_-"
DATABASE = "postgresql://bot:hunter2@db.example/cliffhanger"
EXAMPLE = ROOT / ".env.example"


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every test starts with an empty environment, in an empty folder."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def refusal(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> str:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as refused:
        Settings.read()
    text = str(refused.value)
    assert name in text
    assert ".env.example" in text
    assert clean(text) == text
    assert len(text) < 400
    assert refused.value.__cause__ is None
    return text


# --- defaults ---


def test_without_any_setting_the_bot_runs_in_the_terminal() -> None:
    read = Settings.read()
    assert (read.discord_token, read.telegram_token) == (None, None)
    assert read.database_url.get_secret_value() == "sqlite:///cliffhanger.db"
    assert (read.poll_seconds, read.curators) == (60, frozenset())
    assert (read.log_level, read.log_format) == (LogLevel.WARNING, LogFormat.CONSOLE)
    assert read.discord_api_url == "https://discord.com/api/v10"
    assert read.telegram_api_url == "https://api.telegram.org"
    assert read.telegram_paid_broadcast is False


def test_an_empty_setting_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.setenv(name.upper(), "")
    assert Settings.read() == Settings()
    assert Settings.read().discord_token is None


def test_a_file_sets_what_the_environment_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("POLL_SECONDS=5\nLOG_FORMAT=json\nOTHER=1\n", encoding="utf-8")
    monkeypatch.setenv("POLL_SECONDS", "7")
    read = Settings.read()
    assert (read.poll_seconds, read.log_format) == (7, LogFormat.JSON)


def test_a_file_that_is_no_text_is_refused() -> None:
    Path(".env").write_bytes(b"DISCORD_TOKEN=\xff\xfe\n")
    with pytest.raises(SettingsError, match="not a text file in UTF-8"):
        Settings.read()


# --- good and bad values ---


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("POLL_SECONDS", "soon", "valid number"),
        ("POLL_SECONDS", "0", "greater than or equal to 0.1"),
        ("POLL_SECONDS", "-5", "greater than or equal to 0.1"),
        ("POLL_SECONDS", "nan", "equal to"),
        ("POLL_SECONDS", "100000", "less than or equal to 86400"),
        ("LOG_LEVEL", "LOUD", "'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
        ("LOG_FORMAT", "xml", "'console' or 'json'"),
        ("DISCORD_API_URL", "discord.com/api/v10", "is not a web address"),
        ("TELEGRAM_API_URL", "localhost:8081", "is not a web address"),
        ("CURATORS", "123", "discord:123456789"),
        ("CURATORS", "discord:me", "discord:123456789"),
        ("CURATORS", "discord:²", "discord:123456789"),
        ("CURATORS", "discord:", "discord:123456789"),
        ("CURATORS", "matrix:1", "discord:123456789"),
        ("CURATORS", "discord:1;telegram:2", "discord:123456789"),
        ("CURATORS", "discord:1,\x1b[2J", "discord:123456789"),
        ("CURATORS", "discord:1," + "x" * 5000, "discord:123456789"),
    ],
)
def test_a_bad_value_is_refused_with_what_is_allowed(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str
) -> None:
    text = refusal(monkeypatch, name, value)
    assert says in text
    assert f"{name} = '" in text


@pytest.mark.parametrize(
    "value",
    ["mysql://bot:hunter2@db/x", "hunter2", "sqlite://", "sqlite:///", "postgresql:hunter2", ":"],
)
def test_a_bad_database_is_refused_without_its_address(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    text = refusal(monkeypatch, "DATABASE_URL", value)
    assert "hunter2" not in text
    assert f"'{value}'" not in text
    assert "sqlite:///cliffhanger.db" in text


@pytest.mark.parametrize(
    ("value", "curators"),
    [
        ("discord:1", {"discord:1"}),
        ("discord:1,telegram:2", {"discord:1", "telegram:2"}),
        (" discord:1 , telegram:2 ,", {"discord:1", "telegram:2"}),
        (",", set()),
    ],
)
def test_curators_are_a_list(
    monkeypatch: pytest.MonkeyPatch, value: str, curators: set[str]
) -> None:
    monkeypatch.setenv("CURATORS", value)
    assert Settings.read().curators == curators


@pytest.mark.parametrize("value", ["debug", "Debug", "DEBUG"])
def test_a_log_level_is_understood_in_any_case(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("LOG_LEVEL", value)
    assert Settings.read().log_level is LogLevel.DEBUG


@pytest.mark.parametrize("url", [DATABASE, "sqlite:////var/lib/cliffhanger.db", "sqlite:///a.db"])
def test_both_databases_are_known(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    assert Settings.read().database_url.get_secret_value() == url


def test_an_address_is_kept_without_its_last_slash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELEGRAM_API_URL", "http://localhost:8081/")
    assert Settings.read().telegram_api_url == "http://localhost:8081"


# --- secrets ---


@pytest.fixture
def secretive(monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("DISCORD_TOKEN", DISCORD)
    monkeypatch.setenv("TELEGRAM_TOKEN", TELEGRAM)
    monkeypatch.setenv("DATABASE_URL", DATABASE)
    return Settings.read()


def test_settings_never_show_their_secrets(secretive: Settings) -> None:
    shown = f"{secretive!r} {secretive} {secretive.model_dump()} {secretive.model_dump_json()}"
    for secret in (DISCORD, TELEGRAM, DATABASE, "hunter2"):
        assert secret not in shown


def test_a_mistake_beside_a_secret_does_not_show_it(
    monkeypatch: pytest.MonkeyPatch, secretive: Settings
) -> None:
    text = refusal(monkeypatch, "POLL_SECONDS", "soon")
    assert not any(secret in text for secret in (DISCORD, TELEGRAM, "hunter2"))


@pytest.mark.parametrize(("mode", "told"), [(0o600, False), (0o640, True), (0o604, True)])
def test_a_file_others_can_read_gives_the_command_that_mends_it(mode: int, told: bool) -> None:
    path = Path(".env")
    path.touch()
    path.chmod(mode)
    warning = env_file_warning()
    assert (warning is not None) is told
    assert not told or "Run: chmod 600 .env" in (warning or "")


def test_a_file_that_is_not_there_needs_no_mending() -> None:
    assert env_file_warning() is None


# --- logs ---


def redacted(value: object, *secrets: str) -> str:
    return str(Redactor(secrets)(None, "info", {"event": value})["event"])


@pytest.mark.parametrize(
    ("text", "secret", "left"),
    [
        (f"GET https://api.telegram.org/bot{TELEGRAM}/getMe", TELEGRAM, "api.telegram.org"),
        (f"Bot {DISCORD} is bad", DISCORD, "is bad"),
        (f"cannot reach {DATABASE}!", "hunter2", "db.example/cliffhanger!"),
        ("postgresql://bot:p@ss/w:rd@db/x", "ss/w", "@db/x"),
        ("redis://:hunter2@cache", "hunter2", "@cache"),
    ],
)
def test_what_looks_like_a_secret_is_masked(text: str, secret: str, left: str) -> None:
    shown = redacted(text)
    assert secret not in shown
    assert "[secret]" in shown
    assert left in shown


def test_a_configured_token_of_any_shape_is_masked() -> None:
    assert redacted("my token is s3cr3t.", "s3cr3t", "") == "my token is [secret]."


@pytest.mark.parametrize(
    "value",
    [{"url": DATABASE}, [TELEGRAM], ValueError(DISCORD), (DISCORD, {"x": [TELEGRAM, DATABASE]})],
)
def test_a_secret_inside_a_value_is_masked(value: object) -> None:
    shown = redacted(value)
    assert not any(secret in shown for secret in (DISCORD, TELEGRAM, "hunter2"))
    assert "[secret]" in shown


@pytest.mark.parametrize("text", ["", "2026-11-22T09:00:00.000Z", "01M817RXN8ZRCQP1SXQMH6Q8AN"])
def test_what_is_no_secret_stays(text: str) -> None:
    assert redacted(text) == text
    assert redacted("https://variety.com/2026/tv/") == "https://variety.com/2026/tv/"


@pytest.mark.parametrize("value", [7, 0.5, True, None])
def test_numbers_stay_numbers(value: object) -> None:
    assert Redactor(())(None, "info", {"n": value}) == {"n": value}


@example("one\ntwo \x1b[2J\u202e")
@given(st.text())
def test_no_value_of_a_log_line_can_steer_or_break_the_line(text: str) -> None:
    line = Redactor(())(None, "info", {"event": text, "title": text, "things": [text]})
    for value in line.values():
        assert clean(value) == value


def test_a_traceback_keeps_its_lines_and_loses_its_secrets() -> None:
    line = Redactor(())(None, "error", {"exception": f"Traceback:\n  {TELEGRAM}\x1b[2J\nEnd"})
    assert line["exception"] == "Traceback:\n  [secret][2J\nEnd"


@pytest.fixture
def _logs_as_before() -> Iterator[None]:
    root, level = logging.getLogger(), logging.getLogger().level
    handlers, configured = root.handlers[:], structlog.get_config()
    yield
    for handler in root.handlers[:]:
        root.removeHandler(handler)
    for handler in handlers:
        root.addHandler(handler)
    root.setLevel(level)
    structlog.configure(**configured)


@pytest.mark.usefixtures("_logs_as_before")
@pytest.mark.parametrize("form", ["console", "json"])
def test_no_log_line_holds_a_token_or_steers_the_terminal(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    secretive: Settings,
    form: str,
) -> None:
    monkeypatch.setenv("LOG_FORMAT", form)
    settings = Settings.read()
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False, raising=False)
    set_up(settings)
    structlog.get_logger().warning("send.failed", url=DATABASE, title="Oz\x1b[2J\nark")
    structlog.get_logger().info("not.told")
    logging.getLogger("library").warning("GET /bot%s/getMe", TELEGRAM)
    try:
        dict[str, str]()[DISCORD]
    except KeyError:
        structlog.get_logger().exception("crashed")
        logging.getLogger("library").exception("crashed too")
    told = capsys.readouterr().err
    assert told.count("[secret]") >= 4
    assert not any(secret in told for secret in (DISCORD, TELEGRAM, "hunter2"))
    assert "\x1b" not in told
    assert "not.told" not in told
    assert "Oz[2J ark" in told


# --- the example ---


def test_the_example_has_one_line_for_every_setting_with_its_default() -> None:
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    found = [(place, match) for place, line in enumerate(lines) if (match := _SETTING.match(line))]
    names = [match["name"] for _, match in found]
    assert names == [name.upper() for name in Settings.model_fields]
    for place, match in found:
        assert match["off"], f"{match['name']} is set in the example"
        assert lines[place - 1].startswith("# "), f"{match['name']} has no comment"
        assert match["value"] == _default(match["name"].lower())


_SETTING = re.compile(r"(?P<off># ?)?(?P<name>[A-Z][A-Z_]+)=(?P<value>.*)")


def _default(name: str) -> str:
    default = Settings.model_fields[name].default
    if name == "database_url":
        return str(default.get_secret_value())
    if isinstance(default, bool):
        return str(default).lower()
    return "" if default in (None, frozenset()) else str(default)


def test_the_example_as_it_stands_changes_nothing() -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    Path(".env").write_text(text, encoding="utf-8")
    assert Settings.read() == Settings(_env_file=None)  # type: ignore[call-arg]


def test_the_example_with_every_line_in_force_is_the_defaults() -> None:
    text = re.sub(r"(?m)^# ?(?=[A-Z_]+=)", "", EXAMPLE.read_text(encoding="utf-8"))
    Path(".env").write_text(text, encoding="utf-8")
    assert Settings.read() == Settings(_env_file=None)  # type: ignore[call-arg]
