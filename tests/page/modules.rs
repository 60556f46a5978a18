//! The modules of a crate, read from its sources, and where a name in one of them comes from.

use std::collections::BTreeMap;

use syn::{Attribute, Item, UseTree};

use crate::text::conditions;

/// A module or an item, from the root of the crate on.
pub(crate) type Path = Vec<String>;

/// All modules that are not for tests alone.
#[derive(Default)]
pub(crate) struct Modules(BTreeMap<Path, Module>);

pub(crate) struct Module {
    pub(crate) items: Vec<Item>,
    /// What must be switched on for it to be there.
    pub(crate) conditions: Vec<String>,
}

/// A name that `use` brings into a module, and what it stands for.
pub(crate) struct Import {
    pub(crate) name: String,
    pub(crate) path: Path,
}

impl Modules {
    /// Begins at `lib.rs`; a file is asked for by its path below it.
    pub(crate) fn read(files: &dyn Fn(&str) -> Option<String>) -> Self {
        let mut modules = Self::default();
        let root = files("lib.rs").expect("there is no lib.rs");
        modules.add(Path::new(), Vec::new(), parse("lib.rs", &root), files);
        modules
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Path, &Module)> {
        self.0.iter()
    }

    pub(crate) fn root(&self) -> &Module {
        &self.0[&Path::new()]
    }

    /// The item of this name in a module, and the module where it is defined; `None` if it is of another crate.
    pub(crate) fn find(&self, module: &[String], name: &str) -> Option<(Path, &Item)> {
        let items = &self.0.get(module)?.items;
        if let Some(item) = items.iter().find(|item| name_of(item).as_deref() == Some(name)) {
            return Some((module.to_vec(), item));
        }
        let uses = items.iter().filter_map(|item| match item {
            Item::Use(item) => Some(imports(&item.tree)),
            _ => None,
        });
        let import = uses.flatten().find(|import| import.name == name)?;
        self.find_path(module, &import.path)
    }

    /// The same for a path as it is written in that module.
    pub(crate) fn find_path(&self, module: &[String], path: &[String]) -> Option<(Path, &Item)> {
        let (name, above) = path.split_last()?;
        let mut base = module.to_vec();
        for step in above {
            match step.as_str() {
                "crate" => base.clear(),
                "self" => {}
                "super" => drop(base.pop()),
                step => base.push(step.to_owned()),
            }
        }
        // `use bytes;` would find itself for ever.
        let is_itself = above.is_empty() && base == module;
        if is_itself { None } else { self.find(&base, name) }
    }

    fn add(
        &mut self,
        path: Path,
        conditions_above: Vec<String>,
        items: Vec<Item>,
        files: &dyn Fn(&str) -> Option<String>,
    ) {
        for item in &items {
            let Item::Mod(item) = item else { continue };
            if is_for_tests(&item.attrs) {
                continue;
            }
            let mut below = path.clone();
            below.push(item.ident.to_string());
            let items = match &item.content {
                Some((_, items)) => items.clone(),
                None => read_file(&below, files),
            };
            let conditions = [&conditions_above[..], &conditions(&item.attrs)].concat();
            self.add(below, conditions, items, files);
        }
        self.0.insert(path, Module { items, conditions: conditions_above });
    }
}

pub(crate) fn imports(tree: &UseTree) -> Vec<Import> {
    match tree {
        UseTree::Path(tree) => {
            let mut imports = imports(&tree.tree);
            imports.iter_mut().for_each(|it| it.path.insert(0, tree.ident.to_string()));
            imports
        }
        UseTree::Name(tree) => {
            let name = tree.ident.to_string();
            vec![Import { path: vec![name.clone()], name }]
        }
        UseTree::Rename(tree) => {
            vec![Import { name: tree.rename.to_string(), path: vec![tree.ident.to_string()] }]
        }
        UseTree::Group(tree) => tree.items.iter().flat_map(imports).collect(),
        UseTree::Glob(_) => vec![Import { name: "*".into(), path: vec!["*".into()] }],
    }
}

pub(crate) fn is_for_tests(attributes: &[Attribute]) -> bool {
    conditions(attributes).iter().any(|condition| condition == "#[cfg(test)]")
}

/// Whether it is there for rustdoc alone, as the manual is.
pub(crate) fn is_for_docs(attributes: &[Attribute]) -> bool {
    conditions(attributes).iter().any(|condition| condition == "#[cfg(any(doc, doctest))]")
}

/// The name of an item, if it is of a kind that may be public.
pub(crate) fn name_of(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Struct(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Const(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        _ => return None,
    };
    Some(ident.to_string())
}

fn read_file(module: &[String], files: &dyn Fn(&str) -> Option<String>) -> Vec<Item> {
    let path = module.join("/");
    let (file, folder) = (format!("{path}.rs"), format!("{path}/mod.rs"));
    let text = files(&file).or_else(|| files(&folder));
    parse(&path, &text.unwrap_or_else(|| panic!("there is neither {file} nor {folder}")))
}

fn parse(file: &str, text: &str) -> Vec<Item> {
    syn::parse_file(text).unwrap_or_else(|error| panic!("{file}: {error}")).items
}
