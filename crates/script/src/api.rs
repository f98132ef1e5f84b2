//! The modules and globals that k6 gives to scripts: JavaScript over a few host functions.

mod functions;

use std::rc::Rc;

use rquickjs::{Ctx, Exception, Function, Object, Result, Value};

use crate::host::Host;
use crate::modules;
use crate::thrown::OWN;

/// A module of k6.
pub(crate) struct Builtin {
    name: &'static str,
    made: Made,
    exports: &'static [&'static str],
}

/// How a module comes into being.
enum Made {
    /// A function of the host and of `require`, which gives the exports.
    Text(&'static str),
    /// The exports themselves.
    Exports(for<'js> fn(&Ctx<'js>) -> Result<Object<'js>>),
}

const CORE: &str = include_str!("api/core.js");

const MODULES: &[Builtin] = &[
    Builtin {
        name: "k6",
        made: Made::Text(include_str!("api/k6.js")),
        exports: &["check", "sleep", "group", "fail", "randomSeed"],
    },
    Builtin {
        name: "k6/http",
        made: Made::Text(include_str!("api/http.js")),
        exports: &[
            "get",
            "head",
            "post",
            "put",
            "patch",
            "del",
            "options",
            "request",
            "asyncRequest",
            "batch",
            "file",
            "url",
            "expectedStatuses",
            "setResponseCallback",
            "cookieJar",
            "CookieJar",
            "FileData",
            "Response",
            "TLS_1_0",
            "TLS_1_1",
            "TLS_1_2",
            "TLS_1_3",
            "SSL_3_0",
            "OCSP_STATUS_GOOD",
            "OCSP_STATUS_REVOKED",
            "OCSP_STATUS_UNKNOWN",
            "OCSP_STATUS_SERVER_FAILED",
            "OCSP_REASON_UNSPECIFIED",
            "OCSP_REASON_KEY_COMPROMISE",
            "OCSP_REASON_CA_COMPROMISE",
            "OCSP_REASON_AFFILIATION_CHANGED",
            "OCSP_REASON_SUPERSEDED",
            "OCSP_REASON_CESSATION_OF_OPERATION",
            "OCSP_REASON_CERTIFICATE_HOLD",
            "OCSP_REASON_REMOVE_FROM_CRL",
            "OCSP_REASON_PRIVILEGE_WITHDRAWN",
            "OCSP_REASON_AA_COMPROMISE",
        ],
    },
    Builtin {
        name: "k6/metrics",
        made: Made::Text(include_str!("api/metrics.js")),
        exports: &["Counter", "Gauge", "Rate", "Trend"],
    },
    Builtin {
        name: "k6/execution",
        made: Made::Text(include_str!("api/execution.js")),
        exports: &["scenario", "instance", "vu", "test"],
    },
    Builtin {
        name: "k6/data",
        made: Made::Text(include_str!("api/data.js")),
        exports: &["SharedArray"],
    },
    Builtin {
        name: "k6/timers",
        made: Made::Text(include_str!("api/timers.js")),
        exports: &["setTimeout", "clearTimeout", "setInterval", "clearInterval"],
    },
    Builtin {
        name: "k6/experimental/timers",
        made: Made::Text(include_str!("api/timers.js")),
        exports: &["setTimeout", "clearTimeout", "setInterval", "clearInterval"],
    },
    Builtin {
        name: "k6/crypto",
        made: Made::Exports(crate::crypto::install_crypto),
        exports: &[
            "createHash",
            "createHMAC",
            "hexEncode",
            "hmac",
            "md4",
            "md5",
            "randomBytes",
            "ripemd160",
            "sha1",
            "sha256",
            "sha384",
            "sha512",
            "sha512_224",
            "sha512_256",
        ],
    },
    Builtin {
        name: "k6/encoding",
        made: Made::Exports(crate::encoding::install_encoding),
        exports: &["b64encode", "b64decode"],
    },
    Builtin {
        name: "k6/html",
        made: Made::Exports(crate::html::install_html),
        exports: &["parseHTML", "Selection", "Element", "Attribute"],
    },
    Builtin {
        name: "k6/ws",
        made: Made::Text(include_str!("api/ws.js")),
        exports: &["connect"],
    },
    Builtin {
        name: "k6/websockets",
        made: Made::Text(include_str!("api/websockets.js")),
        exports: &["WebSocket", "Blob"],
    },
    Builtin {
        name: "k6/experimental/websockets",
        made: Made::Text(include_str!("api/websockets.js")),
        exports: &["WebSocket", "Blob"],
    },
    Builtin {
        name: "k6/x/sse",
        made: Made::Text(include_str!("api/sse.js")),
        exports: &["open"],
    },
];

/// What modules and globals are made of: no script imports these.
const PARTS: &[Builtin] = &[
    Builtin {
        name: "part:channel",
        made: Made::Text(include_str!("api/channel.js")),
        exports: &[],
    },
    Builtin {
        name: "part:console",
        made: Made::Text(include_str!("api/console.js")),
        exports: &[],
    },
    Builtin {
        name: "part:address",
        made: Made::Exports(crate::address::install_address),
        exports: &[],
    },
    Builtin {
        name: "part:webcrypto",
        made: Made::Exports(crate::crypto::install_webcrypto),
        exports: &[],
    },
];

/// A module of k6, by name.
pub(crate) fn find(name: &str) -> Option<&'static Builtin> {
    MODULES.iter().find(|module| module.name == name)
}

/// Its exports, as those of a module of JavaScript.
pub(crate) fn as_module(module: &Builtin) -> String {
    format!(
        "const all = globalThis[Symbol.for('k6:require')]('{}'); export default all; export const \
         {{ {} }} = all;",
        module.name,
        module.exports.join(", ")
    )
}

/// Makes the globals; gives what the event loop calls.
pub(crate) fn core<'js>(ctx: &Ctx<'js>, host: &Rc<Host>) -> Result<Object<'js>> {
    let to = Object::new(ctx.clone())?;
    functions::install(ctx, host, &to)?;
    crate::http::install(ctx, host, &to)?;
    crate::sockets::install(ctx, host, &to)?;
    let for_all = Rc::clone(host);
    let factory = move |ctx: Ctx<'js>, name: String| {
        let mut all = PARTS.iter().chain(MODULES);
        match all
            .find(|module| module.name == name)
            .map(|module| &module.made)
        {
            Some(Made::Text(text)) => own(&ctx, &for_all, &name, text),
            Some(Made::Exports(make)) => make(&ctx).map(Object::into_value),
            None => {
                let words = format!("there is no module `{name}`");
                Err(Exception::throw_reference(&ctx, &words))
            }
        }
    };
    to.set("factory", Function::new(ctx.clone(), factory)?)?;
    let core: Function = own(ctx, host, "core", CORE)?.get()?;
    core.call((to,))
}

/// The value of a text of the host's own.
fn own<'js>(ctx: &Ctx<'js>, host: &Host, name: &str, text: &str) -> Result<Value<'js>> {
    let name = format!("{OWN}{name}");
    let text = || Ok(format!("export default {text}").into());
    let (module, promise) = modules::compiled(ctx, host, &name, text)?.eval()?;
    if let Some(result) = promise.result::<Value>() {
        result?;
    }
    module.get("default")
}
