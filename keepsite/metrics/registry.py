from prometheus_client import CollectorRegistry, disable_created_metrics, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from keepsite.metrics.files import forget_gauges_of_the_dead, shared_folder

# A _created series beside every counter is read by nobody.
disable_created_metrics()  # type: ignore[no-untyped-call]  # it is untyped
REGISTRY = CollectorRegistry()  # every metric of ours registers here


def everybodys() -> CollectorRegistry:
    """The metrics of all the node's processes where they share files, else of this one."""
    folder = shared_folder()
    if folder is None:
        return REGISTRY
    forget_gauges_of_the_dead(folder)
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(folder))  # type: ignore[no-untyped-call]  # it is untyped
    return registry


def exposition() -> bytes:
    """Every metric in Prometheus's text format: of all the node's processes where they share files.

    Source: Prometheus text exposition format 0.0.4.
    """
    return generate_latest(everybodys())
