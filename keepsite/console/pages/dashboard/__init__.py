"""The first page: is all well, and if not, where; every number with the list behind it."""

from keepsite.console.pages.dashboard.page import REFRESH_S, STOCK, dashboard
from keepsite.console.pages.dashboard.shapes import Dashboard

__all__ = ["REFRESH_S", "STOCK", "Dashboard", "dashboard"]
