//! An expression as it is evaluated: operators and times resolved, each part with its place in the text.

use promql_parser::label::Matcher;

/// A part of an expression.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// Byte at which it begins in the text as asked.
    pub at: usize,
    /// What it is.
    pub kind: Kind,
}

/// What a part is. Parentheses are gone; their place is that of what they hold.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Number(f64),
    Text(String),
    Vector(Selector),
    Matrix(Selector, i64),
    Subquery(Box<Subquery>),
    Negated(Box<Node>),
    Binary(Box<Binary>),
    Aggregate(Box<Aggregate>),
    Call(&'static str, Vec<Node>),
}

/// The moment to which `@` holds a selector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pinned {
    Start,
    End,
    /// Milliseconds since the epoch.
    At(i64),
}

/// Which samples around a range or a moment count too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    Plain,
    /// The one before the range stands for its beginning.
    Anchored,
    /// Values at the ends are interpolated between the samples around them.
    Smoothed,
}

#[derive(Debug, Clone)]
pub(crate) struct Selector {
    /// Matchers of which one set must fit.
    pub sets: Vec<Vec<Matcher>>,
    /// Milliseconds back.
    pub offset: i64,
    pub pinned: Option<Pinned>,
    pub extent: Extent,
}

#[derive(Debug, Clone)]
pub(crate) struct Subquery {
    pub inner: Node,
    /// Milliseconds.
    pub range: i64,
    /// Milliseconds.
    pub step: Option<i64>,
    /// Milliseconds back.
    pub offset: i64,
    pub pinned: Option<Pinned>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Atan2,
    Equal,
    NotEqual,
    Greater,
    Less,
    GreaterEqual,
    LessEqual,
    /// Only what a histogram has up to a value.
    TrimUpper,
    /// Only what it has above.
    TrimLower,
    And,
    Or,
    Unless,
}

impl BinaryOp {
    pub(crate) fn of(text: &str) -> Option<Self> {
        Some(match text.to_ascii_lowercase().as_str() {
            "+" => Self::Add,
            "-" => Self::Sub,
            "*" => Self::Mul,
            "/" => Self::Div,
            "%" => Self::Mod,
            "^" => Self::Pow,
            "atan2" => Self::Atan2,
            "==" => Self::Equal,
            "!=" => Self::NotEqual,
            ">" => Self::Greater,
            "<" => Self::Less,
            ">=" => Self::GreaterEqual,
            "<=" => Self::LessEqual,
            "</" => Self::TrimUpper,
            ">/" => Self::TrimLower,
            "and" => Self::And,
            "or" => Self::Or,
            "unless" => Self::Unless,
            _ => return None,
        })
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::Mod => "%",
            Self::Pow => "^",
            Self::Atan2 => "atan2",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Greater => ">",
            Self::Less => "<",
            Self::GreaterEqual => ">=",
            Self::LessEqual => "<=",
            Self::TrimUpper => "</",
            Self::TrimLower => ">/",
            Self::And => "and",
            Self::Or => "or",
            Self::Unless => "unless",
        }
    }

    pub(crate) fn is_comparison(self) -> bool {
        use BinaryOp::{Equal, Greater, GreaterEqual, Less, LessEqual, NotEqual};
        matches!(self, Equal | NotEqual | Greater | Less | GreaterEqual | LessEqual)
    }

    /// Whether what it answers is still what the name of the left side says.
    pub(crate) fn keeps_name(self) -> bool {
        self.is_comparison() || matches!(self, Self::TrimUpper | Self::TrimLower)
    }

    pub(crate) fn is_set(self) -> bool {
        matches!(self, Self::And | Self::Or | Self::Unless)
    }
}

/// Which labels two sides are matched by, or series grouped by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Grouping {
    By(Vec<String>),
    Without(Vec<String>),
}

/// Which side may have many partners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Many {
    Neither,
    Left,
    Right,
}

#[derive(Debug, Clone)]
pub(crate) struct Binary {
    pub op: BinaryOp,
    pub left: Node,
    pub right: Node,
    pub return_bool: bool,
    /// `on` or `ignoring`; ignoring nothing where neither is said.
    pub matching: Grouping,
    pub many: Many,
    /// Labels taken over from the side with one partner.
    pub included: Vec<String>,
    /// What stands for a partner that is missing.
    pub fill_left: Option<f64>,
    pub fill_right: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AggregateOp {
    Sum,
    Avg,
    Count,
    Min,
    Max,
    Group,
    Stddev,
    Stdvar,
    TopK,
    BottomK,
    CountValues,
    Quantile,
    LimitK,
    LimitRatio,
}

impl AggregateOp {
    pub(crate) fn of(text: &str) -> Option<Self> {
        Some(match text.to_ascii_lowercase().as_str() {
            "sum" => Self::Sum,
            "avg" => Self::Avg,
            "count" => Self::Count,
            "min" => Self::Min,
            "max" => Self::Max,
            "group" => Self::Group,
            "stddev" => Self::Stddev,
            "stdvar" => Self::Stdvar,
            "topk" => Self::TopK,
            "bottomk" => Self::BottomK,
            "count_values" => Self::CountValues,
            "quantile" => Self::Quantile,
            "limitk" => Self::LimitK,
            "limit_ratio" => Self::LimitRatio,
            _ => return None,
        })
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Avg => "avg",
            Self::Count => "count",
            Self::Min => "min",
            Self::Max => "max",
            Self::Group => "group",
            Self::Stddev => "stddev",
            Self::Stdvar => "stdvar",
            Self::TopK => "topk",
            Self::BottomK => "bottomk",
            Self::CountValues => "count_values",
            Self::Quantile => "quantile",
            Self::LimitK => "limitk",
            Self::LimitRatio => "limit_ratio",
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Aggregate {
    pub op: AggregateOp,
    pub grouping: Grouping,
    pub parameter: Option<Node>,
    pub inner: Node,
}

impl Node {
    /// Whether it is a range vector.
    pub(crate) fn is_range(&self) -> bool {
        matches!(self.kind, Kind::Matrix(..) | Kind::Subquery(_))
    }
}
