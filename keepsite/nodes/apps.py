from django.apps import AppConfig


class NodesConfig(AppConfig):
    """The nodes that run Keepsite, and the colour each serves under."""

    name = "keepsite.nodes"
    label = "nodes"

    def ready(self) -> None:
        """Have the workers do what is due at intervals."""
        from keepsite.nodes.jobs import register_jobs  # noqa: PLC0415  # models must be loaded first

        register_jobs()
