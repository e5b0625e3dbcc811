"""The operator's policy file: what may stand in it, and what is wrong with it."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from oslo_policy.policy import RuleDefault, parse_file_contents

_NOT_IN_A_WORD = str.maketrans(dict.fromkeys("()[],'\"", " "))


class PolicyFileInvalid(ImproperlyConfigured):
    """POLICY_FILE cannot be used; names the file and says what to mend."""

    def __init__(self, path: Path, problems: list[str]) -> None:
        self.path = path
        self.problems = problems
        super().__init__(f"The policy file {path} cannot be used: {'; '.join(problems)}.")


def read_overrides(path: Path) -> dict[str, RuleDefault]:
    """Return the rules that a YAML or JSON policy file sets, by name.

    Raises:
        PolicyFileInvalid: it cannot be read, or does not hold rule names and check strings.
    """
    try:
        contents = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise PolicyFileInvalid(path, ["there is no such file"]) from error
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyFileInvalid(path, [f"it cannot be read ({error})"]) from error
    try:
        parsed: object = parse_file_contents(contents)
    except ValueError as error:
        raise PolicyFileInvalid(path, [f"it is neither YAML nor JSON ({error})"]) from error
    if not isinstance(parsed, Mapping):
        raise PolicyFileInvalid(path, ["it must map rule names to check strings"])
    problems = [problem for name, check in parsed.items() for problem in _problems_of(name, check)]
    if problems:
        raise PolicyFileInvalid(path, problems)
    return {name: _parsed(name, check) for name, check in parsed.items()}


def _problems_of(name: object, check: object) -> Iterator[str]:
    """Yield what is wrong with one entry.

    oslo.policy takes an empty value for "everyone" and a mistyped check for
    "no one"; both are more likely slips than wishes, and are said aloud.
    """
    if not isinstance(name, str):
        yield f"the rule name {name!r} must be a text"
    elif not isinstance(check, str | list):
        yield f'{name} must be a check string; write "@" to allow everyone, "!" to allow no one'
    elif _refusals(_parsed(name, check).check) > _words(check).count("!"):
        yield f"{name} is not a valid check string: {check!r}"


def _parsed(name: str, check: str | list[Any]) -> RuleDefault:
    return RuleDefault(name, check)  # type: ignore[arg-type]  # it also takes the lists of old JSON files


def _words(check: str | list[Any]) -> list[str]:
    return str(check).translate(_NOT_IN_A_WORD).split()


def _refusals(check: Any) -> int:
    """Count the "!" in a parsed check: the parser also puts one for each part it did not understand."""
    parts = getattr(check, "rules", None)
    if parts is None:
        parts = [check.rule] if hasattr(check, "rule") else []
    return int(str(check) == "!") + sum(_refusals(part) for part in parts)
