import pytest

from keepsite.identity.operators import command_principal
from keepsite.ids import new_id
from keepsite.keyring import mkeks
from keepsite.keyring.models import ProjectKEK
from keepsite.keyring.rotation import runs
from keepsite.keyring.rotation.execution import Execution
from keepsite.keyring.rotation.runners import runner_name
from keepsite.keyring.rotation.scope import Scope

ACTOR = command_principal()


@pytest.fixture(autouse=True)
def _no_grace(settings):
    settings.KEK_GRACE_S = 0


@pytest.fixture
def new_mkek(mkek):
    """Makes further MKEKs, each current at once."""

    def make(*, activate=True, **options):
        made = mkeks.generate_mkek(label=f"rotation-{new_id()}", actor=ACTOR, **options)
        if activate:
            mkeks.activate_mkek(made, actor=ACTOR)
        return made

    return make


@pytest.fixture
def projects(api):
    """Three callers of three projects, each with two secrets; path by text."""
    callers = [api, api.other(project="p2"), api.other(project="p3")]
    return [
        (caller, {f"payload {number} {which}": caller.store(f"payload {number} {which}") for which in "ab"})
        for number, caller in enumerate(callers)
    ]


def all_read_back(projects):
    for caller, stored in projects:
        for text, path in stored.items():
            assert caller.get(f"{path}/payload").content == text.encode()
    return True


def run_to_its_end(kind, scope=None, *, from_now=True, **options):
    """What a command does, without its terminal."""
    from django.utils import timezone

    scope = scope or Scope(created_before=timezone.now())
    started = {name: options.pop(name) for name in ("rate", "batch_rows") if name in options}
    run = runs.start(kind, scope, actor=ACTOR, by_workers=False, **started)
    return execute(run, **options)


def execute(run, **options):
    from django.utils import timezone

    held = runs.claim(run.id, runner=runner_name(), now=timezone.now())
    assert held is not None
    return Execution(held, actor=ACTOR, **options).execute()


def active(project):
    return ProjectKEK.objects.get(project__external_id=project, active_marker=True)
