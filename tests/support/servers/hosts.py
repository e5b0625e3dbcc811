"""Hosts that can be cut off: network namespaces on a switch of their own.  Needs root."""

import os
import random
import subprocess
from dataclasses import dataclass
from pathlib import Path

NETS = [f"198.18.{third}" for third in range(256)]  # RFC 2544: for tests, routed nowhere


def inside(namespace: str, *command: str) -> list[str]:
    """``command``, to be run in a network namespace.

    Neither ``ip netns exec`` nor ``ip -n``: both mount anew what a changed root (chroot) does not let them.
    """
    return ["nsenter", f"--net=/run/netns/{namespace}", *command]


@dataclass(frozen=True, slots=True)
class Host:
    """One namespace: where a program runs, and the port of the switch it hangs on."""

    namespace: str
    address: str
    port: str

    def command(self, *command: str) -> list[str]:
        """``command``, to be run on this host."""
        return inside(self.namespace, *command)


class Switch:
    """Hosts on one network, reachable from here and from nowhere else."""

    def __init__(self, count: int) -> None:
        self._name = f"ks{os.getpid():x}{random.randrange(4096):03x}"
        self._net = _unused_net()
        self.hosts = [
            Host(f"{self._name}-{n}", f"{self._net}.{10 + n}", f"{self._name}p{n}") for n in range(count)
        ]

    @staticmethod
    def refusal() -> str:
        """Why there can be none here, or nothing."""
        if os.getuid() != 0:
            return "network namespaces need root"
        name = f"ksprobe{os.getpid():x}"
        made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
        if made.returncode:
            return f"network namespaces cannot be made: {made.stderr.strip()}"
        entered = subprocess.run(inside(name, "true"), capture_output=True, text=True, check=False)
        _ip("netns", "del", name)
        if entered.returncode:
            return f"network namespaces cannot be entered: {entered.stderr.strip()}"
        return ""

    def up(self) -> None:
        """Make the hosts and connect them."""
        switch = self._name
        _ip("netns", "add", switch)
        _ip("link", "add", "br0", "type", "bridge", within=switch)
        _ip("link", "set", "br0", "up", within=switch)
        _ip("link", "add", f"{switch}h", "type", "veth", "peer", "name", f"{switch}s", "netns", switch)
        _ip("addr", "add", f"{self._net}.1/24", "dev", f"{switch}h")
        _ip("link", "set", f"{switch}h", "up")
        self._plug(f"{switch}s")
        for host in self.hosts:
            _ip("netns", "add", host.namespace)
            _ip("link", "add", host.port, "type", "veth", "peer", "name", "eth0",
                "netns", host.namespace, within=switch)  # fmt: skip
            _ip("addr", "add", f"{host.address}/24", "dev", "eth0", within=host.namespace)
            for device in ("lo", "eth0"):
                _ip("link", "set", device, "up", within=host.namespace)
            self._plug(host.port)

    def cut(self, host: Host) -> None:
        """Pull the host's cable: nobody hears of it, packets just end."""
        _ip("link", "set", host.port, "nomaster", within=self._name)

    def mend(self, host: Host) -> None:
        """Plug it in again."""
        self._plug(host.port)

    def down(self) -> None:
        """Take everything away; what does not exist is no failure."""
        for namespace in (*(host.namespace for host in self.hosts), self._name):
            if Path(f"/run/netns/{namespace}").exists():
                _ip("netns", "del", namespace)
        subprocess.run(["ip", "link", "del", f"{self._name}h"], capture_output=True, check=False)

    def _plug(self, port: str) -> None:
        _ip("link", "set", port, "master", "br0", within=self._name)
        _ip("link", "set", port, "up", within=self._name)


def _unused_net() -> str:
    taken = subprocess.run(["ip", "-4", "addr"], capture_output=True, text=True, check=True).stdout
    return random.choice([net for net in NETS if f" {net}." not in taken])


def _ip(*arguments: str, within: str | None = None) -> None:
    command = ["ip", *arguments]
    subprocess.run(
        command if within is None else inside(within, *command), check=True, capture_output=True, text=True
    )
