"""What ~/.ssh says, as OpenSSH reads it, where paramiko reads less; and what paramiko leaves without words."""


def words(error: BaseException) -> str:
    """What ended a connection. An EOFError says nothing by itself: the other side went away without a word."""
    return str(error) or ("the other side closed the connection" if isinstance(error, EOFError) else type(error).__name__)
