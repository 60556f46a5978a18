"""Makes kpl.json anew, with Amazon's own aggregator for Python, and reads it back with its deaggregator:

    pip install aws-kinesis-agg==1.2.3 six && python tests/golden/kpl.py > tests/golden/kpl.json
"""

import base64
import hashlib
import json
import random

from aws_kinesis_agg import aggregator, deaggregator

# User records of each aggregate. The first one belongs to the upper half of all hash keys.
SIZES = [1, 2, 3, 7, 20, 50, 120]
KEYS = 5
# User records of the last one, each with a key of its own: of four shards, that of the first key has 9 of them.
MANY = 40


def user(rng, number):
    key = f"key-{rng.randrange(KEYS)}" if number else "key-0"
    data = rng.randbytes(rng.randrange(80))
    explicit = str(rng.randrange(2**128)) if rng.random() < 0.3 else None
    return key, explicit, explicit or hash_key(key), data


def hash_key(key):
    return str(int.from_bytes(hashlib.md5(key.encode()).digest(), "big"))


def of_many_keys(size):
    keys = [f"user-{number}" for number in range(size)]
    return [(key, None, hash_key(key), key.encode()) for key in keys]


def made(users):
    records = aggregator.RecordAggregator()
    for key, explicit, _, data in users:
        if records.add_user_record(key, data, explicit) is not None:
            raise SystemExit("an aggregate was full")
    _, _, aggregate = records.clear_and_get().get_contents()
    read = deaggregator.deaggregate_records([of_kinesis(aggregate)])
    read = [base64.b64decode(record["kinesis"]["data"]) for record in read]
    if read != [data for _, _, _, data in users]:
        raise SystemExit("the deaggregator reads something else")
    records = [{"key": key, "hash_key": hashed, "data": data.hex()} for key, _, hashed, data in users]
    return {"aggregate": aggregate.hex(), "records": records}


def of_kinesis(aggregate):
    data = base64.b64encode(aggregate).decode()
    kinesis = {"data": data, "sequenceNumber": "1", "partitionKey": "outer", "kinesisSchemaVersion": "1"}
    kinesis["approximateArrivalTimestamp"] = 1.0
    names = ["eventID", "eventSource", "eventName", "invokeIdentityArn", "awsRegion", "eventSourceARN", "eventVersion"]
    return {"kinesis": kinesis, **{name: "" for name in names}}


rng = random.Random(2)
all_users = [[user(rng, number) for number in range(size)] for size in SIZES] + [of_many_keys(MANY)]
print(json.dumps([made(users) for users in all_users], indent=0))
