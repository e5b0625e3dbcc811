import pytest

from keepsite.memcached import is_address


class TestIsAddress:
    @pytest.mark.parametrize("server", ["192.0.2.1:11211", "mc1:11211", "[::1]:11211", "unix:/run/mc.sock"])
    def test_addresses(self, server):
        assert is_address(server)

    @pytest.mark.parametrize("server", ["", "mc1", "mc1:", ":11211", "mc1:http", "mc1:99999", "mc1:0"])
    def test_others(self, server):
        assert not is_address(server)
