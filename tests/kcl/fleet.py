"""Consumers in processes of their own, of both kinds, and what each of them says."""

import os
import re
import signal
import subprocess
import threading
import time
from collections import Counter
from dataclasses import dataclass

import cloud

KINDS = "INIT|REC|END|LOST|RELEASED|FENCED|UNFENCED|UNCOMMITTED|STOPPED|UNSTOPPED|FAILED|ROW"
LINE = re.compile(rf"\b({KINDS}) (\d{{13}}) (\S+) ?(.*)")
ENDS = {"STOPPED", "UNSTOPPED", "FAILED"}
PATIENCE = 300  # seconds: for what is sure to come


@dataclass
class Said:
    """A line of a consumer."""

    kind: str
    millis: int
    shard: str
    more: str
    who: str
    number: int = 0
    data: str = ""


class Member:
    """A consumer, which runs or has run."""

    def __init__(self, name, command, environment, log):
        self.name, self.log, self.said = name, log, []
        self.is_java = command[0].endswith("java")
        with open(log, "w") as stderr:
            self._process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=stderr, text=True, env={**os.environ, **environment}
            )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self._process.stdout:
            found = LINE.search(line)
            if found:
                kind, millis, shard, more = found.groups()
                said = Said(kind, int(millis), shard, more, self.name)
                if kind == "REC":
                    number, said.data = more.split(" ", 1)
                    said.number = int(number)
                self.said.append(said)

    def is_running(self):
        return self._process.poll() is None

    def end(self, by=signal.SIGTERM):
        """Returns when it has ended, by itself or by SIGKILL, with the last that it said of that."""
        self._process.send_signal(by)
        self._process.wait(PATIENCE)
        self._reader.join()
        return next((it.kind for it in reversed(self.said) if it.kind in ENDS), None)


class Fleet:
    """Consumers of a stream over one table."""

    def __init__(self, settings, name, shards):
        self.settings, self.name = settings, name
        self.stream = cloud.Stream(settings.kinesis, name, shards)
        self.members = {}
        self.is_orderly = False  # whether nothing is taken that somebody has not given up

    def start(self, name):
        """Its name begins with its kind."""
        there = self.settings
        environment = {
            "MEMBER_ID": name,
            "MEMBER_TABLE": self.name,
            "MEMBER_STREAM": self.name,
            "MEMBER_FAILOVER": str(there.failover),
            "MEMBER_PATIENCE": str(there.failover),
        }
        log = os.path.join(there.logs, f"{self.name}-{name}.log")
        command = self._java(self.name, name) if name.startswith("java") else there.member
        self.members[name] = Member(name, command, environment, log)

    def _java(self, stream, name):
        there = self.settings
        arguments = [self.name, stream, name, there.kinesis, there.dynamo, str(there.failover)]
        return [*there.java, "Worker", *arguments]

    def said(self):
        """Every line so far, in the order of their times."""
        every = [line for member in self.members.values() for line in list(member.said)]
        return sorted(every, key=lambda line: line.millis)

    def rows(self):
        return cloud.rows(self.settings.dynamo, self.name)

    def rows_by_java(self):
        """The keys of the rows, as Amazon's library reads them."""
        done = subprocess.run(self._java("rows", "reader"), capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"Amazon's library cannot read the table:\n{done.stdout}{done.stderr}")
        return {found[3] for found in LINE.finditer(done.stdout)}

    def held(self):
        """How many rows each has that are not done; nothing while one is asked for."""
        rows = [row for row in self.rows().values() if row["checkpoint"]["S"] != "SHARD_END"]
        if any("checkpointOwner" in row or "leaseOwner" not in row for row in rows):
            return None
        return Counter(row["leaseOwner"]["S"] for row in rows)

    def until(self, what, holds):
        """Waits for something that is sure to come."""
        end = time.monotonic() + PATIENCE
        while not holds():
            gone = [it.name for it in self.members.values() if not it.is_running() and it.said[-1:] == []]
            if gone:
                raise SystemExit(f"{self.name}: {gone} ended before anything was said: see {self.settings.logs}")
            if time.monotonic() > end:
                raise SystemExit(f"{self.name}: in {PATIENCE} s it did not come that {what}; {self.held()}")
            time.sleep(0.25)

    def until_read(self):
        """Until every record that was put so far has been read; at least one."""
        self.until("something is put", lambda: self.stream.put)
        put = set(self.stream.put)
        self.until("all was read", lambda: put <= {it.data for it in self.said() if it.kind == "REC"})

    def end(self, *names):
        """Stops them one after the other, or all that run.

        Also without others on the table, a worker of KCL 2.5.8 waits in vain for the end of each shard that it has read to
        its end before the stop: it gives that up after 10 s.
        """
        may_hang = set(self.stream.shards()) != set(self.stream.open())
        for name in names or [it.name for it in self.members.values() if it.is_running()]:
            member = self.members[name]
            ended = member.end()
            if ended != "STOPPED" and not (ended == "UNSTOPPED" and may_hang):
                raise SystemExit(f"{name} did not stop in good order, but {ended}: see {member.log}")

    def abandon(self):
        """Ends whatever still runs, and keeps what all have said."""
        for member in self.members.values():
            if member.is_running():
                member.end(signal.SIGKILL)
        with open(os.path.join(self.settings.logs, f"{self.name}.txt"), "w") as kept:
            kept.writelines(f"{it.millis} {it.who} {it.kind} {it.shard} {it.more}\n" for it in self.said())
