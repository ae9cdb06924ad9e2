//! The file of refused rows that `ingest` leaves: beside the source, or where it was told.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use twinpact_edge::{Map, Refused, refused};
use twinpact_model::codes;
use twinpact_model::problem::Problem;

/// The most files of refused rows beside one source.
const MAX_REFUSED_FILES: usize = 99;

/// Whether the file may be written: it is not there, or may be replaced.
///
/// # Errors
/// `file.exists`.
pub(crate) fn writable(path: &Path, force: bool) -> Result<(), Problem> {
    match !force && path.exists() {
        true => Err(Problem::new(codes::FILE_EXISTS, format!("{} exists", path.display()))
            .hint("name another file, or replace this one with --force")),
        false => Ok(()),
    }
}

/// Writes the refused rows of a source to the file of that name, or to one beside the source; which
/// one it was.
///
/// # Errors
/// `ingest.file` when the source cannot be read again; `file.unreadable`; `file.exists` when there
/// are [`MAX_REFUSED_FILES`] of it.
pub(crate) fn write(
    source: &Path,
    map: &Map,
    rows: &[Refused],
    asked: Option<&Path>,
) -> Result<PathBuf, Problem> {
    let fail = |path: &Path, e: std::io::Error| {
        Problem::new(codes::FILE_UNREADABLE, format!("{}: {e}", path.display()))
    };
    let dir = asked.unwrap_or(source).parent().filter(|dir| !dir.as_os_str().is_empty());
    let dir = dir.unwrap_or(Path::new("."));
    // Whole or not at all: it gets its name when it is complete.
    let whole = tempfile::NamedTempFile::new_in(dir).map_err(|e| fail(dir, e))?;
    let input = File::open(source).map_err(|e| fail(source, e))?;
    let mut file = BufWriter::new(whole.as_file());
    refused::write(input, map, rows, &mut file)?;
    file.flush().map_err(|e| fail(dir, e))?;
    drop(file);
    if let Some(path) = asked {
        return whole.persist(path).map(|_| path.to_owned()).map_err(|e| fail(path, e.error));
    }
    let mut whole = whole;
    for path in beside(source) {
        if same(&path, whole.path()) {
            return Ok(path);
        }
        match whole.persist_noclobber(&path) {
            Ok(_) => return Ok(path),
            Err(taken) if path.exists() => whole = taken.file,
            Err(error) => return Err(fail(&path, error.error)),
        }
    }
    Err(Problem::new(codes::FILE_EXISTS, "there are too many files of refused rows of this source")
        .hint("mend or delete them, or name a file with --refused FILE"))
}

/// `rows.csv.gz` and `rows.refused.csv` alike: `rows.refused.csv`, `rows.refused.2.csv`, ….
fn beside(source: &Path) -> impl Iterator<Item = PathBuf> {
    let name = source.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let stem = name.strip_suffix(".gz").unwrap_or(&name);
    let stem = stem.strip_suffix(".csv").unwrap_or(stem);
    let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let stem = match stem.rsplit_once(".refused") {
        Some((before, rest)) if rest.is_empty() || rest.strip_prefix('.').is_some_and(number) => {
            before
        }
        _ => stem,
    };
    let (dir, stem) = (source.with_file_name(""), stem.to_owned());
    (1..=MAX_REFUSED_FILES).map(move |n| match n {
        1 => dir.join(format!("{stem}.refused.csv")),
        n => dir.join(format!("{stem}.refused.{n}.csv")),
    })
}

/// Whether both files are there and have the same bytes.
fn same(one: &Path, other: &Path) -> bool {
    let size = |path: &Path| std::fs::metadata(path).map(|m| m.len()).ok();
    let both = size(one).is_some() && size(one) == size(other);
    both && matches!((std::fs::read(one), std::fs::read(other)), (Ok(a), Ok(b)) if a == b)
}

#[cfg(test)]
mod tests {
    use super::beside;
    use std::path::Path;

    #[test]
    fn names_beside_a_source() {
        let check = |source: &str, expect: [&str; 2]| {
            let names: Vec<_> = beside(Path::new(source)).take(2).collect();
            assert_eq!(names, expect.map(Path::new), "{source}");
        };
        let both = ["d/rows.refused.csv", "d/rows.refused.2.csv"];
        for source in ["d/rows.csv", "d/rows.csv.gz", "d/rows.refused.csv", "d/rows.refused.7.csv"]
        {
            check(source, both);
        }
        check("rows", ["rows.refused.csv", "rows.refused.2.csv"]);
        check("rows.refusedx.csv", ["rows.refusedx.refused.csv", "rows.refusedx.refused.2.csv"]);
    }
}
