"""Ports of loopback for programs that tests start."""

from conformance.demo.houses import free_ports


def free_port() -> int:
    """A port that nobody has now, and that no outgoing connection takes meanwhile."""
    (port,) = free_ports(1)
    return port
