"""The API without the screens: `python -m neuro_review api`, or `uvicorn --factory neuro_review.web.alone:app`.

For machines that serve applications only; reviewers work in an app over the same database.
"""

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware

from neuro_review.web.door import Door
from neuro_review.web.guard import Guard
from neuro_review.web.routes import routes_alone
from neuro_review.web.start import lifespan, quiet_logs, say

NOBODY = "Nobody has an account yet, so the API answers 503: start the app, or run `python -m neuro_review user add`."


def app(door: Door | None = None, address: str = "") -> Starlette:
    """Return the API, the health check and the metrics as an application for any ASGI server."""

    async def welcome(opened: Door) -> None:
        say(f"Neuro Review, the API alone: {address}/api/v1/openapi.json")
        if not await opened.is_set_up():
            say(NOBODY)

    door = door or Door()
    return Starlette(
        routes=routes_alone(door),
        middleware=[Middleware(Guard, door=door, screens=False)],
        lifespan=lifespan(door, welcome, heavy=()),
    )


def serve(host: str, port: int) -> None:
    """Serve it until stopped, with the event loop and the parser that the app has too."""
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    quiet_logs()
    uvicorn.run(
        app(address=address), host=host, port=port, loop="uvloop", http="httptools", log_level="warning",
        access_log=False,
    )  # fmt: skip
