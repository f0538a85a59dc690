//! Files of a tenant's folder.

use std::io;
use std::path::{Component, Path, PathBuf};

/// A path below a folder; none when it would lead out of it.
#[must_use]
pub fn below(folder: &Path, path: &str) -> Option<PathBuf> {
    let path = Path::new(path);
    let plain = path.components().all(|part| matches!(part, Component::Normal(_)));
    (plain && path.components().next().is_some()).then(|| folder.join(path))
}

/// Parquet files in the `day=` folders of a folder: path below it and size. None where the folder is not there.
///
/// # Errors
/// Any I/O error of listing but of what is deleted meanwhile.
pub fn parquet_files(folder: &Path) -> io::Result<Vec<(String, u64)>> {
    let mut found = Vec::new();
    for day in names(folder)? {
        if !day.starts_with("day=") {
            continue;
        }
        for name in names(&folder.join(&day))? {
            let path = format!("{day}/{name}");
            match std::fs::metadata(folder.join(&path)) {
                Ok(about) if about.is_file() => found.push((path, about.len())),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }
    found.sort_unstable();
    Ok(found)
}

fn names(folder: &Path) -> io::Result<Vec<String>> {
    match std::fs::read_dir(folder) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound) => Ok(Vec::new()),
        entries => entries?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_leads_out_of_its_folder() {
        let folder = Path::new("/lake/tenant");
        assert_eq!(below(folder, "day=1/a"), Some(PathBuf::from("/lake/tenant/day=1/a")));
        for path in ["../a", "day=1/../../a", "/etc/passwd", "", "."] {
            assert_eq!(below(folder, path), None, "{path}");
        }
    }
}
