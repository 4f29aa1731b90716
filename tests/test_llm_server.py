"""The stand-in for a language model, asked by the real `openai` client."""

from collections.abc import Iterator

import openai
import pytest

from tests.llm_server import LanguageModel, language_model

ASK = [{"role": "user", "content": "May I return it?"}]


@pytest.fixture
def llm() -> Iterator[LanguageModel]:
    with language_model() as model:
        yield model


@pytest.fixture
def client(llm: LanguageModel) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=llm.url, api_key="k-1", max_retries=0) as client:
        yield client


def test_it_answers_with_usage_and_remembers_what_it_was_asked(llm: LanguageModel, client: openai.OpenAI) -> None:
    said = client.chat.completions.create(model="m", messages=ASK, temperature=0)

    assert said.choices[0].message.content == "Yes, within 30 days."
    assert said.choices[0].finish_reason == "stop"
    assert said.usage and (said.usage.prompt_tokens, said.usage.completion_tokens) == (4, 4)
    assert (llm.requests[0]["temperature"], llm.keys) == (0, ["k-1"])


def test_it_streams_word_by_word(client: openai.OpenAI) -> None:
    options = {"include_usage": True}
    chunks = list(client.chat.completions.create(model="m", messages=ASK, stream=True, stream_options=options))

    words = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]
    assert words == ["Yes, ", "within ", "30 ", "days."]
    assert chunks[-1].usage and chunks[-1].usage.total_tokens == 8


def test_it_fails_as_often_as_it_is_told_to(llm: LanguageModel, client: openai.OpenAI) -> None:
    llm.fail(429, 1, retry_after=0.5)
    llm.fail(500)

    with pytest.raises(openai.RateLimitError) as error:
        client.chat.completions.create(model="m", messages=ASK)
    with pytest.raises(openai.InternalServerError):
        client.chat.completions.create(model="m", messages=ASK)

    assert error.value.response.headers["retry-after"] == "0.5"
    assert client.chat.completions.create(model="m", messages=ASK).choices[0].message.content


def test_it_says_what_the_test_makes_of_the_question(llm: LanguageModel, client: openai.OpenAI) -> None:
    llm.answer = lambda asked: asked["messages"][-1]["content"].upper()

    assert client.chat.completions.create(model="m", messages=ASK).choices[0].message.content == "MAY I RETURN IT?"
