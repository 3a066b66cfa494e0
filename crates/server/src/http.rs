//! HTTP: one request in, one response out.

mod admin;
mod body;
mod content;
mod reply;
mod route;

pub(crate) use body::{Unread, read as read_body};
pub(crate) use content::Content;
pub(crate) use reply::Reply;
pub(crate) use route::respond;
