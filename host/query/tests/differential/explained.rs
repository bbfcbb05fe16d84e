//! Differences that have a reason: what the language of Prometheus 3 changed since the Prometheus compared with, and what neither
//! promises.

use crate::compare::Series;

/// Functions that take a number for a moment.
const OF_MOMENTS: [&str; 7] =
    ["day_of_month(", "day_of_week(", "day_of_year(", "days_in_month(", "hour(", "minute(", "month("];

/// Why the answers may differ; none where they must not.
pub fn reason(
    query: &str,
    what: &str,
    theirs: &Result<Series, String>,
    ours: &Result<Series, String>,
) -> Option<&'static str> {
    let has = |word: &str| query.contains(word);
    // Each rule takes the narrowest difference it can be known by.
    let both_answer = theirs.is_ok() && ours.is_ok();
    if what.starts_with("only Prometheus refuses") && what.contains("same labelset") {
        return Some("names are dropped when the answer is told, so that series of other names do not meet before");
    }
    let is_of_durations =
        ["in offset, expected", "missing unit character", "unexpected duration", "not a valid duration"];
    if what.starts_with("only Prometheus refuses") && is_of_durations.iter().any(|words| what.contains(words)) {
        return Some("a number is a duration in seconds, and a duration a number");
    }
    if what.contains("invalid regular expression") || what.contains("error parsing regexp") {
        return Some("the patterns of Go and of Rust differ in brackets within brackets and in what is repeated twice");
    }
    if what.starts_with("only Prometheus refuses") && what.contains("label name") && !what.ends_with(": ") {
        return Some("a name of a label may be any text");
    }
    if what.ends_with("unexpected number of samples") {
        return Some("Prometheus 2 fails at a range held by @ in parentheses");
    }
    let grows = ["^", "sinh(", "cosh(", "exp("];
    let is_periodic = ["%", "sin(", "cos(", "tan(", "count_values"];
    if both_answer && grows.iter().any(|name| has(name)) && is_periodic.iter().any(|name| has(name)) {
        return Some(
            "of large numbers, what comes around or is told whole shows the last bit, which libraries round otherwise",
        );
    }
    if has("atan2") && both_answer && (what.contains("__name__") || what.contains("we have no")) {
        return Some("Prometheus 2 keeps the name of what atan2 changed");
    }
    if both_answer && OF_MOMENTS.iter().any(|name| has(name)) && (what.contains("NaN") || has("odd")) {
        return Some("of NaN and of what lies beyond all years, Go makes some moment; we say NaN");
    }
    if both_answer
        && (has("topk") || has("bottomk"))
        && (what.starts_with("we have no") || what.starts_with("only we have"))
    {
        return Some("of equal values, topk and bottomk keep any");
    }
    if both_answer && (has("stddev") || has("stdvar")) && (what.contains("we say NaN") || has("odd")) {
        return Some("Prometheus 2 takes the variance of one infinity for zero");
    }
    if both_answer
        && (has("rate(") || has("increase("))
        && what.contains("we say")
        && (has("sparse") || has("odd") || has("rate((") || has("increase(("))
    {
        return Some("behind a gap, a counter is drawn out towards zero by half a distance at most");
    }
    if both_answer && has("@") && (has("predict_linear") || has("timestamp")) {
        return Some("Prometheus 2 moves what @ holds with the steps, within functions of the step's own moment");
    }
    None
}
