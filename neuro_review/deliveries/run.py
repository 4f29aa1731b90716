"""The sending: a loop in the worker that looks many times a second, and tries many endpoints at the same time.

Nothing here decides what may be sent: a delivery is written with the release, in its transaction.
"""

import asyncio
import logging
import threading
from collections import Counter

from db.clock import now
from db.engine import Database
from db.watch import Watch
from neuro_review.deliveries import claims, messages, signing
from neuro_review.deliveries.claims import Claim
from neuro_review.deliveries.messages import Message
from neuro_review.errors import InvalidError
from neuro_review.outbound import PATIENCE, Client, OutboundError, Reply

LOG = logging.getLogger("neuro_review.deliveries")
LOOKS_EVERY = 0.03  # seconds
AFTER_A_FAILURE = 2.0  # seconds
MOST = 256
ENDS_WITHIN = 3.0  # seconds; what has not come back by then is sent again by whoever runs next


def run(database: Database, stop: threading.Event) -> None:
    """Send what is due until told to stop."""
    asyncio.run(Courier(database).run(stop))


class Courier:
    """Sends what is due."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.client = Client()
        self.tries: dict[asyncio.Task[None], int] = {}
        """What is under way, and to which endpoint."""
        self._came_back: list[tuple[Claim, Reply | None, str]] = []

    async def run(self, stop: threading.Event) -> None:
        """Send until told to stop; a failure is logged and tried again."""
        watch = Watch(self.database, claims.SOONEST)
        while not stop.is_set():
            try:
                await self._settle()
                soonest = await asyncio.to_thread(watch.look)
                if soonest is not None and soonest <= now():
                    await self._send()
                await asyncio.sleep(LOOKS_EVERY)
            except Exception as error:  # whatever it is: a courier that has ended would tell nobody any more
                LOG.warning("The deliveries were interrupted and go on in a moment: %s", type(error).__name__)
                await asyncio.sleep(AFTER_A_FAILURE)
        watch.close()
        await self._end()

    async def once(self) -> int:
        """Send what is due now, wait for all of it, and return how many tries there were."""
        await self._send()
        under_way = list(self.tries)
        await asyncio.gather(*under_way)
        await self._settle()
        return len(under_way)

    async def _send(self) -> None:
        taken = await asyncio.to_thread(self._take, Counter(self.tries.values()), MOST - len(self.tries))
        for claim, message in taken:
            task = asyncio.create_task(self._try(claim, message))
            self.tries[task] = claim.endpoint_id
            task.add_done_callback(self.tries.pop)

    def _take(self, in_flight: Counter[int], most: int) -> list[tuple[Claim, Message]]:
        with self.database.reading() as session:
            if most <= 0 or not claims.due(session, in_flight):
                return []
        with self.database.writing() as session:
            taken = claims.take(session, in_flight, most)
        # After the claim, so that what was recalled until now goes out without its text.
        with self.database.reading() as session:
            texts = messages.messages(session, [claim.outbox_seq for claim in taken])
        return [(claim, texts[claim.outbox_seq]) for claim in taken]

    async def _try(self, claim: Claim, message: Message) -> None:
        headers = signing.headers(message.webhook_id, message.body, list(claim.nonces), now())
        reply, why = None, ""
        try:
            reply = await self.client.post(claim.url, message.body, headers)
        except (OutboundError, InvalidError) as error:
            why = str(error)
        except Exception as error:  # it counts as a failed try, and must not be tried for ever without a trace
            LOG.exception("A try failed in a way that nobody thought of.")
            why = f"The try failed here, in a way that is logged ({type(error).__name__})."
        self._came_back.append((claim, reply, why))

    async def _settle(self) -> None:
        if not self._came_back:
            return
        some, self._came_back = self._came_back, []
        try:
            await asyncio.to_thread(self._write_down, some)
        except Exception:
            self._came_back = some + self._came_back  # what arrived is not to be sent again for want of a note
            raise

    def _write_down(self, some: list[tuple[Claim, Reply | None, str]]) -> None:
        with self.database.writing() as session:
            for claim, reply, why in some:
                claims.settle(session, claim, reply, why)

    async def _end(self) -> None:
        if self.tries:
            await asyncio.wait(list(self.tries), timeout=min(ENDS_WITHIN, PATIENCE))
        for task in list(self.tries):
            task.cancel()
        await self._settle()
        await self.client.close()
