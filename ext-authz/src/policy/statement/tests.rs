//! Splitting and naming.

use cedar_policy::PolicySet;
use proptest::prelude::*;

use super::*;

fn source(text: &str) -> Source {
    Source { name: "a.cedar".into(), text: text.into() }
}

fn problems(texts: &[&str]) -> Vec<String> {
    let sources: Vec<Source> = texts
        .iter()
        .enumerate()
        .map(|(at, text)| Source { name: format!("{at}.cedar"), text: (*text).into() })
        .collect();
    let mut problems = Vec::new();
    parse_all(&sources, &mut problems);
    problems.iter().map(Problem::to_string).collect()
}

#[test]
fn a_policy_is_called_by_its_id_or_its_place() {
    let text = "// about\n\npermit(principal, action, resource); @id(\"b\")\nforbid(principal, action, resource);\n\n";
    let (source, mut problems) = (source(text), Vec::new());
    let sources = [source];
    let names: Vec<_> = parse_all(&sources, &mut problems).into_iter().map(|s| s.name.to_string()).collect();
    assert_eq!((names, problems), (vec!["a.cedar:3".to_owned(), "b".to_owned()], vec![]));
}

#[test]
fn every_mistake_of_every_file_is_told_with_its_place() {
    let told = problems(&[
        "permit(principal, action, resource)\n  when { principal. };\npermit(principal, action);",
        "@id(\"x\") permit(principal, action, resource);\n  @id(\"x\") forbid(principal, action, resource);",
        "permit(principal == ?principal, action, resource);\n@id(\"a b\") permit(principal, action, resource);\nallow(",
    ]);
    let places: Vec<_> = told.iter().map(|line| line.split(": ").next().unwrap_or_default()).collect();
    assert_eq!(
        places,
        ["0.cedar:2:21", "0.cedar:3:25", "1.cedar:2:3", "2.cedar:1:21", "2.cedar:2:1", "2.cedar:3:7"],
        "{told:#?}"
    );
    assert!(told[2].contains("exists already at 1.cedar:1;"), "{}", told[2]);
}

#[test]
fn semicolons_in_strings_and_comments_end_nothing() {
    let text = r#"permit(principal, action, resource) when { "a;\";" == "//;" }; // ; no "
        // "
        forbid(principal, action, resource) unless { 1 == 1 // ;
        };"#;
    let parts = split(text);
    assert_eq!(parts.len(), 2, "{parts:?}");
    assert!(parts[1].1.starts_with("forbid"));
}

proptest! {
    #[test]
    fn any_text_is_split_without_losing_code(text in r#"([a-z;"/\\ \n\ré]|//|permit|\\"){0,40}"#) {
        let mut end = 0;
        for (offset, part) in split(&text) {
            let between = text.get(end..offset).unwrap();
            for line in between.split(['\n', '\r']) {
                prop_assert!(line.trim().is_empty() || line.trim_start().starts_with("//"), "{between:?}");
            }
            end = offset + part.len();
        }
        prop_assert_eq!(skip_blank(&text, end), text.len());
    }

    #[test]
    fn what_cedar_accepts_is_split_into_the_policies_cedar_sees(
        parts in prop::collection::vec(prop::sample::select(vec![
            "permit(principal, action, resource);",
            "forbid(principal, action, resource) when { context.a == \"x;y\" };",
            "@note(\"a \\\" ; // b\") permit(principal, action, resource);",
            "// permit(principal, action, resource);\n",
            "// \"\n", " ", "\n", "\r", "\"", ";",
        ]), 0..8)
    ) {
        let text = parts.concat();
        let mut problems = Vec::new();
        let sources = [source(&text)];
        let ours = parse_all(&sources, &mut problems);
        // Several policies on one line would share a name; only that is ours to refuse.
        let duplicates = problems.iter().filter(|problem| problem.message.contains("exists already")).count();
        match text.parse::<PolicySet>() {
            Ok(cedar) => {
                prop_assert_eq!(problems.len(), duplicates);
                prop_assert_eq!(ours.len() + duplicates, cedar.num_of_policies());
            }
            Err(_) => prop_assert!(problems.len() > duplicates, "{text:?}"),
        }
    }
}
