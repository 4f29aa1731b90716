"""Why answers failed, and what can be done about it."""

# What a provider answered, and what can be done about it.
ADVICE = {
    "400": (
        "The request was refused: often a model that is not named as LiteLLM names it (openai/gpt-4o), a prompt that is"
        " too long, or a parameter that is not known there."
    ),
    "401": "The key is wrong or missing in the environment of the server, or of the command.",
    "402": "The account at the provider has no money left.",
    "403": "The key may not use this model.",
    "404": "There is no model of this name there.",
    "408": "The provider took too long. Let the run go on later, or with fewer calls at a time.",
    "429": "Too many calls, also after waiting. Let the run go on later, or start one with fewer calls at a time.",
    "500": "The provider broke down. Let the run go on later.",
    "503": "The provider was overloaded. Let the run go on later.",
}
UNREACHABLE = "The server could not be reached. Look whether it runs at this address, then let the run go on."
LOOK = "Look into the log of the provider."


def advice(error: str) -> str:
    """Return what to do about a failure, in a sentence."""
    status = error.rpartition(" ")[2]
    if error.startswith("APIConnectionError"):
        return UNREACHABLE
    return ADVICE.get(status, ADVICE["408"] if error.startswith("Timeout") else LOOK)
