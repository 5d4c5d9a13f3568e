//! Which part may import or name what: the rooms of the architecture, as a table.

use countersign_tests::root;

use super::sources::sources;

/// Something that only some files may name.
struct Rule {
    /// Where it holds: beginnings of paths.
    within: &'static [&'static str],
    /// Where it does not: beginnings of paths.
    except: &'static [&'static str],
    /// What is banned: paths of imports, or any other text.
    banned: &'static [&'static str],
    /// Why, or what to do instead.
    why: &'static str,
}

const RULES: &[Rule] = &[
    Rule {
        within: &["authz-core/src/"],
        except: &[],
        banned: &[
            "std::env",
            "std::fs",
            "std::io",
            "std::net::TcpListener",
            "std::net::TcpStream",
            "std::net::UdpSocket",
            "std::os",
            "std::process",
            "std::sync::Condvar",
            "std::sync::Mutex",
            "std::sync::OnceLock",
            "std::sync::RwLock",
            "std::sync::mpsc",
            "std::thread",
            "std::time",
            ".await",
            "async fn ",
            "thread_local!",
        ],
        why: "the core is pure: no IO, clock, lock or async",
    },
    Rule {
        within: &["ext-authz/src/"],
        except: &["ext-authz/src/clock.rs"],
        banned: &["SystemTime::now", "UnixTime::now", "ASN1Time::now", "OffsetDateTime::now", "UtcDateTime::now"],
        why: "clock::now is the one wall clock; below the edges time is a value",
    },
    Rule {
        within: &["ext-authz/src/"],
        except: &["ext-authz/src/config.rs", "ext-authz/src/config/", "ext-authz/src/cli/"],
        banned: &["std::env"],
        why: "only the configuration (and the command line, for its terminal and user) reads the environment",
    },
    Rule {
        within: &["ext-authz/src/"],
        except: &["ext-authz/src/grpc.rs", "ext-authz/src/grpc/"],
        banned: &["envoy_types"],
        why: "only the gRPC doors know Envoy's types",
    },
    Rule {
        within: &["ext-authz/src/"],
        except: &["ext-authz/src/grpc/response.rs"],
        banned: &["OkHttpResponse", "DeniedHttpResponse"],
        why: "one constructor makes every answer to Envoy, so that none lacks a status",
    },
    Rule {
        within: &["ext-authz/src/"],
        except: &["ext-authz/src/policy.rs", "ext-authz/src/policy/"],
        banned: &["cedar_policy"],
        why: "only policy knows the engine",
    },
    Rule {
        within: &["ext-authz/src/"],
        except: &["ext-authz/src/identity.rs", "ext-authz/src/identity/"],
        banned: &["webpki", "x509_parser"],
        why: "only identity reads and verifies certificates",
    },
    Rule {
        within: &["ext-authz/src/"],
        except: &["ext-authz/src/identity/federation/"],
        banned: &["hyper_rustls", "rustls_native_certs"],
        why: "only federation asks anybody outside, and believes whom the system believes",
    },
    Rule {
        within: &["ext-authz/src/"],
        except: &["ext-authz/src/signals.rs", "ext-authz/src/signals/"],
        banned: &["redb"],
        why: "only the log knows its storage",
    },
    Rule {
        within: &["authz-core/src/", "authz-wire/src/", "ext-authz/src/", "wasm-filter/src/"],
        // The workbench makes callers of cases; it answers nobody.
        except: &[
            "ext-authz/src/identity/svid.rs",
            "ext-authz/src/workbench/draft.rs",
            "wasm-filter/src/machine/response.rs",
        ],
        banned: &["Caller::verified"],
        why: "a caller is made from a chain that was verified, or from the sidecar's word that it was",
    },
    Rule {
        within: &["wasm-filter/src/"],
        except: &[
            "wasm-filter/src/host.rs",
            "wasm-filter/src/http.rs",
            "wasm-filter/src/lib.rs",
            "wasm-filter/src/root.rs",
            "wasm-filter/src/tcp.rs",
        ],
        banned: &["proxy_wasm"],
        why: "the machine knows no host",
    },
    Rule {
        within: &["wasm-filter/src/", "authz-wire/src/"],
        except: &[],
        banned: &["std::env", "std::fs", "std::thread", "std::process", "std::time::Instant", "SystemTime::now"],
        why: "they panic on wasm32-unknown-unknown",
    },
];

impl Rule {
    fn holds_for(&self, path: &str) -> bool {
        self.is_about(path) && !self.except.iter().any(|start| path.starts_with(start))
    }

    fn is_about(&self, path: &str) -> bool {
        self.within.iter().any(|start| path.starts_with(start))
    }

    fn broken_by(&self, product: &str) -> Vec<&'static str> {
        let imports = imports(product);
        let is_path = |banned: &str| banned.chars().all(|it| it.is_alphanumeric() || it == '_' || it == ':');
        let named = |banned: &str| {
            if is_path(banned) {
                contains_path(product, banned) || imports.iter().any(|path| is_within(path, banned))
            } else {
                product.contains(banned)
            }
        };
        self.banned.iter().copied().filter(|banned| named(banned)).collect()
    }
}

fn contains_path(text: &str, word: &str) -> bool {
    // The name of a crate counts as the beginning of a path only: `redb` may be a word of a message or a configuration.
    let alone = word.contains("::") || word.starts_with(char::is_uppercase);
    let part = |character: Option<char>| character.is_some_and(|it| it.is_alphanumeric() || it == '_');
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        !part(before) && !part(after) && (alone || text[at + word.len()..].starts_with("::"))
    })
}

fn is_within(path: &str, banned: &str) -> bool {
    path.strip_prefix(banned).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Every path that `use` brings in, braces resolved, names after `as` left out.
fn imports(text: &str) -> Vec<String> {
    let mut paths = Vec::new();
    let statements = text.split('\n').map(str::trim_start).filter(|line| is_use(line));
    for start in statements {
        let at = start.as_ptr() as usize - text.as_ptr() as usize;
        let statement: String =
            text[at..].split(';').next().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
        let (_, tree) = statement.split_once("use ").unwrap_or_default();
        expand("", tree, &mut paths);
    }
    paths
}

fn is_use(line: &str) -> bool {
    line.starts_with("use ") || (line.starts_with("pub") && line.contains("use ") && line.contains("::"))
}

fn expand(prefix: &str, tree: &str, paths: &mut Vec<String>) {
    let tree = tree.trim();
    if let Some((head, rest)) = tree.split_once('{') {
        let inner = rest.trim_end().strip_suffix('}').unwrap_or(rest);
        for branch in branches(inner) {
            expand(&format!("{prefix}{}", head.trim()), branch, paths);
        }
    } else if !tree.is_empty() {
        let name = tree.split(" as ").next().unwrap_or_default().trim();
        paths.push(format!("{prefix}{name}").trim_end_matches("::self").to_owned());
    }
}

/// Splits at the commas outside of braces.
fn branches(inner: &str) -> Vec<&str> {
    let (mut depth, mut start, mut found) = (0, 0, Vec::new());
    for (at, character) in inner.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                found.push(&inner[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    found.push(&inner[start..]);
    found
}

#[test]
fn nobody_names_what_belongs_to_another_room() {
    let mut broken = Vec::new();
    for source in sources() {
        let product = source.product();
        for rule in RULES.iter().filter(|rule| rule.holds_for(&source.path)) {
            let names = rule.broken_by(&product);
            broken.extend(names.into_iter().map(|name| format!("{}: {name}: {}", source.path, rule.why)));
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn no_rule_or_exception_outlives_what_it_is_about() {
    let sources = sources();
    for rule in RULES {
        assert!(
            rule.within.iter().all(|start| sources.iter().any(|source| source.path.starts_with(start))),
            "{}",
            rule.why
        );
        for except in rule.except {
            assert!(root().join(except).exists(), "{except} is gone, but an exception names it");
        }
        let allowed = sources.iter().filter(|source| rule.is_about(&source.path) && !rule.holds_for(&source.path));
        let used = allowed.filter(|source| !rule.broken_by(&source.product()).is_empty()).count();
        assert!(rule.except.is_empty() || used > 0, "nobody needs the exceptions of: {}", rule.why);
    }
}

#[test]
fn imports_are_found_in_every_way_to_write_them() {
    let cases: &[(&str, &str, bool)] = &[
        ("std::fs", "use std::fs;", true),
        ("std::fs", "use std::fs as files;", true),
        ("std::fs", "use std::{fmt, fs};", true),
        ("std::fs", "use std::{\n    fmt,\n    fs::{self, File},\n};", true),
        ("std::fs", "pub(crate) use std::fs::File;", true),
        ("std::fs", "let text = std::fs::read(path);", true),
        ("std::fs", "use std::fmt;", false),
        ("std::fs", "use other::std::fs2;", false),
        ("std::sync::Mutex", "use std::sync::{Arc, Mutex};", true),
        ("std::sync::Mutex", "use std::sync::{Arc, MutexLike};", false),
        ("redb", "use redb::{Database, Table};", true),
        ("redb", "let database = redb::Database::new();", true),
        ("redb", "let kind = \"redb\";", false),
        ("SystemTime::now", "let now = std::time::SystemTime::now();", true),
        ("SystemTime::now", "let now = SystemTime::nowhere();", false),
        ("Denied", "v3::Denied { status }", true),
        ("Denied", "use v3::{Denied, Ok};", true),
        ("Denied", "DeniedLike { status }", false),
        (".await", "let value = future.await;", true),
        ("async fn ", "pub async fn run() {}", true),
    ];
    for (banned, text, expected) in cases {
        let banned: &'static [&'static str] = vec![*banned].leak();
        let rule = Rule { within: &[], except: &[], banned, why: "" };
        assert_eq!(!rule.broken_by(text).is_empty(), *expected, "{banned:?} in {text}");
    }
}
