//! What a disk refuses, as a code of ours: one mapping, so that a full disk is called full wherever
//! it is met.

use crate::codes;
use crate::problem::{Code, Problem};
use std::io::{Error, ErrorKind};
use std::path::Path;

/// The code of a refusal of that kind: `store.full` without room or beyond a quota,
/// `store.readonly` on a disk that is mounted for reading only, else `store.io`.
#[must_use]
pub fn code_of(kind: ErrorKind) -> Code {
    match kind {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => codes::STORE_FULL,
        ErrorKind::ReadOnlyFilesystem => codes::STORE_READONLY,
        _ => codes::STORE_IO,
    }
}

/// The refusal to read or write the file at that path, with what to do about it.
#[must_use]
pub fn refused(path: &Path, error: &Error) -> Problem {
    let code = code_of(error.kind());
    Problem::new(code, format!("{}: {error}", path.display())).hint(remedy(code))
}

/// What to do about a disk that refuses with that code.
#[must_use]
pub fn remedy(code: Code) -> &'static str {
    if code == codes::STORE_FULL {
        return "make room on this disk, or move the directory to a larger one while no node runs; \
                what was acknowledged is safe";
    }
    if code == codes::STORE_READONLY {
        return "mount the disk for writing, and give the directory to the user that runs the \
                node: chown -R USER DIR; what was acknowledged is safe";
    }
    "check permissions and health of the disk; what was acknowledged is safe"
}

#[cfg(test)]
mod tests {
    use super::refused;
    use std::io::Error;
    use std::path::Path;

    #[test]
    fn a_full_disk_and_one_for_reading_only_have_codes_of_their_own() {
        // ENOSPC, EDQUOT, EROFS, EACCES, EIO, and what is no error of the system.
        for (error, code) in [
            (Error::from_raw_os_error(28), "store.full"),
            (Error::from_raw_os_error(122), "store.full"),
            (Error::from_raw_os_error(30), "store.readonly"),
            (Error::from_raw_os_error(13), "store.io"),
            (Error::from_raw_os_error(5), "store.io"),
            (Error::other("the power is off"), "store.io"),
        ] {
            let problem = refused(Path::new("/node/log"), &error);
            assert_eq!(problem.code.name, code, "{error}");
            assert!(problem.message.starts_with("/node/log: ") && problem.hint.is_some());
        }
    }
}
