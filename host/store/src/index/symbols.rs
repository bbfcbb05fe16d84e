//! Texts of labels, each held once and known by a number.

use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::BuildHasher;

/// The number of a text. Given anew when nothing uses the text any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Symbol(u32);

/// All texts with how often each is used.
#[derive(Debug, Default)]
pub(crate) struct Symbols {
    texts: Vec<Box<str>>,
    uses: Vec<u32>,
    free: Vec<u32>,
    places: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl Symbols {
    /// The number of a text that is in use.
    pub(crate) fn find(&self, text: &str) -> Option<Symbol> {
        let hash = self.hasher.hash_one(text);
        self.places.find(hash, |place| *self.texts[*place as usize] == *text).map(|place| Symbol(*place))
    }

    /// The text of a number that is in use.
    pub(crate) fn text(&self, symbol: Symbol) -> &str {
        &self.texts[symbol.0 as usize]
    }

    /// Notes one more use of a text.
    pub(crate) fn take(&mut self, text: &str) -> Symbol {
        if let Some(known) = self.find(text) {
            self.uses[known.0 as usize] += 1;
            return known;
        }
        let place = self.free.pop().unwrap_or_else(|| {
            self.texts.push(Box::default());
            self.uses.push(0);
            (self.texts.len() - 1) as u32
        });
        self.texts[place as usize] = text.into();
        self.uses[place as usize] = 1;
        let Self { texts, hasher, places, .. } = self;
        places.insert_unique(hasher.hash_one(text), place, |other| hasher.hash_one(&*texts[*other as usize]));
        Symbol(place)
    }

    /// Notes one use less; a text without any is forgotten.
    pub(crate) fn give_back(&mut self, symbol: Symbol) {
        let place = symbol.0 as usize;
        self.uses[place] -= 1;
        if self.uses[place] > 0 {
            return;
        }
        let hash = self.hasher.hash_one(&*self.texts[place]);
        if let Ok(found) = self.places.find_entry(hash, |other| *other == symbol.0) {
            found.remove();
        }
        self.texts[place] = Box::default();
        self.free.push(symbol.0);
    }

    /// How many texts are in use.
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_held_once_and_forgotten_after_its_last_use() {
        let mut symbols = Symbols::default();
        let (a, b) = (symbols.take("a"), symbols.take("b"));
        assert_eq!((symbols.take("a"), symbols.len()), (a, 2));
        symbols.give_back(a);
        assert_eq!(symbols.find("a"), Some(a));
        symbols.give_back(a);
        assert_eq!((symbols.find("a"), symbols.len()), (None, 1));
        let c = symbols.take("c");
        assert_eq!((symbols.text(c), symbols.text(b)), ("c", "b"));
    }
}
