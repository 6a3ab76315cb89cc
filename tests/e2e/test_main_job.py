"""The main job: a fan subscribes, a curator publishes elsewhere, the fan is told; and no more."""

import datetime as dt
import json
from pathlib import Path

from tests.e2e.process import Home

NEWS = "https://www.netflix.com/tudum/articles/the-news"
OFFICIAL = ("--speaker", "Netflix", "--source", NEWS)
TRAILER = "https://www.youtube.com/watch?v=dQw4w9WgXcQ"
NEXT_YEAR = dt.datetime.now(dt.UTC).year + 1


def test_a_fan_is_told_what_is_confirmed_once_and_no_guess(tmp_path: Path) -> None:
    home = Home.stocked(tmp_path)
    with home.bot() as bot:
        known = bot.ask("/subscribe all of us are ded")
        assert "you get every alert for All of Us Are Dead" in known
        assert "Renewed: Official · Netflix Korea, 6 June 2022" in known
        assert "Release date: not announced" in known
        assert "Guessed by others, not confirmed: " in known
        assert "mid-2023" in known
        assert "Trailer: none yet" in known

        show = ("all of us are dead", "--season", "3")
        guess = home.publish(
            *show, "--kind", "dated", "--date", f"{NEXT_YEAR}-09",
            "--certainty", "speculation", "--outlet", "A blog",
        )  # fmt: skip
        renewal = home.publish(*show, "--kind", "renewed", *OFFICIAL)
        alert = bot.wait_for("RENEWED").splitlines()
        assert alert[0] == "RENEWED · All of Us Are Dead, season 3"
        assert any("Official · Netflix, " in line and NEWS in line for line in alert)
        assert bot.said == [known, "\n".join(alert)]
        assert guess["push"] == "never"

        again = home.publish(*show, "--kind", "renewed", "--outlet", "Variety")
        assert again["also"] == renewal["id"]
        home.publish(*show, "--kind", "dated", "--date", f"{NEXT_YEAR}-23", *OFFICIAL)
        dated = bot.wait_for("DATED")
        assert dated.startswith(f"DATED · All of Us Are Dead, season 3: autumn {NEXT_YEAR}")
        home.publish(*show, "--kind", "trailer", "--trailer", TRAILER, "--speaker", "Netflix")
        trailer = bot.wait_for("TRAILER")
        assert TRAILER in trailer.splitlines(), "the bare link stands on a line of its own"
        assert bot.said == [known, "\n".join(alert), dated, trailer]

        status = bot.ask("/status all of us are dead")
        assert "Renewed: Official · Netflix" in status
        assert "also Variety" in status
        assert f"Release date: autumn {NEXT_YEAR}" in status
        assert bot.finish() == 0
        assert bot.err == ""
    assert home.deliveries() == {
        "pending": 0, "held": 0, "sent": 3, "expired": 0, "failed": 0, "uncertain": 0,
    }  # fmt: skip


def test_a_correction_reaches_whoever_got_the_mistake_and_nobody_else(tmp_path: Path) -> None:
    home = Home.stocked(tmp_path)
    with home.bot() as bot:
        missed = home.publish("stranger things", "--season", "9", "--kind", "renewed", *OFFICIAL)
        bot.ask("/subscribe ozark")
        bot.ask("/subscribe stranger things")
        told = home.publish("ozark", "--season", "9", "--kind", "renewed", *OFFICIAL)
        bot.wait_for("RENEWED · Ozark")
        for mistake in (missed, told):
            home.do("retract", mistake["id"], "--reason", "it was a hoax", "--yes")
        correction = bot.wait_for("CORRECTION · Ozark, season 9")
        assert "Why: it was a hoax" in correction
        bot.ask("/help")
        assert bot.finish() == 0
        assert [one for one in bot.said if one.startswith("CORRECTION")] == [correction]
        assert "RENEWED · Stranger Things" not in bot.out


def test_only_the_shows_and_the_kinds_one_follows_are_news(tmp_path: Path) -> None:
    home = Home.stocked(tmp_path)
    with home.bot() as bot:
        assert "dated, trailer" in bot.ask("/subscribe ozark dated,trailer")
        bot.ask("/subscribe yellowstone")
        bot.ask("/subscribe stranger things")
        bot.ask("/unsubscribe yellowstone")
        for show in ("reacher", "yellowstone", "ozark", "stranger things"):
            home.publish(show, "--season", "19", "--kind", "renewed",
                         "--speaker", "network The Network", "--source", NEWS)  # fmt: skip
        # The log is read in order: with the last one here, those before it were decided.
        bot.wait_for("RENEWED · Stranger Things")
        home.publish("ozark", "--season", "19", "--kind", "dated",
                     "--date", f"{NEXT_YEAR}-09-02", *OFFICIAL)  # fmt: skip
        bot.wait_for("DATED · Ozark, season 19: 2 September")
        assert bot.finish() == 0
        alerts = [one.splitlines()[0] for one in bot.said if " · " in one.splitlines()[0]]
    assert alerts == [
        "RENEWED · Stranger Things, season 19",
        f"DATED · Ozark, season 19: 2 September {NEXT_YEAR}",
    ]


def test_what_was_published_while_the_bot_was_down_comes_once_and_in_order(tmp_path: Path) -> None:
    home = Home.stocked(tmp_path)
    home.publish("ozark", "--season", "8", "--kind", "renewed", *OFFICIAL)
    before = home.talk("/subscribe ozark")
    assert len(before) == 1, "subscribing brings no backlog"
    assert "Renewed: Official · Netflix" in before[0]
    home.publish("ozark", "--season", "9", "--kind", "renewed", *OFFICIAL)
    home.publish("ozark", "--season", "9", "--kind", "dated", "--date", f"{NEXT_YEAR}", *OFFICIAL)

    ended = home.do("run", entered="")
    titles = [one.splitlines()[0] for one in ended.out.split("\n\n") if one]
    assert titles == ["RENEWED · Ozark, season 9", f"DATED · Ozark, season 9: {NEXT_YEAR}"]
    assert ended.err == ""
    assert home.talk() == []
    assert home.deliveries()["sent"] == 2


def test_a_person_sees_and_deletes_everything_that_is_stored(tmp_path: Path) -> None:
    home = Home.stocked(tmp_path)
    said = home.talk(
        "/subscribe ozark", "/subscribe ozark trailer", "/subscribe kin", "/subscriptions",
        "/upcoming", "/latest", "/help", "/privacy", "/subscribe the moon is a lie",
        "/privacy export", "/privacy delete", "/subscriptions",
    )  # fmt: skip
    assert said[1].startswith("Changed: you get alerts (trailer) for Ozark")
    assert "You follow 2 shows." in said[3]
    assert "Ozark" in said[3]
    assert "only trailer" in said[3]
    assert said[5].startswith("The latest confirmed news:")
    for command in ("/subscribe", "/unsubscribe", "/subscriptions", "/status", "/upcoming",
                    "/latest", "/help", "/privacy"):  # fmt: skip
        assert f"\n{command}" in said[6]
    assert "/privacy delete" in said[7]
    assert "No show called “the moon is a lie”" in said[8]
    _, export = said[9].split("\n", 1)
    stored = json.dumps(json.loads(export))
    assert "ozark" in stored
    assert "the moon is a lie" in stored
    assert said[10].startswith("Deleted: 2 subscriptions")
    assert said[11].startswith("You follow no show yet.")
    assert home.publish("ozark", "--season", "9", "--kind", "renewed", *OFFICIAL)
    assert home.talk() == []
