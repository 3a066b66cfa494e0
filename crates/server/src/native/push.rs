//! URLs behind queues: setting them, looking at them, holding them back; and where targets call back.

mod call_back;
mod list;
mod manage;
mod view;

pub(crate) use call_back::CallBack;
pub(crate) use list::List;
pub(super) use manage::note_of;
pub(crate) use manage::{Delete, Get, Pause, Put, Resume};
pub(super) use view::{PushStatus, PushView};
