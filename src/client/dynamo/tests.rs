//! A table in DynamoDB.

mod costs;
