"""The options that every socket gets, and where it may listen."""

from __future__ import annotations

from ipaddress import ip_address

import zmq

from .budget import HIGH_WATER_MARK, MAX_FRAME
from .errors import TransportError

# Before 4.3.5 libzmq has holes that anybody who can connect could use (CVE-2019-6250, CVE-2019-13132, CVE-2020-15166).
OLDEST_ZEROMQ = (4, 3, 5)

# Connections that wait to be accepted: with ZeroMQ's 100, of 500 clients that came at once most waited for TCP to try
# again, 1 s, 3 s and 7 s later. The system may allow fewer (somaxconn).
BACKLOG = 4_096

_ALL = {
    zmq.LINGER: 0,
    zmq.SNDHWM: HIGH_WATER_MARK,
    zmq.RCVHWM: HIGH_WATER_MARK,
    zmq.MAXMSGSIZE: MAX_FRAME,
    zmq.RECONNECT_IVL: 20,
    zmq.RECONNECT_IVL_MAX: 100,  # a broker that came back and is made leader must hear from its followers at once
    zmq.HANDSHAKE_IVL: 2_000,
    # A machine that vanishes without a word: its connections end within 10 s if something is unacknowledged, else 20 s.
    zmq.TCP_MAXRT: 10_000,
    zmq.TCP_KEEPALIVE: 1,
    zmq.TCP_KEEPALIVE_IDLE: 10,
    zmq.TCP_KEEPALIVE_INTVL: 3,
    zmq.TCP_KEEPALIVE_CNT: 3,
}

_OF_KIND: dict[int, dict[int, int]] = {
    zmq.DEALER: {zmq.IMMEDIATE: 1},
    zmq.ROUTER: {zmq.ROUTER_MANDATORY: 1, zmq.BACKLOG: BACKLOG},
    zmq.PUB: {zmq.MAXMSGSIZE: 64 << 10, zmq.BACKLOG: BACKLOG},  # nobody has more to say to it than a subscription
    zmq.SUB: {},
}


def new_context() -> zmq.Context[zmq.Socket[bytes]]:
    """A context of one node's own. Raises TransportError if ZeroMQ is too old."""
    if zmq.zmq_version_info() < OLDEST_ZEROMQ:
        wanted = ".".join(map(str, OLDEST_ZEROMQ))
        raise TransportError(f"ZeroMQ {zmq.zmq_version()} has known holes, expected {wanted} or later: update pyzmq")
    return zmq.Context()


def new_socket(context: zmq.Context[zmq.Socket[bytes]], kind: int, endpoint: str) -> zmq.Socket[bytes]:
    """A socket for this endpoint, neither bound nor connected yet. Raises zmq.ZMQError if there are too many."""
    socket = context.socket(kind)
    for option, value in (_ALL | _OF_KIND[kind]).items():
        socket.setsockopt(option, value)
    if "[" in endpoint:
        socket.setsockopt(zmq.IPV6, 1)
    return socket


def bind(socket: zmq.Socket[bytes], endpoint: str, *, insecure: bool) -> str:
    """Listen; returns the endpoint with its real port (`tcp://127.0.0.1:*` takes a free one). Raises TransportError."""
    if not endpoint.startswith("tcp://"):
        raise TransportError(f"cannot listen on {endpoint}, expected tcp://HOST:PORT")
    if not insecure and not _is_loopback(endpoint):
        raise TransportError(
            f"{endpoint} can be reached from other machines without a password, expected a loopback address: "
            "use 127.0.0.1, or say insecure = true"
        )
    try:
        socket.bind(endpoint)
    except zmq.ZMQError as error:
        raise TransportError(f"cannot listen on {endpoint}: {error.strerror}") from error
    bound = socket.getsockopt_string(zmq.LAST_ENDPOINT)
    return bound.rstrip("\0")


def _is_loopback(endpoint: str) -> bool:
    host, _, _ = endpoint.removeprefix("tcp://").rpartition(":")
    host = host.strip("[]")
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
