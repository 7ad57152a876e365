"""The arguments of a request."""

from collections.abc import Mapping


class QuestionError(ValueError):
    """A request that cannot be answered; the message is one line for the tab."""


def asked(arguments: Mapping[str, str], name: str) -> str:
    """An argument that the request must have.

    Raises:
        QuestionError: if it has not.
    """
    if name not in arguments:
        raise QuestionError(f"the argument {name} is missing")
    return arguments[name]


def asked_number(arguments: Mapping[str, str], name: str) -> float:
    """An argument that must be a number.

    Raises:
        QuestionError: if it is missing or something else.
    """
    text = asked(arguments, name)
    try:
        return float(text)
    except ValueError as error:
        raise QuestionError(f"{name} must be a number, got {text!r}") from error
