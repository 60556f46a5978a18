//! The leases of a fleet: what a row of the table says, and which writes there are. Pure, as all that decides.

pub(crate) mod checkpoint;
pub(crate) mod names;
pub(crate) mod refused;
pub(crate) mod row;
pub(crate) mod writes;

#[cfg(test)]
mod tests;
