"""The history of every user: all actions, in a database."""

import os
import sqlite3

from weir import batches, say

database = sqlite3.connect(os.environ["HISTORY_DB"])
# Delivery is at least once: an action that comes again finds its row.
database.execute("CREATE TABLE IF NOT EXISTS history (action TEXT PRIMARY KEY, mail TEXT, event TEXT)")
say(ready=True)

for actions in batches("history", max=100):
    with database:
        database.executemany("INSERT OR IGNORE INTO history VALUES (:id, :mail, :event)", actions)
    say(actions=[action["id"] for action in actions])
