"""The command line: `python -m neuro_review COMMAND`."""

import importlib
from typing import Any

import click

from neuro_review import __version__

# Each command, the module that holds it, and what the overview says: so that `--help` imports none of them.
COMMANDS = {
    "import": ("imports", "Take outputs, or labels of the past, from a file."),
    "export": ("exports", "Write the labels of a workflow to a file."),
    "evalset": ("evalsets", "Freeze labels into versions of an eval set."),
    "quality": ("quality", "Show how good each model is, with intervals."),
    "check-counts": ("counts", "Check the counts behind the charts against the rows."),
    "eval": ("evals", "Try models on an eval set, compare them, ask the gate."),
    "verify-audit": ("audit", "Check the audit chain against everything stored."),
    "backup": ("backups", "Write everything to one checked file."),
    "restore": ("backups", "Put a backup in place of an empty database."),
    "move": ("backups", "Copy everything to PostgreSQL."),
    "user": ("people", "Add people."),
    "workflow": ("people", "Add workflows, and say which model they use."),
    "source": ("sources", "Add applications that hand outputs in."),
    "demo": ("demo", "Try it: a throw-away database with the sample queue, signed in."),
    "api": ("api", "Serve the HTTP API without the screens."),
    "worker": ("worker", "Run the background work apart from the app."),
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in the order of the README."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return one command."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"neuro_review.cli.{COMMANDS[cmd_name][0]}")
        command: Any = getattr(module, f"{cmd_name.replace('-', '_')}_command")
        return command  # type: ignore[no-any-return]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the overview without importing a command."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, says) for name, (_, says) in COMMANDS.items()])


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="Neuro Review")
def main() -> None:
    """Run Neuro Review from the command line: exit code 0 done, 1 refused or failed, 2 wrong usage."""


if __name__ == "__main__":
    main(prog_name="python -m neuro_review")
