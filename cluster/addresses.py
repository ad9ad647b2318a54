"""Where a node listens: `tcp://HOST:PORT`, written with or without the scheme. Port 0 means a free one."""

import ipaddress
import random
import re
import socket
from typing import NamedTuple

EXPECTED = '"HOST:PORT" or "tcp://HOST:PORT" with a port from 0 to 65535'

PORTS = (10_240, 32_767)
"""Where free ports are looked for, both included."""

TRIES = 200

_SHAPE = re.compile(r"(?:tcp://)?(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.*-]+):(?P<port>[0-9]{1,5})")


class Endpoint(NamedTuple):
    """One address, taken apart."""

    host: str  # a name, an IPv4 address, or an IPv6 address in brackets
    port: int  # 0 means a free one, chosen at start

    def __str__(self) -> str:
        return f"tcp://{self.host}:{self.port}"

    @property
    def plain(self) -> str:
        """Without the scheme."""
        return f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Can this machine alone reach it? A name other than localhost may mean any machine."""
        address = self._ip()
        return self.host == "localhost" if address is None else address.is_loopback

    @property
    def is_wildcard(self) -> bool:
        """Does it mean every interface? One can listen there, but nobody can connect to it."""
        address = self._ip()
        return self.host == "*" if address is None else address.is_unspecified

    @property
    def place(self) -> tuple[str, int]:
        """Equal for two endpoints that cannot both be listened on."""
        address = self._ip()
        if address is None:
            return ("127.0.0.1" if self.host == "localhost" else self.host.lower(), self.port)
        return (address.compressed, self.port)

    def _ip(self) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
        try:
            return ipaddress.ip_address(self.host.strip("[]"))
        except ValueError:
            return None


def parse_address(text: str) -> Endpoint | None:
    """None if `text` is not an address; EXPECTED says what one looks like."""
    match = _SHAPE.fullmatch(text)
    if match is None or int(match["port"]) > 65535:
        return None
    return Endpoint(match["host"], int(match["port"]))


def free_ports(endpoints: list[Endpoint]) -> list[Endpoint]:
    """The same endpoints, each port 0 replaced by one that was free a moment ago.

    All are held until all are chosen, so no two are equal. They are let go on return: bind them soon. Raises OSError
    if none of many tries finds a free one.
    """
    chosen: list[Endpoint] = []
    held: list[socket.socket] = []
    taken = {endpoint.port for endpoint in endpoints}
    try:
        for endpoint in endpoints:
            port = endpoint.port
            while port == 0 or (endpoint.port == 0 and port in taken):
                listener = _listener(endpoint.host.strip("[]"))
                held.append(listener)
                port = int(listener.getsockname()[1])
            taken.add(port)
            chosen.append(Endpoint(endpoint.host, port))
    finally:
        for listener in held:
            listener.close()
    return chosen


def _listener(host: str) -> socket.socket:
    """A socket bound to a port that no connection is given by chance.

    The system gives outgoing connections ports from 32768 (Linux) or 49152 (macOS) on. A node whose port is among
    those may find it taken when it comes back: by any connection, even by one that was looking for the node itself.
    """
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    for tries_left in reversed(range(TRIES)):
        try:
            listener.bind((host, random.randint(*PORTS)))
        except OSError:
            if not tries_left:
                listener.close()
                raise
        else:
            break
    return listener
