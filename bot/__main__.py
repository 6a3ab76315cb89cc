"""The entry point: `cliffhanger`, or `python -m bot`."""

import sys
from typing import Final

import typer

from bot.cli import curating, operating, running
from bot.cli.console import REFUSED, accept_any_text, say, tell
from bot.errors import CliffhangerError
from bot.text import clean

app: Final = typer.Typer(
    help="Tell fans when a season is renewed, dated or gets a trailer, and who said so.",
    no_args_is_help=True,
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def options(
    version: bool = typer.Option(False, "--version", help="Print the version.", is_eager=True),
) -> None:
    """Options of the command itself."""
    if version:
        from importlib.metadata import PackageNotFoundError
        from importlib.metadata import version as installed

        try:
            say(f"cliffhanger {installed('cliffhanger')}")
        except PackageNotFoundError:
            say("cliffhanger, from a checkout")
        raise typer.Exit


for command in (
    running.run,
    running.demo,
    curating.publish,
    curating.retract,
    curating.updates,
    curating.shows,
    curating.load,
    curating.dump,
    curating.wishes,
    operating.deliveries,
    operating.doctor,
):
    app.command()(command)
app.add_typer(operating.db, name="db")


def main() -> None:
    """Run the command line: 0 done, 1 refused with a reason on standard error, 2 wrong usage."""
    accept_any_text()
    try:
        app()
    except CliffhangerError as error:
        tell(f"cliffhanger: {clean(str(error))}")
        sys.exit(REFUSED)
    except KeyboardInterrupt:
        tell("Stopped.")
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(REFUSED)
    except OSError as error:
        tell(f"cliffhanger: {clean(str(error))}")
        sys.exit(REFUSED)


if __name__ == "__main__":
    main()
