//! As much of PromQL as the manual's alerts need.

use std::collections::BTreeMap;
use std::time::Duration;

use super::series::{Labels, Sample, Series};

/// The table of alerts by name, with each time in it so much shorter.
pub(crate) fn alerts(faster: f64) -> BTreeMap<String, Alert> {
    let text = include_str!("../../../src/manual/monitoring.md");
    let (_, table) = text.split_once("| alert | expression |").unwrap();
    let rows = table.lines().skip(2).take_while(|line| line.starts_with("| "));
    let alert = |line: &str| {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let expression = cells[2].trim_matches('`').to_owned();
        (cells[1].to_owned(), Alert { expression, faster })
    };
    rows.map(alert).collect()
}

pub(crate) struct Alert {
    expression: String,
    faster: f64,
}

/// What an expression is worth.
enum Value {
    Number(f64),
    Vector(Vec<(Labels, f64)>),
}

impl Alert {
    /// Whether it is true of any series.
    pub(crate) fn is_raised(&self, series: &Series) -> bool {
        let tokens = tokens(&self.expression);
        // Counts of things that happened are what they are, in however little time.
        let is_time = self.expression.contains("_seconds");
        let faster = if is_time { self.faster } else { 1.0 };
        let mut parser = Parser { tokens: &tokens, series, window: self.faster, number: faster };
        let value = parser.unless();
        assert!(parser.tokens.is_empty(), "{}: {:?}", self.expression, parser.tokens);
        match value {
            Value::Vector(vector) => !vector.is_empty(),
            Value::Number(_) => panic!("{} compares nothing", self.expression),
        }
    }
}

struct Parser<'a> {
    tokens: &'a [String],
    series: &'a Series,
    /// How much shorter windows are, and smaller the numbers that are compared with.
    window: f64,
    number: f64,
}

impl Parser<'_> {
    fn unless(&mut self) -> Value {
        let Value::Vector(mut left) = self.comparison() else { panic!("a vector before `unless`") };
        if self.takes("unless") {
            let Value::Vector(right) = self.comparison() else { panic!("a vector") };
            left.retain(|(labels, _)| right.iter().all(|(other, _)| other != labels));
        }
        Value::Vector(left)
    }

    fn comparison(&mut self) -> Value {
        let left = self.difference();
        let Some(operator) = self.tokens.first().filter(|it| [">", "=="].contains(&it.as_str()))
        else {
            return left;
        };
        self.expects(operator);
        let Value::Vector(mut vector) = left else { panic!("a vector before {operator}") };
        let right = match self.tokens.first().and_then(|token| token.parse::<f64>().ok()) {
            Some(number) => {
                self.next();
                Value::Number(number / self.number)
            }
            None => self.difference(),
        };
        let is_so =
            |value: f64, bound| if operator == ">" { value > bound } else { value == bound };
        vector.retain(|(labels, value)| match &right {
            Value::Number(bound) => is_so(*value, *bound),
            Value::Vector(right) => {
                let same = right.iter().find(|(other, _)| other == labels);
                same.is_some_and(|(_, bound)| is_so(*value, *bound))
            }
        });
        Value::Vector(vector)
    }

    fn difference(&mut self) -> Value {
        let left = self.term();
        if !self.takes("-") {
            return left;
        }
        match (left, self.term()) {
            (Value::Number(left), Value::Vector(right)) => {
                Value::Vector(right.into_iter().map(|(labels, it)| (labels, left - it)).collect())
            }
            _ => panic!("a number less a vector"),
        }
    }

    fn term(&mut self) -> Value {
        match self.next() {
            "time" => {
                self.expects("(");
                self.expects(")");
                Value::Number(self.series.now())
            }
            operator @ ("sum" | "max") => {
                self.expects("by");
                let labels = self.names();
                self.expects("(");
                let Value::Vector(vector) = self.unless() else { panic!("a vector") };
                self.expects(")");
                Value::Vector(aggregate(operator, &labels, vector))
            }
            function @ ("rate" | "increase") => {
                self.expects("(");
                let name = self.next();
                let (matchers, window) = (self.matchers(), self.window());
                self.expects(")");
                let change = |samples: &[Sample]| match samples {
                    [(_, first), .., (_, last)] if function == "increase" => Some(last - first),
                    [(from, first), .., (to, last)] => Some((last - first) / (to - from)),
                    _ => None,
                };
                Value::Vector(self.select(name, &matchers, window, change))
            }
            name => {
                let matchers = self.matchers();
                let last = |samples: &[Sample]| samples.last().map(|(_, value)| *value);
                Value::Vector(self.select(name, &matchers, Duration::ZERO, last))
            }
        }
    }

    fn select(
        &self,
        name: &str,
        matchers: &[(String, bool, String)],
        window: Duration,
        of: impl Fn(&[Sample]) -> Option<f64>,
    ) -> Vec<(Labels, f64)> {
        let found = self.series.of_metric(name, window);
        let found = found.filter(|(labels, _)| {
            matchers.iter().all(|(key, equals, value)| (labels.get(key) == Some(value)) == *equals)
        });
        found.filter_map(|(labels, samples)| Some((labels.clone(), of(samples)?))).collect()
    }

    /// `(a, b)`
    fn names(&mut self) -> Vec<String> {
        self.expects("(");
        let mut names = vec![self.next().to_owned()];
        while self.takes(",") {
            names.push(self.next().to_owned());
        }
        self.expects(")");
        names
    }

    /// `{a="b", c!="d"}`, or nothing
    fn matchers(&mut self) -> Vec<(String, bool, String)> {
        let mut matchers = Vec::new();
        if self.takes("{") {
            loop {
                let (key, operator) = (self.next().to_owned(), self.next());
                let equals = operator == "=";
                matchers.push((key, equals, self.next().trim_matches('"').to_owned()));
                if !self.takes(",") {
                    break;
                }
            }
            self.expects("}");
        }
        matchers
    }

    /// `[5m]`
    fn window(&mut self) -> Duration {
        self.expects("[");
        let minutes = self.next().strip_suffix('m').unwrap().parse::<f64>().unwrap();
        self.expects("]");
        Duration::from_secs_f64(minutes * 60.0 / self.window)
    }

    fn next<'t>(&mut self) -> &'t str
    where
        Self: 't,
    {
        let (first, rest) = self.tokens.split_first().expect("the expression ends too early");
        self.tokens = rest;
        first
    }

    fn takes(&mut self, wanted: &str) -> bool {
        let is_there = self.tokens.first().is_some_and(|token| token == wanted);
        if is_there {
            self.tokens = &self.tokens[1..];
        }
        is_there
    }

    fn expects(&mut self, wanted: &str) {
        assert!(self.takes(wanted), "{wanted:?} is missing at {:?}", self.tokens);
    }
}

fn aggregate(operator: &str, by: &[String], vector: Vec<(Labels, f64)>) -> Vec<(Labels, f64)> {
    let mut groups: BTreeMap<Labels, f64> = BTreeMap::new();
    for (mut labels, value) in vector {
        labels.retain(|key, _| by.contains(key));
        let group = groups.entry(labels);
        let join = |it: &mut f64| *it = if operator == "sum" { *it + value } else { it.max(value) };
        group.and_modify(join).or_insert(value);
    }
    groups.into_iter().collect()
}

fn tokens(text: &str) -> Vec<String> {
    let (mut tokens, mut rest) = (Vec::new(), text.trim_start());
    while let Some(first) = rest.chars().next() {
        let is_word = |it: char| it.is_ascii_alphanumeric() || "_.".contains(it);
        let length = match first {
            '"' => rest[1..].find('"').unwrap() + 2,
            _ if is_word(first) => rest.find(|it| !is_word(it)).unwrap_or(rest.len()),
            _ if rest.starts_with("==") || rest.starts_with("!=") => 2,
            _ => 1,
        };
        tokens.push(rest[..length].to_owned());
        rest = rest[length..].trim_start();
    }
    tokens
}
