"""What a worker does with each message before it becomes work."""

from collections.abc import Callable, Collection
from typing import Any, ClassVar

import structlog
from celery import bootsteps
from celery.worker.consumer import Consumer
from kombu import Message
from kombu.exceptions import OperationalError as BrokerError

from orders_app import dead_letters

log = structlog.get_logger(__name__)

LONGEST_ID_CHARS = 64
MESSAGE_PARTS = 3  # Celery's task protocol 2: positional arguments, named ones, what follows
CELERYS_OWN = "celery."  # tasks that Celery registers by itself: nobody here sends them
Handler = Callable[[Message], object]


class MessageGate(Consumer):
    """Celery's consumer, but it lets pass only messages of the form that the relay sends.

    Anything else goes to the dead letters with a reason: Celery would drop it, or try
    to run what it names.
    """

    strategies: dict[str, Any]  # Any: Celery's; by the name of the task
    connection_errors: tuple[type[Exception], ...]

    class Blueprint(bootsteps.Blueprint):
        """Celery's steps and one that follows the node's colour.

        The one that makes 28 queues for delays is left out: what of ours is delayed waits in the database.
        """

        name = "Consumer"
        default_steps: ClassVar = [  # type: ignore[misc, assignment]  # the stubs say it is a set of the instance
            *(step for step in Consumer.Blueprint.default_steps if not step.endswith(":DelayedDelivery")),
            "orders_app.colour:FollowColour",
        ]

        def shutdown(self, parent: Any) -> None:  # Any: Celery's consumer
            """Tell every step."""
            self.send_all(parent, "shutdown")

    def create_task_handler(self, *args: Any, **options: Any) -> Handler:  # Any: Celery's own
        """What is called with each message."""
        work: Handler = super().create_task_handler(*args, **options)

        def take(message: Message) -> object:
            problem = problem_of(message, tasks=self.strategies)
            if problem is None:
                return work(message)
            self._put_aside(message, problem)
            return None

        return take

    def _put_aside(self, message: Message, reason: str) -> None:
        """Into the dead letters; back into its queue if they cannot be reached, or are full."""
        away: tuple[type[Exception], ...] = (*self.connection_errors, BrokerError)  # OSError among them
        try:
            dead_letters.put_aside(self.app, message, reason=reason)
        except away:
            log.exception("message.not_put_aside", reason=reason)
            message.requeue()
            return
        log.error("message.put_aside", reason=reason)
        message.ack()


def problem_of(message: Message, *, tasks: Collection[str]) -> str | None:
    """Why no worker can take this message, or None: it is one of the relay's.

    Source: Celery, "Message Protocol", version 2.
    """
    headers = message.headers
    if not isinstance(headers, dict) or not isinstance(headers.get("task"), str):
        return "It is no task message: it has no header that names a task."
    task = headers["task"]
    if task.startswith(CELERYS_OWN) or task not in tasks:
        return f"This release knows no task {task[:100]!r}."
    if headers.get("eta") or headers.get("expires"):
        return "It asks for a time to be run at; Keepsite's own messages do not."
    try:
        body = message.decode()
    except Exception as error:  # noqa: BLE001  # decoders raise what they like
        return f"Its body cannot be read ({type(error).__name__})."
    return _problem_of_body(body)


def _problem_of_body(body: object) -> str | None:
    if not isinstance(body, list | tuple) or len(body) != MESSAGE_PARTS:
        return "Its body is not that of a task message."
    arguments, named, follow_up = body
    is_one_id = isinstance(arguments, list | tuple) and len(arguments) == 1 and isinstance(arguments[0], str)
    if not is_one_id or named or not 1 <= len(arguments[0]) <= LONGEST_ID_CHARS:
        return "It must hold one id and nothing else."
    if not isinstance(follow_up, dict) or any(follow_up.values()):
        return "It asks for other tasks to follow; Keepsite's own messages do not."
    return None
