from orders_app.services.claims import Claim, ClaimLost, claim, fail, fulfil, fulfil_together, release
from orders_app.services.orders import OFFERED, delete_order, place_order, target_of, withdraw_order

__all__ = [
    "OFFERED",
    "Claim",
    "ClaimLost",
    "claim",
    "delete_order",
    "fail",
    "fulfil",
    "fulfil_together",
    "place_order",
    "release",
    "target_of",
    "withdraw_order",
]
