//! Charts as SVG, drawn here: a line with gaps, the band that was expected, and marks in time. No script and no style of its
//! own; colours come from the style sheet by class.

use super::{figures, page};
use maud::{Markup, PreEscaped, html};
use tandem_domain::{Timestamp, series::Points};

/// Size of a chart in units of its own; the page scales it.
const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 190.0;
/// Room for the numbers at the left at the least, the times below, and the marks above.
const LEFT: f64 = 86.0;
/// Room that a letter of the numbers takes, and what is beside them.
const LETTER: f64 = 6.6;
const BESIDE: f64 = 12.0;
const RIGHT: f64 = 10.0;
const TOP: f64 = 24.0;
const BOTTOM: f64 = 22.0;
/// Columns that a line is drawn in; of more points in one column the lowest and highest are drawn, so that no peak is lost.
const COLUMNS: usize = 280;
/// Lines across.
const LEVELS: usize = 3;
/// Times below.
const TIMES: i64 = 4;
/// Room around the values, as a share of their range.
const MARGIN: f64 = 0.08;
/// Points further apart than this many usual steps have a gap between them.
const GAP_STEPS: f64 = 4.0;
/// Letters of a mark; longer ones are cut.
const MARK_LETTERS: usize = 22;

/// A moment that matters.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Mark {
    pub at: Timestamp,
    pub label: String,
}

/// What is drawn.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Chart {
    /// Canonical name, by which a share is told from a count.
    pub name: String,
    /// What tells it from others of that name, ready to stand behind it.
    pub of: String,
    pub unit: String,
    pub points: Points,
    pub from: Timestamp,
    pub to: Timestamp,
    /// What was expected, where a detector said so.
    pub band: Option<(f64, f64)>,
    pub marks: Vec<Mark>,
}

/// From values and times to places.
struct Scale {
    from: f64,
    span: f64,
    low: f64,
    range: f64,
    /// Where the lines begin: beside the longest number.
    left: f64,
}

impl Scale {
    fn of(chart: &Chart) -> Option<Self> {
        let finite = || chart.points.value.iter().copied().filter(|value| value.is_finite());
        let band = chart.band.map(|(low, high)| [low, high]).into_iter().flatten().filter(|end| end.is_finite());
        let (mut low, mut high) = finite()
            .chain(band)
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        let span = chart.to.millis_since(chart.from) as f64;
        if finite().next().is_none() || span <= 0.0 {
            return None;
        }
        let margin = (high - low) * MARGIN;
        // A line that never moves lies in the middle.
        let margin = if margin > 0.0 { margin } else { (high.abs() * MARGIN).max(0.5) };
        // What is never below nothing is not drawn as if it could be, whatever a band says.
        let never_below = finite().all(|value| value >= 0.0);
        low = if never_below { (low - margin).max(0.0) } else { low - margin };
        high += margin;
        let mut scale = Self { from: chart.from.0 as f64, span, low, range: high - low, left: LEFT };
        let letters = (0..=LEVELS).map(|step| scale.number(chart, step).chars().count()).max().unwrap_or(0);
        scale.left = LEFT.max(BESIDE + LETTER * letters as f64);
        Some(scale)
    }

    /// The value of a line across, from the lowest.
    fn level(&self, step: usize) -> f64 {
        self.low + self.range * step as f64 / LEVELS as f64
    }

    /// What stands beside a line across.
    fn number(&self, chart: &Chart, step: usize) -> String {
        figures::show(&chart.name, &chart.unit, self.level(step))
    }

    fn x(&self, at: Timestamp) -> f64 {
        self.left + (at.0 as f64 - self.from) / self.span * (WIDTH - self.left - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        let share = ((value - self.low) / self.range).clamp(0.0, 1.0);
        HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)
    }
}

/// The chart; none where there is nothing to draw.
pub(super) fn draw(chart: &Chart) -> Option<Markup> {
    let scale = Scale::of(chart)?;
    let (bottom, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
    let left = scale.left;
    let time = |step: i64| chart.from.plus_millis(chart.to.millis_since(chart.from) * step / TIMES);
    let said = said(chart);
    Some(html! {
        svg.chart viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(said) {
            title { (said) }
            @for step in 0..=LEVELS {
                @let y = scale.y(scale.level(step));
                line.grid x1=(left) x2=(right) y1=(tenth(y)) y2=(tenth(y)) {}
                text.level x=(left - 6.0) y=(tenth(y + 4.0)) text-anchor="end" { (scale.number(chart, step)) }
            }
            @for step in 0..=TIMES {
                @let at = time(step);
                text.time x=(tenth(scale.x(at))) y=(HEIGHT - 6.0) text-anchor=(anchor(step)) { (short_clock(at)) }
            }
            @if let Some((low, high)) = chart.band {
                @let (upper, lower) = (scale.y(if high.is_finite() { high } else { f64::MAX }), scale.y(if low.is_finite() { low } else { f64::MIN }));
                rect.band x=(left) y=(tenth(upper)) width=(right - left) height=(tenth((lower - upper).max(1.0))) {}
            }
            path.course d=(PreEscaped(path(chart, &scale))) {}
            @for (row, mark) in chart.marks.iter().filter(|mark| mark.at >= chart.from && mark.at <= chart.to).enumerate() {
                @let x = scale.x(mark.at);
                line.mark x1=(tenth(x)) x2=(tenth(x)) y1=(TOP - 4.0) y2=(bottom) {}
                @let is_right = x > WIDTH * 0.7;
                text.mark x=(tenth(if is_right { x - 3.0 } else { x + 3.0 })) y=(10.0 + 11.0 * (row % 2) as f64)
                    text-anchor=(if is_right { "end" } else { "start" }) { (cut(&mark.label)) }
            }
        }
    })
}

/// The chart in words, for those who do not see it.
fn said(chart: &Chart) -> String {
    let finite: Vec<f64> = chart.points.value.iter().copied().filter(|value| value.is_finite()).collect();
    let show = |value: f64| figures::show(&chart.name, &chart.unit, value);
    let (low, high) = finite.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(*v), h.max(*v)));
    let last = finite.last().copied().unwrap_or(f64::NAN);
    let mut said = format!("{} from {} to {}, last {}", chart.name, show(low), show(high), show(last));
    if let Some((low, high)) = chart.band.filter(|(low, high)| low.is_finite() && high.is_finite()) {
        said.push_str(&format!("; expected from {} to {}", show(low), show(high)));
    }
    said
}

/// The line: moves and lines in places, broken where nothing was seen.
fn path(chart: &Chart, scale: &Scale) -> String {
    let step = usual_step(&chart.points.at);
    let mut drawn = String::new();
    let mut before: Option<Timestamp> = None;
    for (at, value) in thinned(chart, scale) {
        if !value.is_finite() {
            before = None;
            continue;
        }
        let broken = before.is_none_or(|before| at.millis_since(before) as f64 > step);
        drawn.push(if broken { 'M' } else { 'L' });
        drawn.push_str(&format!("{} {}", tenth(scale.x(at)), tenth(scale.y(value))));
        before = Some(at);
    }
    // A single point is a line of no length, which a round end makes a dot.
    if !drawn.contains('L') && !drawn.is_empty() {
        drawn.push_str("h0.1");
    }
    drawn
}

/// How far apart two points may be that belong together, in milliseconds.
fn usual_step(at: &[Timestamp]) -> f64 {
    let mut steps: Vec<i64> = at.windows(2).map(|pair| pair[1].millis_since(pair[0])).collect();
    steps.sort_unstable();
    steps.get(steps.len() / 2).map_or(f64::INFINITY, |step| (*step as f64).max(1_000.0) * GAP_STEPS)
}

/// At most two points a column: the lowest and the highest, in the order of time.
fn thinned(chart: &Chart, scale: &Scale) -> Vec<(Timestamp, f64)> {
    let inside = chart.points.at.iter().copied().zip(chart.points.value.iter().copied());
    let inside: Vec<_> = inside.filter(|(at, _)| *at >= chart.from && *at <= chart.to).collect();
    if inside.len() <= 2 * COLUMNS {
        return inside;
    }
    let column = |at: Timestamp| ((at.0 as f64 - scale.from) / scale.span * COLUMNS as f64) as usize;
    let mut thin = Vec::with_capacity(2 * COLUMNS);
    for points in inside.chunk_by(|a, b| column(a.0) == column(b.0)) {
        let by_value = |a: &&(Timestamp, f64), b: &&(Timestamp, f64)| a.1.total_cmp(&b.1);
        let ends = points.iter().min_by(by_value).zip(points.iter().max_by(by_value));
        let Some((low, high)) = ends else { continue };
        let (first, second) = if low.0 <= high.0 { (low, high) } else { (high, low) };
        thin.push(*first);
        if first.0 != second.0 {
            thin.push(*second);
        }
    }
    thin
}

fn anchor(step: i64) -> &'static str {
    match step {
        0 => "start",
        TIMES => "end",
        _ => "middle",
    }
}

fn short_clock(at: Timestamp) -> String {
    let text = page::moment(at);
    text.get(11..16).unwrap_or_default().to_owned()
}

fn cut(label: &str) -> String {
    match label.char_indices().nth(MARK_LETTERS) {
        Some((end, _)) => format!("{}…", &label[..end]),
        None => label.to_owned(),
    }
}

/// A place to a tenth: finer is not seen, and longer to send.
fn tenth(place: f64) -> f64 {
    (place * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(values: &[f64]) -> Chart {
        let at = (0..values.len() as i64).map(|index| Timestamp(index * 10_000)).collect();
        Chart {
            name: "gpu.temperature".into(),
            of: String::new(),
            unit: "Cel".into(),
            points: Points { at, value: values.to_vec() },
            from: Timestamp(0),
            to: Timestamp(10_000 * values.len().max(1) as i64),
            band: Some((30.0, 60.0)),
            marks: vec![Mark { at: Timestamp(10_000), label: "<b>onset</b> & a very long label".into() }],
        }
    }

    #[test]
    fn a_line_is_drawn_with_its_band_and_its_marks_and_nothing_unescaped() {
        let drawn = draw(&chart(&[40.0, 45.0, f64::NAN, 95.0])).expect("drawn").into_string();
        assert!(drawn.contains("class=\"band\"") && drawn.contains("class=\"mark\""), "{drawn}");
        assert!(drawn.contains("&lt;b&gt;onset") && !drawn.contains("<b>"), "{drawn}");
        assert!(!drawn.contains("NaN") && !drawn.contains("inf"), "{drawn}");
        let line = drawn.split("class=\"course\" d=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a line");
        assert_eq!(line.matches('M').count(), 2, "broken where nothing was seen: {line}");
        assert!(drawn.contains("expected from 30.0 °C to 60.0 °C"), "{drawn}");
    }

    #[test]
    fn nothing_is_drawn_of_nothing_and_a_flat_line_lies_in_the_middle() {
        assert!(draw(&chart(&[])).is_none());
        assert!(draw(&chart(&[f64::NAN])).is_none());
        let mut flat = chart(&[5.0, 5.0]);
        flat.band = None;
        let scale = Scale::of(&flat).expect("a scale");
        assert!((scale.y(5.0) - (TOP + (HEIGHT - TOP - BOTTOM) / 2.0)).abs() < 1.0);
        flat.band = Some((f64::NEG_INFINITY, f64::INFINITY));
        let drawn = draw(&flat).expect("drawn").into_string();
        assert!(!drawn.contains("NaN") && !drawn.contains("inf\""), "{drawn}");
    }

    #[test]
    fn long_numbers_have_room() {
        let mut long = chart(&[0.0, 18.1]);
        (long.name, long.unit, long.band) = ("model.requests".into(), "request/s".into(), None);
        let scale = Scale::of(&long).expect("a scale");
        let letters = scale.number(&long, LEVELS).len() as f64;
        assert!(scale.left > LEFT && scale.left >= LETTER * letters + 6.0, "{} for {letters}", scale.left);
        assert_eq!(Scale::of(&chart(&[40.0, 45.0])).expect("a scale").left, LEFT);
    }

    #[test]
    fn many_points_are_thinned_and_no_peak_is_lost() {
        let mut values = vec![1.0; 20_000];
        values[12_345] = 99.0;
        let many = chart(&values);
        let thin = thinned(&many, &Scale::of(&many).expect("a scale"));
        assert!(thin.len() <= 2 * COLUMNS + 2, "{}", thin.len());
        assert!(thin.iter().any(|(_, value)| *value == 99.0));
    }
}
