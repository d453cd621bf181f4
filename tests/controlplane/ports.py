"""Free loopback ports, chosen by the kernel and kept out of others' hands until a server has bound them."""

import socket


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nothing listens on.

    Guarantees: for about a minute the kernel gives the port to nobody who asks for any port, because a connection that
    we made to ourselves is left in TIME_WAIT on it; a server that asks for this very port may bind it (Go's listeners
    set SO_REUSEADDR). So servers that start at the same time do not meet.
    """
    with socket.socket() as listener, socket.socket() as client:
        # The socket in TIME_WAIT inherits this, and yields to servers only with it.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        port: int = listener.getsockname()[1]
        client.connect(("127.0.0.1", port))
        accepted, _ = listener.accept()
        # The side that closes first keeps TIME_WAIT, and it must be the one that has the port as its own.
        accepted.close()
        client.recv(1)
    return port
