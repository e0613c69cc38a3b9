mod connecting;
mod create;
mod data;
pub(crate) mod double;
mod many;
mod messages;
mod names;
mod options;
