//! HTTP: one request in, one response out.

mod admin;
mod body;
mod connection;
mod reply;
mod route;

pub(crate) use connection::Connection;
pub(crate) use reply::Reply;
pub(crate) use route::respond;
