"""An extension that records the events it learns of, and does what a test says before they happen."""

from copy import deepcopy
from dataclasses import replace

from app.extensions.contents import WRITE_ACTIONS
from app.query.collection import BUILT_IN

EVENTS = [f"{collection.short_name}.{action}" for collection in BUILT_IN.writable for action in WRITE_ACTIONS]


class Recorder:
    """`before` and `after` hold copies of the events; `actions` are functions that a test runs before an event."""

    def __init__(self):
        self.before, self.after, self.actions = [], [], {}

    def register(self, extend):
        extend.before(*EVENTS, "auth.login")(self.on_before)
        extend.after(*EVENTS, "auth.login")(self.on_after)

    async def on_before(self, event, directory):
        self.before.append(copied(event))
        action = self.actions.get(event.name)
        return await action(event, directory) if action else None

    async def on_after(self, event, directory):
        self.after.append(copied(event))

    def names(self):
        return [event.name for event in self.after]


def copied(event):
    return replace(event, payload=deepcopy(event.payload))
