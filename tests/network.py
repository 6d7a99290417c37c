"""Hosts on one machine: network namespaces around a switch. Nothing of them is outside, and nobody else's is touched.

A namespace here has no name, only a file descriptor: it is gone with this process and the programs that run in it. It
is a thread's own, so a socket or a program belongs to the host in which its thread was when it was made.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.needs import lack, need

CLONE_NEWNET = 0x40000000
HERE = Path("/proc/thread-self/ns/net")
NOBODY = "02:00:00:00:00:00"
"""An Ethernet address that no host has: what is sent there is lost, and nobody is told."""


class Host:
    """A host, whose cable `eth0` leads to the switch."""

    def __init__(self, namespace: int) -> None:
        self._path = _path_of(namespace)
        self._namespace = namespace

    @property
    def within(self) -> Sequence[str]:
        """Return what a command begins with that is to run on this host."""
        return _within(self._path)

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Have this thread be on the host: what it opens and starts meanwhile is there."""
        with HERE.open("rb") as here:
            _enter(self._namespace)
            try:
                yield
            finally:
                _enter(here.fileno())

    def ip(self, *commands: str) -> None:
        """Have `ip` do this on the host."""
        _ip(self._path, *commands)


class Network:
    """Hosts of one net, 10.0.0.0/24, each with a cable to the switch."""

    def __init__(self, *addresses: str) -> None:
        """Lay it out; the test is skipped where this system does not let us, and fails in CI."""
        self._namespaces = [_make_namespace()]
        self._path = _path_of(self._namespaces[0])
        self._hosts: dict[str, Host] = {}
        _ip(self._path, "link add switch type bridge", "link set switch up")
        for address in addresses:
            self._join(address)

    def _join(self, address: str) -> None:
        namespace = _make_namespace()
        self._namespaces.append(namespace)
        port = _port_of(address)
        _ip(self._path, f"link add {port} type veth peer name eth0 netns {_path_of(namespace)}")
        _ip(self._path, f"link set {port} master switch", f"link set {port} up")
        self._hosts[address] = Host(namespace)
        self[address].ip("link set lo up", f"address add {address}/24 dev eth0", "link set eth0 up")

    def close(self) -> None:
        """Leave it; it is gone when the programs on its hosts are."""
        for namespace in self._namespaces:
            os.close(namespace)

    def __getitem__(self, address: str) -> Host:
        return self._hosts[address]

    @contextmanager
    def unplugged(self, address: str) -> Iterator[None]:
        """Have its cable pulled while the block runs: it is gone for all others, and nobody is told."""
        _ip(self._path, f"link set {_port_of(address)} down")
        try:
            yield
        finally:
            _ip(self._path, f"link set {_port_of(address)} up")

    @contextmanager
    def parted(self, one: str, other: str) -> Iterator[None]:
        """Have these two hear nothing of each other while the block runs; nobody is told, and all others hear both."""
        sides = (self[one], other), (self[other], one)
        for host, address in sides:
            host.ip(f"neighbor replace {address} lladdr {NOBODY} dev eth0 nud permanent")
        try:
            yield
        finally:
            for host, address in sides:
                host.ip(f"neighbor del {address} dev eth0")


@contextmanager
def network(*addresses: str) -> Iterator[Network]:
    """Lay out a network of hosts with these addresses while the block runs."""
    laid = Network(*addresses)
    try:
        yield laid
    finally:
        laid.close()


def _port_of(address: str) -> str:
    return f"port{address.rpartition('.')[2]}"


def _path_of(namespace: int) -> str:
    return f"/proc/{os.getpid()}/fd/{namespace}"


def _within(path: str) -> Sequence[str]:
    return (need("nsenter", "util-linux"), f"--net={path}")


def _ip(path: str, *commands: str) -> None:
    """Have `ip` do these one after the other in a namespace."""
    told = "\n".join(commands)
    program = [*_within(path), need("ip", "iproute2"), "-batch", "-"]
    ended = subprocess.run(program, input=told, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, f"{told}\n{ended.stderr}"


def _make_namespace() -> int:
    """Return a file descriptor of a new one."""
    with HERE.open("rb") as here:
        if _libc().unshare(CLONE_NEWNET):
            lack(f"no network namespaces here, for which one must be root: {os.strerror(ctypes.get_errno())}")
        made = os.open(HERE, os.O_RDONLY)
        _enter(here.fileno())
    return made


def _enter(namespace: int) -> None:
    if _libc().setns(namespace, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "this thread cannot enter the network namespace")


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
