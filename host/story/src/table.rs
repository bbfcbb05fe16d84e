//! Tables inside a text: `name = expression` and `name{label="value"} = expression`, a line each; a line whose brackets are
//! open goes on in the next, and `#` begins a remark.

use crate::error::Problem;

/// How the value of a series comes about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// `=`: the value itself.
    Value,
    /// `+=`: what it rises by in a second.
    Rate,
    /// `~`: a histogram of so many observations a second around a median.
    Histogram,
}

/// A line of series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SeriesLine {
    pub metric: String,
    pub labels: Vec<(String, String)>,
    pub form: Form,
    pub expression: String,
}

/// Whole lines, remarks taken out.
fn lines(text: &str) -> Vec<String> {
    let (mut whole, mut open) = (Vec::<String>::new(), 0_i64);
    for line in text.lines() {
        let line = line.split_once('#').map_or(line, |(before, _)| before).trim();
        if line.is_empty() {
            continue;
        }
        match whole.last_mut().filter(|_| open > 0) {
            Some(last) => {
                last.push(' ');
                last.push_str(line);
            }
            None => whole.push(line.to_owned()),
        }
        let count = |mark: char| line.matches(mark).count() as i64;
        open += count('(') - count(')');
    }
    whole
}

/// Reads lines `name = expression`, in their order.
pub(crate) fn assignments(text: &str) -> Result<Vec<(String, String)>, Problem> {
    let read = |line: String| {
        let (name, expression) =
            line.split_once('=').ok_or_else(|| format!("{line:?} assigns nothing; write name = expression"))?;
        let name = name.trim();
        if !is_name(name) {
            return Err(format!("{name:?} is no name: use small letters, digits and _, a letter first"));
        }
        Ok((name.to_owned(), expression.trim().to_owned()))
    };
    lines(text).into_iter().map(read).collect()
}

/// Whether something can be the name of a kind or variable.
pub(crate) fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// Reads lines of series.
pub(crate) fn series_lines(text: &str) -> Result<Vec<SeriesLine>, Problem> {
    lines(text).iter().map(|line| series_line(line)).collect()
}

fn series_line(line: &str) -> Result<SeriesLine, Problem> {
    let is_metric = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let end = line.find(|c| !is_metric(c)).unwrap_or(line.len());
    let (metric, mut rest) = line.split_at(end);
    if metric.is_empty() || metric.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(format!("{line:?} begins with no name of a metric"));
    }
    let mut labels = Vec::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = read_labels(inside, &mut labels).map_err(|problem| format!("{metric}: {problem}"))?;
    }
    let rest = rest.trim_start();
    let forms = [("+=", Form::Rate), ("=", Form::Value), ("~", Form::Histogram)];
    let found = forms.into_iter().find_map(|(mark, form)| Some((form, rest.strip_prefix(mark)?)));
    let (form, expression) =
        found.ok_or_else(|| format!("{metric}: after the name stands =, += or ~, and not {rest:?}"))?;
    Ok(SeriesLine { metric: metric.to_owned(), labels, form, expression: expression.trim().to_owned() })
}

/// Reads `name="value", …}`; answers what follows.
fn read_labels<'t>(text: &'t str, labels: &mut Vec<(String, String)>) -> Result<&'t str, Problem> {
    let mut rest = text.trim_start();
    loop {
        if let Some(after) = rest.strip_prefix('}') {
            return Ok(after);
        }
        let (name, after) = rest.split_once("=\"").ok_or("a label is written name=\"value\"")?;
        let (value, after) = after.split_once('"').ok_or("the value of a label is not closed by \"")?;
        labels.push((name.trim().to_owned(), value.to_owned()));
        rest = after.trim_start();
        rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_read_line_by_line_and_open_brackets_go_on() {
        let read = assignments("\n a = 1 # one\n\n b2 = clip(\n  a,\n  0, 1)\n").expect("a table");
        assert_eq!(read, [("a".into(), "1".into()), ("b2".into(), "clip( a, 0, 1)".into())]);
        assert!(assignments("Busy = 1").expect_err("a capital").contains("small letters"));
        assert!(assignments("busy").expect_err("nothing").contains("assigns nothing"));
    }

    #[test]
    fn series_have_labels_with_templates_and_three_forms() {
        let read = series_lines(
            "up_x = 1\nnode_cpu_seconds_total{cpu=\"0\", mode=\"{name}\"} += 1 - busy\nvllm:e2e_seconds ~ latency; rate\n",
        )
        .expect("series");
        assert_eq!(read.iter().map(|line| line.form).collect::<Vec<_>>(), [Form::Value, Form::Rate, Form::Histogram]);
        assert_eq!(read[1].labels, [("cpu".into(), "0".into()), ("mode".into(), "{name}".into())]);
        assert_eq!(read[2].metric, "vllm:e2e_seconds");
        assert!(series_lines("x 1").expect_err("no mark").contains("=, += or ~"));
        assert!(series_lines("x{a=\"1} = 1").is_err());
    }
}
