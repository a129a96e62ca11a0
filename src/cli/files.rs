//! The one way in which results reach the disk: whole or not at all.
//!
//! A reader, a crash or a full disk never sees half a file: everything goes into a temporary file beside the target,
//! is on the disk before it takes the target's name, and only then is reported as written.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Writes what `f` writes to `path`, replacing a file that is there; on any error the old file is as it was.
///
/// A symbolic link stays and its target is replaced; a device such as `/dev/null` cannot be replaced and is written to
/// in place. Errors are of the kind that the system or `f` gave, with the path in the message.
pub fn write_atomic(path: &Path, f: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> io::Result<()> {
    write(path, f).map_err(|e| io::Error::new(e.kind(), format!("cannot write {}: {e}", path.display())))
}

fn write(path: &Path, f: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> io::Result<()> {
    let target = match fs::metadata(path) {
        Ok(there) if there.is_dir() => return Err(io::Error::new(ErrorKind::IsADirectory, "it is a folder")),
        Ok(there) if !there.is_file() => return through(OpenOptions::new().write(true).open(path)?, f).map(drop),
        Ok(_) => fs::canonicalize(path)?,
        Err(e) if e.kind() == ErrorKind::NotFound => path.to_path_buf(),
        Err(e) => return Err(e),
    };
    let folder = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    };
    let mut prefix = OsString::from(".");
    prefix.push(target.file_name().ok_or_else(|| io::Error::new(ErrorKind::InvalidInput, "it names no file"))?);
    prefix.push(".");
    let (file, temporary) = create_temporary(&folder, &prefix, &target)?.into_parts();
    // Synced before the rename: else a crash could leave the new name with empty content.
    through(file, f)?.sync_all()?;
    temporary.persist(&target).map_err(|e| e.error)?;
    sync_folder(&folder)
}

/// Lets `f` write into `file` and gives the file back once all of it has left the buffer.
fn through(file: File, f: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> io::Result<File> {
    let mut buffer = BufWriter::with_capacity(1 << 17, file);
    f(&mut buffer)?;
    buffer.flush()?;
    buffer.into_inner().map_err(|e| e.into_error())
}

/// A temporary file is the user's alone unless told otherwise; a result gets the rights of the file that it replaces,
/// or of a new file.
fn create_temporary(folder: &Path, prefix: &OsString, target: &Path) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(prefix).suffix(".tmp");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let temporary = builder.tempfile_in(folder)?;
    if let Ok(old) = fs::metadata(target) {
        temporary.as_file().set_permissions(old.permissions())?;
    }
    Ok(temporary)
}

/// The rename itself is on the disk only when its folder is.
fn sync_folder(folder: &Path) -> io::Result<()> {
    // Elsewhere a folder cannot be opened as a file.
    if !cfg!(unix) {
        return Ok(());
    }
    match File::open(folder)?.sync_all() {
        // Some network file systems have no such operation; the file is in place.
        Err(e) if matches!(e.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, SeekFrom};

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut all: Vec<String> =
            fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        all.sort();
        all
    }

    #[test]
    fn a_file_is_made_and_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spikes.npz");
        write_atomic(&path, |w| w.write_all(b"old and longer")).unwrap();
        write_atomic(&path, |w| {
            w.write_all(b"xxxx")?;
            w.seek(SeekFrom::Start(0))?;
            w.write_all(b"new")
        })
        .unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"newx");
        assert_eq!(names(folder.path()), ["spikes.npz"]);
    }

    #[test]
    fn a_failure_leaves_the_old_file_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "old").unwrap();
        // Failures at once, after part of the data, and after more than the buffer holds.
        for bytes in [0, 10, 1 << 20] {
            let error = write_atomic(&path, |w| {
                w.write_all(&vec![b'n'; bytes])?;
                Err(io::Error::new(ErrorKind::StorageFull, "no space"))
            })
            .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::StorageFull);
            let message = error.to_string();
            assert!(message.contains(&path.display().to_string()) && message.contains("no space"), "{message}");
            assert_eq!(fs::read(&path).unwrap(), b"old");
            assert_eq!(names(folder.path()), ["a"]);
        }
    }

    #[test]
    fn a_panic_while_writing_leaves_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "old").unwrap();
        let attempt = std::panic::catch_unwind(|| {
            write_atomic(&path, |w| {
                w.write_all(b"half")?;
                panic!("while writing")
            })
        });
        assert!(attempt.is_err());
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(folder.path()), ["a"]);
    }

    #[test]
    fn impossible_targets_are_errors_with_the_path() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("no/such/file");
        for path in [missing.as_path(), folder.path(), Path::new("/"), Path::new("")] {
            let error = write_atomic(path, |w| w.write_all(b"x")).unwrap_err();
            assert!(error.to_string().contains(&path.display().to_string()), "{error}");
        }
        assert_eq!(names(folder.path()), [""; 0]);
    }

    #[cfg(unix)]
    #[test]
    fn links_stay_rights_stay_and_devices_are_written_in_place() {
        use std::os::unix::fs::{PermissionsExt, symlink};

        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        fs::write(&real, "old").unwrap();
        fs::set_permissions(&real, PermissionsExt::from_mode(0o640)).unwrap();
        symlink(&real, &link).unwrap();
        write_atomic(&link, |w| w.write_all(b"new")).unwrap();
        assert_eq!(fs::read(&real).unwrap(), b"new");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);

        write_atomic(Path::new("/dev/null"), |w| w.write_all(b"gone")).unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
        // The error of a full device comes from the flush, not from the writes.
        #[cfg(target_os = "linux")]
        assert_eq!(
            write_atomic(Path::new("/dev/full"), |w| w.write_all(b"x")).unwrap_err().kind(),
            ErrorKind::StorageFull
        );
    }
}
