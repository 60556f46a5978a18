//! Parts of the source as text, on one line.

use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{
    Attribute, Field, Fields, Generics, Meta, Path, ReturnType, Signature, Token, Visibility,
};

/// As it stands in the source, whatever the lines.
pub(crate) fn text(part: &impl Spanned) -> String {
    let source = part.span().source_text().unwrap_or_default();
    let line = source.split_whitespace().collect::<Vec<_>>().join(" ");
    line.replace("( ", "(").replace(", )", ")").replace(", >", ">")
}

/// Every `#[cfg(…)]`.
pub(crate) fn conditions(attributes: &[Attribute]) -> Vec<String> {
    attributes.iter().filter(|it| it.path().is_ident("cfg")).map(text).collect()
}

/// The attributes that a user may notice, `#[cfg(…)]` included.
pub(crate) fn attributes(attributes: &[Attribute]) -> Vec<String> {
    let known = ["non_exhaustive", "must_use", "deprecated", "doc(hidden)"];
    let shown = attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::List(list) if list.path.is_ident("doc") => Some(format!("doc({})", list.tokens)),
        meta => meta.path().get_ident().map(ToString::to_string),
    });
    let shown = shown.filter(|it| known.contains(&it.as_str())).map(|it| format!("#[{it}]"));
    conditions(attributes).into_iter().chain(shown).collect()
}

/// What `#[derive(…)]` implements, and thiserror's with it.
pub(crate) fn derived(attributes: &[Attribute]) -> Vec<String> {
    let derives = attributes.iter().filter(|it| it.path().is_ident("derive"));
    let paths = derives.flat_map(|derive| {
        let paths = derive.parse_args_with(Punctuated::<Path, Token![,]>::parse_terminated);
        paths.expect("derive takes paths")
    });
    let names = paths.map(|path| last(&path)).collect::<Vec<_>>();
    let display = names.iter().any(|it| it == "Error").then(|| "Display".to_owned());
    names.into_iter().chain(display).collect()
}

/// The last segment, with its arguments: `fmt::Debug` is `Debug`.
pub(crate) fn last(path: &Path) -> String {
    path.segments.last().map(text).unwrap_or_default()
}

pub(crate) fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

pub(crate) fn signature(signature: &Signature) -> String {
    // Whether an argument is changed inside is nobody's business outside.
    let argument = |argument: String| match argument.strip_prefix("mut ") {
        Some(rest) => rest.to_owned(),
        None => argument,
    };
    let arguments = signature.inputs.iter().map(|it| argument(text(it))).collect::<Vec<_>>();
    let output = match &signature.output {
        ReturnType::Default => String::new(),
        output => format!(" {}", text(output)),
    };
    let constness = if signature.constness.is_some() { "const " } else { "" };
    let (name, generics) = (&signature.ident, parameters(&signature.generics));
    let bounds = bounds(&signature.generics);
    format!("{constness}fn {name}{generics}({}){output}{bounds}", arguments.join(", "))
}

/// `<…>`, if there is anything in it.
pub(crate) fn parameters(generics: &Generics) -> String {
    let parameters = generics.params.iter().map(text).collect::<Vec<_>>().join(", ");
    if parameters.is_empty() { parameters } else { format!("<{parameters}>") }
}

/// `where …`, if there is anything in it.
pub(crate) fn bounds(generics: &Generics) -> String {
    let predicates = generics.where_clause.iter().flat_map(|clause| &clause.predicates);
    let predicates = predicates.map(text).collect::<Vec<_>>().join(", ");
    if predicates.is_empty() { predicates } else { format!(" where {predicates}") }
}

/// The fields of a variant.
pub(crate) fn fields(fields: &Fields) -> String {
    let all = fields.iter().map(field).collect::<Vec<_>>().join(", ");
    match fields {
        Fields::Named(_) => format!(" {{ {all} }}"),
        Fields::Unnamed(_) => format!("({all})"),
        Fields::Unit => all,
    }
}

pub(crate) fn field(field: &Field) -> String {
    let name = field.ident.as_ref().map(|name| format!("{name}: ")).unwrap_or_default();
    name + &text(&field.ty)
}
