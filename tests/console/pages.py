"""Every page of the console, for tests that hold of all of them."""

from django.contrib import admin

from keepsite.readonly import detail_url, list_url


def models():
    return list(admin.site._registry)


def list_pages():
    return [list_url(model) for model in models()]


def detail_pages():
    """A page of each kind and state there is: the rows of a list differ in state."""
    return [
        detail_url(model, pk)
        for model in models()
        for pk in model.objects.order_by("pk").values_list("pk", flat=True)[:40]
    ]


def act_url(model, act, pk=None):
    """The page of an act: of a row, or of the list."""
    return f"{detail_url(model, pk) if pk else list_url(model)}acts/{act}/"


def declared_acts():
    """Every act, with its model."""
    return [
        (model, act)
        for model, admin_of_it in admin.site._registry.items()
        for act in getattr(admin_of_it, "acts", ())
    ]


def rows():
    """All rows of all models, to see that nothing changed."""
    return {model: sorted(map(repr, model.objects.values_list())) for model in models()}
