//! Two stacks and a wire between them, in simulated time.
mod cookies;
mod datagrams;
mod dhcp;
mod ends;
mod listening;
mod malformed;
mod path_mtu;
mod transfer;
