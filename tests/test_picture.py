"""The picture of the README shows what the bot says today."""

from tests.build import ROOT
from tests.picture import draw


def test_the_picture_is_up_to_date() -> None:
    assert (ROOT / "docs" / "demo.svg").read_text(encoding="utf-8") == draw(), (
        "the bot speaks differently now: run `make picture` and look at docs/demo.svg"
    )
