//! A reference page of a world, in Markdown.

use crate::print;
use wit_parser::{Docs, Function, Resolve, Type, TypeDefKind, TypeId, World, WorldId, WorldItem};

/// Returns the page of a world.
pub(crate) fn world(resolve: &Resolve, world: WorldId) -> String {
    let world = &resolve.worlds[world];
    let mut page = Page {
        resolve,
        text: String::new(),
    };
    let name = match world.package {
        Some(package) => resolve.id_of_name(package, &world.name),
        None => world.name.clone(),
    };
    page.heading(1, "", &name);
    page.docs(&world.docs);
    page.side(world, "Exports", "What a plugin of this world does.", true);
    page.side(world, "Imports", "What the host does for a plugin.", false);
    page.text
}

struct Page<'a> {
    resolve: &'a Resolve,
    text: String,
}

impl Page<'_> {
    fn side(&mut self, world: &World, title: &str, about: &str, exported: bool) {
        let items = if exported {
            &world.exports
        } else {
            &world.imports
        };
        if items.is_empty() {
            return;
        }
        self.paragraph(&format!("## {title}"));
        self.paragraph(about);
        for (key, item) in items {
            match item {
                WorldItem::Function(function) => self.function(3, function),
                WorldItem::Type { id, .. } => self.ty(3, *id),
                WorldItem::Interface { id, .. } => {
                    let interface = &self.resolve.interfaces[*id];
                    self.heading(3, "interface ", &self.resolve.name_world_key(key));
                    self.docs(&interface.docs);
                    if exported && world.imports.contains_key(key) {
                        self.paragraph("It is described at the imports.");
                        continue;
                    }
                    for function in interface.functions.values() {
                        self.function(4, function);
                    }
                    for id in interface.types.values() {
                        self.ty(4, *id);
                    }
                }
            }
        }
    }

    fn function(&mut self, level: usize, function: &Function) {
        self.heading(level, "", &function.name);
        let ty = print::function(self.resolve, function);
        self.paragraph(&format!("```wit\n{}: {ty};\n```", function.name));
        self.docs(&function.docs);
    }

    fn ty(&mut self, level: usize, id: TypeId) {
        let ty = &self.resolve.types[id];
        let name = ty.name.as_deref().unwrap_or_default();
        let word = match &ty.kind {
            TypeDefKind::Record(_) => "record ",
            TypeDefKind::Variant(_) => "variant ",
            TypeDefKind::Enum(_) => "enum ",
            TypeDefKind::Flags(_) => "flags ",
            TypeDefKind::Resource => "resource ",
            _ => "type ",
        };
        self.heading(level, word, name);
        self.docs(&ty.docs);
        match &ty.kind {
            TypeDefKind::Record(it) => {
                let rows = it.fields.iter();
                self.table(rows.map(|it| (&*it.name, Some(it.ty), &it.docs)), "field");
            }
            TypeDefKind::Variant(it) => {
                let rows = it.cases.iter();
                self.table(rows.map(|it| (&*it.name, it.ty, &it.docs)), "case");
            }
            TypeDefKind::Enum(it) => {
                let rows = it.cases.iter();
                self.table(rows.map(|it| (&*it.name, None, &it.docs)), "case");
            }
            TypeDefKind::Flags(it) => {
                let rows = it.flags.iter();
                self.table(rows.map(|it| (&*it.name, None, &it.docs)), "flag");
            }
            TypeDefKind::Resource => {}
            _ => {
                let of = print::ty(self.resolve, &Type::Id(id));
                self.paragraph(&format!("```wit\ntype {name} = {of};\n```"));
            }
        }
    }

    fn table<'n>(
        &mut self,
        rows: impl Iterator<Item = (&'n str, Option<Type>, &'n Docs)>,
        what: &str,
    ) {
        let mut text = format!("| {what} | type | |\n|---|---|---|\n");
        for (name, ty, docs) in rows {
            let ty = ty.map_or(String::new(), |ty| format!("`{}`", self.name(&ty)));
            let docs = comment(docs);
            let docs = docs.split_whitespace().collect::<Vec<_>>().join(" ");
            text.push_str(&format!(
                "| `{name}` | {} | {} |\n",
                ty.replace('|', "\\|"),
                docs.replace('|', "\\|")
            ));
        }
        self.paragraph(&text);
    }

    /// Returns a type by its name if it has one.
    fn name(&self, ty: &Type) -> String {
        if let Type::Id(id) = ty
            && let Some(name) = &self.resolve.types[*id].name
        {
            return name.clone();
        }
        print::ty(self.resolve, ty)
    }

    fn heading(&mut self, level: usize, before: &str, name: &str) {
        let marks = "#".repeat(level);
        self.paragraph(&format!("{marks} {before}`{name}`"));
    }

    fn docs(&mut self, docs: &Docs) {
        self.paragraph(&comment(docs));
    }

    fn paragraph(&mut self, text: &str) {
        if !text.trim().is_empty() {
            if !self.text.is_empty() {
                self.text.push('\n');
            }
            self.text.push_str(text.trim_end());
            self.text.push('\n');
        }
    }
}

/// Returns a comment as Markdown without HTML of its own. In code, `<` stays as it is, if each line ends the code that it
/// begins: else it is not certain where code is.
fn comment(docs: &Docs) -> String {
    let text = docs.contents.as_deref().unwrap_or_default();
    let is_clear = |line: &str| line.matches('`').count().is_multiple_of(2);
    let odd = ["``", "\\`"].iter().any(|marks| text.contains(marks));
    let keeps_code = !odd && text.lines().all(is_clear);
    let parts = text
        .split('`')
        .enumerate()
        .map(|(nth, part)| match keeps_code && nth % 2 == 1 {
            true => part.to_owned(),
            false => part.replace('&', "&amp;").replace('<', "&lt;"),
        });
    parts.collect::<Vec<_>>().join("`")
}
