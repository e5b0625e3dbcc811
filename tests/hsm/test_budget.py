import threading

from hsm.budget import budget, within_budget


class TestBudget:
    def test_outside_of_it_a_wait_is_what_it_is(self):
        assert within_budget(7.0) == 7.0

    def test_inside_no_wait_is_longer_than_what_is_left(self):
        with budget(3.0):
            assert within_budget(2.0) == 2.0
            assert within_budget(60.0) <= 3.0
        assert within_budget(60.0) == 60.0

    def test_none_is_left_once_it_is_spent(self):
        with budget(0.0):
            assert within_budget(60.0) == 0.0

    def test_it_is_one_threads_own(self):
        seen = []
        with budget(0.0):
            thread = threading.Thread(target=lambda: seen.append(within_budget(5.0)))
            thread.start()
            thread.join()

        assert seen == [5.0]
