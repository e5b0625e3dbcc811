"""An operator's own second factor: setting it up, its recovery codes, its end."""

import base64
import binascii
from dataclasses import dataclass

import segno
from django import forms
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from keepsite import audit
from keepsite.acts.proof import CODE_ATTRIBUTES, ProofForm
from keepsite.acts.recent_login import is_recent, prove
from keepsite.console.sessions import SECOND_FACTOR
from keepsite.errors import KeepsiteError
from keepsite.operators import second_factor
from keepsite.operators.models import Authenticator
from keepsite.operators.sealing import UnreadableSecret, open_sealed, seal
from keepsite.readonly import Fact, relative, text
from keepsite.translation import gettext_lazy

ENROLMENT = "second_factor_secret"  # in the session, sealed: from the QR code until its first code
QR_MODULE_PX = 5
RENEW, REMOVE = "renew", "remove"


class EnrolmentForm(ProofForm):
    """The first code; and the password, if the log-in is not recent."""

    first_code = forms.CharField(
        label=gettext_lazy("Code that the app shows now"),
        max_length=10,
        widget=forms.TextInput(attrs={**CODE_ATTRIBUTES, "inputmode": "numeric"}),
    )


class OwnFactorForm(ProofForm):
    """What is to become of it; always with both proofs."""

    wish = forms.ChoiceField(choices=((RENEW, RENEW), (REMOVE, REMOVE)))  # the buttons say which

    def visible_fields(self) -> list[forms.BoundField]:
        """Those that are typed."""
        return [field for field in super().visible_fields() if field.name != "wish"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolmentPage:
    """What the app must be given, as a picture and in letters; and the form for its first code."""

    qr_code: SafeString
    secret: str
    form: EnrolmentForm
    is_demanded: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnFactorPage:
    """What is known of the second factor, and the form that ends or renews what belongs to it."""

    facts: tuple[Fact, ...]
    form: OwnFactorForm
    may_remove: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryCodesPage:
    """Codes that are shown this once."""

    codes: tuple[str, ...]
    is_first: bool

    @property
    def text_of_codes(self) -> str:
        """One in each line."""
        return "\n".join(self.codes)


Page = EnrolmentPage | OwnFactorPage | RecoveryCodesPage | None


def second_factor_page(request: HttpRequest) -> Page:
    """What to show, after doing what was sent; None once the second factor is removed."""
    user = User.objects.get(username=request.user.get_username())
    authenticator = Authenticator.objects.filter(user=user).first()
    if authenticator is None:
        return _enrolment(request, user)
    return _own_factor(request, user, authenticator)


def _enrolment(request: HttpRequest, user: User) -> EnrolmentPage | RecoveryCodesPage:
    secret = _pending_secret(request, user)
    is_sent = request.method == "POST"
    form = EnrolmentForm(
        request.POST if is_sent else None, request=request, wants_proof=not is_recent(request)
    )
    if is_sent and form.is_valid():
        if form.wants_proof:
            prove(request=request)
        try:
            codes = second_factor.enrol(
                user, secret=secret, code=form.cleaned_data["first_code"], actor=_actor(request)
            )
        except KeepsiteError as error:
            form.add_error("first_code", error.public)
        else:
            del request.session[ENROLMENT]
            request.session[SECOND_FACTOR] = Authenticator.objects.get(user=user).pk
            return RecoveryCodesPage(codes=codes, is_first=True)
    return EnrolmentPage(
        qr_code=_qr_code(second_factor.provisioning_uri(secret, username=user.get_username())),
        secret=second_factor.in_letters(secret),
        form=form,
        is_demanded=_is_demanded(user),
    )


def _own_factor(
    request: HttpRequest, user: User, authenticator: Authenticator
) -> OwnFactorPage | RecoveryCodesPage | None:
    is_sent = request.method == "POST"
    form = OwnFactorForm(request.POST if is_sent else None, request=request, wants_proof=True)
    may_remove = not _is_demanded(user)
    if is_sent and form.is_valid():
        prove(request=request)
        if form.cleaned_data["wish"] == RENEW:
            codes = second_factor.renew_recovery_codes(user, actor=_actor(request))
            return RecoveryCodesPage(codes=codes, is_first=False)
        if may_remove:
            second_factor.remove(
                user, actor=_actor(request), reason="by the operator, with password and code"
            )
            return None
        form.add_error(None, _("Your role must have a second factor, so you cannot remove it yourself."))
    now = timezone.now()
    left = second_factor.recovery_codes_left(authenticator)
    return OwnFactorPage(
        facts=(
            Fact(label=_("Set up"), value=relative(authenticator.enrolled_at, now=now)),
            Fact(label=_("Last code"), value=relative(authenticator.last_used_at, now=now)),
            Fact(label=_("Recovery codes left"), value=text(left), note=_("Each opens the console once.")),
        ),
        form=form,
        may_remove=may_remove,
    )


def _pending_secret(request: HttpRequest, user: User) -> bytes:
    """The secret that this session is about to enrol: the same until its first code has come."""
    try:
        return open_sealed(base64.b64decode(request.session[ENROLMENT]), user_id=user.pk)
    except (KeyError, binascii.Error, UnreadableSecret):
        secret = second_factor.new_secret()
        request.session[ENROLMENT] = base64.b64encode(seal(secret, user_id=user.pk)).decode()
        return secret


def _qr_code(uri: str) -> SafeString:
    """The picture, within the page: an address of its own would be one more place that gives the secret."""
    picture = segno.make(uri, micro=False).svg_inline(
        scale=QR_MODULE_PX, border=4, dark="#000", light="#fff", svgclass="qr-code", lineclass=None
    )
    return mark_safe(picture)  # noqa: S308  # made of the URI's modules, not of its text


def _is_demanded(user: User) -> bool:
    roles = user.groups.values_list("name", flat=True)
    return second_factor.is_demanded(list(roles), has_all_rights=user.is_superuser)


def _actor(request: HttpRequest) -> audit.Actor:
    return audit.ConsoleOperator(user_id=request.user.get_username())
