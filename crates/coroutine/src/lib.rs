//! Lets a host function of a script wait.
//!
//! A script calls `http.get()` and expects the answer; the host has one thread for hundreds of
//! scripts. Each script therefore runs on a stack of its own: where it must wait, that stack is put
//! aside, and taken up again once there is what it waited for.
