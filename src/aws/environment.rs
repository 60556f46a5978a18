//! Environment variables, looked up through a function so that a test can set them.

/// Looks up a variable; `None` if it is not set.
pub(crate) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The variables of this process. Bytes that are not text are replaced: the variable still counts as set.
pub(crate) fn process(name: &str) -> Option<String> {
    Some(std::env::var_os(name)?.to_string_lossy().into_owned())
}

/// The first of these variables that is set; an empty one counts as not set.
pub(crate) fn first(lookup: Lookup<'_>, names: &[&str]) -> Option<String> {
    let set = names.iter().filter_map(|name| lookup(name));
    set.map(|value| value.trim().to_owned()).find(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_variable_counts_as_not_set() {
        let lookup = |name: &str| match name {
            "A" => Some(" ".to_owned()),
            "B" => Some(" b ".to_owned()),
            _ => None,
        };
        assert_eq!(first(&lookup, &["A", "B", "C"]), Some("b".to_owned()));
        assert_eq!(first(&lookup, &["A", "C"]), None);
    }
}
