//! Where the parts of an expression begin, in the order of the text.

use super::{
    tokens::{Kind, Token},
    tree::Extent,
};

/// A word at which a part may begin.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'q> {
    pub word: &'q str,
    pub kind: Kind,
    pub at: usize,
    pub extent: Extent,
    /// A sign that belongs to what follows it.
    pub is_prefix: bool,
}

/// Words with labels or a value in parentheses after them that are no part of their own.
const WITH_LIST: [&str; 9] =
    ["by", "without", "on", "ignoring", "group_left", "group_right", "fill", "fill_left", "fill_right"];

/// After the parenthesis that closes the one at a place.
fn after_list(query: &str, words: &[Token], mut place: usize) -> usize {
    while place < words.len() && &query[words[place].start..words[place].end] != ")" {
        place += 1;
    }
    place + 1
}

/// The words at which parts begin: without lists of labels, ranges, offsets and moments.
pub(super) fn places(query: &str, words: Vec<Token>) -> Vec<Place<'_>> {
    let word = |place: usize| words.get(place).map_or("", |token| &query[token.start..token.end]);
    let mut found: Vec<Place<'_>> = Vec::new();
    let mut after_operand = false;
    let mut place = 0;
    while place < words.len() {
        let token = words[place];
        let text = word(place);
        let lower = text.to_ascii_lowercase();
        let mut is_prefix = false;
        match token.kind {
            Kind::Brackets => {
                place += 1;
                continue;
            }
            Kind::Name if WITH_LIST.contains(&lower.as_str()) && word(place + 1) == "(" => {
                place = after_list(query, &words, place);
                // Labels after an aggregation end it; those of a binary operator do not.
                after_operand = matches!(lower.as_str(), "by" | "without") && after_operand;
                continue;
            }
            Kind::Name if after_operand && lower == "offset" => {
                place += 1;
                while matches!(word(place), "-" | "+") {
                    place += 1;
                }
                // A calculated one stands in parentheses or is a call.
                let is_call = word(place) != "(" && word(place + 1) == "(";
                place += usize::from(is_call);
                if word(place) == "(" {
                    let mut open = 0usize;
                    while place < words.len() {
                        open += usize::from(word(place) == "(");
                        open -= usize::from(word(place) == ")");
                        place += 1;
                        if open == 0 {
                            break;
                        }
                    }
                } else {
                    place += 1;
                }
                continue;
            }
            Kind::Sign if text == "@" => {
                place += 1;
                while matches!(word(place), "-" | "+") {
                    place += 1;
                }
                place = if word(place + 1) == "(" { after_list(query, &words, place) } else { place + 1 };
                continue;
            }
            Kind::Name if after_operand => after_operand = false,
            Kind::Name if matches!(lower.as_str(), "bool" | "group_left" | "group_right") => {}
            Kind::Name | Kind::Number | Kind::Text | Kind::Braces => after_operand = true,
            Kind::Sign => {
                is_prefix = !after_operand && matches!(text, "-" | "+");
                after_operand = text == ")";
            }
        }
        found.push(Place { word: text, kind: token.kind, at: token.start, extent: token.extent, is_prefix });
        place += 1;
    }
    found
}
