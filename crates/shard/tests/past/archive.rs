//! A data directory as text, small enough to be kept: most of its files is nothing, or the same again and again.
//!
//! A line `file NAME BYTES` begins a file. Each line after it has an offset and 32 bytes in hexadecimal (fewer at the
//! end), followed by `xN` where the same bytes stand N times; what is not mentioned is zero. Other lines are notes:
//! a name and its value.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use weir_store::MemoryDisk;
use weir_store::disk::{Disk, DiskFile};

const LINE: usize = 32;

pub(crate) type Notes = BTreeMap<String, String>;

pub(crate) fn write(disk: &MemoryDisk, notes: &Notes) -> String {
    let mut text = String::new();
    for (name, value) in notes {
        writeln!(text, "note {name} {value}").expect("text takes what is written");
    }
    for name in disk.names() {
        let file = disk.open(&name, false).expect("a file that was listed");
        let mut content = vec![0; usize::try_from(file.len().expect("a length")).expect("a small file")];
        file.read_at(&mut content, 0).expect("its content");
        writeln!(text, "file {name} {}", content.len()).expect("text takes what is written");
        let lines: Vec<&[u8]> = content.chunks(LINE).collect();
        let mut at = 0;
        for same in lines.chunk_by(|one, other| one == other) {
            if let Some(line) = same.first().filter(|line| line.iter().any(|&byte| byte != 0)) {
                write!(text, "{at:x} ").expect("text takes what is written");
                for byte in *line {
                    write!(text, "{byte:02x}").expect("text takes what is written");
                }
                let times = if same.len() > 1 { format!(" x{}", same.len()) } else { String::new() };
                writeln!(text, "{times}").expect("text takes what is written");
            }
            at += same.len() * LINE;
        }
    }
    text
}

pub(crate) fn read(text: &str) -> (MemoryDisk, Notes) {
    let (disk, mut notes, mut file) = (MemoryDisk::new(), Notes::new(), None);
    for line in text.lines() {
        match *line.split(' ').collect::<Vec<_>>() {
            ["note", name, value] => drop(notes.insert(name.to_owned(), value.to_owned())),
            ["file", name, len] => {
                let opened = disk.open(name, true).expect("a new file");
                opened.set_len(len.parse().expect("a length")).expect("room");
                file = Some(opened);
            }
            [offset, hex, ref times @ ..] => {
                let bytes: Vec<u8> = (0..hex.len() / 2)
                    .map(|n| u8::from_str_radix(&hex[2 * n..2 * n + 2], 16).expect("a byte"))
                    .collect();
                let times = times.first().map_or(1, |times| times[1..].parse().expect("a number of times"));
                let offset = u64::from_str_radix(offset, 16).expect("an offset");
                file.as_ref().expect("a file before its bytes").write_at(&bytes.repeat(times), offset).expect("room");
            }
            _ => panic!("a line that says nothing: {line}"),
        }
    }
    (disk, notes)
}
