use proptest::prelude::*;

use super::*;

/// TypeScript and its JavaScript; runs of spaces count as one.
const CASES: &[(&str, &str)] = &[
    // Annotations.
    ("let a: number = 1;", "let a = 1;"),
    ("let a: number;", "let a ;"),
    ("let a!: number;", "let a ;"),
    (
        "let a: string | null = null, b: A & B;",
        "let a = null, b ;",
    ),
    ("const f: (a: number) => void = g;", "const f = g;"),
    ("const f: new (...a: any[]) => T = g;", "const f = g;"),
    ("const f: abstract new () => T = g;", "const f = g;"),
    ("const f: <T>(a: T) => T = g;", "const f = g;"),
    ("let a: { b: number; c?: string } = {};", "let a = {};"),
    ("let a: [number, ...string[]] = x;", "let a = x;"),
    ("let a: [x: number, y?: string] = x;", "let a = x;"),
    ("let a: number[][] = [];", "let a = [];"),
    ("let a: Array<Array<number>> = [];", "let a = [];"),
    (
        "let a: Map<string, Set<Array<number>>>= new Map();",
        "let a = new Map();",
    ),
    ("let a: A.B.C<D>[\"e\"] = 1;", "let a = 1;"),
    ("let a: typeof b = b;", "let a = b;"),
    ("let a: typeof b.c<number> = b;", "let a = b;"),
    ("let a: keyof typeof b = 'x';", "let a = 'x';"),
    ("let a: readonly string[] = [];", "let a = [];"),
    ("let a: unique symbol = Symbol();", "let a = Symbol();"),
    (
        "let a: 'x' | \"y\" | `z${number}` | 1 | -1 = 1;",
        "let a = 1;",
    ),
    ("let a: T extends U ? V : W = 1;", "let a = 1;"),
    (
        "let a: T extends (infer U)[] ? U : never = 1;",
        "let a = 1;",
    ),
    (
        "let a: T extends [infer U extends string] ? U : never = 1;",
        "let a = 1;",
    ),
    ("let a: import('x').Y<Z> = 1;", "let a = 1;"),
    ("let a: typeof import('x') = 1;", "let a = 1;"),
    ("let a: (string) = '';", "let a = '';"),
    ("let a: (string | number)[] = [];", "let a = [];"),
    ("let a: | 1 | 2 = 1;", "let a = 1;"),
    ("let a: readonly = 1;", "let a = 1;"),
    ("let a: keyof = 1;", "let a = 1;"),
    ("let a: any\nlet b", "let a \nlet b"),
    ("let a: T\n[1].map(f)", "let a \n[1].map(f)"),
    ("for (const a: any of b) c;", "for (const a of b) c;"),
    (
        "for (let i: number = 0; i < 3; i++) {}",
        "for (let i = 0; i < 3; i++) {}",
    ),
    ("try {} catch (e: unknown) {}", "try {} catch (e ) {}"),
    (
        "const { a, b: c }: { a: number; b: string } = d;",
        "const { a, b: c } = d;",
    ),
    ("const [a, b = 2]: number[] = d;", "const [a, b = 2] = d;"),
    // Functions.
    (
        "function f(a: number, b?: string): void {}",
        "function f(a , b ) {}",
    ),
    ("function f(a?) {}", "function f(a ) {}"),
    (
        "function f(a: number = 1, ...r: any[]) {}",
        "function f(a = 1, ...r ) {}",
    ),
    (
        "function f<T, U extends T = T>(a: T): U { return a; }",
        "function f (a ) { return a; }",
    ),
    ("function f<const T>(a: T) {}", "function f (a ) {}"),
    (
        "function f(this: Window, a: number) {}",
        "function f( a ) {}",
    ),
    ("function f(this: Window) {}", "function f( ) {}"),
    (
        "function f(a): a is string { return true; }",
        "function f(a) { return true; }",
    ),
    ("function f(a): asserts a is string {}", "function f(a) {}"),
    ("function f(a): asserts a {}", "function f(a) {}"),
    (
        "function f(): { a: number } { return x; }",
        "function f() { return x; }",
    ),
    (
        "function f(a: string): void;\nfunction f(a: any) {}",
        ";\nfunction f(a ) {}",
    ),
    (
        "export function f(a: string): void;\nexport function f(a) {}",
        ";\nexport function f(a) {}",
    ),
    (
        "export default function f(): T;\nexport default function f() {}",
        ";\nexport default function f() {}",
    ),
    (
        "async function f(): Promise<void> { await x; }",
        "async function f() { await x; }",
    ),
    (
        "function* f(): Generator<number> { yield 1; }",
        "function* f() { yield 1; }",
    ),
    (
        "const f = function <T>(a: T): T { return a; };",
        "const f = function (a ) { return a; };",
    ),
    (
        "const o = { m<T>(a: T): void {}, get x(): number { return 1; }, async *[k](): X {} };",
        "const o = { m (a ) {}, get x() { return 1; }, async *[k]() {} };",
    ),
    // Arrow functions.
    (
        "const f = (a: number): string => `${a}`;",
        "const f = (a ) => `${a}`;",
    ),
    ("const f = <T>(a: T): T => a;", "const f = (a ) => a;"),
    ("const f = <T,>(a: T) => a;", "const f = (a ) => a;"),
    (
        "const f = async <T>(a: T): Promise<T> => a;",
        "const f = async (a ) => a;",
    ),
    ("const f = async (a: T) => a;", "const f = async (a ) => a;"),
    (
        "const f = ({ a, b }: P) => a + b;",
        "const f = ({ a, b } ) => a + b;",
    ),
    ("const f = (a?: number) => a;", "const f = (a ) => a;"),
    (
        "const f = (): { a: number } => ({ a: 1 });",
        "const f = () => ({ a: 1 });",
    ),
    (
        "const f = (a: number = (b as number)) => a;",
        "const f = (a = (b )) => a;",
    ),
    ("const f = (a): (b: T) => U => g;", "const f = (a) => g;"),
    ("const f = (a):\n  T\n  => a;", "const f = (a \n \n )=> a;"),
    ("return_(<\n T\n>(a: T) => a)", "return_(( \n \n a ) => a)"),
    ("x ? (a) : b => c", "x ? (a) : b => c"),
    ("x ? (a): b => c : d", "x ? (a) => c : d"),
    ("x ? (a: T) => a : (b: T) => b", "x ? (a ) => a : (b ) => b"),
    ("x ? y! : z!", "x ? y : z "),
    ("x ? (y as T) : z", "x ? (y ) : z"),
    ("a = b ? (c, d) : e;", "a = b ? (c, d) : e;"),
    (
        "f((a: T) => a, <U>(b: U) => b);",
        "f((a ) => a, (b ) => b);",
    ),
    // Expressions.
    ("const a = b as number;", "const a = b ;"),
    ("const a = b as const;", "const a = b ;"),
    (
        "const a = { b: 1 } as const satisfies T;",
        "const a = { b: 1 } ;",
    ),
    ("const a = b satisfies T;", "const a = b ;"),
    ("const a = (b as any).c;", "const a = (b ).c;"),
    ("const a = b as unknown as T[];", "const a = b ;"),
    ("const a = b as T | U || c;", "const a = b || c;"),
    ("const a = b as number + 1;", "const a = b + 1;"),
    ("if ((a as T) < b) {}", "if ((a ) < b) {}"),
    ("a = <T>b;", "a = b;"),
    ("a = <any>window.b;", "a = window.b;"),
    ("a = <T>(b);", "a = (b);"),
    ("a!.b!.c![0]!();", "a .b .c [0] ();"),
    ("a! = b;", "a = b;"),
    ("a!++;", "a ++;"),
    (
        "if (a! == b && c != d && e !== f) {}",
        "if (a == b && c != d && e !== f) {}",
    ),
    ("a?.b!.c", "a?.b .c"),
    ("f<T>(a);", "f (a);"),
    ("f<T, U[]>(a)<V>(b);", "f (a) (b);"),
    ("new Map<string, number>();", "new Map ();"),
    ("new Map<string, Map<string, number>>();", "new Map ();"),
    ("const s = new Set<string>;", "const s = new Set ;"),
    ("a.b<T>`x`;", "a.b `x`;"),
    ("a?.<T>(b)", "a?. (b)"),
    ("const g = f<string>;", "const g = f ;"),
    ("a as T\n(b)", "a ;\n(b)"),
    ("a as T\n[b]", "a ;\n[b]"),
    ("let x = y as any, z = 1;", "let x = y , z = 1;"),
    ("const f = () => <T>{};", "const f = () => {};"),
    ("`${a as string}${b!}`", "`${a }${b }`"),
    ("for (const k in o as any) {}", "for (const k in o ) {}"),
    ("delete (a as any).b;", "delete (a ).b;"),
    ("a = b < c, d > e;", "a = b < c, d > e;"),
    ("a = b < c && d > (e);", "a = b < c && d > (e);"),
    (
        "a = b >> c >>> d >= e; f >>= 1; f >>>= 2;",
        "a = b >> c >>> d >= e; f >>= 1; f >>>= 2;",
    ),
    // Types of their own.
    ("type A = string;", ";"),
    ("type A<T> = { [K in keyof T]?: T[K] };", ";"),
    ("type A =\n  | 'a'\n  | 'b';\nf();", ";\n\n\nf();"),
    ("type A = B\nf()", ";\nf()"),
    ("let a = b\ntype T = U\n(c)", "let a = b\n;\n(c)"),
    ("type A = T extends string\n  ? 'x'\n  : never;", ";\n\n"),
    ("type F = (a: number, b: { c: string }) => a is T;", ";"),
    ("type = 5; type(a); type.b;", "type = 5; type(a); type.b;"),
    ("interface A { b: number; c(): void }", ";"),
    (
        "interface A<T> extends B<T>, C.D<{ e: 1 }> {\n  f: T;\n}",
        ";\n\n",
    ),
    ("export interface A {}", ";"),
    ("export type A = B;", ";"),
    ("export default interface A {}", ";"),
    ("type.x = 1; type(2)", "type.x = 1; type(2)"),
    ("declare const A: string;", ";"),
    ("declare function f(a: T): U;", ";"),
    ("declare class A extends B { c: D; e(): F; }", ";"),
    ("declare module 'x' { export const a: T; }", ";"),
    ("declare global { interface Window { a: T } }", ";"),
    ("declare namespace A.B { let c; }", ";"),
    ("declare enum A { B }", ";"),
    ("declare let a: T, b: U\nc()", ";\nc()"),
    ("export declare const A: string;", ";"),
    ("declare type A = B;", ";"),
    ("declare = 1; declare(2);", "declare = 1; declare(2);"),
    (
        "abstract = 1; module = 2; namespace = 3;",
        "abstract = 1; module = 2; namespace = 3;",
    ),
    // Classes.
    (
        "class A<T> extends B<T> implements C, D<T> {}",
        "class A extends B {}",
    ),
    ("class A implements B {}", "class A {}"),
    ("abstract class A {}", " class A {}"),
    (
        "export abstract class A { abstract b(): void; abstract c: T; d() {} }",
        "export class A { ; ; d() {} }",
    ),
    (
        "export default abstract class A {}",
        "export default class A {}",
    ),
    (
        "class A { a: number; b = 1; c: T = 2; d?: U; e!: V }",
        "class A { a ; b = 1; c = 2; d ; e }",
    ),
    (
        "class A { private a = 1; public static b; protected readonly c: T = 3 }",
        "class A { ; a = 1; ; static b; ; c = 3 }",
    ),
    (
        "class A { static readonly a = 1; override b() {} }",
        "class A { static a = 1; ; b() {} }",
    ),
    ("class A { declare a: T; b }", "class A { ; b }"),
    ("class A { [key: string]: any; b }", "class A { ; b }"),
    (
        "class A { readonly [key: string]: any; b }",
        "class A { ; b }",
    ),
    (
        "class A { a(b: string): void; a(b: any) {} }",
        "class A { ; a(b ) {} }",
    ),
    (
        "class A { constructor(a: T); constructor(a) {} }",
        "class A { ; constructor(a) {} }",
    ),
    (
        "class A { a?(): void; b?<T>() {} }",
        "class A { ; b () {} }",
    ),
    (
        "class A { get a(): T { return 1; } set a(v: T) {} }",
        "class A { get a() { return 1; } set a(v ) {} }",
    ),
    (
        "class A { async *a<T>(): X {} static { b(); } #c: T = 1; d() { return this.#c!; } }",
        "class A { async *a () {} static { b(); } #c = 1; d() { return this.#c ; } }",
    ),
    (
        "class A {\n a = 1\n private *b() {}\n}",
        "class A {\n a = 1\n ; *b() {}\n}",
    ),
    (
        "class A { private; public() {} static = 1; get; declare\n x; async() {} }",
        "class A { private; public() {} static = 1; get; declare\n x; async() {} }",
    ),
    (
        "class A { constructor(private a: T, readonly b = 2, c) { this.d = c; } }",
        "class A { constructor( a , b = 2, c) { this.a = a; this.b = b; this.d = c; } }",
    ),
    (
        "class A extends B { constructor(public a: T) { super(); f(); } }",
        "class A extends B { constructor( a ) { super(); this.a = a; f(); } }",
    ),
    (
        "class A extends B { constructor(public a: T) { super()\n f() } }",
        "class A extends B { constructor( a ) { super(); this.a = a;\n f() } }",
    ),
    (
        "const A = class<T> implements B { c: T };",
        "const A = class { c };",
    ),
    ("class A extends (B as any) {}", "class A extends (B ) {}"),
    ("class A extends f<T>(B) {}", "class A extends f (B) {}"),
    (
        "class A { a = (b: T): U => b; c = <T>d; }",
        "class A { a = (b ) => b; c = d; }",
    ),
    // Enums.
    (
        "enum A { B, C }",
        "var A = (function (A) { const B = 0; A[\"B\"] = B; if (typeof B === \
        \"number\") A[B] = \"B\"; const C = B + 1; A[\"C\"] = C; if (typeof C === \"number\") \
        A[C] = \"C\"; return A; })(A || {});",
    ),
    (
        "const enum A { B = 'b' }",
        "var A = (function (A) { const B = ( 'b'); A[\"B\"] = B; if \
        (typeof B === \"number\") A[B] = \"B\"; return A; })(A || {});",
    ),
    // Imports and exports.
    ("import type { A } from 'a';", ";"),
    ("import type A from 'a';", ";"),
    ("import type * as A from 'a';", ";"),
    ("import type from 'a'; type;", "import type from 'a'; type;"),
    ("import { A } from 'a'; let b: A;", "; let b ;"),
    (
        "import { type A, b } from 'a'; b();",
        "import { b } from 'a'; b();",
    ),
    (
        "import { b, type A } from 'a'; b();",
        "import { b, } from 'a'; b();",
    ),
    ("import { type A } from 'a';", ";"),
    ("import d, { A } from 'a'; d();", "import d from 'a'; d();"),
    (
        "import D, { a } from 'a'; a(); let x: D",
        "import { a } from 'a'; a(); let x ",
    ),
    (
        "import * as a from 'a'; a.b();",
        "import * as a from 'a'; a.b();",
    ),
    ("import * as a from 'a'; let b: a.B;", "; let b ;"),
    (
        "import { a as b } from 'a'; b();",
        "import { a as b } from 'a'; b();",
    ),
    (
        "import { Options } from 'k6/options';\nexport const options: Options = {};",
        ";\nexport const options = {};",
    ),
    (
        "import { a } from 'a'; const o = { a };",
        "import { a } from 'a'; const o = { a };",
    ),
    (
        "import { a } from 'a'; export { a };",
        "import { a } from 'a'; export { a };",
    ),
    ("import 'a';", "import 'a';"),
    (
        "import a from './a.json' with { type: 'json' }; a;",
        "import a from './a.json' with { type: 'json' }; a;",
    ),
    ("export type { A } from 'a';", ";"),
    ("export type * from 'a';", ";"),
    ("type A = 1; export { A, b };", "; export { b };"),
    (
        "interface A {} const A = 1; export { A };",
        "; const A = 1; export { A };",
    ),
    ("interface A {}\nexport default A;", ";\n"),
    ("export { type A, b } from 'a';", "export { b } from 'a';"),
    (
        "export * from 'a'; export * as b from 'b';",
        "export * from 'a'; export * as b from 'b';",
    ),
    (
        "export const f = (a: T): U => a;",
        "export const f = (a ) => a;",
    ),
    (
        "export default async (a: T) => {};",
        "export default async (a ) => {};",
    ),
    ("export default { a: 1 as T };", "export default { a: 1 };"),
    // What looks like types and is not.
    (
        "label: for (;;) break label;",
        "label: for (;;) break label;",
    ),
    (
        "switch (a) { case b: c(); default: d(); }",
        "switch (a) { case b: c(); default: d(); }",
    ),
    (
        "a = /<T>(x: y)/g.test(b) / c / d;",
        "a = /<T>(x: y)/g.test(b) / c / d;",
    ),
    (
        "a = `<T>${b ? `x: ${c}` : '}'}`;",
        "a = `<T>${b ? `x: ${c}` : '}'}`;",
    ),
    (
        "a = { as: 1, satisfies: 2, type: 3, enum: 4 }.as;",
        "a = { as: 1, satisfies: 2, type: 3, enum: 4 }.as;",
    ),
    ("as = 1; let satisfies = as;", "as = 1; let satisfies = as;"),
    ("a ? .5 : b?.5:1", "a ? .5 : b?.5:1"),
    ("x = y\n/z/g", "x = y\n/z/g"),
    (
        "if (a) /re/.test(b); else if (c) d; else e",
        "if (a) /re/.test(b); else if (c) d; else e",
    ),
];

fn squeezed(text: &str) -> Vec<String> {
    text.lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect()
}

/// The spaces that were removed inside differ from what one would write: none of them counts.
fn bare(text: &str) -> Vec<String> {
    let without = |line: String| line.replace(' ', "");
    let mut lines: Vec<String> = squeezed(text).into_iter().map(without).collect();
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines
}

#[test]
fn types_are_removed_and_lines_stay() {
    assert!(CASES.len() >= 120, "{}", CASES.len());
    for (source, wanted) in CASES {
        let found = strip(source, "a.ts").unwrap_or_else(|e| panic!("{source}: {e}"));
        assert_eq!(bare(&found), bare(wanted), "{source}");
        assert_eq!(
            found.matches('\n').count(),
            source.matches('\n').count(),
            "{source}"
        );
    }
}

#[test]
fn what_is_left_is_javascript_to_the_engine() {
    let runtime = rquickjs::Runtime::new().expect("a runtime");
    let context = rquickjs::Context::full(&runtime).expect("a context");
    context.with(|ctx| {
        for (source, _) in CASES {
            let found = strip(source, "a.ts").expect("it is stripped");
            let declared = rquickjs::Module::declare(ctx.clone(), "a", found.clone());
            let declared = rquickjs::CatchResultExt::catch(declared, &ctx);
            // These are no modules that stand alone, or what this engine does not do.
            let known = [
                "return_",
                "with { type",
                "#c",
                "export { A, b }",
                "from 'b'",
            ]
            .iter()
            .any(|text| source.contains(text));
            if let Err(e) = declared
                && !known
            {
                panic!("{source}\n{found}\n{e}");
            }
        }
    });
}

#[test]
fn text_that_stays_keeps_its_column() {
    let source = "function f(a: number, b: string): void { throw new Error('here'); }";
    let found = strip(source, "a.ts").expect("it is stripped");
    assert_eq!(found.find("throw"), source.find("throw"));
    assert_eq!(found.len(), source.len());
}

fn run(source: &str) -> String {
    let found = strip(source, "a.ts").expect("it is stripped");
    let runtime = rquickjs::Runtime::new().expect("a runtime");
    let context = rquickjs::Context::full(&runtime).expect("a context");
    context.with(|ctx| {
        let value = ctx.eval::<String, _>(format!("{found}\n;JSON.stringify(out)"));
        rquickjs::CatchResultExt::catch(value, &ctx).unwrap_or_else(|e| panic!("{found}: {e}"))
    })
}

#[test]
fn enums_have_the_values_of_typescript() {
    let cases = [
        (
            "enum A { B, C = 5, D, 'e f' = D * 2, G } const out = A;",
            r#"{"0":"B","5":"C","6":"D","12":"e f","13":"G","B":0,"C":5,"D":6,"e f":12,"G":13}"#,
        ),
        (
            "enum A { B = 'x', C = 'y' } const out = [A, A.B];",
            r#"[{"B":"x","C":"y"},"x"]"#,
        ),
        (
            "enum A { A, default, new = 4, B = A | 4 } const out = A;",
            r#"{"0":"A","1":"default","4":"B","A":0,"default":1,"new":4,"B":4}"#,
        ),
        (
            "const enum F { None = 0, X = 1 << 0, Y = 1 << 1, XY = X | Y } const out = F.XY;",
            "3",
        ),
        (
            "enum A { B } enum A { C = 1 } const out = A;",
            r#"{"0":"B","1":"C","B":0,"C":1}"#,
        ),
        (
            "enum A {\n  B, // one\n  C = (1 as number), // two\n}\nconst out = A.C",
            "1",
        ),
        ("enum A {} const out = A;", "{}"),
    ];
    for (source, wanted) in cases {
        let (found, wanted) = (run(source), wanted.to_owned());
        assert_eq!(found, wanted, "{source}");
    }
}

#[test]
fn parameters_become_properties() {
    let source = "class A { constructor(private a: number, readonly b = 2, c?: string) {} }\n\
                  class B extends A { constructor(public d: string) { const x = 1; super(x) } }\n\
                  const out = new B('e');";
    assert_eq!(run(source), r#"{"a":1,"b":2,"d":"e"}"#);
}

#[test]
fn what_is_more_than_types_is_refused_with_its_line() {
    let cases = [
        ("\nnamespace A { }", 2, "namespaces"),
        ("module A.B { }", 1, "namespaces"),
        ("\n\n  import a = require('a');", 3, "import x = .."),
        ("export = a;", 1, "export"),
        ("@dec class A {}", 1, "decorators"),
        ("class A { @dec b; }", 1, "decorators"),
        ("class A { constructor(@dec b) {} }", 1, "decorators"),
        ("let a = 'x", 1, "no end"),
        ("let a = `x", 1, "no end"),
        ("/* ", 1, "no end"),
        ("let a = /x", 1, "no end"),
        ("f(", 1, "the end"),
        ("let a: = 1", 1, "`=`"),
        ("if a", 1, "`a`"),
        ("class A { b( }", 1, "`}`"),
        ("}", 1, "`}`"),
    ];
    for (source, line, words) in cases {
        let error = strip(source, "a.ts").expect_err(source);
        assert_eq!(error.line, line, "{source}");
        assert!(error.message.contains(words), "{source}: {error}");
    }
}

#[test]
fn deep_nesting_ends_in_good_time() {
    for open in [
        "(",
        "[",
        "{",
        "f(",
        "(a = ",
        "<T>(a = ",
        "a ? (",
        "`${",
        "x < (y < ",
        "!",
        "- ",
    ] {
        let source = format!("a = {}", open.repeat(20_000));
        assert!(strip(&source, "a.ts").is_err(), "{open}");
    }
    for open in ["(", "[", "{", "<T>(", "A<", "(a: ", "`${", "A extends B ? "] {
        let source = format!("let a: {}", open.repeat(20_000));
        assert!(strip(&source, "a.ts").is_err(), "{open}");
    }
    let chain = format!("a = {} 1", "b ? c : ".repeat(20_000));
    assert_eq!(strip(&chain, "a.ts").as_deref(), Ok(&*chain));
    let chain = format!("{} {{}}", "if (a) b; else ".repeat(20_000));
    assert_eq!(strip(&chain, "a.ts").as_deref(), Ok(&*chain));
}

/// Expressions of JavaScript.
fn value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        "[a-z]{1,3}".prop_map(|name| format!("v_{name}")),
        "[0-9]{1,3}(\\.[0-9]{1,2})?".prop_map(String::from),
        "'[a-z:<>()?! ]{0,6}'".prop_map(String::from),
        Just("/a[/]:b(c)<d>/g".to_owned()),
        Just("this".to_owned()),
        Just("`x: ${a} <T>`".to_owned()),
        Just("type".to_owned()),
        Just("declare".to_owned()),
        Just("0x1fn".to_owned()),
    ];
    leaf.prop_recursive(5, 48, 4, |inner| {
        let many = proptest::collection::vec(inner.clone(), 0..3);
        prop_oneof![
            (
                inner.clone(),
                inner.clone(),
                select(&[
                    "+",
                    "-",
                    "*",
                    "/",
                    "%",
                    "<=",
                    "===",
                    "!==",
                    "&&",
                    "||",
                    "|",
                    ">>",
                    ">>>",
                    ">=",
                    " in ",
                    " instanceof ",
                    "==",
                    "!=",
                    ",",
                ])
            )
                .prop_map(|(a, b, sign)| format!("({a} {sign} {b})")),
            (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
            (inner.clone(), many.clone()).prop_map(|(f, args)| format!("{f}({})", args.join(", "))),
            many.clone()
                .prop_map(|items| format!("[{}]", items.join(", "))),
            many.clone().prop_map(|items| {
                let members: Vec<_> = items
                    .iter()
                    .enumerate()
                    .map(|(i, item)| match i {
                        0 => format!("type: {item}"),
                        1 => format!("[{item}]: 1, async get() {{}}, get x() {{ return {item} }}"),
                        _ => format!("...{item}"),
                    })
                    .collect();
                format!("({{ {} }})", members.join(", "))
            }),
            inner
                .clone()
                .prop_map(|v| format!("((a, {{ b, c: [d] }} = {v}, ...e) => {v})")),
            inner
                .clone()
                .prop_map(|v| format!("(async x => {{ return await {v} }})")),
            inner
                .clone()
                .prop_map(|v| format!("(function* (a = {v}) {{ yield {v}; yield* a }})")),
            inner.clone().prop_map(|v| format!("(!{v})")),
            inner.clone().prop_map(|v| format!("(typeof {v})")),
            inner.clone().prop_map(|v| format!("`a${{{v}}}b`")),
            inner.clone().prop_map(|v| format!("new X({v})?.y[{v}].#z")),
            inner.prop_map(|v| {
                format!("(class A extends B {{ static x = {v}; #y; get z() {{ return {v} }} }})")
            }),
        ]
    })
}

fn select(texts: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    proptest::sample::select(texts)
}

fn statement() -> impl Strategy<Value = String> {
    let leaf = (value(), 0..9_u8).prop_map(|(v, kind)| match kind {
        0 => format!("const {{ a, b: [c] = 1 }} = {v};"),
        1 => format!("let a = {v}, b\n"),
        2 => format!("x = {v}; // type A = B;\n"),
        3 => format!("/* a: T */ f({v})\n"),
        4 => format!("for (const a of {v}) g(a);"),
        5 => format!("for (let i = 0; i < n; i++) h({v});"),
        6 => format!("export const v1 = {v};"),
        7 => format!("import.meta.x({v});"),
        _ => format!("throw {v};"),
    });
    leaf.prop_recursive(3, 16, 3, |inner| {
        let many = proptest::collection::vec(inner.clone(), 0..3);
        prop_oneof![
            (value(), many.clone())
                .prop_map(|(v, body)| format!("if ({v}) {{\n{}}} else {{}}\n", body.concat())),
            many.clone()
                .prop_map(|body| format!("function f(a, b = 1) {{ {} }}\n", body.concat())),
            many.clone()
                .prop_map(|body| format!("try {{ {} }} catch (e) {{}}\n", body.concat())),
            (value(), many.clone()).prop_map(|(v, body)| {
                format!(
                    "switch ({v}) {{ case {v}: {} break; default: }}\n",
                    body.concat()
                )
            }),
            many.prop_map(|body| format!("l: while (a) {{ {}; continue l }}\n", body.concat())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn javascript_is_its_own(statements in proptest::collection::vec(statement(), 0..5)) {
        let source = statements.concat();
        prop_assert_eq!(strip(&source, "a.js"), Ok(source));
    }

    #[test]
    fn any_text_ends_without_a_panic(source in any::<String>()) {
        let _ = strip(&source, "a.ts");
    }

    #[test]
    fn any_tokens_end_without_a_panic(tokens in proptest::collection::vec(select(&[
        "(", ")", "[", "]", "{", "}", "<", ">", "=>", ":", "?", "!", ";", ",", "=", "a", "type",
        "interface", "enum", "class", "declare", "import", "export", "as", "from", "`", "${", "/",
        "'", "\n", "é", "\\", "abstract", "constructor", "private", "async", "function", "yield",
        "static", "*", "&", "|", ".", "#", "extends", "infer", "keyof", "for", "of", "@", "0",
    ]), 0..40)) {
        let _ = strip(&tokens.join(" "), "a.ts");
        let _ = strip(&tokens.concat(), "a.ts");
    }
}
