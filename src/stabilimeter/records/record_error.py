"""The one error that reading or writing a record raises."""


class RecordError(ValueError):
    """A record or log cannot be read or written; the message is one line: what was given, what is wrong, what to do."""
