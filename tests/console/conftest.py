import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from tests.console.plausible import fill

PASSWORD = "for tests of the console, 42"


@pytest.fixture(autouse=True)
def _counted_anew():
    """No test sees on the overview what another one had counted."""
    from keepsite.console.pages.dashboard import STOCK

    STOCK.forget()


@pytest.fixture
def operator(db):
    """An operator who has chosen a password."""
    return User.objects.create_superuser("olga", password=PASSWORD)


@pytest.fixture
def console(operator):
    """A browser-less client, logged in."""
    client = Client()
    client.force_login(operator)
    return client


@pytest.fixture
def console_of(db):
    """Makes a browser-less client of an operator in one role; None is in no group at all."""

    def make(role):
        user = User.objects.create_user(f"in {role}", password=PASSWORD, is_staff=True)
        if role is not None:
            user.groups.add(Group.objects.get(name=role))
        client = Client()
        client.force_login(user)
        return client

    return make


@pytest.fixture
def store(mkek):
    """Rows of every kind and state."""
    fill(projects=12, secrets=150, orders=40)
