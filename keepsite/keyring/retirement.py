"""The keys of a project that the identity service has deleted."""

from keepsite.keyring.models import ProjectKEK
from keepsite.projects.models import Project


def stop_sealing(project: Project) -> None:
    """The project's pKEK only opens from now on; within the caller's transaction, and repeatable."""
    ProjectKEK.objects.filter(project=project, state=ProjectKEK.State.ACTIVE).update(
        state=ProjectKEK.State.DECRYPT_ONLY, active_marker=None
    )


def seal_again(project: Project) -> None:
    """The latest generation is the active one again; within the caller's transaction, and repeatable."""
    generations = ProjectKEK.objects.filter(project=project).exclude(state=ProjectKEK.State.RETIRED)
    latest = generations.order_by("-generation").first()
    if latest is not None:
        ProjectKEK.objects.filter(id=latest.id).update(
            state=ProjectKEK.State.ACTIVE, active_marker=True, superseded_at=None
        )
