"""`demo`: a throw-away database with the sample queue, signed in, opened."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import webbrowser
from pathlib import Path

import click

from db.engine import Database, file_url
from db.migrate import migrate
from neuro_review import samples, sessions
from neuro_review.cli.base import told
from neuro_review.errors import UnavailableError
from neuro_review.samples import year

ROOT = Path(__file__).resolve().parent.parent.parent
PATIENCE = 60.0  # seconds


@click.command("demo")
@click.option("--port", type=int, default=0, help="The port; a free one otherwise.")
@click.option("--no-browser", is_flag=True, help="Print the link and do not open it.")
@told
def demo_command(port: int, no_browser: bool) -> None:
    """Start the app on a throw-away database with the sample queue; it is gone when you stop it."""
    # However it is stopped, what it made is thrown away.
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, signal.default_int_handler)
    folder = Path(tempfile.mkdtemp(prefix="neuro-review-demo-"))
    url = file_url(folder / "demo.db")
    os.environ["NEURO_REVIEW_FOLDER"] = str(folder)  # nothing of it lands beside the code
    try:
        token = _fill(url)
        port = port or _free_port()
        app = _start(url, folder, port)
        try:
            _wait(app, port)
            link = f"http://127.0.0.1:{port}/auth/demo?token={token}"
            click.echo(f"Open {link}\nStop with Ctrl+C; everything in it is then gone.")
            if not no_browser:
                webbrowser.open(link)
            app.wait()
        finally:
            app.terminate()
            app.wait()
    except KeyboardInterrupt:
        click.echo("The demo is over; what was in it is gone.")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _fill(url: str) -> str:
    """Make the database, its admin, the sample queue and a year of labels; return the token of the one signed in."""
    database = Database(url)
    migrate(database)
    email = "demo@example.com"
    hashed = sessions.hash_password(secrets.token_urlsafe(24), email)
    with database.writing() as session:
        admin = sessions.set_up(session, "Demo", email, hashed)
        samples.load(session, admin)
        year.load_year(session, admin)
        token = sessions.sign_in(session, sessions.Credentials(admin.person_id, hashed))
    database.dispose()
    return token


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _start(url: str, folder: Path, port: int) -> subprocess.Popen[bytes]:
    told_by = {"NEURO_REVIEW_DATABASE_URL": url, "NEURO_REVIEW_FOLDER": str(folder), "NEURO_REVIEW_DEMO": "true"}
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)]
    return subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **told_by}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )


def _wait(app: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and app.poll() is None:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=1).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise UnavailableError("The app did not start. Run `streamlit run app.py` to see why.")
