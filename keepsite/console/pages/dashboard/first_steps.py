from django.conf import settings
from django.utils.translation import gettext as _

from keepsite.console.pages.dashboard.counting import Stock
from keepsite.console.pages.dashboard.shapes import Step
from keepsite.readonly import Tone, pill


def first_steps(stock: Stock) -> tuple[Step, ...]:
    """What a fresh installation still needs; nothing once the first secret is there."""
    if stock.current_mkek and stock.has_secrets:
        return ()
    steps = [
        _step(
            _("Make a master key on the token"),
            "manage.py mkek_generate --label keepsite-mkek-1 --activate",
            done=bool(stock.current_mkek),
        )
    ]
    if settings.AUTH == "local":
        steps.append(
            _step(
                _("Give a client an API key"),
                "manage.py api_key create --project demo --user me --role member --name 'first key'",
                done=stock.has_api_keys,
            )
        )
    api = settings.HOST_HREF or f"http://{settings.BIND}"
    steps.append(
        _step(
            _("Store a secret with it"),
            f'curl {api}/v1/secrets -H "X-Auth-Token: $API_KEY" \\\n'
            "  -H 'Content-Type: application/json' \\\n"
            """  -d '{"name": "first", "payload": "hello", "payload_content_type": "text/plain"}'""",
            done=stock.has_secrets,
        )
    )
    return tuple(steps)


def _step(title: str, command: str, *, done: bool) -> Step:
    state = pill(_("Done"), Tone.GOOD) if done else pill(_("To do"), Tone.WAITING)
    return Step(title=title, command=command, state=state, is_done=done)
