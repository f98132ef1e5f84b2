//! Which arguments of `k6 run` a user may add.

/// Those with a value.
const WITH_VALUE: [&str; 10] = [
    "-e",
    "--env",
    "--tag",
    "--user-agent",
    "--dns",
    "--compatibility-mode",
    "--max-redirects",
    "--batch",
    "--batch-per-host",
    "--min-iteration-duration",
];
/// Those without one.
const ALONE: [&str; 6] = [
    "--insecure-skip-tls-verify",
    "--no-connection-reuse",
    "--no-vu-connection-reuse",
    "--include-system-env-vars",
    "--discard-response-bodies",
    "--throw",
];

/// Whether these arguments may be added to those of `k6 run`. What decides on the load, on where it
/// goes or on what is measured is this program's to say, so only those are let through that do none
/// of it.
///
/// # Errors
/// With the place of the first one that may not, and why.
pub fn check_arguments<S: AsRef<str>>(arguments: &[S]) -> Result<(), (usize, String)> {
    for (at, name, value) in each(arguments) {
        let known = WITH_VALUE.contains(&name) || ALONE.contains(&name);
        if !known {
            let shown: String = name.chars().take(60).collect();
            let why = format!(
                "`{shown}` is not an argument that may be added; available: {}, {}. The rest \
                 belongs in the script's options, or is set by breakpoint",
                WITH_VALUE.join(", "),
                ALONE.join(", ")
            );
            return Err((at, why));
        }
        let Some(value) = value else {
            if WITH_VALUE.contains(&name) {
                return Err((at, format!("`{name}` needs a value after it")));
            }
            continue;
        };
        if is_env(name)
            && value
                .split_once('=')
                .is_none_or(|(name, _)| name.is_empty())
        {
            // The value may be a secret.
            return Err((at, format!("write `{name}` with NAME=VALUE after it")));
        }
    }
    Ok(())
}

/// What they give to a script's `__ENV`.
pub fn variables(arguments: &[String]) -> Vec<(String, String)> {
    let all = each(arguments).into_iter();
    all.filter(|(_, name, _)| is_env(name))
        .filter_map(|(_, _, value)| value?.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn is_env(name: &str) -> bool {
    matches!(name, "-e" | "--env")
}

/// Each argument: its place, its name, and its value, behind `=` or as the next.
fn each<S: AsRef<str>>(arguments: &[S]) -> Vec<(usize, &str, Option<&str>)> {
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(argument) = arguments.get(at).map(AsRef::as_ref) {
        let (name, value) = match argument.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None if WITH_VALUE.contains(&argument) => {
                (argument, arguments.get(at + 1).map(AsRef::as_ref))
            }
            None => (argument, None),
        };
        out.push((at, name, value));
        let own = !argument.contains('=') && value.is_some();
        at += 1 + usize::from(own);
    }
    out
}
