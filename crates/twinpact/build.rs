//! Puts the pages of `docs/errors/` into the binary, so that `twinpact explain CODE` needs no
//! files.

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pages = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../../docs/errors");
    println!("cargo::rerun-if-changed={}", pages.display());
    let mut names: Vec<String> = Vec::new();
    for item in fs::read_dir(&pages)? {
        let name = item?.file_name().to_string_lossy().into_owned();
        names.extend(name.strip_suffix(".md").filter(|n| *n != "README").map(str::to_owned));
    }
    names.sort();
    let mut table = String::from("pub(crate) const PAGES: &[(&str, &str)] = &[\n");
    for name in names {
        let path = pages.join(format!("{name}.md")).canonicalize()?;
        writeln!(table, "    ({name:?}, include_str!({:?})),", path.display().to_string())?;
    }
    table.push_str("];\n");
    fs::write(Path::new(&env::var("OUT_DIR")?).join("pages.rs"), table)?;
    Ok(())
}
