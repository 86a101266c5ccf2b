"""Renders replies line by line, compares two programs' lines, and knows which differences are tolerated."""
import difflib
import re


def render(reply, depth=0):
    """A reply as lines with its types: what a client can tell apart is a difference here."""
    kind, value = reply
    blank = "  " * depth
    if isinstance(value, list):
        lines = [f"{blank}{kind}{len(value) // (2 if kind in '%|' else 1)}"]
        for item in value:
            lines += render(item, depth + 1)
        return lines
    if value is None:
        return [f"{blank}{kind}-1"]
    if "\n" in value:
        return [f"{blank}{kind} text"] + [f"{blank}  {line}" for line in value.rstrip().splitlines()]
    return [f"{blank}{kind}{value!r}" if kind == "$" else f"{blank}{kind}{value}"]


def ordered(reply, depth):
    """The same reply with arrays sorted down to a depth: where the order is that of a hash table."""
    kind, value = reply
    if not isinstance(value, list) or depth == 0:
        return reply
    items = [ordered(item, depth - 1) for item in value]
    if kind == "%":
        couples = sorted((items[at:at + 2] for at in range(0, len(items), 2)), key=repr)
        return (kind, [item for couple in couples for item in couple])
    return (kind, sorted(items, key=repr))


# Fields of entries whose value is a time or a counter of the moment.
MOMENTS = (
    "link-pending-commands|last-ping-sent|last-ok-ping-reply|last-ping-reply|s-down-time|o-down-time|info-refresh"
    "|role-reported-time|last-hello-message|slave-repl-offset|run-time|run-delay|id|redirect|age-seconds"
)


class Names:
    """What differs between two runs anyway, and the name that stands for it."""

    def __init__(self):
        self.texts = {}

    def add(self, text, name):
        """`text` (a port, an id) is shown as `<name>`."""
        self.texts[str(text)] = f"<{name}>"

    def normalise(self, lines):
        out, moment = [], False
        for line in lines:
            for text in sorted(self.texts, key=len, reverse=True):
                line = re.sub(rf"(?<![0-9a-zA-Z]){re.escape(text)}(?![0-9a-zA-Z])", self.texts[text], line)
            line = re.sub(r"\b[0-9a-f]{40}\b", "<40 hex>", line)
            if moment:
                line = re.sub(r"^( *)(\$'-?[\d.]+'|:\d+|,[\d.]+)$", r"\1<moment>", line)
            moment = re.match(rf"^ *\$'({MOMENTS})'$", line) is not None
            out.append(line)
        return out


class Tolerated:
    """The list of differences that are meant: `CASE ~ LINE # REASON`, both regular expressions.

    Each line in which the two programs differ (with its + or -) must match an entry of its case.
    An entry that matches nothing is stale, which is an error as well; `~?` marks what is chance.
    """

    def __init__(self, path):
        self.entries = []
        with open(path, encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                line = line.rstrip("\n")
                if not line or line.startswith("#"):
                    continue
                match = re.fullmatch(r"(.*?) ~(\??) (.*) # (.*)", line)
                if not match:
                    raise SystemExit(f"{path}:{number}: not `CASE ~ LINE # REASON`")
                self.entries.append({"line": number, "case": re.compile(match[1]), "text": re.compile(match[3]), "used": bool(match[2])})
        self.path = path

    def allows(self, case, difference):
        for entry in self.entries:
            if entry["case"].fullmatch(case) and entry["text"].fullmatch(difference):
                entry["used"] = True
                return True
        return False

    def stale(self):
        return [f"{self.path}:{entry['line']}" for entry in self.entries if not entry["used"]]


class Report:
    """Counts what was compared and prints what differs."""

    def __init__(self, tolerated):
        self.tolerated = tolerated
        self.compared = 0
        self.failed = 0

    def compare(self, case, stock, vigia):
        """One case: the lines of both programs, already normalised."""
        self.compared += 1
        diff = [line for line in difflib.unified_diff(stock, vigia, "redis-sentinel", "vigia", lineterm="", n=2)]
        wrong = [line for line in diff[2:] if line[0] in "+-" and not self.tolerated.allows(case, line)]
        if wrong:
            self.failed += 1
            print(f"DIFFERS: {case}")
            print("\n".join("    " + line for line in diff))

    def finish(self, partial=False):
        """The exit status. When only a part was compared, nothing is known to be stale."""
        stale = [] if partial else self.tolerated.stale()
        for place in stale:
            print(f"STALE: {place} tolerates what does not differ any more")
        count = len(self.tolerated.entries)
        print(f"{self.compared} compared, {self.failed} differ, {count} tolerated differences, {len(stale)} of them stale")
        return 1 if self.failed or stale else 0
