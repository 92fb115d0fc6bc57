"""The limits of one connection, and the memory ceiling of the server."""

from collector.conf import conf

CONNECTIONS = 2304  # open at the same time
ROOM = 24_576  # bytes of a head, of which cookies may be a third, and bytes of a body
BODY_DEADLINE = 10  # seconds for a body to arrive
SEND_DEADLINE = 15  # seconds for a client to accept a response; the longest of all deadlines

# The memory of a connection whose largest possible head has arrived slowly, and whose body has not.
# Measured with a thousand of them, tests/server/test_slow_clients.py: 98,000 bytes each while the
# heads arrive, and 100,000 to 124,500 after them, depending on the fields and their lengths.
CONNECTION_BYTES = 130_000


def memory_ceiling() -> int:
    """Return the most bytes that one process needs, whatever clients send."""
    return conf.memory_ceiling + CONNECTION_BYTES * CONNECTIONS


LOOK_INTERVAL = 20  # seconds between two looks at the configuration file, and of housekeeping
