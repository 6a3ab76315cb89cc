"""The command line as outside programs rely on it: options, output, exit codes."""

import datetime as dt
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ulid import ULID

from tests.e2e.process import Home
from tests.e2e.test_main_job import NEXT_YEAR, OFFICIAL

SHOW_FIELDS = {
    "schema_version", "id", "title", "original_title", "aliases", "services", "ids",
    "official_channels", "limited", "sources",
}  # fmt: skip
TODAY = dt.datetime.now(dt.UTC).date().isoformat()
UPDATE_FIELDS = {
    "schema_version", "id", "recorded_at", "show", "season", "part", "kind", "value", "date",
    "certainty", "speaker", "speaker_role", "source", "evidence", "curator", "method", "also",
    "supersedes", "retracts", "reverses", "reason", "push",
}  # fmt: skip
RENEWAL = ("ozark", "--season", "9", "--kind", "renewed", *OFFICIAL)


def _contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_publishing_says_what_it_will_do_asks_and_prints_the_record(tmp_path: Path) -> None:
    home = Home.stocked(tmp_path)
    home.talk("/subscribe ozark")
    for answer in ("n\n", ""):
        refusal = home.refused("publish", *RENEWAL, entered=answer)
        assert "RENEWED · Ozark, season 9" in refusal
        assert "To 1 chat." in refusal
    assert "9" not in [str(one["season"]) for one in home.do("updates", "ozark", "--json").records]

    published = home.do("publish", *RENEWAL, entered="y\n")
    assert "Published " in published.out
    record = home.do("updates", "ozark", "--json").records[-1]
    assert record["id"] in published.out
    dated = home.publish("ozark", "--season", "9", "--kind", "dated",
                         "--date", f"{NEXT_YEAR}-02", "--announced", TODAY,
                         "--part", "2", *OFFICIAL)  # fmt: skip
    assert set(dated) == UPDATE_FIELDS
    assert dated["date"]["edtf"] == f"{NEXT_YEAR}-02"
    assert (dated["certainty"], dated["speaker"], dated["part"]) == ("official", "Netflix", 2)
    old = home.do("publish", "ozark", "--season", "10", "--kind", "renewed",
                  "--announced", "2021-01-01", "--yes", *OFFICIAL)  # fmt: skip
    assert "Nobody is told" in old.err
    quiet = home.publish("ozark", "--season", "11", "--kind", "renewed", "--quiet", *OFFICIAL)
    assert quiet["push"] == "quiet"
    assert [one.splitlines()[0].split(" · ")[0] for one in home.talk()] == ["RENEWED", "DATED"]


def test_what_cannot_be_stored_is_refused_with_1_and_wrong_usage_with_2(tmp_path: Path) -> None:
    home = Home.stocked(tmp_path)
    everything = home.do("updates", "--json").out
    refused = {
        "Close to it: Ozark (ozark)": ("publish", "ozrk", "--season", "9", "--kind", "renewed"),
        "not on the list of trusted outlets": (
            "publish", "ozark", "--season", "9", "--kind", "renewed", "--outlet", "My Blog"),
        "does not exist in the calendar": (
            "publish", "ozark", "--season", "9", "--kind", "dated", "--date", "2027-02-30",
            *OFFICIAL),
        "No update has the id": ("retract", str(ULID()), "--reason", "no"),
        "There is no file or folder": ("load", "nowhere.jsonl"),
    }  # fmt: skip
    for reason, words in refused.items():
        assert reason in home.refused(*words, entered="y\n")
    assert home.do("updates", "--json").out == everything
    for words in (
        ("nonsense",),
        ("publish", "ozark"),
        ("publish", "ozark", "--kind", "renewed", "--announced", "2027-02-30"),
        ("db", "drop"),
    ):
        done = home.command(*words)
        assert (done.code, done.out) == (2, ""), done
        assert done.err.strip()


def test_lists_carry_the_fields_of_the_record_format(tmp_path: Path) -> None:
    home = Home.stocked(tmp_path)
    shows = home.do("shows", "--json").records
    assert len(shows) >= 25
    assert all(set(show) == SHOW_FIELDS for show in shows)
    found = home.do("shows", "지금 우리", "--json").records
    assert (found[0]["id"], found[0]["title"]) == ("all-of-us-are-dead", "All of Us Are Dead")
    assert found[0]["original_title"] == "지금 우리 학교는"
    updates = home.do("updates", "--json").records
    assert all(set(update) == UPDATE_FIELDS for update in updates)
    by_alias = home.do("updates", "AOUAD", "--json").records
    assert by_alias == [one for one in updates if one["show"] == "all-of-us-are-dead"]


def test_what_is_dumped_loads_and_dumps_again_byte_for_byte(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    old, new = Home.stocked(tmp_path / "old"), Home(tmp_path / "new")
    mistake = old.publish(*RENEWAL)
    old.do("retract", mistake["id"], "--reason", "a hoax", "--yes")
    old.do("dump", "first")
    first = _contents(old.folder / "first")
    assert "shows.jsonl" in first
    assert any(mistake["id"].encode() in content for content in first.values())

    loaded = new.do("load", str(old.folder / "first")).out
    assert loaded.endswith(" 0 records unchanged.\n")
    again = new.do("load", str(old.folder / "first")).out
    assert again.startswith("Loaded 0 shows and 0 updates;")
    new.do("dump", "second")
    assert _contents(new.folder / "second") == first


def test_a_loaded_update_is_pushed_like_a_published_one_and_counted(tmp_path: Path) -> None:
    (tmp_path / "from").mkdir()
    source, home = Home.stocked(tmp_path / "from"), Home.stocked(tmp_path)
    source.publish(*RENEWAL)
    source.do("dump", "dump")
    home.talk("/subscribe ozark")
    with home.bot() as bot:
        bot.ask("/help")
        home.do("load", str(source.folder / "dump"))
        assert bot.wait_for("RENEWED").startswith("RENEWED · Ozark, season 9")
        assert bot.finish() == 0
    counts = home.deliveries()
    assert list(counts) == ["pending", "held", "sent", "expired", "failed", "uncertain"]
    assert counts == {state: int(state == "sent") for state in counts}
    table = home.do("deliveries").out
    assert all(state in table for state in counts)
    assert "Oldest due: none" in table


def test_the_way_of_an_update_to_a_chat_is_explained(tmp_path: Path) -> None:
    home = Home.stocked(tmp_path)
    home.talk("/subscribe ozark")
    update = home.publish(*RENEWAL)["id"]
    waits = home.do("deliveries", "--why", "terminal:0", update)
    assert waits.lines[0] == f"RENEWED · Ozark, season 9 · {_today()}, to terminal:0"
    assert "The kind renewed is wanted." in waits.out
    assert "Nothing was sent: the bot has not looked since it was published." in waits.out
    alert, answered = sorted(home.talk("/why ozark"))  # either may come first
    assert alert.startswith("RENEWED")
    assert answered.startswith("What became of the latest updates about Ozark here:")

    sent = home.do("deliveries", "--why", "terminal:0", update).lines[-1]
    assert sent.strip().startswith("Sent on ")
    (record,) = home.do("deliveries", "--json", "--why", "terminal:0", update).records
    assert (record["update"], record["destination"]) == (update, "terminal:0")
    assert record["delivery"]["state"] == "sent"
    assert record["why"][-1] == sent.strip()


def test_what_cannot_be_explained_is_refused_with_what_to_do(tmp_path: Path) -> None:
    home = Home.stocked(tmp_path)
    update = home.publish(*RENEWAL)["id"]
    assert "Nothing is stored about telegram:-5/6" in home.refused(
        "deliveries", "--why", "telegram:-5/6", update
    )
    assert "“chat” is no destination" in home.refused("deliveries", "--why", "chat", update)
    assert "No update has the id “nothing”" in home.refused(
        "deliveries", "--why", "terminal:0", "nothing"
    )
    assert home.command("deliveries", "--why", "terminal:0").code == 2


def _today() -> str:
    day = dt.datetime.now(dt.UTC)
    return f"{day.day} {day:%B %Y}"


def test_every_command_works_beside_a_running_bot(tmp_path: Path) -> None:
    home = Home.stocked(tmp_path)
    with home.bot() as bot:
        bot.ask("/subscribe ozark")
        commands = [
            ("publish", "ozark", "--season", str(season), "--kind", "renewed", "--yes", *OFFICIAL)
            for season in range(11, 15)
        ] + [
            ("db", "backup"), ("db", "check"), ("db", "upgrade"), ("dump", "again"), ("doctor",),
            ("load", "dump"),
        ]  # fmt: skip
        home.do("dump", "dump")
        with ThreadPoolExecutor(4) as pool:
            for done in pool.map(lambda words: home.do(*words), commands):
                assert "locked" not in done.err
        for season in range(11, 15):
            bot.wait_for(f"RENEWED · Ozark, season {season}\n")
        assert bot.finish() == 0
        assert bot.err == ""
        assert bot.out.count("RENEWED · ") == 4


def test_the_database_is_checked_backed_up_and_kept_private(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert "no database" in home.refused("db", "check")
    doctor = home.command("doctor")
    assert doctor.code == 1
    assert "MEND" in doctor.out
    home.do("db", "upgrade")
    assert "is sound" in home.do("db", "check").out
    healthy = home.do("doctor").out
    assert "MEND" not in healthy
    assert "SQLite" in healthy
    home.publish(*RENEWAL)
    backup = Path(home.do("db", "backup").out.strip())
    assert stat.S_IMODE(home.database.stat().st_mode) == 0o600
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    restored = Home(tmp_path, DATABASE_URL=f"sqlite:///{backup}")
    assert restored.do("updates", "--json").out == home.do("updates", "--json").out


def test_a_title_that_is_missing_is_noted_as_a_wish(tmp_path: Path) -> None:
    home = Home.stocked(tmp_path)
    assert "No wishes." in home.do("wishes").err
    said = home.talk("/subscribe zzyzx road trip", "/status zzyzx road trip")
    assert all("No show called “zzyzx road trip”" in one for one in said)
    assert home.do("wishes").out.split() == ["1", "zzyzx", "road", "trip"]


def test_the_demo_tells_the_whole_story_and_leaves_nothing_behind(tmp_path: Path) -> None:
    work, temporary = tmp_path / "work", tmp_path / "tmp"
    work.mkdir()
    temporary.mkdir()
    home = Home(work, TMPDIR=str(temporary), COLUMNS="200")
    before = sorted(os.walk(tmp_path))
    story = home.do("demo", "--fast")
    assert sorted(os.walk(tmp_path)) == before
    order = [
        "> /subscribe all of us are ded",
        "Subscribed: you get every alert for All of Us Are Dead.",
        "recorded, not pushed: a guess is never pushed",
        "RENEWED · All of Us Are Dead, season 2",
        "recorded, not pushed: it confirms",
        "> /status all of us are dead",
        "All of Us Are Dead, season 2: renewed, not dated",
        "DATED · ",
        "TRAILER · ",
        "CORRECTION · ",
    ]
    places = [story.out.find(step) for step in order]
    assert -1 not in places, story.out
    assert places == sorted(places)
    assert story.out.count("RENEWED · ") == 1
    assert story.err == ""
