//! What a crate shows of itself: every public item with its members, one line for each.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use syn::{ImplItem, Item, ItemImpl, TraitItem, Type};

use crate::modules::{Import, Module, Modules, Path, imports, is_for_docs, is_for_tests, name_of};
use crate::text::{
    attributes, bounds, conditions, derived, field, fields, is_public, last, parameters, signature,
    text,
};

/// The items by the name that users know.
#[derive(Default)]
pub(crate) struct Surface {
    items: BTreeMap<String, Entry>,
    /// The name by which users know what is defined in a module under another, perhaps.
    names: BTreeMap<(Path, String), String>,
}

const TITLE: &str = "\
# All that is public. After a change that is meant: UPDATE_API=1 cargo test --test page
";

struct Entry {
    /// `struct Batch`, say.
    headline: String,
    conditions: Vec<String>,
    members: BTreeSet<String>,
}

impl Surface {
    /// The root re-exports whatever is public, or has a public module that does, and all implementations of that
    /// count, wherever they are.
    pub(crate) fn of(modules: &Modules) -> Self {
        let mut surface = Self::default();
        surface.re_exports(modules, "", &modules.root().items, &[]);
        for (path, module) in modules.iter() {
            for item in &module.items {
                match item {
                    Item::Impl(item) if !is_for_tests(&item.attrs) => {
                        surface.implementation(modules, path, module, item);
                    }
                    Item::Macro(item)
                        if item.attrs.iter().any(|it| it.path().is_ident("macro_export")) =>
                    {
                        panic!("a public macro is not known to this test: {:?}", item.ident);
                    }
                    _ => {}
                }
            }
        }
        surface
    }

    /// Every line, each with the item that it is about.
    pub(crate) fn lines(text: &str) -> BTreeSet<String> {
        let mut headline = "";
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with("# "));
        let lines = lines.map(|line| match line.strip_prefix("    ") {
            Some(member) => format!("{headline} :: {member}"),
            None => {
                headline = line;
                line.to_owned()
            }
        });
        lines.collect()
    }

    /// The names of all items of a kind, such as `struct`.
    pub(crate) fn names_of(&self, kind: &str) -> impl Iterator<Item = &str> {
        let of_kind = self.items.iter().filter(move |(_, entry)| entry.headline.starts_with(kind));
        of_kind.map(|(name, _)| name.as_str())
    }

    /// What a module shows, by names that begin with `prefix`.
    fn re_exports(&mut self, modules: &Modules, prefix: &str, items: &[Item], above: &[String]) {
        for item in items {
            match item {
                Item::Use(item) if is_public(&item.vis) => {
                    for mut import in imports(&item.tree) {
                        import.name.insert_str(0, prefix);
                        let conditions = [above, &attributes(&item.attrs)].concat();
                        self.re_export(modules, &import, conditions);
                    }
                }
                Item::Use(_) => {}
                Item::Mod(item) if is_public(&item.vis) && !is_for_docs(&item.attrs) => {
                    let (_, items) = item.content.as_ref().expect("a public module is in lib.rs");
                    let conditions = [above, &attributes(&item.attrs)].concat();
                    let prefix = format!("{prefix}{}::", item.ident);
                    self.re_exports(modules, &prefix, items, &conditions);
                }
                Item::Mod(_) => {}
                Item::Struct(item) if !is_public(&item.vis) => {}
                other => panic!("lib.rs holds private modules and re-exports: {}", text(other)),
            }
        }
    }

    fn re_export(&mut self, modules: &Modules, import: &Import, conditions: Vec<String>) {
        let name = import.name.clone();
        let Some((module, item)) = modules.find_path(&[], &import.path) else {
            assert!(import.path[0] != "crate", "{:?} is not found", import.path);
            let headline = format!("use {}", import.path.join("::"));
            self.items.insert(name, Entry { headline, conditions, members: BTreeSet::new() });
            return;
        };
        let (headline, members) = describe(&name, item);
        let members = members.into_iter().chain(conditions.iter().cloned()).collect();
        let defined = name_of(item).expect("what is found has a name");
        self.names.insert((module, defined), name.clone());
        self.items.insert(name, Entry { headline, conditions, members });
    }

    fn implementation(&mut self, modules: &Modules, path: &Path, module: &Module, item: &ItemImpl) {
        let of_trait = item.trait_.as_ref().map(|(of_trait, ..)| of_trait);
        let (is_plain, of_type) = match &*item.self_ty {
            Type::Path(it) => (true, defined(modules, path, &it.path)),
            Type::Reference(it) => match &*it.elem {
                Type::Path(it) => (false, defined(modules, path, &it.path)),
                _ => (false, None),
            },
            _ => (false, None),
        };
        let is_own = is_plain && of_type.is_some();
        // What a foreign type or a parameter implements, users find at the trait.
        let Some(at) = of_type.or_else(|| defined(modules, path, of_trait?)) else { return };
        let name = self.names.get(&at);
        let Some(entry) = name.and_then(|name| self.items.get_mut(name)) else { return };
        let own = conditions(&item.attrs);
        let all = module.conditions.iter().chain(&own).cloned();
        let needed: Vec<_> = all.filter(|it| !entry.conditions.contains(it)).collect();
        let lines = match of_trait {
            Some(of_trait) => vec![implemented(item, of_trait, is_own)],
            None => item.items.iter().filter_map(member).collect(),
        };
        entry.members.extend(lines.into_iter().map(|line| after(&needed, line)));
    }
}

/// Where this path of a module leads to: the module that has the item, and its name there.
fn defined(modules: &Modules, module: &Path, path: &syn::Path) -> Option<(Path, String)> {
    let steps: Vec<_> = path.segments.iter().map(|it| it.ident.to_string()).collect();
    let (found, item) = match &steps[..] {
        [name] => modules.find(module, name)?,
        _ => modules.find_path(module, &steps)?,
    };
    Some((found, name_of(item)?))
}

/// In the form that [`Surface::lines`] takes apart.
impl fmt::Display for Surface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{TITLE}")?;
        for entry in self.items.values() {
            writeln!(f, "{}", entry.headline)?;
            entry.members.iter().try_for_each(|member| writeln!(f, "    {member}"))?;
            writeln!(f)?;
        }
        Ok(())
    }
}

/// The headline of an item that users know by this name, and what stands inside it.
fn describe(name: &str, item: &Item) -> (String, Vec<String>) {
    match item {
        Item::Struct(item) => {
            let headline = format!("struct {name}{}", parameters(&item.generics));
            let mut members = of_type(&item.attrs);
            let (public, private): (Vec<_>, Vec<_>) =
                item.fields.iter().partition(|field| is_public(&field.vis));
            members.extend(public.into_iter().map(|it| after(&attributes(&it.attrs), field(it))));
            members.extend((!private.is_empty()).then(|| "private fields".to_owned()));
            (headline, members)
        }
        Item::Enum(item) => {
            let headline = format!("enum {name}{}", parameters(&item.generics));
            let mut members = of_type(&item.attrs);
            for variant in &item.variants {
                let line = format!("{}{}", variant.ident, fields(&variant.fields));
                members.push(after(&attributes(&variant.attrs), line));
                members.extend(variant.fields.iter().filter_map(converted));
            }
            (headline, members)
        }
        Item::Trait(item) => {
            let above = item.supertraits.iter().map(text).collect::<Vec<_>>().join(" + ");
            let above = if above.is_empty() { above } else { format!(": {above}") };
            let headline = format!("trait {name}{}{above}", parameters(&item.generics));
            let mut members = attributes(&item.attrs);
            members.extend(item.items.iter().map(of_trait));
            (headline, members)
        }
        Item::Fn(item) => {
            let headline = signature(&item.sig).replacen(&item.sig.ident.to_string(), name, 1);
            (headline, attributes(&item.attrs))
        }
        Item::Type(item) => {
            let parameters = parameters(&item.generics);
            (format!("type {name}{parameters} = {}", text(&item.ty)), Vec::new())
        }
        Item::Const(item) => {
            (format!("const {name}: {} = {}", text(&item.ty), text(&*item.expr)), Vec::new())
        }
        other => panic!("an item of a kind that this test does not know: {}", text(other)),
    }
}

fn of_type(attrs: &[syn::Attribute]) -> Vec<String> {
    let derived = derived(attrs).into_iter().map(|it| format!("impl {it}"));
    attributes(attrs).into_iter().chain(derived).collect()
}

/// What thiserror makes of `#[from]`.
fn converted(field: &syn::Field) -> Option<String> {
    let is_from = field.attrs.iter().any(|it| it.path().is_ident("from"));
    is_from.then(|| format!("impl From<{}>", text(&field.ty)))
}

fn of_trait(item: &TraitItem) -> String {
    match item {
        TraitItem::Fn(item) => {
            let body = if item.default.is_some() { " { .. }" } else { "" };
            after(&attributes(&item.attrs), signature(&item.sig) + body)
        }
        TraitItem::Type(item) => {
            let bare = syn::TraitItemType { attrs: Vec::new(), ..item.clone() };
            after(&attributes(&item.attrs), text(&bare))
        }
        other => text(other),
    }
}

/// A member that users may name.
fn member(item: &ImplItem) -> Option<String> {
    match item {
        ImplItem::Fn(item) if is_public(&item.vis) => {
            Some(after(&attributes(&item.attrs), signature(&item.sig)))
        }
        ImplItem::Const(item) if is_public(&item.vis) => {
            let (ty, value) = (text(&item.ty), text(&item.expr));
            Some(after(&attributes(&item.attrs), format!("const {}: {ty} = {value}", item.ident)))
        }
        _ => None,
    }
}

/// Short, as a derive is, unless there are parameters or types that say more.
fn implemented(item: &ItemImpl, of_trait: &syn::Path, is_own: bool) -> String {
    let types = item.items.iter().filter(|it| matches!(it, ImplItem::Type(_)));
    let types = types.map(text).collect::<Vec<_>>().join(" ");
    let types = if types.is_empty() { types } else { format!(" {{ {types} }}") };
    let (name, generics) = (last(of_trait), parameters(&item.generics));
    if is_own && generics.is_empty() {
        return format!("impl {name}{types}");
    }
    let bounds = bounds(&item.generics);
    format!("impl{generics} {name} for {}{bounds}{types}", text(&*item.self_ty))
}

fn after(attributes: &[String], line: String) -> String {
    attributes.iter().rev().fold(line, |line, attribute| format!("{attribute} {line}"))
}
