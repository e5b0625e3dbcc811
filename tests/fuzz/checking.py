"""One request sent and judged: what the tests and the long campaign share."""

from collections import Counter

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.fuzz.properties import assert_holds


class Checking:
    """Sends what a route's strategy made, and fails with the request and the answer."""

    def __init__(self, world, send, rows):
        self.world = world
        self._send = send
        self._rows = rows
        self.statuses = Counter()  # by route and status

    def examine(self, route, calls, *, requests, number=0):
        """Send ``requests`` of the ``calls`` of a route; on a failure find the smallest one that fails.

        The same ``number`` makes the same requests.

        Raises:
            AssertionError: names problem, request and answer.
        """

        @seed(number)
        @settings(
            max_examples=requests,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate, Phase.shrink),
            report_multiple_bugs=False,
        )
        @given(calls)
        def examine(call):
            self(route, call)

        examine()

    def __call__(self, route, call):
        """Send ``call`` and check everything there is to check about its answer."""
        call = self.world.filled(call)
        before = self._rows.all()
        answer = self._send(call)
        after = self._rows.all()
        self.statuses[str(route), answer.status] += 1
        try:
            assert_holds(call, answer, before, after)
            if answer.is_success:
                route.check(self.world, call, answer)
        except Exception as problem:  # whatever went wrong with it, the reader needs to see the request
            raise AssertionError(
                f"{type(problem).__name__}: {problem}\n--- request\n{call}\n--- answer\n{answer}"
            ) from problem
        finally:
            if after != before:
                self.world.forget()
