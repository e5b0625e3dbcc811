"""Sends messages by e-mail, through the server that Django's e-mail settings name."""

import smtplib
from collections.abc import Sequence

from django.conf import settings
from django.core.mail import EmailMessage

from keepsite.notices.errors import NotSent
from keepsite.notices.events import Event, as_mail


def send(events: Sequence[Event], *, message_id: str) -> None:
    """Send one e-mail to all receivers; on return the server has taken it.

    Raises:
        NotSent: the server is away, or refused.
    """
    subject, text = as_mail(events)
    mail = EmailMessage(
        subject=subject,
        body=text,
        from_email=settings.NOTICE_EMAIL_FROM,
        to=settings.NOTICE_EMAIL_TO,
        headers={"Keepsite-Delivery": message_id, "Auto-Submitted": "auto-generated"},
    )
    try:
        mail.send()
    except smtplib.SMTPResponseException as error:
        raise NotSent(f"the mail server answered {error.smtp_code}") from error
    except (OSError, smtplib.SMTPException) as error:
        raise NotSent(f"not sent: {type(error).__name__}") from error
