//! Taking one check out of a source text, so that it can be switched off while tests run.

use std::ops::Range;

/// How the text around a check is changed. `SWITCH` stands for the switch, true when the check is to be off.
#[derive(Clone, Copy, Debug)]
pub enum Cut {
    /// `if condition {` becomes `if !SWITCH && (condition) {`: what is found begins with `if `.
    If,
    /// The whole statement around what is found runs only if the check is on.
    Statement,
    /// What is found is replaced by this text.
    Replace(&'static str),
}

/// The text with the check behind a switch of that expression. `scope` narrows the search to what follows it.
///
/// # Errors
/// In words: what is not found, or is found more than once.
pub fn cut(
    text: &str,
    scope: Option<&str>,
    find: &str,
    how: Cut,
    switch: &str,
) -> Result<String, String> {
    let at = position(text, scope, find)?;
    let (before, rest) = text.split_at(at);
    Ok(match how {
        Cut::If => {
            let opening = rest.find(" {\n").ok_or("a condition without its block")?;
            let condition = rest[..opening].strip_prefix("if ").ok_or("not an `if`")?;
            let after = &rest[opening..];
            format!("{before}if !{switch} && ({condition}){after}")
        }
        Cut::Statement => {
            let range = statement(text, at);
            let (statement, after) = (&text[range.clone()], &text[range.end..]);
            format!(
                "{}if !{switch} {{ {statement} }}{after}",
                &text[..range.start]
            )
        }
        Cut::Replace(with) => {
            let with = with.replace("SWITCH", switch);
            format!("{before}{with}{}", &rest[find.len()..])
        }
    })
}

/// Where the check is found, in bytes.
///
/// # Errors
/// As [`cut`].
pub fn position(text: &str, scope: Option<&str>, find: &str) -> Result<usize, String> {
    let missing = |what: &str| format!("`{what}` is not there; where did the check go?");
    let start = scope.map_or(Ok(0), |s| text.find(s).ok_or_else(|| missing(s)))?;
    let at = text[start..].find(find).ok_or_else(|| missing(find))? + start;
    let again = text[at + find.len()..].contains(find);
    if scope.is_none() && again {
        return Err(format!("`{find}` is there more than once"));
    }
    Ok(at)
}

/// The lines of the statement around a position.
pub fn statement(text: &str, at: usize) -> Range<usize> {
    let end = text[at..]
        .find(";\n")
        .map_or(text.len(), |end| at + end + 1);
    statement_start(text, at)..end
}

/// The start of the first line after one that ends a statement or begins or ends a block.
fn statement_start(text: &str, at: usize) -> usize {
    let mut start = text[..at].rfind('\n').map_or(0, |end| end + 1);
    while start > 0 {
        let before = text[..start - 1].trim_end();
        if before.ends_with([';', '{', '}']) && text[..start - 1].len() == before.len() {
            break;
        }
        start = text[..start - 1].rfind('\n').map_or(0, |end| end + 1);
    }
    start
}

/// The function that a position lies in.
pub fn function(text: &str, at: usize) -> &str {
    let mut last = "";
    for line in text[..at].lines() {
        if let Some((before, after)) = line.split_once("fn ") {
            let modifiers = before.split_whitespace();
            let named = after.split(['(', '<']).next().unwrap_or_default();
            let is_item = modifiers
                .clone()
                .all(|word| word.starts_with("pub") || ["const", "async"].contains(&word));
            if is_item && named.chars().all(|c| c.is_alphanumeric() || c == '_') {
                last = named;
            }
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
fn one() {
    let a = 1;
    if a == 2
        || a == 3 {
        return Err(a);
    }
    self.builder
        .gate(\"{a}/gate\", x);
    keep();
}
fn two() { keep(); }
";

    #[test]
    fn conditions_are_guarded() {
        let text = cut(TEXT, None, "if a == 2", Cut::If, "off()").unwrap();
        assert!(text.contains("if !off() && (a == 2\n        || a == 3) {\n"));
    }

    #[test]
    fn statements_are_guarded_whole() {
        let text = cut(TEXT, None, "/gate", Cut::Statement, "off()").unwrap();
        let expected =
            "if !off() {     self.builder\n        .gate(\"{a}/gate\", x); }\n    keep();";
        assert!(text.contains(expected), "{text}");
    }

    #[test]
    fn texts_are_replaced_in_their_scope() {
        let how = Cut::Replace("if SWITCH { keep() }");
        let text = cut(TEXT, Some("fn two"), "keep();", how, "off()").unwrap();
        assert!(text.ends_with("fn two() { if off() { keep() } }\n"));
        assert!(cut(TEXT, None, "keep();", how, "off()").is_err());
        assert!(cut(TEXT, None, "lost();", how, "off()").is_err());
    }

    #[test]
    fn functions_are_named() {
        let at = |find| position(TEXT, None, find).unwrap();
        assert_eq!(function(TEXT, at("/gate")), "one");
        assert_eq!(function(TEXT, at("fn two() {") + 10), "two");
    }
}
