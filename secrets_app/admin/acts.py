"""What operators do with secrets and containers in the console."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from keepsite import audit
from keepsite.acts import Act, Outcome, one_by_one
from keepsite.acts.act import Rows
from keepsite.acts.recovery import DeleteRows, PurgeOverdue, PurgeRows, RestoreRows
from keepsite.readonly import (
    Fact,
    Heading,
    Row,
    Table,
    Tone,
    breakable,
    detail_url,
    moment,
    text,
)
from keepsite.translation import gettext_lazy
from secrets_app import services
from secrets_app.models import ContainerConsumer, ContainerSecret, SecretConsumer

EXPIRE_HEADINGS = tuple(
    Heading(label=label)
    for label in (
        gettext_lazy("Name"),
        gettext_lazy("Project"),
        gettext_lazy("Created"),
        gettext_lazy("Would expire"),
    )
)


class DeleteSecrets(DeleteRows):
    """Delete secrets, for whoever uses them too."""

    permission = "secrets_app.delete_secret"

    def title(self, rows: Rows) -> str:
        """What the page asks."""
        return (
            _("Delete the secret %(row)s") % {"row": rows[0]}
            if len(rows) == 1
            else ngettext("Delete %(count)s secrets", "Delete %(count)s secrets", len(rows))
            % {"count": len(rows)}
        )

    def lead(self, rows: Rows) -> str:  # noqa: ARG002  # the same for all
        """What that means."""
        return _(
            "No client can read it from then on. It can be restored here for %(days)s days,"
            " then it is purged."
        ) % {"days": settings.RECOVERY_DAYS}

    def facts(self, rows: Rows) -> tuple[Fact, ...]:
        """Who uses them."""
        return _users_of(rows)

    def withdraw(self, row: Any, *, actor: audit.Actor, reason: str) -> None:  # Any: a secret
        """One of them."""
        services.withdraw_secret(row.pk, actor=actor, reason=reason)

    def words(self, rows: Rows, done: int) -> str:
        """What has come of it."""
        words = (
            _("The secret %(row)s is deleted, and can be restored for %(days)s days.")
            if len(rows) == 1
            else ngettext(
                "%(count)s secret is deleted, and can be restored for %(days)s days.",
                "%(count)s secrets are deleted, and can be restored for %(days)s days.",
                done,
            )
        )
        return words % {"row": rows[0], "count": done, "days": settings.RECOVERY_DAYS}


class DeleteContainers(DeleteRows):
    """Delete containers; the secrets in them stay."""

    permission = "secrets_app.delete_container"

    def title(self, rows: Rows) -> str:
        """What the page asks."""
        return (
            _("Delete the container %(row)s") % {"row": rows[0]}
            if len(rows) == 1
            else ngettext("Delete %(count)s container", "Delete %(count)s containers", len(rows))
            % {"count": len(rows)}
        )

    def lead(self, rows: Rows) -> str:  # noqa: ARG002  # the same for all
        """What that means."""
        return _(
            "No client sees it from then on; the secrets in it stay. It can be restored here for %(days)s"
            " days, then it is purged."
        ) % {"days": settings.RECOVERY_DAYS}

    def facts(self, rows: Rows) -> tuple[Fact, ...]:
        """Who uses them, and what they hold."""
        ids = [row.pk for row in rows]
        used = ContainerConsumer.objects.filter(container__in=ids, deleted_at=None)
        held = ContainerSecret.objects.filter(container__in=ids, secret__deleted_at=None)
        return (
            Fact(
                label=_("Consumers"),
                value=text(used.count()),
                note=_("Services that said they use them. They are not asked, and lose access too."),
            ),
            Fact(
                label=_("Secrets"),
                value=text(held.values("secret").distinct().count()),
                note=_("They stay, for whoever may read them."),
            ),
        )

    def withdraw(self, row: Any, *, actor: audit.Actor, reason: str) -> None:  # Any: a container
        """One of them."""
        services.withdraw_container(row.pk, actor=actor, reason=reason)

    def words(self, rows: Rows, done: int) -> str:
        """What has come of it."""
        words = (
            _("The container %(row)s is deleted, and can be restored for %(days)s days.")
            if len(rows) == 1
            else ngettext(
                "%(count)s container is deleted, and can be restored for %(days)s days.",
                "%(count)s containers are deleted, and can be restored for %(days)s days.",
                done,
            )
        )
        return words % {"row": rows[0], "count": done, "days": settings.RECOVERY_DAYS}


class ExpireSecrets(Act):
    """Have secrets expire now, whenever their clients wanted them to."""

    name = "expire"
    label = gettext_lazy("Expire")
    permission = "secrets_app.delete_secret"
    scope = "many"
    tone = Tone.BAD
    is_destructive = True

    def applies_to(self, row: Any, *, now: datetime) -> bool:  # Any: a secret
        """Neither deleted nor expired."""
        return bool(row.is_live(now))

    def title(self, rows: Rows) -> str:
        """What the page asks."""
        if len(rows) == 1:
            return _("Have the secret %(row)s expire now") % {"row": rows[0]}
        return ngettext(
            "Have %(count)s secret expire now", "Have %(count)s secrets expire now", len(rows)
        ) % {"count": len(rows)}

    def lead(self, rows: Rows) -> str:  # noqa: ARG002  # the same for all
        """What that means, and that there is no way back."""
        return _(
            "No client sees an expired secret, by id or in a list, or reads its payload. This cannot be"
            " undone: nothing gives an expired secret a later time, and what has expired cannot be restored"
            " either, though its sealed payload stays. To take a secret away for a while, delete it instead."
        )

    def facts(self, rows: Rows) -> tuple[Fact, ...]:
        """Who uses them."""
        return _users_of(rows)

    def table(self, rows: Rows) -> Table:
        """Which, and when each would have expired."""
        return Table(
            caption=_("What it is about"),
            headings=EXPIRE_HEADINGS,
            rows=tuple(
                Row.of(
                    EXPIRE_HEADINGS,
                    detail_url(type(row), row.pk),
                    breakable(str(row)),
                    breakable(str(row.project)),
                    moment(row.created_at),
                    moment(row.expires_at, absent=_("never")),
                )
                for row in rows
            ),
        )

    def perform(
        self, rows: Rows, *, actor: audit.Actor, wanted: dict[str, Any]
    ) -> Outcome:  # Any: form values
        """Each in a transaction of its own."""
        done, refused = one_by_one(
            rows, lambda row: services.expire_secret(row.pk, actor=actor, reason=wanted["reason"])
        )
        words = (
            _("The secret %(row)s has expired: no client sees it any more.")
            if len(rows) == 1
            else ngettext(
                "%(count)s secret has expired: no client sees it any more.",
                "%(count)s secrets have expired: no client sees them any more.",
                done,
            )
        )
        return Outcome(done=words % {"row": rows[0], "count": done} if done else "", refused=refused)


def _users_of(rows: Rows) -> tuple[Fact, ...]:
    """Who loses something when these secrets vanish."""
    ids = [row.pk for row in rows]
    used = SecretConsumer.objects.filter(secret__in=ids, deleted_at=None)
    places = ContainerSecret.objects.filter(secret__in=ids, container__deleted_at=None)
    return (
        Fact(
            label=_("Consumers"),
            value=text(used.count()),
            note=_("Services that said they use them. They are not asked, and lose access too."),
        ),
        Fact(
            label=_("Containers"),
            value=text(places.values("container").distinct().count()),
            note=_("Containers that lack something from then on."),
        ),
    )


def _chosen_secrets(ids: Collection[str], reason: str) -> services.Purging:
    return services.chosen_in_console(services.chosen_secrets(ids), reason=reason)


def _chosen_containers(ids: Collection[str], reason: str) -> services.Purging:
    return services.chosen_in_console(services.chosen_containers(ids), reason=reason)


def _due_secrets(moment: datetime, reason: str) -> services.Purging:
    return _due(("secrets", "secret consumers"), moment, reason)


def _due_containers(moment: datetime, reason: str) -> services.Purging:
    return _due(("containers", "container consumers"), moment, reason)


def _due(nouns: tuple[str, ...], moment: datetime, reason: str) -> services.Purging:
    kinds = [kind for kind in services.deleted_rows(moment) if kind.noun in nouns]
    return services.deleted_before(moment, kinds, reason=reason)


SECRET_ACTS: tuple[Act, ...] = (
    RestoreRows(
        noun=gettext_lazy("secret"),
        nouns=gettext_lazy("secrets"),
        permission="secrets_app.restore_secret",
        restore=services.restore_secret,
    ),
    ExpireSecrets(),
    DeleteSecrets(),
    PurgeRows(
        noun=gettext_lazy("secret"),
        nouns=gettext_lazy("secrets"),
        permission="secrets_app.purge_secret",
        purge=services.purge,
        chosen=_chosen_secrets,
    ),
    PurgeOverdue(
        noun=gettext_lazy("secret"),
        nouns=gettext_lazy("secrets"),
        permission="secrets_app.purge_secret",
        purge=services.purge,
        due=_due_secrets,
    ),
)
CONTAINER_ACTS: tuple[Act, ...] = (
    RestoreRows(
        noun=gettext_lazy("container"),
        nouns=gettext_lazy("containers"),
        permission="secrets_app.restore_container",
        restore=services.restore_container,
    ),
    DeleteContainers(),
    PurgeRows(
        noun=gettext_lazy("container"),
        nouns=gettext_lazy("containers"),
        permission="secrets_app.purge_container",
        purge=services.purge,
        chosen=_chosen_containers,
    ),
    PurgeOverdue(
        noun=gettext_lazy("container"),
        nouns=gettext_lazy("containers"),
        permission="secrets_app.purge_container",
        purge=services.purge,
        due=_due_containers,
    ),
)
