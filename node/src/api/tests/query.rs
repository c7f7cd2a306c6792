//! The language of `q`.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::query::Expression;

fn holds(q: &str, metadata: &Value) -> bool {
    let expression = Expression::parse(q).unwrap_or_else(|error| panic!("{q}: {}", error.detail));
    expression.holds(&|field: &str| metadata.get(field))
}

#[test]
fn comparisons_mean_what_they_say() {
    let entry = json!({
        "cluster": "cluster-a", "size": 1_500_000_000_u64, "huge": u64::MAX, "ratio": 0.5,
        "os": "linux", "expr": "a=b", "tags": ["x", "y"], "on": true, "none": null,
        "text": "two words", "created": "2024-01-15T10:30:00Z",
    });
    for (q, wanted) in [
        ("cluster=cluster-a", true),
        ("cluster = cluster-a", true),
        ("cluster!=cluster-a", false),
        ("size>1GB", true),
        ("size>=1500MB", true),
        ("size<1GiB", false),
        ("size<=2GB", true),
        ("huge=18446744073709551615", true),
        ("huge>18446744073709551614", true),
        ("ratio<0.6", true),
        ("ratio>-1", true),
        ("expr=a=b", true),
        ("os=lin*", true),
        ("os=*nu*", true),
        ("os=*inu", false),
        ("os!=win*", true),
        ("os=\"lin*\"", false),
        ("text=\"two words\"", true),
        ("tags=x", true),
        ("tags=z", false),
        ("tags!=z", true),
        ("tags!=x", false),
        ("on=true", true),
        ("missing=x", false),
        ("missing!=x", true),
        ("none!=x", true),
        ("created>2024-01-01T00:00:00Z", true),
        ("created<2024", false),
    ] {
        assert_eq!(holds(q, &entry), wanted, "{q}");
    }
}

#[test]
fn words_bind_in_the_usual_order() {
    let entry = json!({"a": "1", "b": "2"});
    for (q, wanted) in [
        ("a=1 AND b=2", true),
        ("a=0 AND b=2 OR a=1", true),
        ("a=1 OR a=0 AND b=0", true),
        ("(a=1 OR a=0) AND b=0", false),
        ("NOT a=0 AND b=2", true),
        ("NOT (a=1 AND b=2)", false),
        ("NOT NOT a=1", true),
        ("((a=1))", true),
        ("a=1 AND(b=2)", true),
        ("ANDY=1 OR a=1", true),
    ] {
        assert_eq!(holds(q, &entry), wanted, "{q}");
    }
}

#[test]
fn what_is_not_a_query_is_refused_with_the_place() {
    for (q, detail) in [
        ("cluster", "q, at byte 7: expected one of = != > < >= <="),
        ("=x", "q, at byte 0: expected a field"),
        ("a=", "q, at byte 2: expected a value"),
        ("a=1 b=2", "q, at byte 4: expected AND, OR or the end"),
        ("(a=1", "q, at byte 0: this parenthesis is not closed"),
        ("a=1)", "q, at byte 3: expected AND, OR or the end"),
        ("a=\"x", "q, at byte 2: this quote is not closed"),
        ("a=1 AND", "q, at byte 7: expected a field"),
    ] {
        assert_eq!(Expression::parse(q).expect_err(q).detail, detail, "{q}");
    }
    let deep = format!("{}a=1{}", "(".repeat(40), ")".repeat(40));
    assert!(
        Expression::parse(&deep)
            .expect_err("deep")
            .detail
            .ends_with("too many nested levels")
    );
    let long = vec!["a=1"; 65].join(" OR ");
    assert!(
        Expression::parse(&long)
            .expect_err("long")
            .detail
            .ends_with("more than 64 comparisons")
    );
    assert!(Expression::parse(&"x".repeat(4097)).is_err());
}

proptest! {
    /// No text makes the parser panic or loop.
    #[test]
    fn no_text_is_fatal(q in "[ab()=<>!*\" ANDORT1é]{0,60}") {
        if let Ok(expression) = Expression::parse(&q) {
            let entry = json!({"a": "1", "b": ["x*", 3]});
            expression.holds(&|field: &str| entry.get(field));
        }
    }
}
