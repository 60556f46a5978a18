//! Positions in Redis, and the contract that every store must keep, run against a real server.
//!
//! `REDIS_URL=redis://127.0.0.1:6379 cargo run --example redis_store`. The server's configuration decides
//! what a position survives: `appendonly yes` and `appendfsync always` survive the loss of power.

use std::process::ExitCode;
use std::time::Duration;

use kinesis_consumer::testing::store_contract;
use kinesis_consumer::{BoxError, Position, Store, StoreError};
use parking_lot::Mutex;
use redis::{Commands as _, Connection, RedisError, RedisResult, RetryMethod, Script};

type Result<T, E = StoreError> = std::result::Result<T, E>;

/// Keys of digits and dots at fixed places: Lua compares them alike in every locale.
const UPDATE: &str = "local stored = redis.call('HGET', KEYS[1], ARGV[1])
    if not stored or ARGV[2] > stored then redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) end";
const DEADLINE: Duration = Duration::from_secs(5);

struct RedisStore {
    client: redis::Client,
    application: String,
    idle: Mutex<Vec<Connection>>,
}

impl RedisStore {
    /// The hash of a stream's positions, by shard. The length keeps two pairs of names apart.
    fn key(&self, stream: &str) -> String {
        format!("kinesis:{}:{}:{stream}", self.application.len(), self.application)
    }

    fn call<T>(&self, call: impl FnOnce(&mut Connection) -> RedisResult<T>) -> Result<T> {
        let idle = self.idle.lock().pop();
        let mut connection = idle.map_or_else(|| connect(&self.client), Ok).map_err(failed)?;
        let answer = call(&mut connection).map_err(failed)?;
        // Only now: after a failure an answer may still come, and would count as the next call's answer.
        self.idle.lock().push(connection);
        Ok(answer)
    }
}

impl Store for RedisStore {
    fn get_shard_iterator(&self, stream: &str, shard: &str) -> Result<Option<Position>> {
        let key: Option<String> = self.call(|redis| redis.hget(self.key(stream), shard))?;
        key.map(|key| position(&key)).transpose()
    }

    fn update_shard_iterator(&self, stream: &str, shard: &str, to: &Position) -> Result<()> {
        let (script, key) = (Script::new(UPDATE), self.key(stream));
        self.call(|redis| script.key(key).arg(shard).arg(to.key()).invoke(redis))
    }

    fn shard_iterators(&self, stream: &str) -> Result<Vec<(String, Position)>> {
        let all: Vec<(String, String)> = self.call(|redis| redis.hgetall(self.key(stream)))?;
        all.into_iter().map(|(shard, key)| Ok((shard, position(&key)?))).collect()
    }

    fn reset_shard_iterator(&self, stream: &str, shard: &str, to: Option<&Position>) -> Result<()> {
        self.call(|redis| match to {
            Some(to) => redis.hset(self.key(stream), shard, to.key()),
            None => redis.hdel(self.key(stream), shard),
        })
    }
}

fn connect(client: &redis::Client) -> RedisResult<Connection> {
    let connection = client.get_connection_with_timeout(DEADLINE)?;
    connection.set_read_timeout(Some(DEADLINE))?;
    connection.set_write_timeout(Some(DEADLINE))?;
    Ok(connection)
}

fn position(key: &str) -> Result<Position> {
    key.parse().map_err(|error| StoreError::fatal("a damaged value").with_source(error))
}

fn failed(error: RedisError) -> StoreError {
    match error.retry_method() {
        RetryMethod::NoRetry => StoreError::fatal("Redis refused").with_source(error),
        _ => StoreError::retry("Redis is out of reach, or busy").with_source(error),
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), BoxError> {
    let Ok(url) = std::env::var("REDIS_URL") else {
        println!("REDIS_URL is not set: no server to run the store contract against");
        return Ok(());
    };
    let client = redis::Client::open(url)?;
    let run = format!("contract-{}", std::process::id());
    store_contract(|check| {
        let application = format!("{run}-{check}");
        RedisStore { client: client.clone(), application, idle: Mutex::default() }
    });

    let mut redis = connect(&client)?;
    let left = redis.scan_match(format!("kinesis:*:{run}-*"))?;
    let left = left.collect::<RedisResult<Vec<String>>>()?;
    redis.del::<_, ()>(left)?;
    println!("the store contract holds");
    Ok(())
}
