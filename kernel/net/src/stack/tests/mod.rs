//! Two stacks and a wire between them that loses, delays, doubles and reorders frames, in simulated time.
mod card;
mod datagrams;
mod dhcp;
mod ends;
mod listening;
mod transfer;
mod world;
