//! Files to events: plain, gzip, zip, standard input.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use flate2::read::MultiGzDecoder;

use super::lines::{Sink, read_json, read_lines};

/// Reads every event of a file; `-` is standard input.
pub(crate) fn read(path: &Path, sink: &mut Sink<'_>) -> anyhow::Result<()> {
    if path == Path::new("-") {
        return read_lines(&Arc::from("-"), std::io::stdin().lock(), sink);
    }
    let name = path.to_string_lossy();
    let context = || format!("cannot read {name}");
    let file = File::open(path).with_context(context)?;
    if file.metadata().with_context(context)?.is_dir() {
        bail!("{name} is a folder; name its files");
    }
    read_named(&name, &name, file, sink).with_context(context)
}

/// `shown` is what origins say; `name` decides how the bytes are read.
fn read_named(shown: &str, name: &str, file: File, sink: &mut Sink<'_>) -> anyhow::Result<()> {
    let lower = name.to_lowercase();
    if lower.ends_with(".evtx") {
        bail!("the binary format of Windows event logs is not read yet; export the log as JSON lines");
    }
    if lower.ends_with(".zip") {
        let mut archive = zip::ZipArchive::new(file)?;
        for at in 0..archive.len() {
            let entry = archive.by_index(at)?;
            if entry.is_file() {
                let inner = entry.name()?.into_owned();
                read_plain(
                    &format!("{shown}:{inner}"),
                    &inner.to_lowercase(),
                    BufReader::new(entry),
                    sink,
                )?;
            }
        }
        return Ok(());
    }
    match lower.strip_suffix(".gz") {
        Some(inner) => read_plain(
            shown,
            inner,
            BufReader::with_capacity(1 << 16, MultiGzDecoder::new(file)),
            sink,
        ),
        None => read_plain(shown, &lower, BufReader::with_capacity(1 << 16, file), sink),
    }
}

fn read_plain(shown: &str, name: &str, mut input: impl BufRead, sink: &mut Sink<'_>) -> anyhow::Result<()> {
    let shown = Arc::from(shown);
    if !name.ends_with(".json") {
        return read_lines(&shown, input, sink);
    }
    // Many a `.json` holds JSON lines; those are read as lines, so that one broken line spoils only itself.
    let mut first = Vec::new();
    input.by_ref().take(1 << 20).read_until(b'\n', &mut first)?;
    let is_lines = first.first() == Some(&b'{')
        && first.ends_with(b"\n")
        && serde_json::from_slice::<serde::de::IgnoredAny>(&first).is_ok();
    let whole = std::io::Cursor::new(first).chain(input);
    if is_lines {
        read_lines(&shown, whole, sink)
    } else {
        read_json(&shown, whole, sink)
    }
}
