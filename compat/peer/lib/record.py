"""Records the events of a sentinel, and takes out of them what is chance."""
import itertools
import re
import threading

from resp import Closed, Connection, plain


class Recorder:
    """Collects the events of one sentinel."""

    def __init__(self, sentinel):
        self.connection = Connection(sentinel.port, timeout=None)
        self.connection.call("PSUBSCRIBE", "*")
        self.lines = []
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        try:
            while True:
                _, _, channel, payload = plain(self.connection.read())
                self.lines.append(f"{channel} {payload}")
        except (Closed, OSError, ValueError):
            pass

    def saw(self, start):
        return any(line.startswith(start) for line in self.lines)

    def take(self):
        lines, self.lines = self.lines, []
        return lines


def decided(lines):
    """Without elections that nobody won (two candidates at once is chance), and without the number of the epoch."""
    election = ("+new-epoch", "+try-failover", "+vote-for-leader", "-failover-abort-not-elected")
    last = max((index for index, line in enumerate(lines) if line.startswith("+new-epoch")), default=0)
    kept = [line for index, line in enumerate(lines) if index >= last or not line.startswith(election)]
    return [re.sub(r"^(\+new-epoch|\+vote-for-leader .*) \d+$", r"\1 <epoch>", line) for line in kept]


def in_order(lines):
    """The same lines; what several entries of one table say at once comes in the table's order, which means nothing."""
    runs = itertools.groupby(lines, key=lambda line: line.split(" ")[0])
    return [line for channel, run in runs for line in (sorted(run) if channel in ("+slave", "+reset-master") else run)]
