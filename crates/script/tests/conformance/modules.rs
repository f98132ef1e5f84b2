//! Imports.

use crate::driver::{World, load, load_files};

// using-k6/modules: local modules by relative path
#[test]
fn modules_import_each_other_by_relative_path() {
    let program = load_files(&[
        (
            "a/script.js",
            "import f, { n } from './lib/x.js'; import * as y from '../y.js';
          export default () => console.log(f(n), y.z);",
        ),
        (
            "a/lib/x.js",
            "import { k } from './k.js'; export const n = k; export default v => v + 1;",
        ),
        ("a/lib/k.js", "export const k = 41;"),
        ("y.js", "export const z = 'up';"),
    ]);
    assert_eq!(World::of(program.expect("it is loaded")).run(), ["42 up"]);
}

// using-k6/modules: full file names are needed
#[test]
fn a_module_that_is_not_there_is_named() {
    let error = load("\nimport './lib';").expect_err("no file");
    assert!(error.message.contains("`lib`"), "{error}");
}

#[test]
fn what_has_no_counterpart_is_refused_with_its_line() {
    for (name, word) in [
        ("k6/net/grpc", "gRPC"),
        ("k6/browser", "browsers"),
        ("k6/x/sql", "extensions"),
        ("k6/nothing", "not supported"),
        ("lodash", "npm"),
    ] {
        let error = load(&format!("\n\nimport x from '{name}';")).expect_err("refused");
        assert!(error.message.contains(word), "{error}");
        assert!(error.message.contains(name), "{error}");
        assert_eq!(error.place.as_deref(), Some("script.js:3"), "{error}");
    }
}

#[test]
fn a_module_by_address_comes_from_the_cache() {
    let program = load_files(&[
        (
            "script.js",
            "import { one } from 'https://jslib.test/a/1.0/index.js';
          export default () => console.log(one);",
        ),
        (
            "https://jslib.test/a/1.0/index.js",
            "export { one } from './one.js';",
        ),
        ("https://jslib.test/a/1.0/one.js", "export const one = 1;"),
    ]);
    assert_eq!(World::of(program.expect("it is loaded")).run(), ["1"]);
    let error = load("import 'https://no.test/a.js';").expect_err("not there");
    assert!(error.message.contains("https://no.test/a.js"), "{error}");
    assert!(error.message.contains("cache"), "{error}");
}

#[test]
fn a_mistake_is_named_with_its_line() {
    let error = load("export default () => {\n  let x = ;\n};").expect_err("a mistake");
    assert_eq!(error.place.as_deref(), Some("script.js:2:11"), "{error:?}");
    let error = load("const a = 1;\nnull.x;").expect_err("a mistake");
    assert_eq!(error.place.as_deref(), Some("script.js:2:1"), "{error:?}");
}

#[test]
fn require_gives_modules() {
    let program = load_files(&[
        (
            "script.js",
            "const http = require('k6/http'); const { check } = require('k6');
          const own = require('./own.js');
          module.exports.options = { vus: 7 };
          module.exports.default = function () {
            console.log(typeof http.get, typeof check, own.n);
          };",
        ),
        ("own.js", "exports.n = 3;"),
    ])
    .expect("it is loaded");
    assert_eq!(program.options()["vus"], 7);
    assert_eq!(World::of(program).run(), ["function function 3"]);
}

// using-k6/javascript-typescript-compatibility-mode: types are stripped, not checked
#[test]
fn typescript_runs_without_its_types() {
    let program = load_files(&[
        (
            "script.ts",
            "import http, { type Response } from 'k6/http';
             import { twice } from './lib.ts';
             interface User { name: string; n?: number }
             export const options: { vus: number } = { vus: 2 };
             export default function (): void {
               const u: User = { name: 'a' }; const r: Response = http.get('http://a.test/');
               console.log(u.name as string, twice<number>(r.status));
             }",
        ),
        (
            "lib.ts",
            "export const twice = <T extends number>(n: T): number => n * 2;",
        ),
    ])
    .expect("it is loaded");
    assert_eq!(program.options()["vus"], 2);
    assert_eq!(World::of(program).run(), ["a 400"]);
    let error = load_files(&[("script.ts", "let a: = 1;\n")]).expect_err("a mistake");
    assert!(
        error
            .place
            .as_deref()
            .is_some_and(|p| p.starts_with("script.ts:1:")),
        "{error:?}"
    );
}

#[test]
fn all_that_has_no_counterpart_is_found() {
    let text = "import http from 'k6/http';
        import grpc from 'k6/net/grpc'; // of gRPC
        import {
          browser,
        } from \"k6/browser\";
        const sql = require('k6/x/sql');
        const no = 'k6/nothing';
        import sse from 'k6/x/sse';";
    let found = breakpoint_script::refused_imports("a.js", text);
    let places: Vec<_> = found
        .iter()
        .filter_map(|one| one.place.as_deref())
        .collect();
    assert_eq!(places, ["a.js:2", "a.js:5", "a.js:6"]);
    assert!(found[2].message.contains("k6/x/sql"), "{found:?}");
}

// using-k6/modules: bundles, as bundlers write them
#[test]
fn bundles_are_taken_for_what_they_are() {
    for (kind, bundle) in [
        (
            "a minified module, whose export stands behind other statements",
            "var m=(e=>(e.exports={n:1},e))({exports:{}}).exports;typeof module<'u'&&module.exports;\
             var d=()=>console.log('ran',m.n);export{d as default};",
        ),
        (
            "a module of the old kind",
            "'use strict'; var e = {}; Object.defineProperty(e, Symbol.toStringTag, { value: 'Module' });\
             Object.defineProperty(e, '__esModule', { value: true });\
             e.default = () => console.log('ran', 1); module.exports = e;",
        ),
        (
            "a module of the old kind that names exports in a text",
            "const text = 'export default 1'; exports.default = () => console.log('ran', text.length - 15);\
             exports.__esModule = true;",
        ),
        (
            "one that goes to globals where there are no modules",
            "(function (root, make) { if (typeof exports === 'object' && typeof module !== 'undefined')\
             { module.exports = make(); } else { (root || globalThis || self).own = make(); } })\
             (this, function () { return { default: () => console.log('ran', 1) }; });",
        ),
    ] {
        let mut world = World::new(bundle);
        assert_eq!(world.run(), ["ran 1"], "{kind}");
    }
}
