"""`api`: serve the API apart from the screens."""

import click

from neuro_review.cli.base import told
from neuro_review.web import alone


@click.command("api")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(1, 65_535), default=8502, show_default=True)
@told
def api_command(host: str, port: int) -> None:
    """Serve the API without the screens, over the database of the environment; with the background work, or without
    it where NEURO_REVIEW_WORKER is false.
    """
    alone.serve(host, port)
