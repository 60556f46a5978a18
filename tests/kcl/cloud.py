"""A stream and a table on the servers of tests/servers, without a signature: they ask for none."""

import base64
import json
import random
import threading
import time
import urllib.error
import urllib.request

CREDENTIAL = "Credential=key/20260101/us-east-1/service/aws4_request, SignedHeaders=host, Signature=0"


class Refused(Exception):
    """The server has answered that it did not do it."""


def call(url, target, version, body):
    headers = {
        "Content-Type": f"application/x-amz-json-{version}",
        "X-Amz-Target": target,
        "X-Amz-Date": "20260101T000000Z",
        "Authorization": f"AWS4-HMAC-SHA256 {CREDENTIAL}",
    }
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            text = answer.read()
    except urllib.error.HTTPError as error:
        raise Refused(f"{target}: {error.code} {error.read().decode()}") from error
    return json.loads(text) if text else {}


def rows(url, table):
    """The whole table, by key; nothing before it is there."""
    body = {"TableName": table, "ConsistentRead": True}
    found = []
    while True:
        try:
            page = call(url, "DynamoDB_20120810.Scan", "1.0", body)
        except Refused as error:
            if "ResourceNotFoundException" in str(error):
                return {}
            raise
        found += page["Items"]
        if "LastEvaluatedKey" not in page:
            return {row["leaseKey"]["S"]: row for row in found}
        body["ExclusiveStartKey"] = page["LastEvaluatedKey"]


class Stream:
    """A stream, and what was put into it."""

    def __init__(self, url, name, shards):
        self.url, self.name = url, name
        self.put = {}  # by its text: the shard and the number of each record
        self._failure = None
        self._stop = threading.Event()
        self._producer = threading.Thread(target=self._produce, daemon=True)
        self._create(shards)
        self._await_active()

    def _ask(self, action, **body):
        return call(self.url, f"Kinesis_20131202.{action}", "1.1", {"StreamName": self.name, **body})

    def _create(self, shards):
        """Waits for a server that has only just begun."""
        for _ in range(60):
            try:
                return self._ask("CreateStream", ShardCount=shards)
            except urllib.error.URLError:
                time.sleep(0.5)
        raise SystemExit(f"no server at {self.url}")

    def _await_active(self):
        while self._ask("DescribeStreamSummary")["StreamDescriptionSummary"]["StreamStatus"] != "ACTIVE":
            time.sleep(0.1)

    def shards(self):
        """By id, also those that are closed."""
        return {shard["ShardId"]: shard for shard in self._ask("ListShards")["Shards"]}

    def open(self):
        """The ids of those that take records, by their hash keys."""
        shards = [it for it in self.shards().values() if not it["SequenceNumberRange"].get("EndingSequenceNumber")]
        return [it["ShardId"] for it in sorted(shards, key=lambda it: int(it["HashKeyRange"]["StartingHashKey"]))]

    def split(self, shard):
        keys = self.shards()[shard]["HashKeyRange"]
        middle = (int(keys["StartingHashKey"]) + int(keys["EndingHashKey"])) // 2 + 1
        self._ask("SplitShard", ShardToSplit=shard, NewStartingHashKey=str(middle))
        self._await_active()

    def merge(self, one, other):
        self._ask("MergeShards", ShardToMerge=one, AdjacentShardToMerge=other)
        self._await_active()

    def start(self):
        """Puts records from now on, about 80 a second."""
        self._producer.start()

    def stop(self):
        """Returns when no more is put; how many were put."""
        self._stop.set()
        self._producer.join()
        if self._failure:
            raise self._failure
        return len(self.put)

    def abandon(self):
        """Whatever has happened."""
        self._stop.set()

    def _produce(self):
        try:
            while not self._stop.wait(0.1):
                self._put([f"{self.name}-{len(self.put) + at}" for at in range(8)])
        except Exception as error:  # told by whoever stops it
            self._failure = error

    def _put(self, texts):
        while texts:
            records = [
                {"PartitionKey": str(random.random()), "Data": base64.b64encode(text.encode()).decode()}
                for text in texts
            ]
            refused = []
            for text, result in zip(texts, self._ask("PutRecords", Records=records)["Records"]):
                if "SequenceNumber" in result and not result.get("ErrorCode"):
                    self.put[text] = (result["ShardId"], int(result["SequenceNumber"]))
                else:
                    refused.append(text)
            texts = refused
