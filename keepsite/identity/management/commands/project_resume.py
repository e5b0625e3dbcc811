from keepsite.approvals.commands import PROJECT_RESUME
from keepsite.identity.management.standing import StandingCommand
from keepsite.projects.suspension import resume_project


class Command(StandingCommand):
    """``project_resume PROJECT``: serve a suspended project again."""

    help = "Serve a suspended project again."
    guarded, suspends, change = PROJECT_RESUME, False, staticmethod(resume_project)
    told = "The project {project} is served again."
