//! Lock files of the folders that are workspaces of their own: `cargo` mends one that has
//! fallen behind only where that folder is built, which may be months later.

use std::path::Path;

use crate::tidy::files_named;

/// Adds a complaint for each dependency of our packages that a lock file does not have.
pub fn check(root: &Path, errors: &mut Vec<String>) -> Result<(), String> {
    for (path, lock) in files_named(root, &["lock"])? {
        for package in lock.split("[[package]]").skip(1).filter_map(Package::read) {
            let manifest = root.join(package.name).join("Cargo.toml");
            let Ok(manifest) = std::fs::read_to_string(&manifest) else {
                continue;
            };
            let needed = dependencies(&manifest);
            let missing = needed.filter(|name| !package.has(name));
            errors.extend(missing.map(|name| {
                let of = package.name;
                format!("{path}: `{of}` needs `{name}`: run `cargo metadata` in that folder")
            }));
        }
    }
    Ok(())
}

/// A package of this repository, as a lock file has it.
struct Package<'a> {
    name: &'a str,
    dependencies: Vec<&'a str>,
}

impl<'a> Package<'a> {
    /// Nothing for one that comes from elsewhere.
    fn read(block: &'a str) -> Option<Self> {
        let mut lines = block.lines();
        let name = lines.find_map(|line| line.strip_prefix("name = "))?;
        if block.lines().any(|line| line.starts_with("source = ")) {
            return None;
        }
        let listed = block.lines().filter(|line| line.starts_with(" \""));
        let quoted = listed.filter_map(|line| line.split('"').nth(1));
        Some(Self {
            name: name.trim_matches('"'),
            // A version stands behind a name that occurs more than once.
            dependencies: quoted.filter_map(|one| one.split(' ').next()).collect(),
        })
    }

    /// Our own packages are named `decube_` and the package, with `_` for `-`.
    fn has(&self, name: &str) -> bool {
        let own = name.strip_prefix("decube_");
        let own = own.map(|own| own.replace('_', "-"));
        self.dependencies.contains(&own.as_deref().unwrap_or(name))
    }
}

/// The packages that a manifest always depends on.
fn dependencies(manifest: &str) -> impl Iterator<Item = &str> {
    let section = manifest.split("\n[dependencies]\n").nth(1).unwrap_or("");
    let section = section.split("\n[").next().unwrap_or("");
    let lines = section.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter(|line| !line.contains("optional = true"))
        .filter_map(|line| {
            let renamed = line.split("package = \"").nth(1);
            let name = match renamed {
                Some(rest) => rest.split('"').next()?,
                None => line.split(['=', '.']).next()?.trim(),
            };
            (!name.is_empty()).then_some(name)
        })
}

#[cfg(test)]
mod tests {
    use super::{Package, dependencies};

    #[test]
    fn what_a_manifest_needs_is_read() {
        let manifest = "[package]\nname = \"a\"\n\n[dependencies]\nb.workspace = true\n\
            c = { package = \"d\", path = \"../d\" }\ne = { version = \"1\", optional = true }\n\
            \n[dev-dependencies]\nf = \"1\"\n";
        assert!(dependencies(manifest).eq(["b", "d"]));
    }

    #[test]
    fn what_a_lock_has_is_read() {
        let ours =
            "\nname = \"a\"\nversion = \"0\"\ndependencies = [\n \"b\",\n \"c 0.11.1\",\n]\n";
        let package = Package::read(ours).expect("one of ours");
        assert_eq!(
            (package.name, &package.dependencies),
            ("a", &vec!["b", "c"])
        );
        assert!(package.has("decube_b") && package.has("c") && !package.has("d"));
        let foreign = "\nname = \"a\"\nversion = \"0\"\nsource = \"registry\"\n";
        assert!(Package::read(foreign).is_none());
    }
}
