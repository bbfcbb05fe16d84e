//! Valid queries by a grammar: the same seed gives the same queries.

use crate::data::Random;

/// Functions of a vector that give a vector.
const OF_VECTOR: [&str; 34] = [
    "abs",
    "ceil",
    "floor",
    "exp",
    "sqrt",
    "ln",
    "log2",
    "log10",
    "sgn",
    "sin",
    "cos",
    "tan",
    "asin",
    "acos",
    "atan",
    "sinh",
    "cosh",
    "tanh",
    "asinh",
    "acosh",
    "atanh",
    "deg",
    "rad",
    "round",
    "sort",
    "sort_desc",
    "timestamp",
    "day_of_month",
    "day_of_week",
    "day_of_year",
    "days_in_month",
    "hour",
    "minute",
    "month",
];
/// Functions of a range that give a vector.
const OF_RANGE: [&str; 20] = [
    "rate",
    "increase",
    "delta",
    "irate",
    "idelta",
    "deriv",
    "changes",
    "resets",
    "avg_over_time",
    "sum_over_time",
    "min_over_time",
    "max_over_time",
    "count_over_time",
    "last_over_time",
    "present_over_time",
    "stddev_over_time",
    "stdvar_over_time",
    "rate",
    "increase",
    "absent_over_time",
];
const AGGREGATIONS: [&str; 9] = ["sum", "avg", "count", "min", "max", "group", "stddev", "stdvar", "sum"];
const ARITHMETIC: [&str; 7] = ["+", "-", "*", "/", "%", "^", "atan2"];
const COMPARISONS: [&str; 6] = ["==", "!=", ">", "<", ">=", "<="];
const SETS: [&str; 3] = ["and", "or", "unless"];
const LABELS: [&str; 5] = ["job", "instance", "code", "version", "kind"];
const NUMBERS: [&str; 10] = ["0", "1", "2", "-1", "0.5", "100", "1e6", "NaN", "Inf", "-Inf"];
const DURATIONS: [&str; 8] = ["1m", "2m", "5m", "10m", "90s", "30s", "1h", "7m"];
const SELECTORS: [&str; 16] = [
    "requests_total",
    "requests_total{code=\"200\"}",
    "requests_total{job=\"api\"}",
    "requests_total{instance=~\"a|b\"}",
    "requests_total{code!=\"200\",job=~\"w.*\"}",
    "memory_bytes",
    "memory_bytes{instance!~\"c\"}",
    "memory_bytes{job=\"web\"}",
    "up",
    "up{job=\"api\"}",
    "build_info",
    "build_info{version=\"2.0\"}",
    "latency_seconds_bucket",
    "sparse",
    "odd",
    "missing{job=\"x\",kind=\"y\"}",
];

pub struct Generator {
    pub random: Random,
}

impl Generator {
    fn pick(&mut self, all: &[&str]) -> String {
        (*self.random.of(all)).to_owned()
    }

    fn labels(&mut self) -> String {
        let count = self.random.below(3);
        let labels: Vec<String> = (0..count).map(|_| self.pick(&LABELS)).collect();
        labels.join(", ")
    }

    /// Modifiers of a selector.
    fn modifiers(&mut self) -> String {
        let mut text = String::new();
        if self.random.one_in(5) {
            let sign = if self.random.one_in(4) { "-" } else { "" };
            text.push_str(&format!(" offset {sign}{}", self.pick(&["30s", "1m", "5m", "13m"])));
        }
        if self.random.one_in(8) {
            let at = self.pick(&["@ start()", "@ end()", "@ 1700004800.5", "@ 1700005900.5"]);
            text.push_str(&format!(" {at}"));
        }
        text
    }

    fn range(&mut self, depth: usize) -> String {
        if depth > 0 && self.random.one_in(4) {
            let inner = self.vector(depth - 1);
            let step = self.pick(&["", "30s", "1m", "17s"]);
            let range = self.pick(&["3m", "5m", "10m"]);
            return format!("({inner})[{range}:{step}]{}", self.modifiers());
        }
        let (selector, range) = (self.pick(&SELECTORS), self.pick(&DURATIONS));
        format!("{selector}[{range}]{}", self.modifiers())
    }

    pub fn scalar(&mut self, depth: usize) -> String {
        match self.random.below(if depth == 0 { 5 } else { 8 }) {
            0 => "time()".to_owned(),
            1 => "pi()".to_owned(),
            2..=4 => self.pick(&NUMBERS),
            5 => format!("scalar({})", self.vector(depth - 1)),
            6 => format!("-{}", self.pick(&["1", "2.5", "pi()"])),
            _ => {
                let (left, op, right) = (self.scalar(depth - 1), self.pick(&ARITHMETIC), self.scalar(depth - 1));
                format!("({left} {op} {right})")
            }
        }
    }

    fn aggregation(&mut self, depth: usize) -> String {
        let inner = self.vector(depth);
        let grouping = match self.random.below(3) {
            0 => String::new(),
            1 => format!("by ({}) ", self.labels()),
            _ => format!("without ({}) ", self.labels()),
        };
        match self.random.below(9) {
            0 => format!("{} {grouping}({}, {inner})", self.pick(&["topk", "bottomk"]), self.pick(&["1", "2", "5"])),
            1 => format!("quantile {grouping}({}, {inner})", self.pick(&["0.5", "0.9", "0", "1", "-1", "2"])),
            2 => format!("count_values {grouping}(\"value\", round({inner}))"),
            _ => format!("{} {grouping}({inner})", self.pick(&AGGREGATIONS)),
        }
    }

    fn binary(&mut self, depth: usize) -> String {
        let left = self.vector(depth);
        match self.random.below(6) {
            0 => {
                let (op, right) = (self.pick(&ARITHMETIC), self.scalar(depth));
                format!("({left}) {op} {right}")
            }
            1 => {
                let bool = if self.random.one_in(2) { " bool" } else { "" };
                let (op, right) = (self.pick(&COMPARISONS), self.scalar(depth));
                if self.random.one_in(2) {
                    format!("({left}) {op}{bool} {right}")
                } else {
                    format!("{right} {op}{bool} ({left})")
                }
            }
            2 => {
                let (op, right) = (self.pick(&SETS), self.vector(depth));
                let matching = match self.random.below(3) {
                    0 => String::new(),
                    1 => format!(" on ({})", self.labels()),
                    _ => format!(" ignoring ({})", self.labels()),
                };
                format!("({left}) {op}{matching} ({right})")
            }
            3 => {
                // One of each group on the right, so that many may stand on the left.
                let label = self.pick(&["job", "instance"]);
                let right = format!("sum by ({label}) ({})", self.vector(depth));
                let op = if self.random.one_in(3) { self.pick(&COMPARISONS) } else { self.pick(&ARITHMETIC) };
                if self.random.one_in(3) {
                    format!("{right} {op} on ({label}) group_right () ({left})")
                } else {
                    format!("({left}) {op} on ({label}) group_left () {right}")
                }
            }
            4 => {
                let (op, right) = (self.pick(&ARITHMETIC), self.vector(depth));
                let matching = match self.random.below(3) {
                    0 => String::new(),
                    1 => format!(" on ({})", self.labels()),
                    _ => format!(" ignoring ({})", self.labels()),
                };
                format!("({left}) {op}{matching} ({right})")
            }
            // Without parentheses: who binds more closely shows here.
            _ => {
                let (one, two) = (self.pick(&SELECTORS), self.pick(&SELECTORS));
                let (first, second) = (self.pick(&ARITHMETIC), self.pick(&ARITHMETIC));
                let (number, sign) = (self.pick(&["2", "3", "0.5"]), self.pick(&["", "-"]));
                format!("{sign}{one} {first} {number} {second} {two}")
            }
        }
    }

    pub fn vector(&mut self, depth: usize) -> String {
        if depth == 0 {
            return format!("{}{}", self.pick(&SELECTORS), self.modifiers());
        }
        let depth = depth - 1;
        match self.random.below(16) {
            0 | 1 => format!("{}{}", self.pick(&SELECTORS), self.modifiers()),
            2 | 3 => format!("{}({})", self.pick(&OF_VECTOR), self.vector(depth)),
            4..=7 => format!("{}({})", self.pick(&OF_RANGE), self.range(depth)),
            8 | 9 => self.aggregation(depth),
            10..=12 => self.binary(depth),
            13 => self.with_parameters(depth),
            14 => format!("-{}{}", self.pick(&SELECTORS), self.modifiers()),
            _ => {
                let q = self.pick(&["0.5", "0.9", "0.99", "0", "1"]);
                let inner = self.pick(&["latency_seconds_bucket", "rate(latency_seconds_bucket[5m])"]);
                match self.random.below(3) {
                    0 => format!("histogram_quantile({q}, {inner})"),
                    1 => format!("histogram_quantile({q}, sum by (le) ({inner}))"),
                    _ => format!("histogram_quantile({q}, sum by (job, le) ({inner}) + 0)"),
                }
            }
        }
    }

    fn with_parameters(&mut self, depth: usize) -> String {
        match self.random.below(11) {
            0 => format!("clamp({}, {}, {})", self.vector(depth), self.pick(&NUMBERS), self.pick(&NUMBERS)),
            1 => format!("clamp_min({}, {})", self.vector(depth), self.scalar(depth)),
            2 => format!("clamp_max({}, {})", self.vector(depth), self.scalar(depth)),
            3 => format!("round({}, {})", self.vector(depth), self.pick(&["0.1", "10", "3"])),
            4 => format!("quantile_over_time({}, {})", self.pick(&["0.5", "0.9", "0", "1"]), self.range(depth)),
            5 => format!("predict_linear({}, {})", self.range(depth), self.pick(&["60", "3600", "-60"])),
            6 => format!("holt_winters({}, 0.3, {})", self.range(depth), self.pick(&["0.1", "0.6"])),
            7 => {
                let (source, pattern) = (self.pick(&LABELS), self.pick(&["(.*)", "a|b", "([a-z]).*", ""]));
                format!("label_replace({}, \"new\", \"x$1\", \"{source}\", \"{pattern}\")", self.vector(depth))
            }
            8 => {
                let (one, two) = (self.pick(&LABELS), self.pick(&LABELS));
                format!("label_join({}, \"new\", \"-\", \"{one}\", \"{two}\")", self.vector(depth))
            }
            9 => format!("vector({})", self.scalar(depth)),
            _ => format!("absent({})", self.vector(depth)),
        }
    }

    /// A query with a word left out, said twice or in another place: mostly none.
    fn broken(&mut self, query: &str) -> String {
        let mut words: Vec<String> = Vec::new();
        for c in query.chars() {
            let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
            match words.last_mut() {
                Some(last) if is_word(c) && last.chars().all(is_word) => last.push(c),
                _ => words.push(c.to_string()),
            }
        }
        let place = self.random.below(words.len());
        match self.random.below(3) {
            0 => drop(words.remove(place)),
            1 => words.insert(place, words[place].clone()),
            _ => {
                let other = self.random.below(words.len());
                words.swap(place, other);
            }
        }
        words.concat()
    }

    /// A whole query.
    pub fn query(&mut self) -> String {
        let depth = 1 + self.random.below(3);
        let query = if self.random.one_in(20) { self.scalar(depth) } else { self.vector(depth) };
        if self.random.one_in(8) { self.broken(&query) } else { query }
    }
}
