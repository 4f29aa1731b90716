"""A call that only knows who asks, served as FastAPI in Streamlit's app serves any: what a submit is measured against.

`streamlit run tests/bench/noop.py`, over a database that the app has made.
"""

from typing import Annotated

import streamlit as st
from fastapi import Depends, FastAPI, Request
from starlette.routing import Mount

from db.engine import Database
from neuro_review.api.app import Gate

gate = Gate(Database.from_environment)
api = FastAPI()


async def known(request: Request) -> str:
    """Return the name of the application whose key came along."""
    _, entry = await gate.entry(request)
    return entry.caller.source


@api.get("/noop")
async def noop(source: Annotated[str, Depends(known)]) -> dict[str, str]:
    """Do nothing, for whoever has a key."""
    return {"source": source}


app = st.App(__file__, routes=[Mount("/api", app=api)])
