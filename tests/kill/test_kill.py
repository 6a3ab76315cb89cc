"""The kill test in its short form: a hundred kills, and each step of an upgrade of its own."""

import random
import secrets
from pathlib import Path
from typing import Final

import pytest

from bot.model import Platform
from tests.kill.campaign import Campaign
from tests.kill.migration import kill_in_migration
from tests.kill.scene import Scene, problems

KILLS: Final = 100
STRIDE: Final = 6
DEATHS: Final = 3
"""Deaths after which a message that was in flight at each is taken for their cause."""


@pytest.mark.timeout(300)
def test_a_hundred_kills_lose_nothing_and_repeat_only_what_was_in_flight(tmp_path: Path) -> None:
    seed = secrets.randbelow(2**32)
    print(f"Again with: python -m tests.kill --kills {KILLS} --seed {seed}")
    with Scene(tmp_path) as scene:
        scene.stock()
        campaign = Campaign(scene, random.Random(seed))
        campaign.run(KILLS, lambda: None)
        verdicts = scene.verdicts()
        assert problems(verdicts) == []
        assert [one.lost for one in verdicts] == [0, 0]
        assert len(scene.deaths) == KILLS
        assert len(campaign.kinds) == 13, "each named point and random moments"
        assert scene.discord.repeats, "Discord was asked again for what it had"


@pytest.mark.timeout(300)
def test_a_kill_in_an_upgrade_or_its_backup_leaves_the_database_as_it_was(tmp_path: Path) -> None:
    with Scene(tmp_path) as scene:
        assert kill_in_migration(scene, STRIDE) > 5
        verdicts = scene.verdicts()
        assert problems(verdicts) == []
        assert [one.worst for one in verdicts] == [1, 1]
        assert {one.expected for one in verdicts} != {0}


def test_what_is_in_flight_at_three_deaths_is_sent_no_more_and_holds_up_nobody(
    tmp_path: Path,
) -> None:
    with Scene(tmp_path) as scene:
        scene.stock()
        published = scene.publish()
        victims = [
            next(one for one in sorted(published.audience) if one.platform is platform)
            for platform in (Platform.DISCORD, Platform.TELEGRAM)
        ]
        channel, person = (one.id for one in victims)
        for _ in range(DEATHS):
            with (
                scene.discord.held(channel=scene.channels[channel]) as there,
                scene.telegram.held(chat=person) as here,
            ):
                bot = scene.bot()
                scene.discord.wait_until_held(there)
                scene.telegram.wait_until_held(here)
                scene.delivered(bot, but=len(victims))
                scene.kill(bot)
        bot = scene.bot()
        scene.delivered(bot)
        assert scene.states == {
            "sent": len(published.audience) - len(victims),
            "uncertain": len(victims),
        }
        scene.publish()
        scene.delivered(bot)
        scene.stop(bot)
        assert scene.nursery.do("deliveries") == 0
        assert f"telegram:{person}: uncertain" in scene.nursery.said
        assert f"discord:{channel}: uncertain" in scene.nursery.said
        verdicts = scene.verdicts()
        assert problems(verdicts) == []
        assert [one.worst for one in verdicts] == [1, DEATHS]
