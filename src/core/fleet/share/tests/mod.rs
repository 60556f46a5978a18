//! Surveys, decisions, and many workers over one table of rows in virtual time.

mod balance;
mod cases;
mod scale;
mod survey;
mod world;
