"""Which requests each fault may fail; all others must be answered as if nothing had happened."""

from tests.support.order_load import Failure


def none(_failure: Failure) -> bool:
    """The broker, its clients and the workers are no part of a request."""
    return False


def answered_503(failure: Failure) -> bool:
    """A request needs the database."""
    return failure.status == 503


def answered_503_with_passphrase(failure: Failure) -> bool:
    """Of orders only the pass phrase has to be sealed at once."""
    return failure.status == 503 and failure.has_passphrase


def not_connected(failure: Failure) -> bool:
    """Nobody was there to answer."""
    return failure.status is None


ALLOWED = {
    "worker_killed": none,
    "leader_killed": none,
    "node_cut_off": none,
    "relay_killed": none,
    "database_killed": answered_503,
    "hsm_away": answered_503_with_passphrase,
    "api_node_killed": not_connected,
}


def unexpected(failures, phases):
    """A line for each failure that no fault excuses that was there while its request was on its way."""
    for failure in failures:
        during = [
            phase.fault
            for phase in phases
            if failure.began <= phase.recovered and phase.began <= failure.ended
        ]
        if not any(ALLOWED[fault](failure) for fault in during):
            what = "an order with a pass phrase" if failure.has_passphrase else "an order"
            yield f"{what} failed during {' and '.join(during) or 'no fault at all'}: {failure.kind}"
