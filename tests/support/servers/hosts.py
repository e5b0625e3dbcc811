"""Hosts that can be cut off: network namespaces on a switch of their own.  Needs root."""

import os
import random
import subprocess
from dataclasses import dataclass
from pathlib import Path

NETS = [f"198.18.{third}" for third in range(256)]  # RFC 2544: for tests, routed nowhere


@dataclass(frozen=True, slots=True)
class Host:
    """One namespace: where a program runs, and the port of the switch it hangs on."""

    namespace: str
    address: str
    port: str

    def command(self, *command: str) -> list[str]:
        """``command``, to be run on this host."""
        return ["ip", "netns", "exec", self.namespace, *command]


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
        _ip("netns", "del", name)
        return ""

    def up(self) -> None:
        """Make the hosts and connect them."""
        switch = self._name
        _ip("netns", "add", switch)
        _ip("-n", switch, "link", "add", "br0", "type", "bridge")
        _ip("-n", switch, "link", "set", "br0", "up")
        _ip("link", "add", f"{switch}h", "type", "veth", "peer", "name", f"{switch}s", "netns", switch)
        _ip("addr", "add", f"{self._net}.1/24", "dev", f"{switch}h")
        _ip("link", "set", f"{switch}h", "up")
        self._plug(f"{switch}s")
        for host in self.hosts:
            _ip("netns", "add", host.namespace)
            _ip("-n", switch, "link", "add", host.port, "type", "veth", "peer", "name", "eth0",
                "netns", host.namespace)  # fmt: skip
            _ip("-n", host.namespace, "addr", "add", f"{host.address}/24", "dev", "eth0")
            for device in ("lo", "eth0"):
                _ip("-n", host.namespace, "link", "set", device, "up")
            self._plug(host.port)

    def cut(self, host: Host) -> None:
        """Pull the host's cable: nobody hears of it, packets just end."""
        _ip("-n", self._name, "link", "set", host.port, "nomaster")

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
        _ip("-n", self._name, "link", "set", port, "master", "br0")
        _ip("-n", self._name, "link", "set", port, "up")


def _unused_net() -> str:
    taken = subprocess.run(["ip", "-4", "addr"], capture_output=True, text=True, check=True).stdout
    return random.choice([net for net in NETS if f" {net}." not in taken])


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)
