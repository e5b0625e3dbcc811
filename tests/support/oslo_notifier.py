"""Runs in Keystone's environment: sends notifications as Keystone does, by oslo.messaging.

oslo_notifier.py TRANSPORT_URL DRIVER < [[event type, payload], ...] as JSON
"""

import json
import sys

import oslo_messaging
from oslo_config import cfg

url, driver = sys.argv[1:]
conf = cfg.ConfigOpts()
conf([])
oslo_messaging.set_transport_defaults("keystone")  # as Keystone itself does
transport = oslo_messaging.get_notification_transport(conf, url=url)
notifier = oslo_messaging.Notifier(transport, "identity.tests", driver=driver, topics=["notifications"])
for event_type, payload in json.load(sys.stdin):
    notifier.info({}, event_type, payload)
transport.cleanup()
