"""A helper of an export: reads and encodes the pages it is asked for, until its input ends."""

import contextlib
import gc
import signal
import sys
from typing import Any, BinaryIO

import orjson

from db.engine import Database, DatabaseUnusableError
from neuro_review.exports.formats import Format
from neuro_review.exports.parts import encoder, make
from neuro_review.exports.rows import Filter, Question

SMALL_CACHE = "PRAGMA cache_size=-8192"  # pages are read once, in order


def serve(database: Database, asked: BinaryIO, said: BinaryIO) -> None:
    """Answer the question on the first line for each range of ids on the others."""
    facts: dict[str, Any] = orjson.loads(asked.readline())
    form, wanted = Format(facts["format"]), facts["question"]
    question = Question(**{**wanted, "choice": Filter(**wanted["choice"])})
    if database.is_sqlite:
        with database.reading() as session:
            session.connection().exec_driver_sql(SMALL_CACHE)
    encoded = None
    for line in asked:
        after, upto = line.decode().split()
        try:
            encoded = encoded or encoder(database, question, form)
            for part in make(database, question, encoded, after, upto):
                facts = {
                    "rows": part.rows, "verdicts": part.verdicts, "models": part.models, "left_out": part.left_out,
                    "last": part.last,
                }  # fmt: skip
                said.write(orjson.dumps({"bytes": len(part.data), **facts}) + b"\n")
                said.write(part.data)
                said.flush()
        except DatabaseUnusableError as error:
            said.write(orjson.dumps({"failed": str(error)}) + b"\n")
            said.flush()


def main(database: Database, asked: BinaryIO, said: BinaryIO) -> None:
    """Serve until the input ends, as a process of its own."""
    gc.freeze()
    gc.set_threshold(100_000)  # rows make no cycles; looking for them so often costs a tenth of this process
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for the one who asked; it ends its helpers
    with contextlib.suppress(BrokenPipeError):
        serve(database, asked, said)


if __name__ == "__main__":
    main(Database.from_environment(), sys.stdin.buffer, sys.stdout.buffer)
