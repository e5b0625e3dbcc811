import subprocess
import sys

import pytest

from tests.support.embedded import CHECKOUT, clean_environment

pytestmark = pytest.mark.processes


@pytest.fixture
def state(tmp_path):
    """A folder that looks like the state of a Keepsite that does not run."""
    folder = tmp_path / "state"
    (folder / "tokens").mkdir(parents=True)
    (folder / "keepsite.lock").touch()
    (folder / "pin").write_text("1234")
    return folder


def clean_state(folder, answer):
    return subprocess.run(
        [sys.executable, "deploy/embedded/clean_state.py"],
        cwd=CHECKOUT,
        env=clean_environment(KEEPSITE_STATE_DIR=str(folder)),
        input=answer,
        capture_output=True,
        text=True,
        check=False,
    )


class TestCleanState:
    def test_yes_deletes_the_folder(self, state):
        done = clean_state(state, "yes\n")

        assert done.returncode == 0
        assert not state.exists()

    @pytest.mark.parametrize("answer", ["no\n", "y\n", "\n", ""], ids=["no", "y", "empty", "no-terminal"])
    def test_any_other_answer_deletes_nothing(self, state, answer):
        done = clean_state(state, answer)

        assert done.returncode == 1
        assert str(state) in done.stdout
        assert "Nothing was deleted." in done.stdout
        assert (state / "pin").read_text() == "1234"

    def test_folder_that_is_not_ours_is_refused_without_asking(self, tmp_path):
        (tmp_path / "thesis.txt").write_text("mine")

        done = clean_state(tmp_path, "yes\n")

        assert done.returncode == 1
        assert (tmp_path / "thesis.txt").exists()

    def test_nothing_to_delete_is_fine(self, tmp_path):
        done = clean_state(tmp_path / "absent", "")

        assert done.returncode == 0

    def test_running_keepsite_is_refused(self, embedded):
        done = clean_state(embedded.state, "yes\n")

        assert done.returncode == 1
        assert "Keepsite is running" in done.stderr
        assert (embedded.state / "pin").exists()
