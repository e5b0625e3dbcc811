"""``make clean-state``: delete what ``make run`` keeps, after asking."""

import shutil
import sys

from state import StateRefused, check_is_ours, chosen_folder, hold_lock


def main() -> int:
    """Delete the state folder if it is ours, idle and given up; the exit code says whether it is gone."""
    state = chosen_folder()
    if not state.path.exists():
        print(f"There is no state in {state.path}.")
        return 0
    try:
        check_is_ours(state)
        with hold_lock(state):
            if not is_wanted(f"This deletes {state.path}: the token with its keys, the database, the logs."):
                print("Nothing was deleted.")
                return 1
            shutil.rmtree(state.path)
    except StateRefused as error:
        print(error, file=sys.stderr)
        return 1
    print("Deleted. The next `make run` starts anew.")
    return 0


def is_wanted(sentence: str) -> bool:
    """Whether the person types yes; silence is no."""
    print(sentence)
    print("Every secret stored in it is lost for good. Type yes to go on: ", end="", flush=True)
    return sys.stdin.readline().strip() == "yes"


if __name__ == "__main__":
    sys.exit(main())
