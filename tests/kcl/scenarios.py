"""Runs scenarios with consumers of both kinds, and prints a line of counts for each; run.sh starts it."""

import argparse
import os
import signal
import sys
import time

import check
import fleet

MEMBERS = ["ours-1", "java-1", "ours-2", "java-2"]


def each_has(party, leases, names):
    """These alone hold leases, and each has this many."""
    even = dict.fromkeys(names, leases)
    party.until(f"each of {names} has {leases} leases", lambda: party.held() == even)


def mixed(party):
    """They join one after the other, then nothing moves; and each kind takes from the other one, which lives."""
    party.stream.start()
    for name in MEMBERS:
        party.start(name)
        party.until(f"{name} reads", lambda: any(it.kind == "REC" for it in party.members[name].said))
    each_has(party, 4, MEMBERS)
    time.sleep(party.settings.failover / 1000)  # until whoever has taken the last one says so
    before = sum(check.moves(party).values())
    time.sleep(party.settings.failover * 4 / 1000)
    moves = sum(check.moves(party).values()) - before
    party.end("ours-1", "ours-2")
    each_has(party, 8, ["java-1", "java-2"])
    later = ["ours-3", "ours-4"]
    for name in later:
        party.start(name)
    each_has(party, 4, ["java-1", "java-2", *later])
    return {"moves after the balance": moves}


def stopped(party):
    """One kind stops in good order before the other one begins, both ways."""
    party.is_orderly = True
    party.stream.start()
    for names in [("java-1", "java-2"), ("ours-1", "ours-2"), ("java-3",), ("ours-3",)]:
        for name in names:
            party.start(name)
        party.until_read()
        time.sleep(party.settings.failover / 1000)
        party.end(*names)
    party.start("java-4")
    return {}


def resharded(party):
    """Splits, merges, and a split of a child, while all read."""
    party.stream.start()
    for name in MEMBERS:
        party.start(name)
    each_has(party, 2, MEMBERS)
    for times in range(2):
        opened = party.stream.open()
        for shard in (opened[0], opened[3]):
            party.stream.split(shard)
        party.stream.merge(opened[5], opened[6])
        party.until_read()
        time.sleep(party.settings.failover / 1000)
    children = set(party.stream.shards()) - {f"shardId-{number:012}" for number in range(8)}
    party.until("all children are read", lambda: children <= {it.shard for it in party.said() if it.kind == "REC"})
    ended = set(party.stream.shards()) - set(party.stream.open())
    party.until("all parents are done", lambda: all(
        row["checkpoint"]["S"] == "SHARD_END" for key, row in party.rows().items() if key in ended))
    return {"shards ended": len(ended), "children": len(children)}


def killed(party):
    """One of each kind is killed while all read; the others read on."""
    party.stream.start()
    for name in MEMBERS:
        party.start(name)
    each_has(party, 4, MEMBERS)
    party.members["ours-1"].end(signal.SIGKILL)
    party.members["java-1"].end(signal.SIGKILL)
    end = time.monotonic()
    each_has(party, 8, ["ours-2", "java-2"])
    return {"seconds until all are held": round(time.monotonic() - end)}


SCENARIOS = {"mixed": (mixed, 16), "stopped": (stopped, 8), "resharded": (resharded, 8), "killed": (killed, 16)}


def judge(party, more):
    """All counts of a scenario, and what is wrong with them."""
    counts = {**check.records(party), **more}
    wrong = [f"{name}: {counts[name]}" for name in ("lost", "strange", "without a lease", "unordered", "before its parent") if counts[name]]
    # A worker of Amazon's library that joins takes from another one what that one is handling.
    repeated = sum(count for kinds, count in counts["repeated"].items() if kinds != "java to java")
    if party.is_orderly and repeated:
        wrong.append(f"{repeated} repeated, though every stop was in good order")
    # Positions are stored each fifth of the failover time, and a loss is known at the next sign of life, a third of it
    # later; the machine is busy.
    most = party.settings.failover * (1 / 5 + 1 / 3) + 2000
    if counts["longest work repeated, ms"] > most:
        wrong.append(f"work of more than {most:.0f} ms was repeated")
    begun = check.moves(party)
    if "moves after the balance" in counts:
        wrong += ["leases moved after all had their share"] if counts["moves after the balance"] else []
        wrong += [f"no lease went from {kinds}" for kinds in ("java to ours", "ours to java") if kinds not in begun]
    java = check.logs(party)
    wrong += [f"Amazon's workers: {name}, {java[name]} times" for name in check.LOOPS if java[name]]
    panics = check.panics(party)
    wrong += [f"ours: {panics} panics or errors"] if panics else []
    bad = check.rows(party)
    shown = {**counts, "leases begun": begun, "Java's log": java, "rows": len(party.rows()), "bad rows": len(bad)}
    return shown, wrong + bad


def run(settings, name):
    """Whether the scenario kept to everything."""
    scenario, shards = SCENARIOS[name]
    begun = time.monotonic()
    party = fleet.Fleet(settings, f"{name}-{os.getpid()}", shards)
    try:
        more = scenario(party)
        party.stream.stop()
        party.until_read()
        while_held = check.rows(party)
        party.end()
        shown, wrong = judge(party, more)
        wrong += [f"while all ran, {text}" for text in while_held]
    finally:
        party.stream.abandon()
        party.abandon()
    told = ", ".join(f"{key} {value}" for key, value in shown.items())
    print(f"{name}: {told}; {time.monotonic() - begun:.0f} s", flush=True)
    for text in wrong:
        print(f"    WRONG: {text}", flush=True)
    return not wrong


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that nothing is left running
    parser = argparse.ArgumentParser()
    for name in ("kinesis", "dynamo", "jars", "member", "logs", "failover"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("scenario", nargs="*", choices=[[], *SCENARIOS])
    settings = parser.parse_args()
    settings.failover = int(settings.failover)
    here = os.path.dirname(os.path.abspath(__file__))
    settings.member = [settings.member, "--ignored", "--exact", "beside_kcl::reads", "--nocapture"]
    log = f"-Dlogback.configurationFile={here}/logback.xml"
    settings.java = ["java", "-Xmx256m", "-Daws.cborEnabled=false", log, "-cp", settings.jars]
    done = [run(settings, name) for name in settings.scenario or SCENARIOS]
    sys.exit(0 if all(done) else 1)


main()
