"""The clients, connected with an API key as a user or a service does it."""

import openstack
from barbicanclient import client
from castellan.key_manager.barbican_key_manager import BarbicanKeyManager
from keystoneauth1 import session, token_endpoint
from oslo_config import cfg
from oslo_context.context import RequestContext


def barbican(url, key):
    """python-barbicanclient with a plain token-endpoint session."""
    auth = token_endpoint.Token(url, key)
    return client.Client(session=session.Session(auth=auth), endpoint=url)


def sdk(url, key):
    """A connection of openstacksdk, to be closed."""
    auth = token_endpoint.Token(f"{url}/v1", key)
    return openstack.connection.Connection(session=session.Session(auth=auth))


def castellan(url):
    """A key manager of castellan whose configuration names the endpoint."""
    conf = cfg.ConfigOpts()
    conf([], project="tests", default_config_files=[], default_config_dirs=[])
    manager = BarbicanKeyManager(conf)
    conf.set_override("barbican_endpoint", url, "barbican")
    return manager


class Context(RequestContext):
    """A request's context as nova makes it for castellan: it brings its own way to authenticate."""

    def __init__(self, url, key):
        super().__init__(overwrite=False)
        self._auth = token_endpoint.Token(url, key)

    def get_auth_plugin(self):
        return self._auth
