//! `breakpoint init`: writes a commented profile, and never over one that exists.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Component, Path, PathBuf};

use crate::cli::ConnectArgs;
use crate::import::{self, ImportError, Imported, RequestFlags, Source, Wishes};
use crate::k6::{self, ScriptInfo};
use crate::plan::{FindFlags, Plan, PlanError};
use crate::profile::{Profile, llm, template};

/// Why no profile was written.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The address cannot be loaded.
    #[error("{flag} {url}: {why}")]
    Url {
        /// The flag that named it.
        flag: &'static str,
        /// The address.
        url: String,
        /// Why.
        why: String,
    },
    /// No profile can be made of the script.
    #[error("cannot make a profile from {}: {why}", script.display())]
    Script {
        /// The script.
        script: PathBuf,
        /// Why.
        why: String,
    },
    /// No profile can be made of what was given.
    #[error("{from}: {why}")]
    Import {
        /// The flag, and the file where there is one.
        from: String,
        /// Why.
        why: String,
    },
    /// There is a file of that name.
    #[error("{} exists and is not overwritten; use another file: --out FILE", .0.display())]
    Exists(PathBuf),
    /// It cannot be written.
    #[error("cannot write {}: {error}; use another file: --out FILE", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// The text of a profile for the service at `url`, once it is known to make a plan.
///
/// # Errors
/// When the address is none.
pub fn of_url(url: &str) -> Result<String, InitError> {
    let text = || template::render(url);
    checked(url, text).map_err(|why| InitError::Url {
        flag: "--url",
        url: url.to_owned(),
        why,
    })
}

/// The text of a profile for an LLM, once it is known to make a plan and a scenario.
///
/// # Errors
/// When the address is none.
pub fn of_llm(llm: llm::Llm<'_>) -> Result<String, InitError> {
    checked(llm.url, || llm::render(llm)).map_err(|why| InitError::Url {
        flag: "--llm",
        url: llm.url.to_owned(),
        why,
    })
}

/// A profile of what people have, once it is known to make a plan and a scenario. `file` is what it
/// was read from.
///
/// # Errors
/// When it cannot be read, or nothing in it may be loaded.
pub fn of_source(
    source: Source<'_>,
    file: &str,
    wishes: &Wishes,
    out: &Path,
) -> Result<Imported, InitError> {
    let from = format!("{} {file}", source.flag()).trim_end().to_owned();
    runs(import::import(source, wishes), &from, out)
}

/// A profile of an address and what flags say is sent there.
///
/// # Errors
/// When the flags make no request.
pub fn of_flags(
    url: &str,
    flags: &RequestFlags,
    connect: Vec<(&'static str, String)>,
    allowed: &[String],
    out: &Path,
) -> Result<Imported, InitError> {
    loadable(url).map_err(|why| InitError::Url {
        flag: "--url",
        url: crate::secret::masked(url),
        why,
    })?;
    let made = import::of_flags(url, flags, connect, allowed, &way(out));
    runs(made, "--url", out)
}

/// Keys of `[target]` for flags about connections; paths as they are written in the profile's
/// folder.
pub fn connect_keys(args: &ConnectArgs, out: &Path) -> Vec<(&'static str, String)> {
    let folder = out.parent().unwrap_or(Path::new("."));
    let file = |key, path: &Option<PathBuf>| path.as_ref().map(|p| (key, from_folder(p, folder)));
    let files = [
        file("ca", &args.cacert),
        file("cert", &args.cert),
        file("key", &args.key),
    ];
    let insecure = args.insecure.then(|| ("insecure", "true".to_owned()));
    let resolve = args.resolve.iter().map(|r| ("resolve", r.clone()));
    let http = args.http().map(|http| ("http", http.name().to_owned()));
    files
        .into_iter()
        .flatten()
        .chain(insecure)
        .chain(http)
        .chain(resolve)
        .collect()
}

/// What leads from a profile's folder to the one that this program runs in.
pub fn way(out: &Path) -> String {
    let mut way = String::new();
    for part in out.parent().into_iter().flat_map(Path::components) {
        match part {
            Component::CurDir => {}
            Component::Normal(_) => way.push_str("../"),
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                let here = std::env::current_dir().unwrap_or_default();
                return format!("{}/", here.display());
            }
        }
    }
    way
}

/// The files that a profile sends and that are not there.
pub fn missing(imported: &Imported, out: &Path) -> Vec<String> {
    let folder = out.parent().unwrap_or(Path::new("."));
    let files = imported.files.iter();
    files
        .filter(|file| !folder.join(file).exists())
        .cloned()
        .collect()
}

/// What is written must run: a profile, its plan, and its scenario.
fn runs(
    made: Result<Imported, ImportError>,
    from: &str,
    out: &Path,
) -> Result<Imported, InitError> {
    let wrong = |why: String| InitError::Import {
        from: from.to_owned(),
        why,
    };
    let imported = made.map_err(|e| wrong(e.to_string()))?;
    check(&imported, out).map_err(wrong)?;
    Ok(imported)
}

/// Whether what was made is a profile that runs.
///
/// # Errors
/// Says what in it does not.
pub fn check(imported: &Imported, out: &Path) -> Result<(), String> {
    let folder = out.parent().unwrap_or(Path::new("."));
    let profile =
        Profile::parse(&imported.profile, "profile", folder).map_err(|e| e.to_string())?;
    let plan = Plan::resolve(Some(&profile), &FindFlags::default()).map_err(|e| e.to_string())?;
    plan.check_scenario().map_err(|e| e.to_string())?;
    Ok(())
}

/// The text of a profile for a script of k6, which lies in `path`, once it is known to make a plan.
///
/// # Errors
/// When it does not: the script says something that no profile can.
pub fn of_script(
    script: &Path,
    binary: Option<&Path>,
    info: &ScriptInfo,
    path: &Path,
) -> Result<String, InitError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let named = k6::Named {
        script: from_folder(script, folder),
        binary: binary.map(|b| match b.components().nth(1) {
            // A bare name is looked for where a shell would.
            None => b.display().to_string(),
            Some(_) => match from_folder(b, folder) {
                // One that lies in the folder would be looked for elsewhere without it.
                name if !name.contains('/') => format!("./{name}"),
                path => path,
            },
        }),
    };
    let text = k6::profile(&named, &info.script);
    let made = Profile::parse(&text, "profile", folder).map_err(|e| e.to_string());
    let made = made.and_then(|profile| {
        Plan::resolve_with(Some(&profile), &FindFlags::default(), Some(info))
            .map_err(|e| e.to_string())
    });
    match made {
        Ok(_) => Ok(text),
        Err(why) => Err(InitError::Script {
            script: script.to_owned(),
            why,
        }),
    }
}

/// A path as it is written in a file of a folder: relative to it where the path lies below it, else
/// whole.
fn from_folder(path: &Path, folder: &Path) -> String {
    let whole = |path: &Path| path.canonicalize().or_else(|_| std::path::absolute(path));
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    let shown = match (whole(path), whole(folder)) {
        (Ok(path), Ok(folder)) => path
            .strip_prefix(&folder)
            .map_or_else(|_| path.clone(), Path::to_owned),
        _ => path.to_owned(),
    };
    shown.display().to_string()
}

/// Writes a profile, and never over a file that exists.
///
/// # Errors
/// When the file exists or cannot be written.
pub fn write(text: &str, path: &Path) -> Result<(), InitError> {
    let write_error = |error| InitError::Write {
        path: path.to_owned(),
        error,
    };
    let mut file = match OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(InitError::Exists(path.to_owned()));
        }
        Err(error) => return Err(write_error(error)),
    };
    file.write_all(text.as_bytes()).map_err(write_error)
}

/// The profile's text, once it is known to make a plan, and its scenario to be one.
fn checked(url: &str, text: impl FnOnce() -> String) -> Result<String, String> {
    loadable(url)?;
    let text = text();
    let profile = Profile::parse(&text, "profile", Path::new(".")).map_err(|e| e.to_string())?;
    let plan = Plan::resolve(Some(&profile), &FindFlags::default()).map_err(|e| e.to_string())?;
    plan.check_scenario().map_err(|e| e.to_string())?;
    Ok(text)
}

/// Whether an address can be loaded.
fn loadable(url: &str) -> Result<(), String> {
    let flags = FindFlags {
        url: Some(url.to_owned()),
        slo: vec!["p99<1s".to_owned()],
        ..FindFlags::default()
    };
    match Plan::resolve(None, &flags) {
        Ok(_) => Ok(()),
        Err(PlanError::Flag { why, .. }) => Err(why),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::k6::{Runner, Script};

    #[test]
    fn a_profile_is_written_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mine.toml");
        let made = of_url("http://127.0.0.1:8080/api").unwrap();
        write(&made, &path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("get = \"/api\""), "{text}");
        let again = write("other", &path).unwrap_err().to_string();
        assert!(again.contains("is not overwritten"), "{again}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        let nowhere = dir.path().join("no/such/mine.toml");
        let error = write("other", &nowhere).unwrap_err().to_string();
        assert!(error.contains("cannot write"), "{error}");
    }

    #[test]
    fn an_address_that_cannot_be_loaded_is_refused() {
        let error = of_url("localhost:8080").unwrap_err().to_string();
        assert!(error.starts_with("--url localhost:8080: "), "{error}");
    }

    #[test]
    fn the_profile_of_an_llm_makes_a_plan_with_and_without_a_key() {
        for has_key in [false, true] {
            let llm = llm::Llm {
                url: "http://127.0.0.1:8000",
                model: "m",
                has_key,
            };
            let text = of_llm(llm).unwrap();
            assert!(text.contains("answer.first"), "{text}");
        }
        let llm = llm::Llm {
            url: "localhost:8000",
            model: "m",
            has_key: false,
        };
        let error = of_llm(llm).unwrap_err().to_string();
        assert!(error.starts_with("--llm localhost:8000: "), "{error}");
    }

    fn info(json: &str) -> ScriptInfo {
        ScriptInfo {
            script: Script::of_json(json.as_bytes(), Runner::K6).unwrap(),
            crc32: 0,
        }
    }

    #[test]
    fn a_profile_of_a_script_has_its_thresholds_its_functions_and_what_is_lost() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("s.js"), "").unwrap();
        let info = info(
            r#"{"thresholds": {"http_req_duration{name:a\"b}": ["p(95)<500"], "checks": ["rate>0.9"]}, "rps": 5,
                "scenarios": {"a": {"executor": "per-vu-iterations", "vus": 3, "iterations": 3, "exec": "browse"}, "b": {"executor": "per-vu-iterations", "exec": "buy"}}}"#,
        );
        let path = dir.path().join("mine.toml");
        let binary = Some(Path::new("k6"));
        let text = of_script(&dir.path().join("s.js"), binary, &info, &path).unwrap();
        let profile = Profile::parse(&text, "mine.toml", dir.path()).unwrap();
        let plan = Plan::resolve_with(Some(&profile), &FindFlags::default(), Some(&info)).unwrap();
        let k6 = plan.engine.k6().unwrap();
        assert_eq!(k6.script, dir.path().join("s.js"));
        assert_eq!(k6.functions, info.script.functions);
        assert_eq!(plan.slo.texts(), ["p95(a\"b)<500ms"]);
        for part in [
            "#   `checks: rate>0.9`",
            "# * the script's option `rps` (5)",
        ] {
            assert!(text.contains(part), "no `{part}`:\n{text}");
        }
    }

    #[test]
    fn a_script_without_thresholds_gets_an_objective_to_start_from() {
        let text = of_script(
            Path::new("s.js"),
            Some(Path::new("k6")),
            &info("{}"),
            Path::new("x.toml"),
        );
        let text = text.unwrap();
        assert!(
            text.contains("slo = [\"p95<500ms\", \"errors<1%\"]"),
            "{text}"
        );
        assert!(text.contains("binary = \"k6\""), "{text}");
    }
}
