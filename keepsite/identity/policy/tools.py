"""What the oslopolicy-* tools are given under the name ``keepsite``: the entry points in pyproject.toml.

They run outside of Django, so they read the environment: the role set and the policy file
that the service itself would use under the same variables.

Source: oslo.policy, "Sample Policy Generation" and "Policy File Validation".
"""

import os
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured
from oslo_config import cfg
from oslo_policy.policy import Enforcer, RuleDefault

from keepsite.env import env
from keepsite.identity.policy.defaults import defaults
from keepsite.identity.policy.rule import ROLE_SETS


def list_rules() -> list[RuleDefault]:
    """The default rules under KEEPSITE_ROLE_SET.

    Raises:
        ImproperlyConfigured: it is none of ROLE_SETS; the message lists them.
    """
    role_set: str = env("KEEPSITE_ROLE_SET")
    if role_set not in ROLE_SETS:
        raise ImproperlyConfigured(
            f"KEEPSITE_ROLE_SET is {role_set!r}; it must be one of {', '.join(ROLE_SETS)}."
        )
    return defaults(role_set)


def enforcer() -> Enforcer:
    """The default rules with those of KEEPSITE_POLICY_FILE over them; without one, as with an empty file.

    It hangs on the tools' own configuration, since the validator reads the file's name there.

    Raises:
        ImproperlyConfigured: as for ``list_rules``.
    """
    path = Path(env("KEEPSITE_POLICY_FILE") or os.devnull).absolute()
    made = Enforcer(cfg.CONF, policy_file=str(path))
    cfg.CONF.set_override("policy_file", str(path), group="oslo_policy")
    cfg.CONF.set_override("policy_dirs", [], group="oslo_policy")  # the service reads one file
    made.register_defaults(list_rules())
    return made
