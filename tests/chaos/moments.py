"""When a rule acts in an exchange of request and response, and how an exchange can end early."""

import enum


class Moment(enum.Enum):
    """A moment in an exchange, seen from the API server."""

    BEFORE = enum.auto()
    """The request has come in whole; the API server knows nothing of it."""

    AFTER = enum.auto()
    """The API server has done what was asked and begun to answer; the client has not received a byte."""


class Ending(enum.Enum):
    """What becomes of the client's connection when an exchange ends early."""

    SILENCE = enum.auto()
    """It stays open and nothing comes any more, until the client gives up."""

    RESET = enum.auto()
    """It ends with a TCP RST: "connection reset by peer"."""

    EOF = enum.auto()
    """It is closed in order (TLS close_notify, TCP FIN) in the middle of a message: "unexpected EOF"."""

    FINISHED = enum.auto()
    """The message is complete, then the connection is closed."""

    KEPT = enum.auto()
    """The message is complete and the connection may carry another request."""


class InterruptedExchange(Exception):  # noqa: N818 - it is no error: it carries what the test ordered
    """An action has ended the exchange."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(ending.name)
        self.ending = ending
