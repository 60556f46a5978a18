//! Answers as Amazon gives them where the embedded server does not.

use std::io;

use serde_json::{Value, json};

use super::fault::Fault;
use super::http::{Message, Upstream};
use super::request::{Operation, Request};

/// The server sends one or two empty answers before the end of a shard.
const PEEKS: usize = 3;

/// One call to the server, and what is changed in its answer.
pub(super) struct Rewriter<'a> {
    pub(super) upstream: &'a mut Upstream,
    pub(super) request: &'a Request,
    pub(super) message: &'a Message,
}

impl Rewriter<'_> {
    /// The server's answer. It knows no pages: for another one it lists all shards again.
    pub(super) fn forward(&mut self) -> io::Result<Message> {
        let Some((from, stream)) = self.page() else { return self.upstream.call(self.message) };
        let answer = self.call("ListShards", &json!({ "StreamName": stream }))?;
        Ok(edit(answer, |body| {
            let shards = body["Shards"].as_array_mut()?;
            shards.drain(..from.min(shards.len()));
            Some(())
        })
        .0)
    }

    /// The answer with this done to it, and whether that made a difference.
    pub(super) fn apply(&mut self, fault: &Fault, answer: Message) -> io::Result<(Message, bool)> {
        use Operation::{GetRecords, ListNextShards, ListShards};
        match (fault, self.request.operation) {
            (Fault::Paged(size), ListShards | ListNextShards) => Ok(self.cut_page(*size, answer)),
            (Fault::ChildShards, GetRecords) => self.announce_children(answer),
            (Fault::EndsWithRecords, GetRecords) => self.end_with_records(answer),
            _ => Ok((answer, false)),
        }
    }

    fn cut_page(&self, size: usize, answer: Message) -> (Message, bool) {
        let page = self.page();
        let from = page.as_ref().map_or(0, |(from, _)| *from);
        let stream = page.map(|(_, stream)| stream).or(self.request.stream.clone());
        edit(answer, |body| {
            let shards = body["Shards"].as_array_mut().filter(|shards| shards.len() > size)?;
            shards.truncate(size);
            body["NextToken"] = json!(format!("page:{}:{}", from + size, stream?));
            Some(())
        })
    }

    /// Which page is asked for: after how many shards, and of which stream.
    fn page(&self) -> Option<(usize, String)> {
        let token = self.request.token.as_deref()?.strip_prefix("page:")?;
        let (from, stream) = token.split_once(':')?;
        Some((from.parse().ok()?, stream.into()))
    }

    fn announce_children(&mut self, answer: Message) -> io::Result<(Message, bool)> {
        if next(&answer).is_some() || !answer.is_ok() {
            return Ok((answer, false));
        }
        let listed = self.call("ListShards", &json!({ "StreamName": self.request.stream }))?;
        let listed = parse(&listed);
        let shard = self.request.shard.as_deref();
        let parents = |child: &Value| {
            ["ParentShardId", "AdjacentParentShardId"].map(|name| child[name].clone())
        };
        let children = listed["Shards"].as_array().into_iter().flatten();
        let children =
            children.filter(|child| parents(child).iter().any(|it| it.as_str() == shard));
        let children: Vec<Value> = children
            .map(|child| {
                let mut parents = parents(child).to_vec();
                parents.retain(Value::is_string);
                json!({
                    "ShardId": child["ShardId"],
                    "ParentShards": parents,
                    "HashKeyRange": child["HashKeyRange"],
                })
            })
            .collect();
        Ok(edit(answer, |body| {
            body["ChildShards"] =
                Value::Array(children).as_array().filter(|all| !all.is_empty())?.clone().into();
            Some(())
        }))
    }

    /// Looks whether only the end follows these records.
    fn end_with_records(&mut self, answer: Message) -> io::Result<(Message, bool)> {
        let is_empty = parse(&answer)["Records"].as_array().is_none_or(Vec::is_empty);
        let mut token = next(&answer).filter(|_| !is_empty);
        for _ in 0..PEEKS {
            let Some(known) = token.take() else { break };
            let peek = self.call("GetRecords", &json!({ "ShardIterator": known }))?;
            if parse(&peek)["Records"].as_array().is_none_or(|records| !records.is_empty()) {
                break;
            }
            token = next(&peek);
            if token.is_none() {
                return Ok(edit(answer, |body| {
                    body["NextShardIterator"] = Value::Null;
                    Some(())
                }));
            }
        }
        Ok((answer, false))
    }

    /// Another call in the name of the same client.
    fn call(&mut self, operation: &str, body: &Value) -> io::Result<Message> {
        let target = format!("Kinesis_20131202.{operation}");
        let message = self.message.clone().with_header("x-amz-target", target);
        self.upstream.call(&message.with_body(body.to_string()))
    }
}

fn parse(message: &Message) -> Value {
    serde_json::from_slice(&message.body).unwrap_or_default()
}

fn next(answer: &Message) -> Option<String> {
    parse(answer)["NextShardIterator"].as_str().map(str::to_owned)
}

/// The answer with its body changed, and whether it was.
fn edit(answer: Message, change: impl FnOnce(&mut Value) -> Option<()>) -> (Message, bool) {
    let mut body = parse(&answer);
    match change(&mut body) {
        Some(()) => (answer.with_body(body.to_string()), true),
        None => (answer, false),
    }
}
