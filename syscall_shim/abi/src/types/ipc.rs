//! Message queues.

abi_struct! {
    /// `struct mq_attr`.
    MqAttr [64] { flags: i64, maxmsg: i64, msgsize: i64, curmsgs: i64, reserved: [i64; 4], }
}
