from keepsite.approvals.commands import PROJECT_SUSPEND
from keepsite.identity.management.standing import StandingCommand
from keepsite.projects.suspension import suspend_project


class Command(StandingCommand):
    """``project_suspend PROJECT --reason R``: refuse all its API requests until it is resumed."""

    help = "Refuse every API request of a project until project_resume; what it stored is kept."
    guarded, suspends, change = PROJECT_SUSPEND, True, staticmethod(suspend_project)
    told = "The project {project} is suspended."
