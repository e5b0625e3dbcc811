import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.console.plausible import fill

PASSWORD = "for tests of the console, 42"


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
def store(mkek):
    """Rows of every kind and state."""
    fill(projects=12, secrets=150, orders=40)
