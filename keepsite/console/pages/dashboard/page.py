from collections.abc import Callable
from datetime import datetime

from django.contrib.admin import AdminSite
from django.db.models import Model

from keepsite.console.pages.dashboard import (
    acts,
    health,
    hsm,
    keys,
    nodes,
    notices,
    orders,
    projects,
    requests,
)
from keepsite.console.pages.dashboard.counting import Remembered
from keepsite.console.pages.dashboard.first_steps import first_steps
from keepsite.console.pages.dashboard.shapes import Dashboard, Part
from keepsite.fleet.figures import fleet_figures
from keepsite.fleet.models import HSMMember
from keepsite.keyring.models import MKEK, KEKRun
from keepsite.nodes.models import Node
from keepsite.notices.models import Notice
from keepsite.notices.services import open_notices
from keepsite.projects.models import Project
from keepsite.readonly import clock
from keepsite.trail.models import AuditRecord
from orders_app.figures import waiting_figures
from orders_app.models import Order

REFRESH_S = 5
STOCK = Remembered()


def dashboard(
    site: AdminSite, *, now: datetime, may_see: Callable[[type[Model]], bool] = lambda _model: True
) -> Dashboard:
    """The page as of ``now``, with the parts that its reader ``may_see``.

    Fifteen SQL statements, nine when the rows were counted lately; no HSM and no broker is asked.
    """
    stock = STOCK.get(site, now=now)
    fleet = fleet_figures(now)
    waiting = waiting_figures(now)
    open_runs = keys.open_runs()
    registered = nodes.all_nodes()
    promotion = nodes.open_promotion()
    altered = acts.altered_trails()
    operators_did = acts.recent(now=now)
    told = open_notices()
    parts: tuple[tuple[type[Model], Part], ...] = (
        (AuditRecord, requests.part(fleet)),
        (Notice, notices.part(told, now=now)),
        (HSMMember, hsm.part(fleet)),
        (Node, nodes.part(registered, promotion, now=now)),
        (MKEK, keys.part(stock, now=now)),
        (KEKRun, keys.runs_part(open_runs, now=now)),
        (Order, orders.part(stock, waiting, fleet.queues, now=now)),
        (Project, projects.part(stock)),
        (AuditRecord, acts.part(operators_did, altered, site)),
    )
    shown = tuple(part for model, part in parts if may_see(model))
    troubles = [
        *keys.troubles(stock, open_runs, now=now),
        *hsm.troubles(fleet),
        *acts.troubles(altered),
        *orders.troubles(stock, waiting, now=now),
        *requests.troubles(fleet),
        *nodes.troubles(registered, promotion, now=now),
        *projects.troubles(stock),
        *health.expiring_keys(stock),
    ]
    if may_see(Notice):  # their texts name what only some may see
        troubles += notices.troubles(told, beside=troubles)
    return Dashboard(
        as_of=clock(now),
        counted=clock(stock.counted_at),
        health=health.health(troubles, shown, stock=stock, fleet=fleet),
        steps=first_steps(stock),
        parts=shown,
    )
