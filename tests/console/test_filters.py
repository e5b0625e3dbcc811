from django.utils import timezone

from keepsite.readonly import list_url
from keepsite.trail.models import AuditChain, AuditRecord, AuditSegment
from secrets_app.models import Secret


class TestRead:
    def test_tells_secrets_that_somebody_read_from_those_that_nobody_did(self, api, console):
        read, unread = (api.store("x").rpartition("/")[2] for _ in range(2))
        segment = AuditSegment.objects.create(
            chain=AuditChain.objects.create(node="n"),
            number=1, start=0, end=0, lines=2, row_hashes=b"", collected_at=timezone.now(),
        )  # fmt: skip
        for position, (action, secret) in enumerate((("payload.read", read), ("secret.created", unread))):
            AuditRecord.objects.create(
                segment=segment,
                position=position,
                at=timezone.now(),
                action=action,
                subject=f"secret:{secret}",
            )

        def listed(**chosen):
            rows = console.get(list_url(Secret, **chosen)).context["cl"].result_list
            return [row.pk for row in rows]

        assert listed(read="some") == [read]
        assert listed(read="never") == [unread]
