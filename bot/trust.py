"""Whose word counts: outlets that report, and deciders who can make a fact official."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from bot.model import Show, SpeakerRole

_ROLE_WORDS: Final = {
    "network": SpeakerRole.NETWORK,
    "platform": SpeakerRole.PLATFORM,
    "streamer": SpeakerRole.PLATFORM,
    "production": SpeakerRole.PRODUCTION,
    "producer": SpeakerRole.PRODUCTION,
    "studio": SpeakerRole.PRODUCTION,
    "showrunner": SpeakerRole.SHOWRUNNER,
    "creator": SpeakerRole.SHOWRUNNER,
    "official account": SpeakerRole.OFFICIAL_ACCOUNT,
    "official_account": SpeakerRole.OFFICIAL_ACCOUNT,
}


@dataclass(frozen=True, slots=True)
class Outlet:
    """A news outlet whose reports are trusted."""

    name: str
    domain: str
    kind: str


@dataclass(frozen=True, slots=True)
class Decider:
    """A network, platform or studio that decides about shows."""

    name: str
    role: SpeakerRole
    domains: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Trust:
    """Whose word counts: outlets for `reported`, deciders for `official`."""

    outlets: tuple[Outlet, ...] = ()
    deciders: tuple[Decider, ...] = ()

    def outlet(self, name: str | None, url: str | None) -> Outlet | None:
        """The trusted outlet of that name, or else the one at that address."""
        by_name = (outlet for outlet in self.outlets if _same(outlet.name, name))
        by_url = (outlet for outlet in self.outlets if _at(url, outlet.domain))
        return next(by_name, None) or (None if name else next(by_url, None))

    def decider_at(self, url: str | None) -> Decider | None:
        """The decider whose own site the address is on."""
        return next((who for who in self.deciders if any(_at(url, at) for at in who.domains)), None)

    def role(self, speaker: str, show: Show) -> SpeakerRole | None:
        """What makes the speaker's word official: a role in the text, or a decider's name."""
        folded = speaker.casefold()
        if folded.startswith("@"):
            return SpeakerRole.OFFICIAL_ACCOUNT
        for word, role in _ROLE_WORDS.items():
            if folded == word or folded.startswith((f"{word} ", f"{word}:")):
                return role
        known = [who for who in self.deciders if _speaks_for(folded, who.name)]
        if known:
            return max(known, key=lambda who: len(who.name)).role  # HBO Max is not HBO
        service = any(_speaks_for(folded, service) for service in show.services)
        return SpeakerRole.PLATFORM if service else None


def _same(name: str, other: str | None) -> bool:
    return other is not None and name.casefold() == other.casefold()


def _speaks_for(speaker: str, name: str) -> bool:
    """Whether "netflix korea" speaks for "Netflix"."""
    folded = name.casefold()
    return speaker == folded or speaker.startswith(folded + " ")


def _at(url: str | None, domain: str) -> bool:
    """Whether an address is on a domain or below it; `variety.com.evil.io` is not."""
    try:
        host = urlsplit(url).hostname if url else None
    except ValueError:  # not an address at all; the format's check says so
        return False
    return host is not None and (host == domain or host.endswith("." + domain))
