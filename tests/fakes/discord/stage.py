"""What people do: found guilds, use commands, press buttons; and what befalls the bot."""

import secrets
from collections.abc import Mapping
from typing import Any, Final

from tests.fakes.discord import calls
from tests.fakes.discord.channels import GROUP_DM, Channel
from tests.fakes.discord.gateway import INVALID_SESSION, RECONNECT
from tests.fakes.discord.guilds import Guild, everyone
from tests.fakes.discord.people import Json, Person
from tests.fakes.discord.records import (
    AUTOCOMPLETE,
    COMMAND,
    COMPONENT,
    MODAL,
    Interaction,
    Sent,
    walk,
)
from tests.fakes.discord.sessions import Session
from tests.fakes.discord.world import World

USUAL: Final = ("view_channel", "send_messages", "embed_links", "send_messages_in_threads")
"""What the bot is allowed by its own role where a test does not say."""
_MOST_TRIES: Final = 1000


class Stage:
    """People and guilds, and what they do that the bot is told of."""

    _world: World

    def person(self, name: str, *, locale: str = "en-US", has_installed: bool = False) -> Person:
        """Somebody with an account; they may have installed the bot for themselves."""
        with self._world.change():
            person = Person(self._world.snowflake(), name, locale, has_installed=has_installed)
            self._world.people[person.id] = person
        return person

    def guild(
        self,
        name: str,
        *permissions: str,
        owner: Person | None = None,
        has_bot: bool = True,
        shard: tuple[int, int] | None = None,
        locale: str = "en-US",
    ) -> Guild:
        """A guild, in which the bot is with these permissions; on a shard if one is named."""
        world = self._world
        founder = owner or self.person(f"Owner of {name}")
        with world.change():
            number = world.guild_id()
            for _ in range(_MOST_TRIES):
                if shard is None or (number >> 22) % shard[1] == shard[0]:
                    break
                number = world.guild_id()
            guild = Guild(world, number, name, founder, locale)
            guild.roles[guild.id] = everyone(guild)
            guild.join(founder)
            world.guilds[guild.id] = guild
            if has_bot:
                guild.with_bot(*(permissions or USUAL))
                world.dispatch("GUILD_CREATE", guild.created(joined=True), guild.id)
        return guild

    def dm(self, person: Person) -> Channel:
        """The DM of a person with the bot."""
        with self._world.change():
            return self._world.dm(person)

    def group(self, *people: Person) -> Channel:
        """A DM of people among themselves, in which only a bot that they have installed is used."""
        world = self._world
        with world.change():
            made = Channel(world, world.snowflake(), GROUP_DM, "", recipients=list(people))
            world.dms[made.id] = made
        return made

    def close_dms(self, person: Person, code: int = 50007) -> None:
        """Let somebody take no more messages from the bot."""
        with self._world.change():
            person.closed = code

    def open_dms(self, person: Person) -> None:
        """Let somebody take messages again."""
        with self._world.change():
            person.closed = None

    def delete(self, what: Channel | Sent) -> None:
        """Delete a channel or thread, or a message."""
        if isinstance(what, Channel):
            what.delete()
            return
        with self._world.change():
            what.deleted = True

    def use(
        self,
        person: Person,
        channel: Channel,
        words: str,
        options: Mapping[str, Any],
        *,
        times: int = 1,
        focused: str | None = None,
        forged: bool = False,
    ) -> Interaction:
        """Use a command, or let it complete the option in focus; see `command`."""
        world = self._world
        with world.change():
            found = calls.find(world, None if forged else person, channel, words)
            listed = [one["name"] for scope in world.commands.values() for one in scope]
            assert found, f"/{words} is not offered there; there are {listed}"
            data = calls.command_data(world, channel, person, found, options, focused=focused)
            kind = COMMAND if focused is None else AUTOCOMPLETE
            told = calls.frame(world, person, channel, kind, data)
            return self._arrives(person, channel, told, words, times=times)

    def press(
        self,
        person: Person,
        message: Sent | Interaction,
        label: str | None = None,
        *,
        custom_id: str | None = None,
        values: list[str] | None = None,
        times: int = 1,
    ) -> Interaction:
        """Press the button with this label, as the message stands now, or choose in a select.

        `custom_id` names a component, or sends what no button holds, as a forged client can.
        """
        world = self._world
        sent = message.answer if isinstance(message, Interaction) else message
        assert sent, "there is no message to press"
        with world.change():
            assert not sent.deleted, "the message is deleted"
            asked = sent.interaction
            unseen = sent.is_ephemeral and asked and asked.person is not person
            assert not unseen, f"{person.name} does not see the message"
            pressed = _component(sent, label, custom_id)
            data: Json = {"custom_id": custom_id or pressed["custom_id"], "id": 1}
            data["component_type"] = pressed.get("type", 2)
            if values is not None:
                data["values"] = values
            channel = asked.channel if asked else world.channel(sent.channel_id)
            told = calls.frame(world, person, channel, COMPONENT, data)
            told["message"] = world.message_json(sent)
            return self._arrives(person, channel, told, data["custom_id"], sent, times=times)

    def submit(self, shown: Interaction, **texts: str) -> Interaction:
        """Send in the modal that the bot has shown, with texts by custom id."""
        world = self._world
        assert shown.modal, "no modal was shown"
        with world.change():
            rows = [
                {"type": 1, "components": [{"type": 4, "custom_id": one, "value": text}]}
                for one, text in texts.items()
            ]
            data: Json = {"custom_id": shown.modal["custom_id"], "components": rows}
            told = calls.frame(world, shown.person, shown.channel, MODAL, data)
            if shown.message:
                told["message"] = world.message_json(shown.message)
            return self._arrives(
                shown.person, shown.channel, told, data["custom_id"], shown.message
            )

    def _arrives(
        self,
        person: Person,
        channel: Channel,
        told: Json,
        name: str,
        message: Sent | None = None,
        *,
        times: int = 1,
    ) -> Interaction:
        world = self._world
        token = f"fake-{secrets.token_urlsafe(32)}"
        number = world.snowflake()
        world.snowflake()  # The message that says that the bot thinks has an id too.
        told |= {"id": str(number), "token": token}
        interaction = Interaction(
            number, token, told["type"], person, channel, told, world.now(), name, message
        )
        world.interactions[token] = interaction
        guild = channel.guild.id if channel.guild and channel.guild.has_bot else None
        for _ in range(times):
            world.dispatch("INTERACTION_CREATE", told, guild)
        return interaction

    def send_event(self, name: str, data: Json, guild: Guild | None = None) -> None:
        """Tell the bot of an event that a test makes up."""
        with self._world.change():
            self._world.dispatch(name, data, guild.id if guild else None)

    def expire(self, interaction: Interaction) -> None:
        """Let so much time pass that the token of an interaction is no longer good."""
        with self._world.change():
            interaction.sent_at -= self._world.token_lives

    def override(self, guild: Guild, permissions: list[Json], command: str | None = None) -> None:
        """Let a guild set who may use a command, or the bot where none is named.

        A permission is {"id": …, "type": 1 role, 2 user or 3 channel, "permission": true}.
        """
        world = self._world
        with world.change():
            scopes: list[int | None] = [guild.id, None]
            listed = [one for scope in scopes for one in world.commands.get(scope, [])]
            about = world.bot.id
            if command is not None:
                about = int(next(one["id"] for one in listed if one["name"] == command))
            world.overrides[guild.id, about] = [one | {"id": str(one["id"])} for one in permissions]

    def reconnect(self) -> None:
        """Let the gateway ask every shard to reconnect."""
        self._tell(RECONNECT, None)

    def invalidate(self, *, resumable: bool = False) -> None:
        """Let the gateway end every session, which can be resumed or not."""
        self._tell(INVALID_SESSION, resumable)
        if not resumable:
            self.forget_sessions()

    def _tell(self, op: int, data: object) -> None:
        with self._world.change():
            for session in self._connected():
                assert session.line
                session.line.put({"op": op, "d": data, "s": None, "t": None})

    def close_gateway(self, code: int) -> None:
        """Let the gateway close every connection with a code."""
        with self._world.change():
            for session in self._connected():
                assert session.line
                session.line.close(code)

    def cut_gateway(self) -> None:
        """Let every connection to the gateway break."""
        with self._world.change():
            for session in self._connected():
                assert session.line
                session.line.cut()

    def forget_sessions(self) -> None:
        """Let no session be resumed any more; connections stay."""
        with self._world.change():
            self._world.sessions = {
                one.id: one for one in self._world.sessions.values() if one.line
            }
            for session in self._world.sessions.values():
                session.is_forgotten = True

    def _connected(self) -> list[Session]:
        return [one for one in self._world.sessions.values() if one.line]


def _component(sent: Sent, label: str | None, custom_id: str | None) -> Json:
    found = [one for one in walk(sent.components) if "custom_id" in one]
    if custom_id is not None:
        return next((one for one in found if one["custom_id"] == custom_id), {})
    if label is None:
        assert len(found) == 1, f"which button? there are {list(sent.buttons)}"
        return found[0]
    named = [one for one in found if _label(one) == label]
    assert named, f"no button {label!r} to press; there are {list(sent.buttons)}"
    assert not named[0].get("disabled"), f"the button {label!r} is disabled"
    return named[0]


def _label(button: Json) -> str:
    shown: str = button.get("label") or (button.get("emoji") or {}).get("name") or ""
    return shown
