//! A profile whose target has a size: `{{ size }}` filled in, and its monitors repeated for each
//! instance.

use serde::Deserialize;
use toml::Spanned;

use super::{MonitorSpec, Profile, ProfileError, TargetSpec};

/// Instances that one monitor is repeated for; more would be more than a profile may have.
const MOST_INSTANCES: u32 = 64;
/// What stands for the size.
const SIZE: &str = "size";
/// What stands for the number of an instance.
const INSTANCE: &str = "instance";

/// `instances` of a monitor.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Instances {
    /// A number.
    Number(i64),
    /// A text, which is a number once the size is filled in.
    Text(String),
}

/// What a text has in place of names in braces.
type Fill<'a> = (&'a str, &'a str);

impl Profile {
    /// The profile at a size: `typed`, else its own. The size is told too, as a label.
    ///
    /// # Errors
    /// When a size is used and none is known, or a monitor cannot be repeated.
    pub fn at_size(&self, typed: Option<&str>) -> Result<(Self, Option<String>), ProfileError> {
        let mut sized = self.clone();
        let own = (self.target.as_ref()).and_then(|t| t.as_ref().size.as_ref());
        let label = typed
            .or(own.map(|s| s.as_ref().as_str()))
            .map(str::to_owned);
        if let Some(target) = &mut sized.target {
            let spec: &mut TargetSpec = target.get_mut();
            let texts = [&mut spec.url, &mut spec.up, &mut spec.reset, &mut spec.down];
            self.fill_all(texts, label.as_deref(), None)?;
        }
        let mut monitors = Vec::new();
        for monitor in &sized.monitors {
            self.repeat(monitor, label.as_deref(), &mut monitors)?;
        }
        sized.monitors = monitors;
        super::most::check(&sized)?;
        Ok((sized, label))
    }

    /// A monitor as often as there are instances of it.
    fn repeat(
        &self,
        monitor: &Spanned<MonitorSpec>,
        size: Option<&str>,
        all: &mut Vec<Spanned<MonitorSpec>>,
    ) -> Result<(), ProfileError> {
        let count = match &monitor.as_ref().instances {
            None => None,
            Some(given) => Some(self.count(given, size)?),
        };
        for instance in 1..=count.unwrap_or(1) {
            let mut one = monitor.clone();
            let number = count.map(|_| instance.to_string());
            let spec = one.get_mut();
            if let (Some(number), Some(name)) = (&number, &mut spec.name)
                && !name.as_ref().contains(INSTANCE)
            {
                *name.get_mut() = format!("{}-{number}", name.as_ref());
            }
            let texts = [
                &mut spec.name,
                &mut spec.docker,
                &mut spec.pid_file,
                &mut spec.cgroup,
                &mut spec.redis,
                &mut spec.log,
                &mut spec.prometheus,
                &mut spec.prometheus_server,
            ];
            self.fill_all(texts, size, number.as_deref())?;
            all.push(one);
            if all.len() > MOST_INSTANCES as usize {
                let message = format!("more than {MOST_INSTANCES} monitors with all instances");
                return Err(self.source.error(Some(monitor.span()), message));
            }
        }
        Ok(())
    }

    fn count(&self, given: &Spanned<Instances>, size: Option<&str>) -> Result<u32, ProfileError> {
        let text = match given.as_ref() {
            Instances::Number(number) => number.to_string(),
            Instances::Text(text) => {
                self.filled(&Spanned::new(given.span(), text.clone()), size, None)?
            }
        };
        let number = text.trim().parse().ok();
        number
            .filter(|n| (1..=MOST_INSTANCES).contains(n))
            .ok_or_else(|| {
                let message =
                    format!("`instances` is `{text}`, not a number from 1 to {MOST_INSTANCES}");
                self.source.error(Some(given.span()), message)
            })
    }

    fn fill_all<const N: usize>(
        &self,
        texts: [&mut Option<Spanned<String>>; N],
        size: Option<&str>,
        instance: Option<&str>,
    ) -> Result<(), ProfileError> {
        for text in texts.into_iter().flatten() {
            let filled = self.filled(text, size, instance)?;
            *text.get_mut() = filled;
        }
        Ok(())
    }

    fn filled(
        &self,
        text: &Spanned<String>,
        size: Option<&str>,
        instance: Option<&str>,
    ) -> Result<String, ProfileError> {
        let fills: Vec<Fill<'_>> = (size.map(|s| (SIZE, s)).into_iter())
            .chain(instance.map(|i| (INSTANCE, i)))
            .collect();
        fill(text.as_ref(), &fills).map_err(|missing| {
            let help = match missing {
                SIZE => "give --size 1, or a default: size = \"1\" in [target]",
                _ => "give the monitor its number: instances = \"{{ size }}\"",
            };
            let message = format!("nothing is known for `{{{{ {missing} }}}}`");
            self.source
                .error(Some(text.span()), message)
                .with_help(help)
        })
    }
}

/// A text with what is known filled in; what else stands in braces stays. An error is the name that
/// has no value.
fn fill(text: &str, fills: &[Fill<'_>]) -> Result<String, &'static str> {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        filled.push_str(before);
        let Some((name, behind)) = after.split_once("}}") else {
            filled.push_str("{{");
            rest = after;
            continue;
        };
        let known = fills.iter().find(|(n, _)| *n == name.trim());
        match (known, name.trim()) {
            (Some((_, value)), _) => filled.push_str(value),
            (None, SIZE) => return Err(SIZE),
            (None, INSTANCE) => return Err(INSTANCE),
            (None, _) => {
                filled.push_str("{{");
                filled.push_str(name);
                filled.push_str("}}");
            }
        }
        rest = behind;
    }
    filled.push_str(rest);
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const TEXT: &str = "\
slo = [\"p99<1s\"]
[target]
url = \"http://127.0.0.1:80{{size}}\"
up = \"start {{ size }} {{ env.TOKEN }}\"
SIZE
[[monitor]]
name = \"gateway\"
instances = \"{{ size }}\"
pid-file = \"run/{{ instance }}.pid\"
[[monitor]]
name = \"db-{{ instance }}\"
instances = 2
pid-file = \"db{{ instance }}of{{ size }}\"
[[monitor]]
name = \"one\"
docker = \"c-{{ size }}\"
";

    fn profile(size: &str) -> Profile {
        Profile::parse(&TEXT.replace("SIZE", size), "x.toml", Path::new("")).unwrap()
    }

    #[test]
    fn the_size_is_filled_in_and_monitors_are_repeated() {
        let (sized, label) = profile("size = \"1\"").at_size(Some("3")).unwrap();
        assert_eq!(label.as_deref(), Some("3"));
        let target = sized.target.unwrap().into_inner();
        assert_eq!(target.url.unwrap().as_ref(), "http://127.0.0.1:803");
        assert_eq!(target.up.unwrap().as_ref(), "start 3 {{ env.TOKEN }}");
        let names = sized.monitors.iter().map(|m| {
            let monitor = m.as_ref();
            let place = monitor.pid_file.as_ref().or(monitor.docker.as_ref());
            format!(
                "{} {}",
                monitor.name.as_ref().unwrap().as_ref(),
                place.unwrap().as_ref()
            )
        });
        assert_eq!(
            names.collect::<Vec<_>>(),
            [
                "gateway-1 run/1.pid",
                "gateway-2 run/2.pid",
                "gateway-3 run/3.pid",
                "db-1 db1of3",
                "db-2 db2of3",
                "one c-3"
            ]
        );
        // Its own size where none is typed.
        assert_eq!(
            profile("size = \"1\"")
                .at_size(None)
                .unwrap()
                .0
                .monitors
                .len(),
            4
        );
    }

    #[test]
    fn a_size_that_nobody_gave_is_told_with_its_place() {
        let error = profile("").at_size(None).unwrap_err().to_string();
        assert!(
            error.contains("`{{ size }}`") && error.contains("--size"),
            "{error}"
        );
        let error = profile("").at_size(Some("1g")).unwrap_err().to_string();
        assert!(error.contains("not a number from 1 to 64"), "{error}");
        let error = profile("").at_size(Some("63")).unwrap_err().to_string();
        assert!(error.contains("more than 64"), "{error}");
    }

    #[test]
    fn braces_that_are_none_of_ours_stay() {
        let fills = [(SIZE, "2")];
        assert_eq!(
            fill("a {{ b }} {{size}} {{", &fills),
            Ok("a {{ b }} 2 {{".to_owned())
        );
        assert_eq!(fill("{{ instance }}", &fills), Err(INSTANCE));
    }
}
