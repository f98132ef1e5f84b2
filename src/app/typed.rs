//! Files that flags of a request name with `@`, read as curl reads them.

use std::io::ErrorKind;
use std::path::Path;

use super::{CommandError, Exit};
use crate::bounded;
use crate::import::{Data, RequestFlags};

/// Most bytes of a body that a flag takes from a file.
const MOST: u64 = 4 << 20;

/// Reads them all.
pub(super) fn read(flags: &mut RequestFlags) -> Result<(), CommandError> {
    for (flag, data) in flags.files() {
        let Data::File(path) = data else { continue };
        let refuse = |why: String| CommandError::new(Exit::Usage, format!("{flag} {why}"));
        if path == Path::new("-") {
            return Err(refuse(
                "@-: a body is not read from the standard input; give a file".to_owned(),
            ));
        }
        let text = bounded::text(path, MOST).map_err(|e| {
            let way_out = match e.kind() {
                ErrorKind::InvalidData if flag == "--data" => {
                    "; to send bytes, write a profile with `body-file` (`breakpoint init --from-curl`)"
                }
                _ => "",
            };
            refuse(format!(
                "@{}: cannot read the file: {e}{way_out}",
                path.display()
            ))
        })?;
        // A form has no line breaks.
        let text = match flag {
            "--data" => text.replace(['\r', '\n'], ""),
            _ => text,
        };
        *data = Data::Read(text);
    }
    Ok(())
}
