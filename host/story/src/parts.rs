//! The parts of a fleet: how many there are, what each lies on, and which of other kinds each is linked with.

use crate::{
    draw::Draws,
    error::{At, Problem, StoryError},
    expression::Links,
    limits::{MAX_KINDS, MAX_LINKS, MAX_PARTS_OF_KIND},
    shape::{Each, KindShape},
    table::is_name,
    template::{Filling, Template},
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The kind whose parts have models.
pub(crate) const SERVICE: &str = "service";

/// Kind and number of a part.
pub(crate) type Place = (usize, u32);

/// One part.
#[derive(Debug, Clone, Default)]
pub(crate) struct Part {
    pub name: String,
    pub texts: BTreeMap<String, String>,
    /// By which a server may know it.
    pub keys: Vec<String>,
    /// What holds it.
    pub inside: Option<Place>,
    /// Its number within what holds it.
    pub index: usize,
    /// What it needs.
    pub on: Vec<Place>,
}

/// All parts of one kind.
#[derive(Debug, Clone)]
pub(crate) struct Kind {
    pub name: String,
    pub shared: bool,
    pub parts: Vec<Part>,
    /// By kind.
    pub links: Vec<Links>,
}

/// All parts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Parts {
    pub kinds: Vec<Kind>,
}

impl Parts {
    pub(crate) fn build(file: &str, shapes: &[KindShape], draws: Draws) -> Result<Self, StoryError> {
        if shapes.len() > MAX_KINDS {
            return Err(format!("{} kinds, and at most {MAX_KINDS} are played", shapes.len()))
                .at(file, || "kind".into());
        }
        let mut parts = Self::default();
        for shape in shapes {
            let place = || format!("kind.{}", shape.name);
            parts.add(shape, draws.of(&shape.name)).at(file, place)?;
        }
        parts.link().at(file, || "kind".into())?;
        for (kind, shape) in shapes.iter().enumerate() {
            parts.name(kind, shape, draws.of(&shape.name).of("text")).at(file, || format!("kind.{}", shape.name))?;
        }
        Ok(parts)
    }

    pub(crate) fn kind(&self, name: &str) -> Result<usize, Problem> {
        let known = || self.kinds.iter().map(|kind| kind.name.as_str()).collect::<Vec<_>>().join(", ");
        self.kinds
            .iter()
            .position(|kind| kind.name == name)
            .ok_or_else(|| format!("there is no kind {name:?} before this; there are {}", known()))
    }

    /// The kinds and their numbers, before links and names.
    fn add(&mut self, shape: &KindShape, draws: Draws) -> Result<(), Problem> {
        if !is_name(&shape.name) {
            return Err(format!("{:?} is no name: use small letters, digits and _, a letter first", shape.name));
        }
        if self.kinds.iter().any(|kind| kind.name == shape.name) {
            return Err("the kind is there already".into());
        }
        let mut parts = self.numbers(shape)?;
        if parts.len() > MAX_PARTS_OF_KIND {
            return Err(format!("{} parts, and at most {MAX_PARTS_OF_KIND} of a kind are played", parts.len()));
        }
        for (kind_name, how) in &shape.on {
            let kind = self.kind(kind_name)?;
            self.place(&mut parts, kind, how, draws.of(kind_name)).map_err(|told| format!("on.{kind_name}: {told}"))?;
        }
        self.kinds.push(Kind { name: shape.name.clone(), shared: shape.shared, parts, links: Vec::new() });
        Ok(())
    }

    fn numbers(&self, shape: &KindShape) -> Result<Vec<Part>, Problem> {
        let Some(per) = &shape.per else {
            let count = match (shape.count, shape.names.len()) {
                (Some(count), 0) => count,
                (None, named) if named > 0 => named,
                _ => return Err("say count = 4, or names = [\"a\", \"b\"], or per and each".into()),
            };
            return Ok((0..count.min(MAX_PARTS_OF_KIND + 1)).map(|index| Part { index, ..Part::default() }).collect());
        };
        let kind = self.kind(per)?;
        let mut parts = Vec::new();
        for holder in 0..self.kinds[kind].parts.len() {
            let count = match &shape.each {
                None => 1,
                Some(Each::All(count)) => *count,
                Some(Each::InTurn(counts)) if counts.is_empty() => return Err("each is empty".into()),
                Some(Each::InTurn(counts)) => counts[holder % counts.len()],
            };
            let inside = Some((kind, holder as u32));
            for index in 0..count.min(MAX_PARTS_OF_KIND + 1) {
                parts.push(Part { inside, index, ..Part::default() });
            }
            if parts.len() > MAX_PARTS_OF_KIND {
                break;
            }
        }
        Ok(parts)
    }

    fn place(&self, parts: &mut [Part], kind: usize, how: &str, draws: Draws) -> Result<(), Problem> {
        let (there, here) = (self.kinds[kind].parts.len(), parts.len());
        if there == 0 {
            return Err("there is none to lie on".into());
        }
        let (how, wide) = match how.split_once(':') {
            Some((how, wide)) => (how, wide.parse::<usize>().map_err(|_| format!("{wide:?} is no number"))?),
            None => (how, 1),
        };
        if wide == 0 || wide > there {
            return Err(format!("{wide} of {there} cannot be taken"));
        }
        let mut order: Vec<usize> = (0..there).collect();
        if how == "shuffle" {
            order.sort_by_key(|part| draws.bits(*part as u64, 0, 0));
        }
        for (number, part) in parts.iter_mut().enumerate() {
            let first = match how {
                "spread" | "shuffle" => number * wide,
                "pack" => number * there / here,
                "index" => part.index,
                "all" => {
                    part.on.extend((0..there).map(|other| (kind, other as u32)));
                    continue;
                }
                other => return Err(format!("{other:?} is none of spread, pack, shuffle, index, all")),
            };
            part.on.extend((0..wide).map(|more| (kind, order[(first + more) % there] as u32)));
        }
        Ok(())
    }

    /// All that each part lies on, however far below.
    fn below(&self) -> Result<Vec<Vec<BTreeSet<Place>>>, Problem> {
        let mut below: Vec<Vec<BTreeSet<Place>>> = Vec::new();
        let mut count = 0;
        for kind in &self.kinds {
            let mut of_kind = Vec::with_capacity(kind.parts.len());
            for part in &kind.parts {
                let mut all = BTreeSet::new();
                for (under, number) in part.on.iter().copied().chain(part.inside) {
                    all.insert((under, number));
                    all.extend(below[under][number as usize].iter().copied());
                }
                count += all.len();
                if count > MAX_LINKS {
                    return Err(format!("more than {MAX_LINKS} links between parts; use fewer parts, or \"all\" less"));
                }
                of_kind.push(all);
            }
            below.push(of_kind);
        }
        Ok(below)
    }

    /// Links of each kind with each: what lies below, or where nothing of the other kind does, what lies above.
    fn link(&mut self) -> Result<(), Problem> {
        let below = self.below()?;
        let kinds = self.kinds.len();
        for from in 0..kinds {
            let lanes = self.kinds[from].parts.len();
            let mut lists = vec![vec![Vec::<u32>::new(); lanes]; kinds];
            for (lane, all) in below[from].iter().enumerate() {
                all.iter().for_each(|(kind, part)| lists[*kind][lane].push(*part));
            }
            for (other, of_other) in below.iter().enumerate().filter(|(other, _)| *other > from) {
                for (part, all) in of_other.iter().enumerate() {
                    let here = all.iter().filter(|(kind, _)| *kind == from);
                    here.for_each(|(_, lane)| lists[other][*lane as usize].push(part as u32));
                }
            }
            self.kinds[from].links = lists.into_iter().map(links).collect();
        }
        Ok(())
    }

    fn name(&mut self, kind: usize, shape: &KindShape, draws: Draws) -> Result<(), Problem> {
        let read = |key: &str, text: &str| Template::read(text).map_err(|told| format!("{key}: {told}"));
        let title = shape.title.as_deref().map(|title| read("title", title)).transpose()?;
        let texts = shape.text.iter().map(|(name, text)| Ok((name.clone(), read(&format!("text.{name}"), text)?)));
        let texts = texts.collect::<Result<Vec<_>, Problem>>()?;
        let keys = shape.entity.iter().map(|text| read("entity", text)).collect::<Result<Vec<_>, _>>()?;
        for number in 0..self.kinds[kind].parts.len() {
            let named = shape.names.get(number).cloned();
            let name = match (&title, named) {
                (_, Some(name)) => name,
                (Some(title), None) => self.fill(title, kind, number, draws.of("title"))?,
                (None, None) => format!("{}-{}", shape.name, number + 1),
            };
            self.kinds[kind].parts[number].name = name;
            for (name, template) in &texts {
                let filled = self.fill(template, kind, number, draws.of(name))?;
                self.kinds[kind].parts[number].texts.insert(name.clone(), filled);
            }
            for template in &keys {
                let filled = self.fill(template, kind, number, draws.of("entity"))?;
                self.kinds[kind].parts[number].keys.push(filled);
            }
        }
        let names: BTreeSet<&str> = self.kinds[kind].parts.iter().map(|part| part.name.as_str()).collect();
        match names.len() == self.kinds[kind].parts.len() {
            true => Ok(()),
            false => Err("two parts have the same name; put {number} or {index} into title".into()),
        }
    }

    /// Fills a template in for a part.
    pub(crate) fn fill(
        &self,
        template: &Template,
        kind: usize,
        number: usize,
        draws: Draws,
    ) -> Result<String, Problem> {
        template.fill(&OfPart { parts: self, kind, number, draws: draws.of(&number.to_string()) })
    }

    /// The services that suffer when a part fails: those of whose replicas one needs it, and through what is shared all
    /// that lie on the same.
    pub(crate) fn affected(&self, part: Place) -> BTreeSet<u32> {
        let Ok(service) = self.kind(SERVICE) else { return BTreeSet::new() };
        let (mut seen, mut next) = (BTreeSet::from([part]), VecDeque::from([part]));
        while let Some((kind, number)) = next.pop_front() {
            let one = &self.kinds[kind].parts[number as usize];
            if kind == service {
                continue;
            }
            let mut found = Vec::new();
            if let Some(holder) = one.inside.filter(|(holder, _)| self.kinds[kind].shared || *holder == service) {
                found.push(holder);
            }
            for (other, of_other) in self.kinds.iter().enumerate().filter(|(other, _)| *other > kind) {
                for (number_there, there) in of_other.parts.iter().enumerate() {
                    if there.on.contains(&(kind, number)) || there.inside == Some((kind, number)) {
                        found.push((other, number_there as u32));
                    }
                }
            }
            next.extend(found.into_iter().filter(|place| seen.insert(*place)));
        }
        seen.into_iter().filter(|(kind, _)| *kind == service).map(|(_, number)| number).collect()
    }
}

fn links(lists: Vec<Vec<u32>>) -> Links {
    let mut links = Links { starts: vec![0], parts: Vec::new() };
    for list in lists {
        links.parts.extend(list);
        links.starts.push(links.parts.len() as u32);
    }
    links
}

struct OfPart<'p> {
    parts: &'p Parts,
    kind: usize,
    number: usize,
    draws: Draws,
}

impl OfPart<'_> {
    fn text(part: &Part, name: &str) -> Option<String> {
        if name == "name" { Some(part.name.clone()) } else { part.texts.get(name).cloned() }
    }
}

impl Filling for OfPart<'_> {
    fn number(&self) -> usize {
        self.number
    }

    fn index(&self) -> usize {
        self.parts.kinds[self.kind].parts[self.number].index
    }

    fn draws(&self) -> Draws {
        self.draws
    }

    /// A text of the part itself, or the name of the linked part of a kind.
    fn own(&self, name: &str) -> Result<String, Problem> {
        match Self::text(&self.parts.kinds[self.kind].parts[self.number], name) {
            Some(text) => Ok(text),
            None if self.parts.kinds.iter().any(|kind| kind.name == name) => self.of(name, "name"),
            None => Err(format!("{{{name}}} is neither a text of this kind, declared before, nor another kind")),
        }
    }

    fn of(&self, kind: &str, name: &str) -> Result<String, Problem> {
        let other = self.parts.kind(kind)?;
        let linked = self.parts.kinds[self.kind].links[other].of(self.number);
        if linked.is_empty() {
            return Err(format!("{{{kind}.{name}}}: {} is linked with no {kind}", self.parts.kinds[self.kind].name));
        }
        let texts = linked.iter().map(|part| {
            let part = &self.parts.kinds[other].parts[*part as usize];
            Self::text(part, name).ok_or_else(|| format!("{{{kind}.{name}}}: {kind} has no text {name}"))
        });
        Ok(texts.collect::<Result<Vec<_>, _>>()?.join(","))
    }
}
