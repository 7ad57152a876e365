"""Why a recipe's question has no answer."""


class RecipeError(ValueError):
    """The runs are there, but do not answer the question; the message is one line: why, and what to do."""
