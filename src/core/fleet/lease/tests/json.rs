//! Rows as DynamoDB writes them in JSON.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::model::item::{Attribute, Item};

pub(super) fn item(text: &str) -> Item {
    from_map(serde_json::from_str(text).unwrap())
}

pub(super) fn to_json(item: &Item) -> Value {
    Value::Object(item.iter().map(|(name, value)| (name.clone(), written(value))).collect())
}

fn from_map(map: Map<String, Value>) -> Item {
    map.into_iter().map(|(name, value)| (name, value_of(value))).collect()
}

fn value_of(value: Value) -> Attribute {
    let Value::Object(typed) = value else { panic!("no type: {value}") };
    let (kind, value) = typed.into_iter().next().unwrap();
    match (kind.as_str(), value) {
        ("S", Value::String(text)) => Attribute::S(text),
        ("N", Value::String(text)) => Attribute::N(text),
        ("B", Value::String(text)) => Attribute::B(bytes(&text)),
        ("SS", Value::Array(texts)) => Attribute::Ss(strings(texts).collect()),
        ("NS", Value::Array(texts)) => Attribute::Ns(strings(texts).collect()),
        ("BS", Value::Array(texts)) => Attribute::Bs(strings(texts).map(|it| bytes(&it)).collect()),
        ("M", Value::Object(map)) => Attribute::M(from_map(map)),
        ("L", Value::Array(list)) => Attribute::L(list.into_iter().map(value_of).collect()),
        ("BOOL", Value::Bool(is)) => Attribute::Bool(is),
        ("NULL", Value::Bool(true)) => Attribute::Null,
        (kind, value) => panic!("no value of type {kind}: {value}"),
    }
}

fn written(value: &Attribute) -> Value {
    match value {
        Attribute::S(text) => json!({"S": text}),
        Attribute::N(text) => json!({"N": text}),
        Attribute::B(bytes) => json!({"B": base64(bytes)}),
        Attribute::Ss(texts) => json!({"SS": texts}),
        Attribute::Ns(texts) => json!({"NS": texts}),
        Attribute::Bs(all) => {
            json!({"BS": all.iter().map(|it| base64(it)).collect::<BTreeSet<_>>()})
        }
        Attribute::M(map) => json!({"M": to_json(map)}),
        Attribute::L(list) => json!({"L": list.iter().map(written).collect::<Vec<_>>()}),
        Attribute::Bool(is) => json!({"BOOL": is}),
        Attribute::Null => json!({"NULL": true}),
    }
}

fn strings(texts: Vec<Value>) -> impl Iterator<Item = String> {
    texts.into_iter().map(|it| it.as_str().unwrap().to_owned())
}

fn bytes(text: &str) -> Vec<u8> {
    base64_simd::STANDARD.decode_to_vec(text).unwrap()
}

fn base64(bytes: &[u8]) -> String {
    base64_simd::STANDARD.encode_to_string(bytes)
}
