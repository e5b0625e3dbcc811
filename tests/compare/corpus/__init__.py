"""The requests that are replayed, by resource."""

from tests.compare.corpus import admin, containers, discovery, hangers_on, orders, payloads, roles, secrets

SCENARIOS = [
    scenario
    for module in (discovery, secrets, payloads, hangers_on, containers, orders, admin, roles)
    for scenario in module.SCENARIOS
]
