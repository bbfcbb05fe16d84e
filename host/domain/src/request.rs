//! What became of requests that a model server counts (`model.requests`), read from the dimensions of the series. Servers count
//! differently: all and the failed, the answered and the failed, by HTTP code, or by why a generation ended (vLLM's
//! `finished_reason`).

/// What became of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Answered, also those that the client got wrong.
    Answered,
    /// Not answered by whoever should.
    Failed,
    /// Given up by whoever asked. Who answers has not failed; but where more give up than is usual, users feel something.
    GivenUp,
    /// Whatever became of them.
    Any,
}

impl Outcome {
    /// Reads it from the dimensions of a series; `dimension` answers the value of one by name.
    pub fn of<'v>(dimension: impl Fn(&str) -> Option<&'v str>) -> Self {
        let server_error = dimension("code").is_some_and(|code| code.starts_with('5'));
        match (dimension("outcome"), dimension("reason")) {
            _ if server_error => Self::Failed,
            (Some("failure"), _) | (_, Some("error")) => Self::Failed,
            (_, Some("abort")) => Self::GivenUp,
            (Some("success" | "client-error"), _) => Self::Answered,
            _ => Self::Any,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_that_count_differently_are_understood() {
        let of = |pairs: &[(&str, &'static str)]| {
            Outcome::of(|name| pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| *value))
        };
        assert_eq!(of(&[]), Outcome::Any);
        assert_eq!(of(&[("outcome", "client-error")]), Outcome::Answered);
        assert_eq!(of(&[("outcome", "failure"), ("reason", "REJECTED")]), Outcome::Failed);
        assert_eq!(of(&[("outcome", "success"), ("code", "503")]), Outcome::Failed);
        assert_eq!(of(&[("code", "200")]), Outcome::Any);
        let vllm = |reason| of(&[("outcome", "success"), ("reason", reason)]);
        assert_eq!(vllm("stop"), Outcome::Answered);
        assert_eq!((vllm("abort"), vllm("error")), (Outcome::GivenUp, Outcome::Failed));
    }
}
