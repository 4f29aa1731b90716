"""A callback for an application that uses LiteLLM: every completion is held for review, and nothing is in its way."""

from typing import Any

from litellm.integrations.custom_logger import CustomLogger

from neuro_review.integrations.litellm.records import captured
from neuro_review.integrations.litellm.sending import EXIT_SECONDS, Counts, Sender
from neuro_review.integrations.litellm.where import HELD, address


class Capture(CustomLogger):
    """Hands every completion in: sync, async and streamed. Failed calls have no text, and are none of the gate's."""

    def __init__(self, url: str | None = None, key: str | None = None, *, exit_seconds: float = EXIT_SECONDS) -> None:
        """Make the callback; append it to `litellm.callbacks`.

        Args:
            url: the gate's address; else NEURO_REVIEW_URL.
            key: the key of this application; else NEURO_REVIEW_KEY.
            exit_seconds: how long the end of the program may wait for the gate.

        Raises:
            GateError: the address or the key is missing.
        """
        super().__init__()
        self._sender = Sender(*address(url, key), exit_seconds=exit_seconds)

    @property
    def counts(self) -> Counts:
        """What became of the outputs so far."""
        return self._sender.counts

    def flush(self, seconds: float = EXIT_SECONDS) -> int:
        """Wait until everything is handed in, or the time is over; returns how many outputs still wait."""
        return self._sender.flush(seconds)

    # LiteLLM passes these by name.
    def log_success_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        """Take a sync call."""
        try:
            if kwargs.get("litellm_call_id") in HELD:  # the guardrail has handed it in, and this is what it put there
                return
            if not kwargs.get("standard_logging_object"):
                self._sender.lost(1, "a completion could not be read: LiteLLM says nothing of it")
                return
            for row in captured(kwargs):
                self._sender.add(row)
        except Exception as error:  # whatever it is: the application's call has succeeded, and stays so
            self._sender.lost(1, f"a completion could not be read: {type(error).__name__}")

    async def async_log_success_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        """Take an async call."""
        self.log_success_event(kwargs, response_obj, start_time, end_time)
