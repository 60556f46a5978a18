//! The leases of a fleet: what a row of the table says, which writes there are, which rows come and go, which protocol is
//! spoken. Pure, as all that decides.

pub(crate) mod ancestry;
pub(crate) mod audit;
pub(crate) mod births;
pub(crate) mod checkpoint;
pub(crate) mod names;
pub(crate) mod protocol;
pub(crate) mod refused;
pub(crate) mod row;
pub(crate) mod writes;

#[cfg(test)]
mod tests;
