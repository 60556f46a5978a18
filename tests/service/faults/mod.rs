//! A consumer whose calls go wrong in every way that the fault layer knows.

mod amazon;
mod bodies;
mod connections;
mod contract;
mod deadlines;
mod layer;
mod lineage;
mod refusals;
mod streams;
mod trial;
