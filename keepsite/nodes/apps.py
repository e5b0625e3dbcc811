from django.apps import AppConfig


class NodesConfig(AppConfig):
    """The nodes that run Keepsite, and the colour each serves under."""

    name = "keepsite.nodes"
    label = "nodes"
