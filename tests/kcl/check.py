"""What a fleet must have kept to, counted from the lines of its members and from its table."""

import re
from collections import Counter, defaultdict

TEXTS = {"leaseKey", "leaseOwner", "checkpoint", "startingHashKey", "endingHashKey", "checkpointOwner"}
NUMBERS = {"leaseCounter", "checkpointSubSequenceNumber", "ownerSwitchesSinceCheckpoint"}
SETS = {"parentShardId", "childShardIds"}
OURS = {"kcHolder": "S", "kcFrom": "N", "kcEnd": "S", "kcFailover": "N", "kcLimit": "N", "kcAsker": "S", "kcStream": "S", "kcFormat": "N"}
NEEDED = {"leaseKey", "leaseCounter", "checkpoint", "checkpointSubSequenceNumber", "ownerSwitchesSinceCheckpoint"}
WORDS = {"TRIM_HORIZON", "LATEST", "AT_TIMESTAMP", "SHARD_END"}
LOOPS = {
    "NullPointerException": r"NullPointerException",
    "taking failed": r"(LeasingException|Throwable) encountered in lease taking thread",
    "renewing failed": r"(LeasingException|Throwable) encountered in lease renewing thread",
}
# A row that a consumer of ours has given back counts for a worker without a name until the failover time is over. Where that
# one has more rows than any other, the library fails to steal from it; its next round takes these rows, as it would have.
STEALS_FROM_NOBODY = re.compile(
    r"^\S+ ERROR \S+ Throwable encountered in lease taking thread\s*\n"
    r"java\.lang\.NullPointerException.*\n\s+at \S+\.chooseLeasesToSteal",
    re.MULTILINE,
)


def records(fleet):
    """Counts of the records, by name."""
    put, said = fleet.stream.put, fleet.said()
    reads = [line for line in said if line.kind == "REC"]
    first = {}
    for line in reads:
        first.setdefault(line.data, line)
    strange = [it for it in reads if put.get(it.data) != (it.shard, it.number)]
    tenures, stray = _tenures(said)
    again = [repeats for tenure in tenures for repeats in _again(tenure, first)]
    spans = [_span([first[it.data] for it in repeats]) for repeats in again]
    return {
        "put": len(put),
        "by Java": sum(line.who.startswith("java") for line in reads),
        "by ours": sum(line.who.startswith("ours") for line in reads),
        "repeated": _repeats(again, first),
        "lost": len(set(put) - set(first)),
        "strange": len(strange),
        "without a lease": stray,
        "unordered": sum(_unordered(tenure) for tenure in tenures),
        "before its parent": _early(fleet.stream.shards(), first, put),
        "most repeated at a move": max(map(len, again), default=0),
        "longest work repeated, ms": max(spans, default=0),
    }


def moves(fleet):
    """How often a lease began, by kind of the one before and of the one after."""
    last, found = {}, Counter()
    for line in fleet.said():
        if line.kind == "INIT":
            found[_kinds(last.get(line.shard, "nobody"), line.who)] += 1
            last[line.shard] = line.who
    return dict(sorted(found.items()))


def logs(fleet):
    """Failures in the logs of Amazon's workers."""
    text = "".join(open(it.log).read() for it in fleet.members.values() if it.is_java)
    text, known = STEALS_FROM_NOBODY.subn("", text)
    found = {name: len(re.findall(pattern, text)) for name, pattern in LOOPS.items()}
    return {"steals from nobody": known, **found, "ERROR": len(re.findall(r"^\S+ ERROR ", text, re.MULTILINE))}


def panics(fleet):
    """Panics and errors in the logs of ours."""
    text = "".join(open(it.log).read() for it in fleet.members.values() if not it.is_java)
    return len(re.findall(r"panicked at|^\d+ ERROR ", text, re.MULTILINE))


def rows(fleet):
    """What is wrong with the rows; those that a consumer of ours has held are told apart by our attributes."""
    table, wrong = fleet.rows(), []
    ours = {line.shard for line in fleet.said() if line.kind == "INIT" and line.who.startswith("ours")}
    for key, row in table.items():
        wrong += [f"{key}: {text}" for text in _row(row, key in ours)]
    unread = set(table) ^ fleet.rows_by_java()
    return wrong + [f"{key}: Amazon's library does not see it as a lease" for key in unread]


def _row(row, was_ours):
    types = {**dict.fromkeys(TEXTS, "S"), **dict.fromkeys(NUMBERS, "N"), **dict.fromkeys(SETS, "SS"), **OURS}
    for name, value in row.items():
        if types.get(name) is None or list(value) != [types[name]]:
            yield f"{name} is {value}"
    for name in NEEDED - set(row):
        yield f"it has no {name}"
    at = row["checkpoint"]["S"]
    if at not in WORDS and not at.isdigit():
        yield f"its checkpoint is {at}"
    if not all(0 <= int(row.get(name, {}).get("N", -1)) < 2**63 for name in NUMBERS):
        yield "a number is none of Java's"
    if was_ours and not {"kcFailover", "kcStream", "kcFormat"} <= set(row):
        yield "it was held by ours, and does not say so"
    owner = row.get("checkpointOwner", row.get("leaseOwner", {})).get("S", "")
    if owner.startswith("ours") and not row.get("kcHolder", {}).get("S", "").startswith(owner + "/"):
        yield f"{owner} has it without a tenure"


def _tenures(said):
    """Records of each time that one consumer had a shard; and how many it handled before that, or after it gave the shard up."""
    running, every, stray = {}, [], 0
    for line in said:
        at = (line.who, line.shard)
        if line.kind == "INIT":
            running[at] = []
            every.append(running[at])
        elif line.kind == "RELEASED":
            running.pop(at, None)
        elif line.kind == "REC" and at in running:
            running[at].append(line)
        elif line.kind == "REC":
            stray += 1
    return every, stray


def _again(tenure, first):
    """What was handled before, by who did that: a lease comes from one consumer, and goes to another one."""
    found = defaultdict(list)
    for line in tenure:
        if first[line.data] is not line:
            found[first[line.data].who].append(line)
    return found.values()


def _kinds(before, after):
    return f"{before.split('-')[0]} to {after.split('-')[0]}"


def _repeats(again, first):
    """By kind of who handled the record first, and of who did so again."""
    found = Counter(_kinds(first[it.data].who, it.who) for repeats in again for it in repeats)
    return dict(sorted(found.items()))


def _unordered(tenure):
    return sum(later.number <= earlier.number for earlier, later in zip(tenure, tenure[1:]))


def _span(lines):
    times = [line.millis for line in lines]
    return max(times) - min(times) if times else 0


def _early(shards, first, put):
    """Records of a parent that were first read after the first record of a child."""
    begun, found = {}, 0
    for line in first.values():
        begun[line.shard] = min(line.millis, begun.get(line.shard, line.millis))
    children = defaultdict(list)
    for shard, listed in shards.items():
        for parent in ("ParentShardId", "AdjacentParentShardId"):
            children[listed.get(parent)].append(shard)
    for line in first.values():
        found += any(begun.get(child, line.millis) < line.millis for child in children[line.shard])
    return found
