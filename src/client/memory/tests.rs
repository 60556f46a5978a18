//! What the in-memory Kinesis answers, through the calls that a consumer makes.
